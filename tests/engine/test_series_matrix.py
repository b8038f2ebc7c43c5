"""Every way to change a series, from either side: both sides then show the same occurrences."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from sync_service.api.series_plans import (
    Plan,
    SeriesRows,
    exception_for,
    plan_all,
    plan_end,
    plan_following,
)
from sync_service.core.recurrence import Series, expand
from sync_service.store import connections
from sync_service.store.pool import Connection
from tests.engine.world import World
from tests.servers import Database


@pytest.fixture
async def app(database: Database) -> AsyncIterator[Connection]:
    """The app's own connection, which may call what its users may."""
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


AFTER = datetime(2026, 10, 1, tzinfo=UTC)
BEFORE = datetime(2026, 12, 31, tzinfo=UTC)
NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Kind:
    """A series of seven weeks; the clocks of its zone are put back within it."""

    start: datetime
    length: timedelta
    zone: str | None

    @property
    def all_day(self) -> bool:
        return self.zone is None

    @property
    def series(self) -> Series:
        lines = ("RRULE:FREQ=WEEKLY;COUNT=7",)
        return Series(self.start, self.start + self.length, self.all_day, self.zone, lines)

    def occurrence(self, number: int) -> datetime:
        """When the occurrence *number* (from 0) starts by the rule."""
        return [each.start for each in expand(self.series, AFTER, BEFORE)][number]


TIMED = Kind(datetime(2026, 10, 8, 16, tzinfo=UTC), timedelta(hours=1), "Europe/Berlin")
ALL_DAY = Kind(datetime(2026, 10, 8, tzinfo=UTC), timedelta(days=1), None)
Shown = list[tuple[datetime, datetime, str]]


async def shown_here(world: World) -> Shown:
    """Return (start, end, title) of every occurrence that the app shows."""
    rows = [dict(row.items()) for row in await world.pool.fetch("select * from calendar_events")]
    shown: Shown = []
    for row in rows:
        if row["deleted_at"] is not None:
            continue
        if not row["recurrence"]:
            shown.append((row["start_time"], row["end_time"], row["title"]))
            continue
        series = Series(
            row["start_time"],
            row["end_time"],
            row["all_day"],
            row["time_zone"],
            tuple(row["recurrence"]),
        )
        replaced = [each["original_start_time"] for each in rows if each["series_id"] == row["id"]]
        shown += [
            (each.start, each.end, row["title"])
            for each in expand(series, AFTER, BEFORE, replaced=replaced)
        ]
    return sorted(shown)


async def shown_there(world: World) -> Shown:
    """Return the same of Google, as it expands its series itself."""
    connection = await connections.read(
        world.pool, await world.pool.fetchval("select id from calendar_connections")
    )
    assert connection is not None
    token = await world.hub.account(connection).access_token()
    async with httpx.AsyncClient() as http:
        answer = await http.get(
            f"{world.hub.settings.google_api_base_url}/calendar/v3/calendars/primary/events",
            params={"singleEvents": True, "maxResults": 2500},
            headers={"Authorization": f"Bearer {token}"},
        )
    return sorted(
        (_instant(item["start"]), _instant(item["end"]), item.get("summary", ""))
        for item in answer.json()["items"]
    )


def _instant(value: dict[str, str]) -> datetime:
    if "date" in value:
        return datetime.fromisoformat(value["date"]).replace(tzinfo=UTC)
    return datetime.fromisoformat(value["dateTime"]).astimezone(UTC)


class Here:
    """Changes made in the app, as its API makes them."""

    def __init__(self, world: World, kind: Kind, app: Connection) -> None:
        self._world, self._kind, self._app = world, kind, app
        self.id = uuid4()

    async def make(self) -> None:
        kind = self._kind
        await self._world.pool.execute(
            "insert into calendar_events (id, user_id, title, start_time, end_time, all_day,"
            " time_zone, recurrence) values ($1, $2, 'Weekly', $3, $4, $5, $6, $7)",
            self.id,
            self._world.user_id,
            kind.start,
            kind.start + kind.length,
            kind.all_day,
            kind.zone,
            list(kind.series.lines),
        )

    async def one(self, at: datetime, **fields: Any) -> None:
        rows = await self._rows()
        row = rows.exception_at(at) or exception_for(rows.master, at, fields)
        await self._carry_out(Plan([{"id": row["id"], **fields}] if "id" in row else [], None))
        if "id" not in row:
            names = list(row)
            places = ", ".join(f"${number}" for number in range(2, len(names) + 2))
            await self._world.pool.execute(
                f"insert into calendar_events (user_id, {', '.join(names)}) values ($1, {places})",
                self._world.user_id,
                *row.values(),
            )

    async def cancel(self, at: datetime) -> None:
        await self.one(at, deleted_at=NOW)

    async def following(self, at: datetime, **fields: Any) -> None:
        rows = await self._rows()
        await self._carry_out(plan_following(rows, at, fields, str(uuid4()), NOW))

    async def end(self, at: datetime) -> None:
        await self._carry_out(plan_end(await self._rows(), at, {"deleted_at": NOW}))

    async def all(self, **fields: Any) -> None:
        await self._carry_out(plan_all(await self._rows(), None, fields, NOW))

    async def _rows(self) -> SeriesRows:
        found = await self._world.pool.fetch(
            "select * from calendar_events where id = $1 or series_id = $1", self.id
        )
        rows = [dict(row.items()) for row in found]
        [master] = [row for row in rows if row["id"] == self.id]
        return SeriesRows(master, [row for row in rows if row["id"] != self.id])

    async def _carry_out(self, plan: Plan) -> None:
        rows = await self._rows()
        await self._app.execute(
            "select from change_series($1, $2, $3, $4)",
            self.id,
            _json({str(key): value for key, value in rows.versions.items()}),
            _json(plan.new) if plan.new else None,
            _json(plan.changes),
        )


