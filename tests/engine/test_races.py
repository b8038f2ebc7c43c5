"""Two actors at once: nothing is overwritten, and only what went two ways is a conflict."""

from __future__ import annotations

import asyncio

import pytest

from sync_service.engine.inbound import pull
from sync_service.engine.outbound import push
from sync_service.store import queue
from tests.engine.world import World


async def test_disjoint_edits_both_survive(world: World) -> None:
    event = await world.add(location="Here")
    await world.drain()
    there = world.live()[0]["id"]
    world.ada.patch(there, {"location": "There"})
    await world.edit(event, title="Ours")
    await world.converge()
    row = await world.row(event)
    assert (row["title"], row["location"]) == ("Ours", "There")
    assert await world.conflicts() == []
    await world.assert_silent()


@pytest.mark.parametrize(
    ("policy", "winner"),
    [("app_wins", "Ours"), ("provider_wins", "Theirs"), ("last_write_wins", "Theirs")],
)
async def test_one_field_two_ways_is_one_conflict(world: World, policy: str, winner: str) -> None:
    await world.pool.execute("update calendars set conflict_policy = $1", policy)
    await world.converge()
    event = await world.add()
    await world.drain()
    there = world.live()[0]["id"]
    await world.edit(event, title="Ours")
    world.google.clock.advance(5)
    world.ada.patch(there, {"summary": "Theirs"})
    await world.converge()
    assert (await world.titles(), world.summaries()) == ([winner], [winner])
    [conflict] = await world.conflicts()
    assert conflict["fields"] == ["title"]
    assert conflict["base"]["title"] == "Planning"
    assert (conflict["local"]["title"], conflict["remote"]["title"]) == ("Ours", "Theirs")
    notices = await world.pool.fetch("select kind, occurrences from sync_notifications")
    assert [tuple(row.values()) for row in notices] == [("conflict", 1)]
    await world.assert_silent()


async def test_the_later_edit_wins_by_default(world: World) -> None:
    event = await world.add()
    await world.drain()
    world.ada.patch(world.live()[0]["id"], {"summary": "Theirs, earlier"})
    await world.edit(event, title="Ours, later")
    await world.converge()
    assert world.summaries() == ["Ours, later"]
    assert len(await world.conflicts()) == 1


async def test_manual_parks_the_event_and_nothing_else(world: World) -> None:
    await world.pool.execute("update calendars set conflict_policy = 'manual'")
    await world.converge()
    event = await world.add()
    await world.drain()
    there = world.live()[0]["id"]
    await world.edit(event, title="Ours")
    world.ada.patch(there, {"summary": "Theirs"})
    for _ in range(3):
        await world.poll()
    assert (await world.titles(), world.summaries()) == (["Ours"], ["Theirs"])
    assert len(await world.conflicts()) == 1
    await world.add(title="Another")
    await world.poll()
    assert "Another" in world.summaries()


async def test_an_edit_here_beats_a_deletion_there(world: World) -> None:
    event = await world.add()
    await world.drain()
    world.ada.delete(world.live()[0]["id"])
    await world.edit(event, title="Still needed")
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Still needed"], ["Still needed"])
    [conflict] = await world.conflicts()
    assert (conflict["fields"], conflict["winner"]) == (["deleted"], "local")
    await world.assert_silent()


@pytest.mark.parametrize("hard", [False, True])
async def test_an_edit_there_beats_a_deletion_here(world: World, hard: bool) -> None:
    event = await world.add()
    await world.drain()
    world.ada.patch(world.live()[0]["id"], {"summary": "Still needed"})
    if hard:
        await world.pool.execute("delete from calendar_events")
    else:
        await world.remove(event)
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Still needed"], ["Still needed"])
    [conflict] = await world.conflicts()
    assert (conflict["fields"], conflict["winner"]) == (["deleted"], "remote")
    await world.assert_silent()


