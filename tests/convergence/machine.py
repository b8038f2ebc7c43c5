"""Random histories: people on both sides, slow and dying workers, a provider that fails.

Run to the end, each history must leave both sides equal, with every edit kept or on record, and
then fall silent.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from tests.convergence.people import People, fields_of_an_edit, which_one
from tests.convergence.sides import FIELDS
from tests.convergence.workers import Worker

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


class Histories(People):
    """One history; `histories` counts them."""

    histories: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[Worker] = []

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
        self.ledger.forgot = switches["tombstone_fields"] == "minimal"
        self.policy = policy
        self.run(self.stage.begin(policy, switches))
        for _ in range(events):
            self.add_there(with_location=False, all_day=False)
        if events:
            self.catch_up()

    # Workers

    @rule(which=which_one)
    def push(self, which: int) -> None:
        """Carry out one push."""
        self._work("push", which, None)

    @rule()
    def pull(self) -> None:
        """Poll."""
        self.run(self.stage.request_pull())
        self._work("pull", 0, None)

    @rule(kind=st.sampled_from(["push", "push", "pull"]), which=which_one, gates=st.integers(0, 5))
    def work_slowly(self, kind: str, which: int, gates: int) -> None:
        """Start on a row and stop somewhere on the way."""
        if len(self.workers) >= 3:
            return
        if kind == "pull":
            self.run(self.stage.request_pull())
        self._work(kind, which, gates)

    @rule(
        which=which_one,
        create=st.booleans(),
        fields=fields_of_an_edit,
        clear=st.booleans(),
        end=st.sampled_from(["stop_before", "stop_after", "die_before", "die_after", "lose"]),
    )
    def half_a_push(
        self, which: int, create: bool, fields: tuple[str, ...], clear: bool, end: str
    ) -> None:
        """Make or edit an event whose push then comes to nothing, or half way."""
        if create:
            tag = self.make_here(clear, all_day=False, by_service=False)
        else:
            tag = self.change_here(which, fields, clear, by_service=False)
        if tag is None or len(self.workers) >= 3:
            return
        if end == "lose":
            self.lose_an_answer("events.(insert|patch)", {"kind": "drop_after"}, 0)
            self._work("push", tag, None)
            return
        before = len(self.workers)
        self._work("push", tag, 1 if end.endswith("after") else 0)
        if end.startswith("die") and len(self.workers) > before:
            self.die(before)

    @precondition(lambda self: self.workers)
    @rule(which=which_one, gates=st.sampled_from([None, None, 0, 1, 2]))
    def go_on(self, which: int, gates: int | None) -> None:
        """Let a stopped worker go on."""
        worker = self.workers[which % len(self.workers)]
        self.run(worker.advance(gates))
        self._forget_done()

    @precondition(lambda self: self.workers)
    @rule(which=which_one)
    def die(self, which: int) -> None:
        """Kill a stopped worker; its lease lapses without a record."""
        worker = self.workers.pop(which % len(self.workers))
        self.ledger.doubts += 1
        self.run(worker.kill())
        self.run(self.stage.lapse(worker))

    @precondition(lambda self: self.workers)
    @rule(which=which_one)
    def lapse(self, which: int) -> None:
        """Let the lease of a stopped worker run out; it may still go on, too late."""
        self.ledger.doubts += 1
        self.ledger.late += 1
        self.run(self.stage.lapse(self.workers[which % len(self.workers)]))

    @rule()
    def catch_up(self) -> None:
        """Poll and carry out everything that is due."""
        self.run(self.stage.request_pull())
        self.run(self.stage.drain())

    # Google's notices

    @precondition(lambda self: self.stage.notices)
    @rule(which=which_one, again=st.booleans())
    def deliver(self, which: int, again: bool) -> None:
        """Let a notice arrive, in any order, now and perhaps once more later."""
        notices = self.stage.notices
        number = which % len(notices)
        self.run(self.stage.deliver(notices[number] if again else notices.pop(number)))

    @rule()
    def lose_channels(self) -> None:
        """Let every channel die without a word."""
        self.stage.world.google.world.state.channels.clear()
        self.stage.notices.clear()

    # Trouble

    @rule(which=which_one, field=st.sampled_from(FIELDS), caught_up=st.booleans())
    def clash(self, which: int, field: str, caught_up: bool) -> None:
        """Let both sides change the same field of the same event."""
        if caught_up:
            self.catch_up()
        self.change_here(which, (field,), clear=False, by_service=False)
        self.edit_there(which, (field,), clear=False)

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
        self.ledger.forgot = True
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
            self.run(worker.advance(None))
        self._forget_done()
        self.run(self.stage.converge())
        self.run(self._check())

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

    def _work(self, kind: str, which: int | str, gates: int | None) -> None:
        worker = self.run(self.stage.claim(kind, which))
        if worker is None:
            return
        self.run(worker.advance(gates))
        if not worker.done:
            self.workers.append(worker)

    def _forget_done(self) -> None:
        self.workers[:] = [worker for worker in self.workers if not worker.done]

    def _arm(self, fault: dict[str, Any]) -> None:
        self.ledger.faults += 1
        self.stage.world.google.add_fault(**fault)


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
