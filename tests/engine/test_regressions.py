"""Histories that went wrong once, as `tests/convergence` found and shrank them."""

from __future__ import annotations

import asyncio

from sync_service.engine import work
from tests.engine.world import World


async def test_deleted_there_before_a_full_sync_and_our_create_answered_after_it(
    world: World,
) -> None:
    """No later page says that it is gone, so whoever gets the answer must look."""
    await world.add()
    task = await world.claim_one()
    world.google.add_fault("delay", operation="events.insert", seconds=0.6)
    slow = asyncio.create_task(work.run(world.hub, task))
    while not world.live():
        await asyncio.sleep(0.01)
    world.ada.delete(world.live()[0]["id"])
    world.google.expire_sync_tokens()
    await world.poll()
    assert not slow.done()
    await slow
    await world.converge()
    assert (await world.titles(), world.summaries()) == ([], [])
    await world.assert_silent()
