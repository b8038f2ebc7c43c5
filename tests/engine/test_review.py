"""Found in review: what could spin, stall, come back from the dead or be told nobody."""

from __future__ import annotations

from typing import Any

from jobs import upkeep
from jobs.drain import Drainer
from sync_service.store import queue
from tests.engine.world import World


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
    await world.add()
    world.google.add_fault(
        "error", operation="events.insert", status=403, reason="rateLimitExceeded", count=None
    )
    for _ in range(6):
        await world.hurry()
        await world.drain()
    row = await world.pool.fetchrow(
        "select attempts, run_at - now() > interval '10 seconds' as later from sync_queue"
        " where kind = 'push'"
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


async def _exhaust(world: World, operation: str) -> None:
    """Let Google fail until the push is given up, then mend it."""
    world.google.add_fault("error", operation=operation, status=500, count=None)
    for _ in range(world.hub.settings.push_max_attempts):
        await world.hurry()
        await world.drain()
    world.google.faults.clear()


def _context(world: World) -> dict[str, Any]:
    return {"hub": world.hub, "drainer": Drainer(world.hub)}
