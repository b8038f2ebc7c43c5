"""Random histories: people on both sides, slow and dying workers, a provider that fails.

Run to the end, each history must leave both sides equal, with every edit kept or on record, and
then fall silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.convergence.ledger import Found, Ledger, Side
from tests.convergence.sides import (
    Shown,
    guests_of_google,
    guests_of_row,
    of_google,
    of_row,
    tag_of,
    to_columns,
    to_google,
)
from tests.convergence.stage import Row, Stage
from tests.convergence.workers import Worker

Result = TypeVar("Result")

_which = st.integers(0, 5)
_fields = st.sets(
    st.sampled_from(["title", "description", "location", "time", "transparency"]),
    min_size=1,
    max_size=2,
).map(sorted)
_writes = st.sampled_from(["events.insert", "events.patch", "events.delete", "events.update"])
_FAILURES: list[dict[str, Any]] = [
    {"kind": "drop_before"},
    {"kind": "html", "status": 502},
    {"kind": "error", "status": 500},
    {"kind": "error", "status": 503, "reason": "backendError"},
    {"kind": "error", "status": 403, "reason": "rateLimitExceeded", "domain": "usageLimits"},
    {"kind": "error", "status": 429, "reason": "rateLimitExceeded", "domain": "usageLimits"},
]
_DOUBTFUL: list[dict[str, Any]] = [
    {"kind": "drop_after"},
    {"kind": "error_after", "status": 503},
    {"kind": "error_after", "status": 500},
]
_LIES: list[dict[str, Any]] = [
    {"kind": "error", "operation": "events.insert", "status": 409, "reason": "duplicate"},
    {"kind": "error", "operation": "events.patch", "status": 412, "reason": "conditionNotMet"},
    {"kind": "error", "operation": "events.delete", "status": 412, "reason": "conditionNotMet"},
    {"kind": "error", "operation": "events.patch", "status": 410, "reason": "deleted"},
    {"kind": "error", "operation": "events.list", "status": 410, "reason": "fullSyncRequired"},
]


class Histories(RuleBasedStateMachine):
    """One history; `loop` and `stage` are the test's."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    stage: ClassVar[Stage]
    histories: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.workers: list[Worker] = []
        self.numbers = 0

    @initialize(
        policy=st.sampled_from(["last_write_wins"] * 3 + ["app_wins", "provider_wins"]),
        page_items=st.sampled_from([None, None, 1, 2]),
        list_order=st.sampled_from(["stable", "reversed", "shuffled"]),
        edge_redelivery=st.booleans(),
        noop_writes=st.sampled_from(["bump", "ignore"]),
        tombstone_fields=st.sampled_from(["guide", "minimal", "full"]),
        empty_first_page=st.booleans(),
        events=st.integers(0, 2),
    )
    def begin(self, policy: str, events: int, **switches: Any) -> None:
        """Start from two sides that agree on a few events."""
        type(self).histories += 1
        self.policy = policy
        self._run(self.stage.begin(policy, switches))
        for _ in range(events):
            self.add_there(with_location=False, all_day=False)
        if events:
            self.catch_up()

    # People at the app

    @rule(with_location=st.booleans(), all_day=st.booleans(), by_service=st.booleans())
    def add_here(self, with_location: bool, all_day: bool, by_service: bool) -> None:
        """Insert an event."""
        shown = self._new_event(with_location, all_day)
        columns = {"user_id": self.stage.world.user_id} if by_service else {}
        for name, value in shown.items():
            columns |= to_columns(name, value)
        names, values = list(columns), list(columns.values())
        places = ", ".join(f"${number}" for number, _ in enumerate(names, 1))
        self._write_here(
            by_service,
            f"insert into calendar_events ({', '.join(names)}) values ({places})",
            *values,
        )
        self.ledger.created("app", shown)

    @rule(which=_which, fields=_fields, clear=st.booleans(), by_service=st.booleans())
    def edit_here(self, which: int, fields: list[str], clear: bool, by_service: bool) -> None:
        """Update a field or two of an event."""
        row = self._pick(self._rows(live=True), which)
        if row is None:
            return
        changes = self._new_values(of_row(row), fields, clear)
        columns: dict[str, Any] = {}
        for name, value in changes.items():
            columns |= to_columns(name, value)
        settings = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 2))
        self._write_here(
            by_service,
            f"update calendar_events set {settings} where id = $1",
            row["id"],
            *columns.values(),
        )
        self.ledger.wrote("app", of_row(row), changes)

    @rule(which=_which, add=st.booleans())
    def invite_here(self, which: int, add: bool) -> None:
        """Add a guest, or remove one."""
        row = self._pick(self._rows(live=True), which)
        if row is None:
            return
        guests = self._guests("app", tag_of(of_row(row)), guests_of_row(row), add)
        kept = [guest for guest in row["attendees"] if guest["email"] in guests]
        known = {guest["email"] for guest in kept}
        kept += [{"email": address} for address in sorted(guests - known)]
        self._run(
            self.stage.as_service(
                "update calendar_events set attendees = $2 where id = $1", row["id"], kept
            )
        )

    @rule(which=_which, hard=st.booleans(), by_service=st.booleans())
    def delete_here(self, which: int, hard: bool, by_service: bool) -> None:
        """Delete an event, softly as the API does or for good as SQL can."""
        row = self._pick(self._rows(live=True), which)
        if row is None:
            return
        statement = (
            "delete from calendar_events where id = $1"
            if hard
            else "update calendar_events set deleted_at = now() where id = $1"
        )
        self._write_here(by_service, statement, row["id"])
        self.ledger.deleted("app", Found(of_row(row), guests_of_row(row)))

    @rule(which=_which)
    def bring_back_here(self, which: int) -> None:
        """Undo a soft deletion."""
        rows = self._rows(live=False)
        row = self._pick(rows, which)
        if row is None:
            return
        self._write_here(
            False, "update calendar_events set deleted_at = null where id = $1", row["id"]
        )
        self.ledger.brought_back("app", of_row(row))

    # The person at Google

    @rule(with_location=st.booleans(), all_day=st.booleans())
    def add_there(self, with_location: bool, all_day: bool) -> None:
        """Make an event."""
        shown = self._new_event(with_location, all_day)
        body: dict[str, Any] = {}
        for name, value in shown.items():
            body |= to_google(name, value)
        self.stage.world.ada.insert(_without_nulls(body))
        self.ledger.created("google", shown)

    @rule(which=_which, fields=_fields, clear=st.booleans())
    def edit_there(self, which: int, fields: list[str], clear: bool) -> None:
        """Change a field or two of an event."""
        event = self._pick(self._resources(live=True), which)
        if event is None:
            return
        changes = self._new_values(of_google(event), fields, clear)
        body: dict[str, Any] = {}
        for name, value in changes.items():
            body |= to_google(name, value)
        self.stage.world.ada.patch(event["id"], body)
        self.ledger.wrote("google", of_google(event), changes)

    @rule(which=_which, add=st.booleans())
    def invite_there(self, which: int, add: bool) -> None:
        """Add a guest, or remove one."""
        event = self._pick(self._resources(live=True), which)
        if event is None:
            return
        guests = self._guests("google", tag_of(of_google(event)), guests_of_google(event), add)
        listed = [guest for guest in event.get("attendees", ()) if guest["email"] in guests]
        known = {guest["email"] for guest in listed}
        listed += [{"email": address} for address in sorted(guests - known)]
        self.stage.world.ada.patch(event["id"], {"attendees": listed})

    @rule(which=_which)
    def delete_there(self, which: int) -> None:
        """Delete an event."""
        event = self._pick(self._resources(live=True), which)
        if event is None:
            return
        self.stage.world.ada.delete(event["id"])
        self.ledger.deleted("google", Found(of_google(event), guests_of_google(event)))

    @rule(which=_which)
    def bring_back_there(self, which: int) -> None:
        """Take an event out of the bin."""
        live = {tag_of(of_google(event)) for event in self._resources(live=True)}
        gone = [
            event for event in self._resources(live=False) if tag_of(of_google(event)) not in live
        ]
        event = self._pick(gone, which)
        if event is None:
            return
        self.stage.world.ada.patch(event["id"], {"status": "confirmed"})
        self.ledger.brought_back("google", of_google(event))

    @rule(which=_which)
    def copy_there(self, which: int) -> None:
        """Duplicate an event with everything on it, our private mark too."""
        event = self._pick(self._resources(live=True), which)
        if event is None:
            return
        kept = ("start", "end", "location", "extendedProperties", "transparency")
        body = {key: event[key] for key in kept if key in event}
        shown = of_google(event) | {
            "title": f"e{self._number()} copied",
            "description": "",
        }
        self.stage.world.ada.insert({**body, "summary": shown["title"]})
        self.ledger.created("google", shown)

    # Workers

    @rule(which=_which)
    def push(self, which: int) -> None:
        """Carry out one push."""
        self._work("push", which, None)

    @rule()
    def pull(self) -> None:
        """Poll."""
        self._run(self.stage.request_pull())
        self._work("pull", 0, None)

    @rule(kind=st.sampled_from(["push", "push", "pull"]), which=_which, gates=st.integers(0, 5))
    def work_slowly(self, kind: str, which: int, gates: int) -> None:
        """Start on a row and stop somewhere on the way."""
        if len(self.workers) >= 3:
            return
        if kind == "pull":
            self._run(self.stage.request_pull())
        self._work(kind, which, gates)

    @precondition(lambda self: self.workers)
    @rule(which=_which, gates=st.sampled_from([None, None, 0, 1, 2]))
    def go_on(self, which: int, gates: int | None) -> None:
        """Let a stopped worker go on."""
        worker = self.workers[which % len(self.workers)]
        self._run(worker.advance(gates))
        self._forget_done()

    @precondition(lambda self: self.workers)
    @rule(which=_which)
    def die(self, which: int) -> None:
        """Kill a stopped worker; its lease lapses without a record."""
        worker = self.workers.pop(which % len(self.workers))
        self.ledger.doubts += 1
        self._run(worker.kill())
        self._run(self.stage.lapse(worker))

    @precondition(lambda self: self.workers)
    @rule(which=_which)
    def lapse(self, which: int) -> None:
        """Let the lease of a stopped worker run out; it may still go on, too late."""
        self.ledger.doubts += 1
        self.ledger.late += 1
        self._run(self.stage.lapse(self.workers[which % len(self.workers)]))

    @rule()
    def catch_up(self) -> None:
        """Poll and carry out everything that is due."""
        self._run(self.stage.request_pull())
        self._run(self.stage.drain())

    # Google's notices

    @precondition(lambda self: self.stage.notices)
    @rule(which=_which, again=st.booleans())
    def deliver(self, which: int, again: bool) -> None:
        """Let a notice arrive, in any order, now and perhaps once more later."""
        notices = self.stage.notices
        number = which % len(notices)
        self._run(self.stage.deliver(notices[number] if again else notices.pop(number)))

    @rule()
    def lose_channels(self) -> None:
        """Let every channel die without a word."""
        self.stage.world.google.world.state.channels.clear()
        self.stage.notices.clear()

    # Trouble

    @rule(operation=_writes, failure=st.sampled_from(_FAILURES), skip=st.integers(0, 1))
    def fail_a_write(self, operation: str, failure: dict[str, Any], skip: int) -> None:
        """Let a coming write fail."""
        self._arm({**failure, "operation": operation, "skip": skip})

    @rule(operation=_writes, failure=st.sampled_from(_DOUBTFUL), skip=st.integers(0, 1))
    def lose_an_answer(self, operation: str, failure: dict[str, Any], skip: int) -> None:
        """Let a coming write take effect and its answer be lost."""
        self.ledger.doubts += 1
        self._arm({**failure, "operation": operation, "skip": skip})

    @rule(
        operation=st.sampled_from(["events.list", "events.get"]),
        failure=st.sampled_from(_FAILURES),
        skip=st.integers(0, 1),
    )
    def fail_a_read(self, operation: str, failure: dict[str, Any], skip: int) -> None:
        """Let a coming read fail."""
        self._arm({**failure, "operation": operation, "skip": skip})

    @rule(lie=st.sampled_from(_LIES))
    def answer_wrongly(self, lie: dict[str, Any]) -> None:
        """Let a coming call be refused for a reason that does not hold."""
        self._arm(lie)

    @rule()
    def lose_the_cursor(self) -> None:
        """Kill every sync token."""
        self.stage.world.google.expire_sync_tokens()

    @rule()
    def forget_deletions(self) -> None:
        """Let Google forget what was deleted; only a full sync can tell, so the cursor dies too."""
        google = self.stage.world.google
        google.purge_tombstones("ada@example.com")
        google.expire_sync_tokens()

    @rule(seconds=st.sampled_from([2.0, 3600.0]))
    def skew(self, seconds: float) -> None:
        """Let the clocks drift apart."""
        self.stage.skew(seconds)

    # The end

    def teardown(self) -> None:
        """Let everything come to rest, then look at what is left."""
        if not hasattr(self, "policy"):
            return
        for worker in self.workers:
            self._run(worker.advance(None))
        self._forget_done()
        self._run(self.stage.converge())
        self._run(self._check())

    async def _check(self) -> None:
        stage = self.stage
        app, google = await stage.found()
        conflicts = await stage.world.conflicts()
        wrong = self.ledger.complaints(app, google, conflicts)
        unfinished = await stage.world.pool.fetch(
            "select kind, status, attempts, last_error from sync_queue where status <> 'completed'"
        )
        wrong += [f"unfinished: {dict(row.items())}" for row in unfinished]
        wrong += [f"unexpected: {entry}" for entry in stage.unexpected]
        expected = {"app_wins": "local", "provider_wins": "remote"}.get(self.policy)
        wrong += [
            f"{row['winner']} won in {row['fields']} under {self.policy}"
            for row in conflicts
            if expected and row["fields"] != ["deleted"] and row["winner"] != expected
        ]
        done, failed = stage.writes()
        if done > self.ledger.edits + self.ledger.doubts:
            wrong.append(f"{done} writes for {self.ledger.edits} edits")
        if failed > 2 * (self.ledger.edits + self.ledger.doubts + self.ledger.faults):
            wrong.append(f"{failed} failed writes for {self.ledger.faults} faults")
        assert not wrong, "\n".join(wrong)
        await stage.world.assert_equal()
        await stage.world.assert_silent()

    # Tools

    def _run(self, doing: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(doing)

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    def _new_event(self, with_location: bool, all_day: bool) -> Shown:
        number = self._number()
        return {
            "title": f"e{number} made",
            "description": f"d{number}",
            "location": f"l{number}" if with_location else "",
            "time": f"{'D' if all_day else 'T'}{number}",
            "transparency": "opaque",
        }

    def _new_values(self, before: Shown, fields: Sequence[str], clear: bool) -> Shown:
        changes: Shown = {}
        for name in fields:
            number = self._number()
            match name:
                case "title":
                    changes[name] = f"{tag_of(before)} v{number}"
                case "time":
                    changes[name] = f"{'D' if clear else 'T'}{number}"
                case "transparency":
                    changes[name] = "transparent" if before[name] == "opaque" else "opaque"
                case _:
                    changes[name] = "" if clear else f"{name} {number}"
        return changes

    def _guests(self, side: Side, tag: str, present: set[str], add: bool) -> set[str]:
        if add or not present:
            guest = f"g{self._number()}@guests.test"
            self.ledger.invited(side, tag, guest)
            return present | {guest}
        guest = min(present)
        self.ledger.uninvited(side, tag, guest)
        return present - {guest}

    def _write_here(self, by_service: bool, statement: str, *values: Any) -> None:
        door: Callable[..., Coroutine[Any, Any, Any]] = (
            self.stage.as_service if by_service else self.stage.as_user
        )
        self._run(door(statement, *values))

    def _rows(self, *, live: bool) -> list[Row]:
        return [row for row in self._run(self.stage.rows()) if (row["deleted_at"] is None) is live]

    def _resources(self, *, live: bool) -> list[Row]:
        return [
            event for event in self.stage.resources() if (event["status"] != "cancelled") is live
        ]

    def _pick(self, found: Sequence[Row], which: int) -> Row | None:
        return found[which % len(found)] if found else None

    def _work(self, kind: str, which: int, gates: int | None) -> None:
        worker = self._run(self.stage.claim(kind, which))
        if worker is None:
            return
        self._run(worker.advance(gates))
        if not worker.done:
            self.workers.append(worker)

    def _forget_done(self) -> None:
        self.workers[:] = [worker for worker in self.workers if not worker.done]

    def _arm(self, fault: dict[str, Any]) -> None:
        self.ledger.faults += 1
        self.stage.world.google.add_fault(**fault)


def _without_nulls(body: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType]
        for key, value in body.items()
        if value is not None
    }


def play(histories: type[Histories], count: int, *, seed: int | None) -> None:
    """Run *count* histories: always the same ones, or those that follow from *seed*."""
    machine = histories if seed is None else with_seed(seed)(histories)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=count,
            stateful_step_count=30,
            derandomize=seed is None,
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=[*HealthCheck],  # pyright: ignore[reportArgumentType]
        ),
    )
