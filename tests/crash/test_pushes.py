"""A worker dies while it pushes: every write happens once, and what came meanwhile survives."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest

from tests.crash.probe import Happening
from tests.crash.sweep import Scenario, Sweeper


class OnlyHere(Scenario):
    """The event is new when the process begins."""

    name = "create"
    points = (
        "db:queue.claim_batch:after",
        "db:mappings.reserve:before",
        "db:mappings.reserve:after",
        "redis:evalsha:after",
        "provider:events.insert:before",
        "provider:events.insert:after",
    )
    at_least = 12
    titles = ("Planning",)
    event: UUID

    async def prepare(self) -> None:
        self.event = await self.world.add()


class Create(OnlyHere):
    around_redis = True


class OnBothSides(Scenario):
    """The event is known on both sides when the process begins."""

    event: UUID
    there: str

    async def prepare(self) -> None:
        self.event = await self.world.add()
        await self.world.drain()
        [there] = self.world.live()
        self.there = there["id"]


class Update(OnBothSides):
    name = "update"
    points = (
        "db:mappings.intend:after",
        "provider:events.patch:before",
        "provider:events.patch:after",
    )
    at_least = 12
    titles = ("New",)

    async def prepare(self) -> None:
        await super().prepare()
        await self.world.edit(self.event, title="New")


class SoftDelete(OnBothSides):
    name = "soft delete"
    points = (
        "db:mappings.intend:after",
        "provider:events.delete:before",
        "provider:events.delete:after",
    )
    at_least = 12
    ever = 1

    async def prepare(self) -> None:
        await super().prepare()
        await self.world.remove(self.event)


class HardDelete(SoftDelete):
    name = "hard delete"

    async def prepare(self) -> None:
        await OnBothSides.prepare(self)
        await self.world.pool.execute("delete from calendar_events where id = $1", self.event)


class Revive(SoftDelete):
    """The event was deleted on both sides and lives again here."""

    name = "revive"
    points = (
        "provider:events.insert:after",
        "provider:events.get:after",
        "provider:events.update:after",
    )
    at_least = 18
    titles = ("Planning",)
    ever = None
    repeated = ("push.created",)

    async def prepare(self) -> None:
        await super().prepare()
        await self.world.drain()
        await self.world.edit(self.event, deleted_at=None)


class Overtaken(OnBothSides):
    """Google refuses the update, because somebody edited another field there."""

    name = "update refused with 412"
    points = (
        "provider:events.patch:after",
        "provider:events.get:after",
        "provider:events.patch:after",
    )
    at_least = 22
    titles = ("New",)

    async def prepare(self) -> None:
        await super().prepare()
        self.world.ada.patch(self.there, {"location": "There"})
        await self.world.edit(self.event, title="New")

    async def check(self) -> None:
        assert (await self.world.row(self.event))["location"] == "There"


class EditedInFlight(Update):
    """The user edits once more while the request is on its way."""

    name = "update, edited in flight"
    edited = False

    def happenings(self) -> Mapping[str, Happening]:
        return {"provider:events.patch:before": self.edit}

    async def edit(self) -> None:
        self.edited = True
        await self.world.edit(self.event, title="Newer", location="Here")

    titles = ("Newer",)
    at_least = 20

    async def meanwhile(self) -> None:
        if not self.edited:
            await self.edit()

    async def check(self) -> None:
        assert self.world.live()[0]["location"] == "Here"


class UpdateThenBothEdit(Update):
    """While the worker is down, both sides edit other fields."""

    name = "update, then edits on both sides"

    async def meanwhile(self) -> None:
        await self.world.edit(self.event, location="Here")
        self.world.ada.patch(self.there, {"description": "Theirs"})

    async def check(self) -> None:
        row = await self.world.row(self.event)
        assert (row["location"], row["description"]) == ("Here", "Theirs")


class CreateThenBothEdit(OnlyHere):
    """While the worker is down, both sides edit: there, if the event has arrived there."""

    name = "create, then edits on both sides"

    async def meanwhile(self) -> None:
        await self.world.edit(self.event, location="Here")
        self.arrived = self.world.live()
        for there in self.arrived:
            self.world.ada.patch(there["id"], {"description": "Theirs"})

    async def check(self) -> None:
        row = await self.world.row(self.event)
        assert row["location"] == "Here"
        assert row["description"] == ("Theirs" if self.arrived else None)


class CreateThenDelete(OnlyHere):
    """While the worker is down, the user deletes the event."""

    name = "create, then deleted here"
    titles = ()

    async def meanwhile(self) -> None:
        self.ever = len(self.world.live())
        await self.world.remove(self.event)


class CreateThenEditThereAndDelete(OnlyHere):
    """While the worker is down, somebody edits the event there, and the user deletes it here."""

    name = "create, then edited there and deleted here"

    async def meanwhile(self) -> None:
        arrived = self.world.live()
        for there in arrived:
            self.world.ada.patch(there["id"], {"summary": "Theirs"})
        await self.world.remove(self.event)
        if arrived:
            self.titles, self.conflicts, self.notices = ["Theirs"], 1, ["conflict"]
        else:
            self.titles = []


class DeleteThenEditThere(SoftDelete):
    """While the worker is down, somebody edits the event there, if it still exists."""

    name = "delete, then edited there"

    async def meanwhile(self) -> None:
        if self.world.live():
            self.world.ada.patch(self.there, {"summary": "Theirs"})
            self.titles, self.conflicts, self.notices = ["Theirs"], 1, ["conflict"]


class DeleteThenUndelete(SoftDelete):
    """While the worker is down, the user thinks better of it."""

    name = "delete, then undeleted"
    titles = ("Planning",)
    ever = None
    repeated = ("push.created",)

    async def meanwhile(self) -> None:
        await self.world.edit(self.event, deleted_at=None)


class ReviveThenDelete(Revive):
    """While the worker is down, the user deletes the event after all."""

    name = "revive, then deleted here"
    titles = ()
    ever = 1
    repeated = ("push.created", "push.deleted", "event.deleted")

    async def meanwhile(self) -> None:
        await self.world.remove(self.event)


@pytest.mark.parametrize(
    "scenario",
    [
        Create,
        Update,
        SoftDelete,
        HardDelete,
        Revive,
        Overtaken,
        EditedInFlight,
    ],
    ids=lambda kind: kind.name,
)
async def test_killed_anywhere(sweeper: Sweeper, scenario: type[Scenario]) -> None:
    await sweeper.sweep(scenario)


@pytest.mark.parametrize(
    "scenario",
    [
        UpdateThenBothEdit,
        CreateThenBothEdit,
        CreateThenDelete,
        CreateThenEditThereAndDelete,
        DeleteThenEditThere,
        DeleteThenUndelete,
        ReviveThenDelete,
    ],
    ids=lambda kind: kind.name,
)
async def test_killed_anywhere_and_edited_before_the_restart(
    sweeper: Sweeper, scenario: type[Scenario]
) -> None:
    await sweeper.sweep(scenario)