async def test_deleted_on_both_sides_is_agreement(world: World) -> None:
    event = await world.add()
    await world.drain()
    world.ada.delete(world.live()[0]["id"])
    await world.remove(event)
    await world.converge()
    assert world.summaries() == []
    assert await world.conflicts() == []


async def test_an_edit_during_the_push_is_pushed_after_it(world: World) -> None:
    event = await world.add()
    task = await world.claim_one()
    await world.edit(event, title="Meanwhile")
    await world.run(task)
    await world.converge()
    assert world.summaries() == ["Meanwhile"]


async def test_the_echo_may_come_before_the_answer_is_recorded(world: World) -> None:
    """Google's notice of our own write is pulled while the push still waits for its answer."""
    await world.add()
    task = await world.claim_one()
    # A push that wrote and died before it could record the answer.
    await _push_without_record(world, task)
    await queue.request_pulls(world.pool, [world.calendar_id], "echo")
    [pulling] = await queue.claim_batch(world.pool, 5, 60)
    await pull(world.hub, pulling)
    assert await world.titles() == ["Planning"]
    await world.run(task)
    await world.converge()
    assert world.summaries() == ["Planning"]
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_an_edit_there_right_behind_our_write_is_no_conflict(world: World) -> None:
    """The person edits what we just wrote, and the page with it comes before our answer is kept."""
    event = await world.add()
    await world.drain()
    await world.edit(event, title="Ours")
    task = await world.claim_one()
    await _push_without_record(world, task)
    world.ada.patch(world.live()[0]["id"], {"summary": "Ours, corrected"})
    await queue.request_pulls(world.pool, [world.calendar_id], "echo")
    [pulling] = await queue.claim_batch(world.pool, 5, 60)
    await pull(world.hub, pulling)
    await world.pool.execute("update sync_queue set lease_until = now() - interval '1 second'")
    await queue.release_expired(world.pool)
    await world.converge()
    assert "Ours, corrected" in (
        *world.summaries(),
        *(str(row["remote"]) for row in await world.conflicts()),
    )
    await world.assert_silent()


async def test_a_stale_page_does_not_undo_a_push(world: World) -> None:
    """A page read before our write, but applied after it, is old news."""
    event = await world.add()
    await world.drain()
    there = world.live()[0]["id"]
    # The page that will carry this is read now …
    world.ada.patch(there, {"location": "Somewhere"})
    world.google.add_fault("delay", operation="events.list", seconds=0.4)
    await queue.request_pulls(world.pool, [world.calendar_id], "slow")
    [pulling] = await queue.claim_batch(world.pool, 5, 60)
    slow = asyncio.create_task(pull(world.hub, pulling))
    # … and meanwhile we write.
    await world.edit(event, title="Newer")
    await world.drain()
    await slow
    await world.converge()
    row = await world.row(event)
    assert (row["title"], row["location"]) == ("Newer", "Somewhere")
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_a_worker_that_lost_its_lease_records_nothing(world: World) -> None:
    event = await world.add()
    late = await world.claim_one()
    await world.pool.execute("update sync_queue set lease_until = now() - interval '1 second'")
    await queue.release_expired(world.pool)
    await world.edit(event, title="Newer")
    await world.drain()
    await push(world.hub, late)
    await world.converge()
    assert (world.summaries(), await world.titles()) == (["Newer"], ["Newer"])
    await world.assert_silent()


async def _push_without_record(world: World, task: queue.Task) -> None:
    """Carry out the provider's part of *task* and lose the rest, as a kill does."""
    blocker = await world.pool.acquire()
    transaction = blocker.transaction()
    await transaction.start()
    try:
        # Recording needs this row; it waits, gives up, and nothing of the answer is kept.
        await blocker.execute("select from sync_queue where id = $1 for update", task.id)
        with pytest.raises(Exception, match="lock timeout"):
            await push(world.hub, task)
    finally:
        await transaction.rollback()
        await world.pool.release(blocker)
