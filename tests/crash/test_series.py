"""A worker dies while single occurrences of a series travel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sync_service.engine.hub import Hub
from sync_service.store import queue
from tests.crash.sweep import Scenario, Sweeper
from tests.engine.test_series import FIRST, WEEK, WEEKLY, exception, instance_id, rows, theirs

CANCELLED_AT = datetime(2026, 11, 1, tzinfo=UTC)


class Series(Scenario):
    """A series is known on both sides when the process begins."""

    titles = ("Weekly",)
    repeated = ("event.updated", "push.updated")
    series: UUID
    there: str

    async def prepare(self) -> None:
        self.series = await self.world.add(title="Weekly", recurrence=WEEKLY)
        await self.world.drain()
        [there] = self.world.live()
        self.there = there["id"]


class Change(Series):
    name = "change an occurrence"
    points = (
        "provider:events.get:after",
        "db:commit(mappings.upsert):after",
        "provider:events.patch:before",
        "provider:events.patch:after",
    )
    at_least = 14
    titles = ("Changed", "Weekly")

    async def prepare(self) -> None:
        await super().prepare()
        await exception(self.world, self.series, 1, title="Changed")

    async def check(self) -> None:
        assert theirs(self.world) == [("Changed", "confirmed")]


class Cancel(Series):
    name = "cancel an occurrence"
    points = ("provider:events.get:after", "provider:events.delete:after")
    at_least = 14
    ever = 2

    async def prepare(self) -> None:
        await super().prepare()
        await exception(self.world, self.series, 1, title="Weekly", deleted_at=CANCELLED_AT)

    async def check(self) -> None:
        assert theirs(self.world) == [("Weekly", "cancelled")]


class BringBack(Cancel):
    name = "bring back a cancelled occurrence"
    points = ("provider:events.get:after", "provider:events.patch:after")
    at_least = 10
    titles = ("Weekly", "Weekly")
    ever = None

    async def prepare(self) -> None:
        await super().prepare()
        await self.world.drain()
        await self.world.pool.execute(
            "update calendar_events set deleted_at = null where series_id = $1", self.series
        )

    async def check(self) -> None:
        assert theirs(self.world) == [("Weekly", "confirmed")]


class Split(Series):
    """The app ends the series and starts another one, which takes an exception along."""

    name = "this and following"
    points = ("provider:events.patch:after", "provider:events.insert:after")
    at_least = 24
    titles = ("Changed", "From now on", "Weekly")
    ever = 4
    repeated = (*Series.repeated, "push.created")

    async def prepare(self) -> None:
        await super().prepare()
        moved = await exception(self.world, self.series, 3, title="Changed")
        await self.world.drain()
        async with self.world.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "update calendar_events set recurrence = '{RRULE:FREQ=WEEKLY;COUNT=2}'"
                " where id = $1",
                self.series,
            )
            following = await connection.fetchval(
                "insert into calendar_events (user_id, title, start_time, end_time, time_zone,"
                " recurrence) values ($1, 'From now on', $2, $3,"
                " 'Europe/Berlin', '{RRULE:FREQ=WEEKLY;COUNT=3}') returning id",
                self.world.user_id,
                FIRST + 2 * WEEK,
                FIRST + 2 * WEEK + timedelta(hours=1),
            )
            await connection.execute(
                "update calendar_events set series_id = $1 where id = $2", following, moved
            )

    async def check(self) -> None:
        # Google says what it cancelled when the old series ended; that is remembered, too.
        await self.world.poll()
        assert [row for row in await rows(self.world) if row[2]] == [(3, "Changed", True)]


class Arrive(Series):
    """Google names exceptions, one of them cancelled, before the series that they are of."""

    name = "pull occurrences before their series"
    points = ("provider:events.list:after", "provider:events.get:after")
    at_least = 20
    titles = ("Changed", "Weekly")
    ever = 3

    async def prepare(self) -> None:
        self.world.google.configure(page_items=1, list_order="reversed")
        there = self.world.add_there("Weekly", recurrence=WEEKLY)
        self.world.ada.patch(instance_id(there, 1), {"summary": "Changed"})
        self.world.ada.delete(instance_id(there, 2))

    async def act(self, hub: Hub) -> None:
        await queue.request_pulls(hub.pool, [self.world.calendar_id], "test")
        await super().act(hub)

    async def check(self) -> None:
        assert await rows(self.world) == [(1, "Changed", True), (2, "Weekly", False)]


@pytest.mark.parametrize(
    "scenario", [Change, Cancel, BringBack, Split, Arrive], ids=lambda kind: kind.name
)
async def test_killed_anywhere(sweeper: Sweeper, scenario: type[Scenario]) -> None:
    await sweeper.sweep(scenario)
