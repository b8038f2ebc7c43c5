"""Series, and occurrences that differ from them or do not take place, on both sides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.engine.world import World

WEEKLY = ["RRULE:FREQ=WEEKLY;COUNT=5"]
FIRST = datetime(2026, 12, 1, 9, tzinfo=UTC)
"""When the events of `World.add` and `World.add_there` start."""
WEEK = timedelta(weeks=1)


def instance_id(series: str, week: int) -> str:
    """Google's id for the occurrence of a week."""
    return f"{series}_{FIRST + week * WEEK:%Y%m%dT%H%M%SZ}"


async def exception(world: World, series: UUID, week: int, **columns: Any) -> UUID:
    """Make the occurrence of a week differ, as an app does with plain SQL."""
    start = FIRST + week * WEEK
    row = {
        "title": "Planning",
        "start_time": start,
        "end_time": start + timedelta(hours=1),
        "time_zone": "Europe/Berlin",
        **columns,
    }
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(4, len(row) + 4))
    return await world.pool.fetchval(
        "insert into calendar_events (user_id, series_id, original_start_time, "
        f"{names}) values ($1, $2, $3, {places}) returning id",
        world.user_id,
        series,
        start,
        *row.values(),
    )


async def rows(world: World) -> list[tuple[int, str, bool]]:
    """Return (week, title, whether it takes place) of every exception that the app has."""
    found = await world.pool.fetch(
        "select title, original_start_time, deleted_at from calendar_events"
        " where series_id is not null order by original_start_time"
    )
    return [
        ((row["original_start_time"] - FIRST) // WEEK, row["title"], row["deleted_at"] is None)
        for row in found
    ]


def theirs(world: World) -> list[tuple[str, str]]:
    """Return (summary, status) of every exception that Google has."""
    found = [event for event in world.google.events("ada@example.com") if "_" in event["id"]]
    return [(event.get("summary", ""), event["status"]) for event in found]


async def test_an_occurrence_changed_at_google_becomes_a_row(world: World) -> None:
    series = world.add_there("Weekly", recurrence=WEEKLY)
    world.ada.patch(instance_id(series, 1), {"summary": "Changed"})
    world.ada.delete(instance_id(series, 2))
    await world.converge()
    assert await world.titles() == ["Changed", "Weekly"]
    assert await rows(world) == [(1, "Changed", True), (2, "Weekly", False)]
    await world.assert_silent()


async def test_an_occurrence_may_change_before_and_after_its_series_is_known(world: World) -> None:
    series = world.add_there("Weekly", recurrence=WEEKLY)
    await world.converge()
    world.ada.patch(instance_id(series, 1), {"summary": "Changed"})
    await world.converge()
    assert await rows(world) == [(1, "Changed", True)]
    world.ada.delete(instance_id(series, 1))
    world.ada.delete(instance_id(series, 3))
    await world.converge()
    assert await rows(world) == [(1, "Changed", False), (3, "Weekly", False)]
    await world.assert_silent()


async def test_occurrences_may_come_before_their_series_and_on_other_pages(world: World) -> None:
    series = world.add_there("Weekly", recurrence=WEEKLY)
    world.ada.patch(instance_id(series, 1), {"summary": "Changed"})
    world.ada.delete(instance_id(series, 2))
    for order in ("reversed", "shuffled", "stable"):
        world.google.configure(page_items=1, list_order=order)
        world.google.expire_sync_tokens()
        await world.pool.execute("delete from event_mappings")
        await world.pool.execute("delete from calendar_events")
        await world.converge()
        assert await rows(world) == [(1, "Changed", True), (2, "Weekly", False)], order
        await world.assert_silent()


async def test_an_occurrence_changed_here_reaches_google(world: World) -> None:
    series = await world.add(title="Weekly", recurrence=WEEKLY)
    await world.drain()
    await exception(world, series, 1, title="Changed")
    await exception(world, series, 2, deleted_at=FIRST)
    await world.converge()
    assert theirs(world) == [("Changed", "confirmed"), ("Weekly", "cancelled")]
    assert world.live()[-1]["recurrence"] == WEEKLY
    await world.assert_silent()


async def test_a_series_and_its_occurrences_may_be_made_at_once(world: World) -> None:
    async with world.pool.acquire() as connection, connection.transaction():
        series = await connection.fetchval(
            "insert into calendar_events (user_id, title, start_time, end_time, time_zone,"
            " recurrence) values ($1, 'Weekly', $2, $3, 'Europe/Berlin', $4) returning id",
            world.user_id,
            FIRST,
            FIRST + timedelta(hours=1),
            WEEKLY,
        )
        await connection.execute(
            "insert into calendar_events (user_id, series_id, original_start_time, title,"
            " start_time, end_time, time_zone) values ($1, $2, $3, 'Moved', $4, $5,"
            " 'Europe/Berlin')",
            world.user_id,
            series,
            FIRST + WEEK,
            FIRST + WEEK + timedelta(hours=3),
            FIRST + WEEK + timedelta(hours=4),
        )
    await world.converge()
    assert theirs(world) == [("Moved", "confirmed")]
    await world.assert_silent()


async def test_a_cancelled_occurrence_can_be_brought_back(world: World) -> None:
    series = await world.add(title="Weekly", recurrence=WEEKLY)
    await world.drain()
    cancelled = await exception(world, series, 1, title="Weekly", deleted_at=FIRST)
    await world.converge()
    assert theirs(world) == [("Weekly", "cancelled")]
    await world.edit(cancelled, deleted_at=None)
    await world.converge()
    assert theirs(world) == [("Weekly", "confirmed")]
    world.ada.delete(instance_id(world.live()[0]["id"], 1))
    await world.converge()
    assert await rows(world) == [(1, "Weekly", False)]
    world.ada.patch(instance_id(world.live()[0]["id"], 1), {"status": "confirmed"})
    await world.converge()
    assert await rows(world) == [(1, "Weekly", True)]
    await world.assert_silent()


async def test_an_occurrence_edited_on_both_sides_is_merged(world: World) -> None:
    series = await world.add(title="Weekly", recurrence=WEEKLY)
    await world.drain()
    there = instance_id(world.live()[0]["id"], 1)
    world.ada.patch(there, {"location": "There"})
    await exception(world, series, 1, title="Here")
    await world.converge()
    [instance] = [event for event in world.live() if event["id"] == there]
    assert (instance["summary"], instance["location"]) == ("Here", "There")
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_an_edit_beats_the_cancellation_of_an_occurrence(world: World) -> None:
    series = await world.add(title="Weekly", recurrence=WEEKLY)
    await world.drain()
    there = instance_id(world.live()[0]["id"], 1)
    world.ada.delete(there)
    await exception(world, series, 1, title="Here")
    await world.converge()
    assert theirs(world) == [("Here", "confirmed")]
    assert [conflict["fields"] for conflict in await world.conflicts()] == [["deleted"]]
    await world.assert_silent()


async def test_deleting_a_series_takes_its_occurrences_along(world: World) -> None:
    for here in (True, False):
        series = await world.add(title="Weekly", recurrence=WEEKLY)
        await world.drain()
        await exception(world, series, 1, title="Changed")
        await world.converge()
        assert await world.titles() == ["Changed", "Weekly"]
        if here:
            await world.remove(series)
        else:
            world.ada.delete(world.live()[-1]["id"])
        await world.converge()
        assert (await world.titles(), world.live()) == ([], [])
        await world.assert_silent()


async def test_a_series_that_comes_back_brings_its_occurrences(world: World) -> None:
    series = await world.add(title="Weekly", recurrence=WEEKLY)
    await world.drain()
    await exception(world, series, 1, title="Changed")
    await exception(world, series, 2, title="Weekly", deleted_at=FIRST)
    await world.converge()
    await world.remove(series)
    await world.converge()
    await world.edit(series, deleted_at=None)
    await world.converge()
    assert await rows(world) == [(1, "Changed", True), (2, "Weekly", False)]
    assert sorted(theirs(world)) == [("Changed", "confirmed"), ("Weekly", "cancelled")]
    await world.assert_silent()


async def test_an_occurrence_that_the_series_does_not_have_is_named(world: World) -> None:
    series = await world.add(title="Weekly", recurrence=WEEKLY)
    await world.drain()
    await exception(world, series, 9, title="Never")
    await world.drain()
    error = await world.pool.fetchval(
        "select last_error ->> 'code' from sync_queue where status = 'failed'"
    )
    assert error == "no_such_occurrence"


async def test_a_series_moved_at_google_takes_its_occurrences_along(world: World) -> None:
    """Google drops the exceptions that do not occur any more, and so do we."""
    series = world.add_there("Weekly", recurrence=WEEKLY)
    world.ada.patch(instance_id(series, 1), {"summary": "Changed"})
    await world.converge()
    world.ada.patch(
        series,
        {
            "start": {"dateTime": "2026-12-01T12:00:00+01:00", "timeZone": "Europe/Berlin"},
            "end": {"dateTime": "2026-12-01T13:00:00+01:00", "timeZone": "Europe/Berlin"},
        },
    )
    await world.converge()
    assert await rows(world) == [(1, "Changed", False)]
    await world.assert_silent()


async def test_a_series_split_at_google_arrives_whole(world: World) -> None:
    series = world.add_there("Weekly", recurrence=WEEKLY)
    world.ada.patch(instance_id(series, 1), {"summary": "Early"})
    world.ada.patch(instance_id(series, 3), {"summary": "Late"})
    await world.converge()
    world.ada.split(instance_id(series, 2), {"summary": "From now on"})
    await world.converge()
    assert await world.titles() == sorted(world.summaries())
    assert "From now on" in await world.titles()
    await world.assert_silent()
