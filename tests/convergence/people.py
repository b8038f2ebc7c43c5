"""What people do in a history: at the app and at Google, each act entered in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.convergence.ledger import Found, Ledger, Side
from tests.convergence.sides import (
    FIELDS,
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

Result = TypeVar("Result")

which_one = st.integers(0, 5)
fields_of_an_edit = st.sampled_from(
    [("title",), ("title",), ("title", "location"), *((name,) for name in FIELDS)]
)


class People(RuleBasedStateMachine):
    """The user of the app and the person at Google; `loop` and `stage` are the test's."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.numbers = 0

    # People at the app

    @rule(with_location=st.booleans(), all_day=st.booleans(), by_service=st.booleans())
    def add_here(self, with_location: bool, all_day: bool, by_service: bool) -> None:
        """Insert an event."""
        self.make_here(with_location, all_day, by_service)

    def make_here(self, with_location: bool, all_day: bool, by_service: bool) -> str:
        """Insert an event; answers its tag."""
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
        return tag_of(shown)

    @rule(which=which_one, fields=fields_of_an_edit, clear=st.booleans(), by_service=st.booleans())
    def edit_here(self, which: int, fields: Sequence[str], clear: bool, by_service: bool) -> None:
        """Update a field or two of an event."""
        self.change_here(which, fields, clear, by_service)

    def change_here(
        self, which: int, fields: Sequence[str], clear: bool, by_service: bool
    ) -> str | None:
        """Update a field or two of an event; answers its tag."""
        row = self._pick(self._rows(live=True), which)
        if row is None:
            return None
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
        return tag_of(of_row(row))

    @rule(which=which_one, add=st.booleans())
    def invite_here(self, which: int, add: bool) -> None:
        """Add a guest, or remove one."""
        row = self._pick(self._rows(live=True), which)
        if row is None:
            return
        guests = self._guests("app", tag_of(of_row(row)), guests_of_row(row), add)
        kept = [guest for guest in row["attendees"] if guest["email"] in guests]
        known = {guest["email"] for guest in kept}
        kept += [{"email": address} for address in sorted(guests - known)]
        self.run(
            self.stage.as_service(
                "update calendar_events set attendees = $2 where id = $1", row["id"], kept
            )
        )

    @rule(which=which_one, hard=st.booleans(), by_service=st.booleans())
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

    @rule(which=which_one)
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

    @rule(which=which_one, fields=fields_of_an_edit, clear=st.booleans())
    def edit_there(self, which: int, fields: Sequence[str], clear: bool) -> None:
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

    @rule(which=which_one, add=st.booleans())
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

    @rule(which=which_one)
    def delete_there(self, which: int) -> None:
        """Delete an event."""
        event = self._pick(self._resources(live=True), which)
        if event is None:
            return
        self.stage.world.ada.delete(event["id"])
        self.ledger.deleted("google", Found(of_google(event), guests_of_google(event)))

    @rule(which=which_one)
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

    @rule(which=which_one)
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

    # Tools

    def run(self, doing: Coroutine[Any, Any, Result]) -> Result:
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
        self.run(door(statement, *values))

    def _rows(self, *, live: bool) -> list[Row]:
        return [row for row in self.run(self.stage.rows()) if (row["deleted_at"] is None) is live]

    def _resources(self, *, live: bool) -> list[Row]:
        return [
            event for event in self.stage.resources() if (event["status"] != "cancelled") is live
        ]

    def _pick(self, found: Sequence[Row], which: int) -> Row | None:
        return found[which % len(found)] if found else None


def _without_nulls(body: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType]
        for key, value in body.items()
        if value is not None
    }
