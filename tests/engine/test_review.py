"""Found in review: what could spin, stall, come back from the dead or be told nobody."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from jobs import upkeep
from jobs.drain import Drainer
from sync_service.engine.connections import disconnect
from sync_service.engine.settle import Arrival, Feed, settle
from sync_service.errors import Unmappable
from sync_service.providers.google import codec
from sync_service.store import calendars, connections, queue
from sync_service.store.pool import transaction
from tests.engine.world import World, consent
from tests.servers import Database


async def test_an_idle_queue_is_not_asked_again_and_again(world: World) -> None:
    assert await queue.next_run_in(world.pool) is None
    await world.add()
    assert await queue.next_run_in(world.pool) == 0
    await world.pool.execute("update calendar_connections set status = 'reconnect_needed'")
    assert await queue.next_run_in(world.pool) is None


async def test_the_poll_leaves_a_waiting_pull_waiting(world: World) -> None:
    world.google.add_fault("error", operation="events.list", status=503, count=None)
    await world.pool.execute("update private.calendar_feeds set last_pull_at = '-infinity'")
    for _ in range(6):
        await upkeep.poll(_context(world))
        await world.drain()
    failed = [call for call in world.google.calls if call.status == 503]
    assert len(failed) == 1


async def test_being_told_to_slow_down_waits_longer_each_time(world: World) -> None:
    world.google.add_fault(
        "error", operation="events.list", status=403, reason="rateLimitExceeded", count=None
    )
    await queue.request_pulls(world.pool, [world.calendar_id], "test")
    for _ in range(6):
        await world.hurry()
        await world.drain()
    row = await world.pool.fetchrow(
        "select attempts, run_at - now() > interval '10 seconds' as later from sync_queue"
        " where kind = 'pull' and status = 'pending'"
    )
    assert row is not None
    assert (row["attempts"], row["later"]) == (0, True)


async def test_a_copy_that_was_not_made_again_is_no_reason_to_delete(world: World) -> None:
    event = await world.add()
    await world.drain()
    await world.remove(event)
    await world.drain()
    await world.edit(event, deleted_at=None)
    await _exhaust(world, "events.insert")
    # A change that Google cannot hold asks for the push again.
    await world.edit(event, notes="seen")
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Planning"], ["Planning"])
    assert await world.conflicts() == []


async def test_the_last_of_several_creates_is_known_as_ours(world: World) -> None:
    event = await world.add()
    world.google.add_fault("drop_before", operation="events.insert")
    await world.drain()
    await world.edit(event, title="Second")
    world.google.add_fault("drop_after", operation="events.insert")
    await world.hurry()
    await world.drain()
    await world.edit(event, title="Third")
    await world.converge()
    assert world.summaries() == ["Third"]
    assert await world.conflicts() == []


async def test_a_copy_made_again_is_known_as_ours(world: World) -> None:
    event = await world.add()
    await world.drain()
    await world.remove(event)
    await world.drain()
    await world.edit(event, deleted_at=None)
    world.google.add_fault("drop_after", operation="events.update")
    await world.drain()
    await world.edit(event, title="Edited since")
    await world.converge()
    assert world.summaries() == ["Edited since"]
    assert await world.conflicts() == []


async def test_undeleted_on_both_sides_is_one_event(world: World) -> None:
    there = world.add_there("Dentist")
    await world.poll()
    event = await world.only_event()
    world.ada.delete(there)
    await world.poll()
    world.ada.patch(there, {"status": "confirmed"})
    await world.edit(event, deleted_at=None)
    await world.drain()
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Dentist"], ["Dentist"])
    await world.assert_silent()


async def test_an_event_whose_id_we_could_not_choose_comes_back_under_another(
    world: World,
) -> None:
    there = world.add_there("Dentist")
    await world.poll()
    event = await world.only_event()
    world.ada.delete(there)
    await world.poll()
    await world.pool.execute("update event_mappings set external_id = '_60q30c1g60o30e1i'")
    await world.edit(event, deleted_at=None)
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Dentist"], ["Dentist"])


@pytest.mark.parametrize("zone", ["Nowhere/Land", "Asia", "UTC+25", "../etc/passwd"])
def test_a_zone_that_nobody_knows_is_utc(zone: str) -> None:
    moment = {"dateTime": "2026-12-01T10:00:00+01:00", "timeZone": zone}
    event = codec.read_event({"id": "abcde", "start": moment, "end": moment}, None)
    assert event.content.time_zone == "UTC"


def test_a_time_before_all_time_is_refused() -> None:
    moment = {"dateTime": "0001-01-01T00:00:00+05:00"}
    with pytest.raises(Unmappable):
        codec.read_event({"id": "abcde", "start": moment, "end": moment}, None)


async def test_a_letter_that_postgres_cannot_hold_blocks_nothing(world: World) -> None:
    world.add_there("Bad\0 title")
    world.add_there("Good")
    await world.poll()
    assert await world.titles() == ["Bad title", "Good"]


async def test_a_calendar_that_is_only_read_loses_its_ghosts(world: World) -> None:
    ghost = world.add_there("Ghost")
    await world.poll()
    await world.pool.execute("update calendars set direction = 'pull' where enabled")
    await world.converge()
    world.ada.delete(ghost)
    world.google.expire_sync_tokens()
    world.google.purge_tombstones("ada@example.com")
    await world.poll()
    assert await world.titles() == []
    await world.assert_silent()


async def test_a_late_page_brings_nothing_back_from_the_dead(world: World) -> None:
    there = world.add_there("Dentist")
    await world.poll()
    calendar = await calendars.read(world.pool, world.calendar_id)
    assert calendar is not None
    connection = await connections.read(world.pool, calendar.connection_id)
    assert connection is not None
    late = await world.hub.session(connection).get(calendar.ref, there)
    await world.remove(await world.only_event())
    await world.drain()
    # Asked for after the deletion, answered by a replica that had not heard of it.
    calendar = await calendars.read(world.pool, world.calendar_id)
    assert calendar is not None
    await queue.request_pulls(world.pool, [world.calendar_id], "late")
    task = await world.claim_one()
    feed = Feed(calendar.read_at, calendar.read_at - timedelta(days=9))
    async with transaction(world.pool) as connection:
        provider = world.hub.providers["google"]
        await settle(connection, provider, calendar, [Arrival(there, late)], task=task, feed=feed)
    assert await world.titles() == []


async def test_a_forged_note_takes_over_no_mapping(world: World) -> None:
    event = await world.add()
    await world.drain()
    before = await world.mapping(event)
    note = {"calsyncEvent": str(event), "calsyncMapping": str(before["id"])}
    team = await world.pool.fetchrow("select id, external_id from calendars where name = 'Team'")
    assert team is not None
    world.ada.insert(
        {
            "id": before["external_id"],
            "summary": "Forged",
            "start": {"date": "2026-12-01"},
            "end": {"date": "2026-12-02"},
            "extendedProperties": {"private": note},
        },
        team["external_id"],
    )
    await world.pool.execute("update calendars set enabled = true where id = $1", team["id"])
    await world.drain()
    rows = await world.pool.fetch("select id, calendar_id, html_link from event_mappings")
    assert len(rows) == 2
    assert (before["id"], world.calendar_id, before["html_link"]) in {
        tuple(row.values()) for row in rows
    }


async def test_work_under_way_does_not_release_what_is_paused(world: World) -> None:
    await queue.request_pulls(world.pool, [world.calendar_id], "test")
    task = await world.claim_one()
    await world.pool.execute("update calendars set state = 'paused' where enabled")
    world.google.add_fault("error", operation="events.list", status=503)
    await world.run(task)
    assert await world.pool.fetchval("select state from calendars where enabled") == "paused"


async def test_what_our_rules_refuse_can_still_be_deleted(world: World) -> None:
    world.add_there("Long", description="x" * 8100)
    await world.poll()
    await world.remove(await world.only_event())
    await world.converge()
    assert world.live() == []


async def test_what_our_rules_refuse_does_not_hold_back_who_leaves(
    world: World, database: Database
) -> None:
    world.add_there("Long", description="x" * 8100)
    await world.add()
    await world.poll()
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute("delete from calendar_connections")
        await admin.execute("delete from auth.users")
        assert await admin.fetchval("select count(*) from calendar_events") == 0
    finally:
        await admin.close()


async def test_a_late_failure_does_not_undo_a_disconnect(world: World) -> None:
    await world.add()
    task = await world.claim_one()
    await disconnect(world.hub, await _connection(world))
    await world.run(task)
    assert await world.pool.fetchval("select status from calendar_connections") == "disconnected"
    assert await world.pool.fetchval("select count(*) from sync_notifications") == 0


async def test_connecting_anew_overtakes_a_disconnect_under_way(world: World) -> None:
    world.google.add_fault("delay", operation="channels.stop", seconds=0.6)
    leaving = asyncio.create_task(disconnect(world.hub, await _connection(world)))
    await asyncio.sleep(0.2)
    assert (await consent(world.hub, world.user_id)).status == "connected"
    await leaving
    assert await world.pool.fetchval("select status from calendar_connections") == "active"
    await world.add()
    await world.converge()
    assert world.summaries() == ["Planning"]


async def test_a_failure_older_than_the_connection_says_nothing(world: World) -> None:
    await world.add()
    task = await world.claim_one()
    await consent(world.hub, world.user_id)
    world.google.add_fault("error", operation="events.insert", status=401, count=2)
    await world.run(task)
    assert await world.pool.fetchval("select status from calendar_connections") == "active"
    await world.converge()
    assert world.summaries() == ["Planning"]


async def test_calendars_that_cannot_be_listed_are_no_secret(world: World) -> None:
    await world.pool.execute("delete from calendars")
    world.google.add_fault(
        "error", operation="calendarList.list", status=403, reason="accessNotConfigured"
    )
    await upkeep.mend(_context(world))
    shown = "select last_error ->> 'code' from calendar_connections"
    assert await world.pool.fetchval(shown) == "google_api_disabled"
    await upkeep.mend(_context(world))
    assert await world.pool.fetchval(shown) is None
    assert await world.pool.fetchval("select count(*) from calendars where enabled") == 1


async def test_a_dead_grant_is_told_before_work_meets_it(world: World) -> None:
    world.ada.revoke(world.hub.settings.google_client_id)
    world.hub.accounts.clear()
    await world.pool.execute("update private.connection_tokens set expires_at = now()")
    await upkeep.mend(_context(world))
    assert await world.pool.fetchval("select kind from sync_notifications") == "reconnect_needed"
    calls = len(world.google.calls)
    await upkeep.mend(_context(world))
    assert len(world.google.calls) == calls


async def test_an_outage_longer_than_all_attempts_heals(world: World) -> None:
    event = await world.add()
    await _exhaust(world, "events.insert")
    await world.pool.execute("update sync_queue set updated_at = now() - interval '1 hour'")
    await upkeep.mend(_context(world))
    await world.drain()
    assert world.summaries() == ["Planning"]
    assert (await world.mapping(event))["status"] == "synced"


async def test_a_calendar_that_became_read_only_keeps_what_waits(world: World) -> None:
    event = await world.add()
    await world.drain()
    world.google.share("ada@example.com", "ada@example.com", "reader")
    await world.edit(event, title="Unsent")
    # The push learns it first; what is pulled beside it must not send it out again.
    await world.drain()
    before = world.writes()
    for _ in range(4):
        await world.hurry()
        await world.poll()
    assert world.writes() == before
    row = await world.pool.fetchrow("select state, last_error from calendars where is_primary")
    assert row is not None
    assert (row["state"], row["last_error"]["code"]) == ("action_required", "calendar_read_only")
    world.google.share("ada@example.com", "ada@example.com", "owner")
    await world.converge()
    assert world.summaries() == ["Unsent"]
    assert await world.pool.fetchval("select state from calendars where is_primary") == "healthy"


async def _connection(world: World) -> UUID:
    return await world.pool.fetchval("select id from calendar_connections")


async def _exhaust(world: World, operation: str) -> None:
    """Let Google fail until the push is given up, then mend it."""
    world.google.add_fault("error", operation=operation, status=500, count=None)
    for _ in range(world.hub.settings.push_max_attempts):
        await world.hurry()
        await world.drain()
    world.google.faults.clear()


def _context(world: World) -> dict[str, Any]:
    return {"hub": world.hub, "drainer": Drainer(world.hub)}
