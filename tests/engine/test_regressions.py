"""Histories that went wrong once, as `tests/convergence` found and shrank them."""

from __future__ import annotations

import asyncio

from sync_service.engine import work
from sync_service.engine.inbound import pull
from sync_service.engine.outbound import push
from sync_service.store import queue
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


async def test_what_a_dead_try_made_and_somebody_deleted_stays_deleted(world: World) -> None:
    await world.add()
    world.google.add_fault("drop_after", operation="events.insert")
    await world.drain()
    world.ada.delete(world.live()[0]["id"])
    await world.converge()
    assert (await world.titles(), world.summaries()) == ([], [])
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_an_edit_beats_the_deletion_of_what_a_dead_try_made(world: World) -> None:
    event = await world.add()
    world.google.add_fault("drop_after", operation="events.insert")
    await world.drain()
    world.ada.delete(world.live()[0]["id"])
    await world.edit(event, title="Edited since")
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Edited since"], ["Edited since"])
    [conflict] = await world.conflicts()
    assert (conflict["fields"], conflict["winner"]) == (["deleted"], "local")
    await world.assert_silent()


async def test_what_changes_while_a_full_sync_rests_is_read_at_its_end(world: World) -> None:
    """Its position is that of the first page, and the webhook may have been lost."""
    world.google.configure(page_items=1, list_order="stable")
    ids = [world.add_there(f"Event {number}") for number in range(3)]
    world.google.expire_sync_tokens()
    world.google.add_fault("drop_before", operation="events.list", skip=2)
    await world.poll()
    for number, external_id in enumerate(ids):
        world.ada.patch(external_id, {"summary": f"Edited {number}"})
    await world.hurry()
    await world.drain()
    assert await world.titles() == ["Edited 0", "Edited 1", "Edited 2"]


async def test_what_a_lost_answer_made_and_does_not_show_yet_is_not_doubled(world: World) -> None:
    """The next try is told that the id is taken, but nothing shows under it."""
    await world.add()
    world.google.add_fault("drop_after", operation="events.insert")
    world.google.add_fault("error", operation="events.get", status=404, reason="notFound", count=3)
    await world.drain()
    await world.hurry()
    await world.drain()
    assert await _error_code(world) == "id_unseen"
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Planning"], ["Planning"])
    await world.assert_silent()


async def test_an_id_that_stays_taken_and_unseen_is_given_up(world: World) -> None:
    """A tombstone that Google forgot keeps its id for ever."""
    await world.add()
    world.google.add_fault(
        "error", operation="events.insert", status=409, reason="duplicate", count=4
    )
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Planning"], ["Planning"])
    await world.assert_silent()


async def test_what_comes_back_on_both_sides_is_merged_with_what_it_was(world: World) -> None:
    """Deleted there and edited here, then undeleted and edited there before our push."""
    event = await world.add()
    await world.drain()
    there = world.live()[0]["id"]
    world.ada.delete(there)
    await world.edit(event, description="Edited here")
    await world.pool.execute("update sync_queue set run_at = 'infinity' where kind = 'push'")
    world.google.add_fault("error", operation="events.insert", status=503)
    await world.poll()
    world.ada.patch(there, {"status": "confirmed", "summary": "Edited there"})
    await world.converge()
    row = await world.row(event)
    assert (row["title"], row["description"]) == ("Edited there", "Edited here")
    assert [conflict["fields"] for conflict in await world.conflicts()] == [["deleted"]]
    await world.assert_silent()


async def test_an_old_look_does_not_outvote_a_newer_page(world: World) -> None:
    """A push read the event, and before it could settle that, a page with a later edit came."""
    event = await world.add()
    await world.drain()
    there = world.live()[0]["id"]
    world.ada.patch(there, {"summary": "First"})
    await world.remove(event)
    task = await world.claim_one()
    world.google.add_fault("delay", operation="events.get", seconds=0.6)
    slow = asyncio.create_task(push(world.hub, task))
    while not any(call.operation == "events.get" for call in world.google.calls):
        await asyncio.sleep(0.01)
    world.ada.patch(there, {"summary": "Second"})
    await queue.request_pulls(world.pool, [world.calendar_id], "poll")
    [pulling] = await queue.claim_batch(world.pool, 5, 60)
    await pull(world.hub, pulling)
    await slow
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Second"], ["Second"])
    await world.assert_silent()


async def test_a_pass_that_died_before_its_first_page_asks_about_what_came_since(
    world: World,
) -> None:
    world.google.expire_sync_tokens()
    world.google.add_fault("drop_before", operation="events.list", skip=1)
    await world.poll()
    await world.add()
    await world.pool.execute("update sync_queue set run_at = 'infinity' where kind = 'pull'")
    await world.drain()
    world.ada.delete(world.live()[0]["id"])
    await world.converge()
    assert (await world.titles(), world.summaries()) == ([], [])


async def _error_code(world: World) -> str:
    return await world.pool.fetchval(
        "select last_error ->> 'code' from sync_queue where kind = 'push'"
    )


async def test_an_edit_survives_two_dead_tries_of_a_create_that_was_deleted(world: World) -> None:
    """The second try must not take what it was about to send for what the first one made."""
    event = await world.add()
    world.google.add_fault("drop_after", operation="events.insert")
    await world.drain()
    world.ada.delete(world.live()[0]["id"])
    await world.edit(event, title="Edited since")
    # The look before the create answers; the one after the 409 does not.
    world.google.add_fault("drop_before", operation="events.get", skip=1)
    await world.hurry()
    await world.drain()
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Edited since"], ["Edited since"])
    await world.assert_silent()
