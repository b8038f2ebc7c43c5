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


def _context(world: World) -> dict[str, Any]:
    return {"hub": world.hub, "drainer": Drainer(world.hub)}