def _json(value: Any) -> str:
    return json.dumps(value, default=_text)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(cast("UUID", value))


class There:
    """The same changes made by a person in Google Calendar."""

    def __init__(self, world: World, kind: Kind, _app: Connection) -> None:
        self._world, self._kind = world, kind
        self.id = ""

    async def make(self) -> None:
        kind = self._kind
        times = self._times(kind.start, kind.start + kind.length)
        self.id = self._world.ada.insert(
            {"summary": "Weekly", "recurrence": list(kind.series.lines), **times}
        )["id"]

    async def one(self, at: datetime, **fields: Any) -> None:
        self._world.ada.patch(self._instance(at), self._body(fields))

    async def cancel(self, at: datetime) -> None:
        self._world.ada.delete(self._instance(at))

    async def following(self, at: datetime, **fields: Any) -> None:
        self._world.ada.split(self._instance(at), self._body(fields))

    async def end(self, at: datetime) -> None:
        self._world.ada.delete_following(self._instance(at))

    async def all(self, **fields: Any) -> None:
        self._world.ada.patch(self.id, self._body(fields))

    def _instance(self, at: datetime) -> str:
        stamp = f"{at:%Y%m%d}" if self._kind.all_day else f"{at:%Y%m%dT%H%M%SZ}"
        return f"{self.id}_{stamp}"

    def _body(self, fields: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if "title" in fields:
            body["summary"] = fields["title"]
        if "start_time" in fields:
            body |= self._times(fields["start_time"], fields["end_time"])
        return body

    def _times(self, start: datetime, end: datetime) -> dict[str, Any]:
        return {"start": self._time(start), "end": self._time(end)}

    def _time(self, at: datetime) -> dict[str, str]:
        if self._kind.zone is None:
            return {"date": at.date().isoformat()}
        return {"dateTime": at.isoformat(), "timeZone": self._kind.zone}


Side = Here | There
Change = Callable[[Side, Kind], Any]


def later(kind: Kind, at: datetime) -> dict[str, datetime]:
    """Return times a day and an hour (or a day) after *at*."""
    start = at + (timedelta(days=1) if kind.all_day else timedelta(hours=25))
    return {"start_time": start, "end_time": start + kind.length}


async def edit_this(side: Side, kind: Kind) -> None:
    await side.one(kind.occurrence(3), title="Changed")


async def move_this(side: Side, kind: Kind) -> None:
    await side.one(kind.occurrence(3), **later(kind, kind.occurrence(3)))


async def cancel_this(side: Side, kind: Kind) -> None:
    await side.cancel(kind.occurrence(3))


async def edit_following(side: Side, kind: Kind) -> None:
    await side.following(kind.occurrence(3), title="From now on")


async def move_following(side: Side, kind: Kind) -> None:
    await side.following(kind.occurrence(3), **later(kind, kind.occurrence(3)))


async def edit_one_and_then_following(side: Side, kind: Kind) -> None:
    await side.one(kind.occurrence(1), title="Early")
    await side.one(kind.occurrence(5), title="Late")
    await side.cancel(kind.occurrence(4))
    await side.following(kind.occurrence(3), title="From now on")


async def end_following(side: Side, kind: Kind) -> None:
    await side.one(kind.occurrence(5), title="Late")
    await side.end(kind.occurrence(3))


async def edit_all(side: Side, kind: Kind) -> None:
    await side.all(title="Renamed")


async def move_all(side: Side, kind: Kind) -> None:
    await side.all(**later(kind, kind.start))


async def edit_one_and_then_all(side: Side, kind: Kind) -> None:
    await side.one(kind.occurrence(2), title="Changed")
    await side.cancel(kind.occurrence(4))
    await side.all(title="Renamed")


CHANGES: list[Change] = [
    edit_this,
    move_this,
    cancel_this,
    edit_following,
    move_following,
    edit_one_and_then_following,
    end_following,
    edit_all,
    move_all,
    edit_one_and_then_all,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", [TIMED, ALL_DAY], ids=["timed", "all_day"])
@pytest.mark.parametrize("place", [Here, There], ids=["here", "there"])
async def test_both_sides_show_the_same(
    world: World, app: Connection, place: type[Side], kind: Kind, change: Change
) -> None:
    side = place(world, kind, app)
    await side.make()
    await world.converge()
    before = await shown_here(world)
    assert len(before) == 7
    assert await shown_there(world) == before
    await change(side, kind)
    await world.converge()
    after = await shown_here(world)
    assert after != before
    assert await shown_there(world) == after
    assert await world.conflicts() == []
    await world.assert_silent()


@pytest.mark.parametrize("place", [Here, There], ids=["here", "there"])
async def test_an_evening_stays_one_when_the_clocks_are_put_back(
    world: World, app: Connection, place: type[Side]
) -> None:
    side = place(world, TIMED, app)
    await side.make()
    await side.one(TIMED.occurrence(4), title="Changed")
    await world.converge()
    hours = [start.hour for start, _, _ in await shown_here(world)]
    assert hours == [16, 16, 16, 17, 17, 17, 17]
    assert await shown_there(world) == await shown_here(world)
