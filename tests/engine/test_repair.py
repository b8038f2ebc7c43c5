"""Lost mappings, second connections, two populated sides: adopted, never doubled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sync_service.engine import breaker, connections
from sync_service.settings import Settings
from sync_service.store import calendars
from tests.conftest import UserFactory
from tests.engine.world import World, consent, open_world


@pytest.fixture
async def apart(settings: Settings, user: UserFactory) -> AsyncIterator[World]:
    """A world in which nothing is connected yet."""
    async with open_world(settings, (await user()).id, connect=False) as world:
        yield world


async def connect(world: World, *, preview: bool = False) -> None:
    """Connect Ada's account and do what follows."""
    assert (await consent(world.hub, world.user_id, preview=preview)).status == "connected"
    world.calendar_id = await world.pool.fetchval("select id from calendars where enabled")
    await world.drain()


async def calendar(world: World) -> dict[str, Any]:
    row = await world.pool.fetchrow("select * from calendars where id = $1", world.calendar_id)
    assert row is not None
    return dict(row.items())


async def test_two_populated_sides_are_joined(apart: World) -> None:
    await apart.add(title="Ours")
    await apart.add(title="The same")
    apart.add_there("Theirs")
    apart.add_there("The same")
    await connect(apart)
    await apart.converge()
    expected = ["Ours", "The same", "Theirs"]
    assert (await apart.titles(), apart.summaries()) == (expected, expected)
    assert await apart.conflicts() == []
    assert apart.writes() == 1
    await apart.assert_silent()


async def test_twins_on_both_sides_are_matched_one_to_one(apart: World) -> None:
    for _ in range(2):
        await apart.add(title="Twin")
    for _ in range(3):
        apart.add_there("Twin")
    await connect(apart)
    await apart.converge()
    assert (await apart.titles(), apart.summaries()) == (["Twin"] * 3, ["Twin"] * 3)
    await apart.assert_silent()


async def test_old_events_of_the_app_are_left_alone(apart: World) -> None:
    event = await apart.add(title="Long ago")
    await apart.edit(
        event,
        start_time=datetime(2020, 1, 1, 9, tzinfo=UTC),
        end_time=datetime(2020, 1, 1, 10, tzinfo=UTC),
    )
    await connect(apart)
    await apart.converge()
    assert apart.summaries() == []


async def test_a_preview_counts_and_changes_nothing(apart: World) -> None:
    await apart.add(title="Ours")
    await apart.add(title="The same")
    apart.add_there("Theirs")
    apart.add_there("Theirs too")
    apart.add_there("The same")
    await connect(apart, preview=True)
    row = await calendar(apart)
    assert row["state"] == "paused"
    counts = {name: row["preview"][name] for name in ("import", "push", "adopt")}
    assert counts == {"import": 2, "push": 1, "adopt": 1}
    await apart.poll()
    assert (await apart.titles(), apart.writes()) == (["Ours", "The same"], 0)
    assert await breaker.resume(apart.pool, apart.calendar_id, approve_deletions=None)
    await apart.converge()
    expected = ["Ours", "The same", "Theirs", "Theirs too"]
    assert (await apart.titles(), apart.summaries()) == (expected, expected)
    await apart.assert_silent()


async def test_lost_mappings_are_found_again(world: World) -> None:
    """A backup was restored that knows the events and not their copies."""
    await world.add(title="Ours")
    world.add_there("Theirs")
    await world.converge()
    writes = world.writes()
    await world.pool.execute("delete from event_mappings")
    await world.pool.execute("update private.calendar_feeds set cursor = null")
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Ours", "Theirs"], ["Ours", "Theirs"])
    assert world.writes() == writes
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_lost_mappings_of_events_edited_since(world: World) -> None:
    event = await world.add(title="Ours")
    await world.converge()
    await world.pool.execute("delete from event_mappings")
    await world.pool.execute("update private.calendar_feeds set cursor = null")
    await world.pool.execute("delete from sync_queue")
    await world.edit(event, location="Room 2")
    await world.pool.execute("delete from sync_queue")
    await world.converge()
    assert [(each["summary"], each["location"]) for each in world.live()] == [("Ours", "Room 2")]
    assert await world.titles() == ["Ours"]
    await world.assert_silent()


async def test_lost_mappings_of_events_edited_there(world: World) -> None:
    """They came from Google and bear no mark of ours; their iCalendar id tells which they are."""
    there = world.add_there("Theirs")
    await world.converge()
    await world.pool.execute("delete from event_mappings")
    await world.pool.execute("update private.calendar_feeds set cursor = null")
    world.google.clock.advance(5)
    world.ada.patch(there, {"location": "Room 9"})
    await world.converge()
    assert await world.titles() == ["Theirs"] == world.summaries()
    assert (await world.row(await world.only_event()))["location"] == "Room 9"
    await world.assert_silent()


async def test_reconnecting_after_weeks_changes_only_what_changed(world: World) -> None:
    await world.add(title="Ours")
    kept = world.add_there("Theirs")
    gone = world.add_there("Gone meanwhile")
    await world.converge()
    [row] = await world.pool.fetch("select id from calendar_connections")
    await connections.disconnect(world.hub, row["id"])
    assert world.google.world.state.channels == {} or all(
        channel.stopped for channel in world.google.world.state.channels.values()
    )
    world.ada.patch(kept, {"summary": "Theirs, edited"})
    world.ada.delete(gone)
    await world.pool.execute("update calendar_events set location = 'Here' where title = 'Ours'")
    world.google.purge_tombstones("ada@example.com")
    world.google.expire_sync_tokens()
    await connect(world)
    await world.converge()
    assert await world.titles() == ["Ours", "Theirs, edited"] == world.summaries()
    assert world.live()[0]["location"] == "Here"
    assert await world.pool.fetchval("select count(*) from calendar_connections") == 1
    await world.assert_silent()


async def test_everything_is_listed_now_and_then(world: World) -> None:
    """Finds a row that nobody queued: its transaction was open while the calendar was connected."""
    await world.add(title="Overlooked")
    await world.pool.execute("delete from sync_queue where kind = 'push'")
    await calendars.want_full(world.pool, 7)
    await world.poll()
    assert world.summaries() == []
    await world.pool.execute(
        "update private.calendar_feeds set last_full_at = now() - interval '9 days'"
    )
    await calendars.want_full(world.pool, 7)
    await world.poll()
    assert world.summaries() == ["Overlooked"]
    await world.assert_silent()
