"""A worker dies while it pulls: every page is applied once, and the next worker goes on."""

from __future__ import annotations

from uuid import UUID

import pytest

from sync_service.engine.hub import Hub
from sync_service.store import queue
from tests.crash.sweep import Scenario, Sweeper


class Pages(Scenario):
    """Three pages of news: an event changed, one deleted, three new ones."""

    name = "pull of several pages"
    around_redis = True
    points = (
        "db:queue.claim_batch:after",
        "provider:events.list:before",
        "provider:events.list:after",
        "db:queue.extend_lease:after",
    )
    at_least = 26
    titles = ("Kept, edited", "New 1", "New 2", "New 3")
    ever = 5

    async def prepare(self) -> None:
        world = self.world
        kept, gone = world.add_there("Kept"), world.add_there("Gone")
        await world.poll()
        world.ada.patch(kept, {"summary": "Kept, edited"})
        world.ada.delete(gone)
        for number in (1, 2, 3):
            world.add_there(f"New {number}")
        world.google.add_fault("pages", operation="events.list", sizes=[2] * 30)
        await queue.request_pulls(world.pool, [world.calendar_id], "test")


class Clash(Pages):
    """The page brings an edit of what was edited here in the same field."""

    name = "pull of a conflict"
    around_redis = False
    points = ("provider:events.list:after",)
    at_least = 10
    titles = ("Theirs",)
    ever = 1
    conflicts = 1
    notices = ("conflict",)

    async def prepare(self) -> None:
        world = self.world
        await world.pool.execute("update calendars set conflict_policy = 'provider_wins'")
        there = world.add_there("Kept")
        await world.poll()
        await world.edit(await world.only_event(), title="Ours")
        world.ada.patch(there, {"summary": "Theirs"})
        # The pull comes first, as it does when the worker is woken by Google.
        await queue.request_pulls(world.pool, [world.calendar_id], "test")
        await world.pool.execute(
            "update sync_queue set run_at = now() + interval '50 minutes' where kind = 'push'"
        )


class FullSync(Scenario):
    """The position in the feed is lost: everything is listed, what is missing is looked up."""

    name = "full sync after 410"
    points = (
        "provider:events.list:after",
        "db:calendars.drop_cursor:before",
        "db:calendars.drop_cursor:after",
        "provider:events.get:after",
    )
    at_least = 44
    titles = ("Kept, edited", "New", "Ours, unsent")
    ever = 3
    ours: UUID

    async def prepare(self) -> None:
        world = self.world
        kept, gone = world.add_there("Kept"), world.add_there("Gone")
        await world.poll()
        self.ours = await world.add(title="Ours")
        await world.drain()
        world.ada.patch(kept, {"summary": "Kept, edited"})
        world.ada.delete(gone)
        world.add_there("New")
        await world.edit(self.ours, title="Ours, unsent")
        # The edit waits, so that the full sync meets it unsent.
        await world.pool.execute(
            "update sync_queue set run_at = now() + interval '50 minutes' where kind = 'push'"
        )
        world.google.expire_sync_tokens()
        world.google.purge_tombstones("ada@example.com")
        world.google.add_fault("pages", operation="events.list", sizes=[1] * 60)
        await queue.request_pulls(world.pool, [world.calendar_id], "test")


class FullSyncInTurns(FullSync):
    """After every page the row is handed back, as in a calendar that takes longer than a turn."""

    name = "full sync in turns"
    points = (*FullSync.points, "db:queue.hand_back:before", "db:queue.hand_back:after")
    at_least = 52

    async def act(self, hub: Hub) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sync_service.engine.inbound._TURN_S", -1.0)
            await super().act(hub)


@pytest.mark.parametrize(
    "scenario", [Pages, Clash, FullSync, FullSyncInTurns], ids=lambda kind: kind.name
)
async def test_killed_anywhere(sweeper: Sweeper, scenario: type[Scenario]) -> None:
    await sweeper.sweep(scenario)
