"""A calendar that seems to lose much at once is asked about, not emptied."""

from __future__ import annotations

from typing import Any

import pytest

from sync_service.engine import breaker
from sync_service.settings import Settings
from tests.engine.world import World


async def filled(world: World, count: int) -> list[str]:
    """Fill the calendar from Google's side; answers the ids there."""
    ids = [world.add_there(f"Event {number:03}") for number in range(count)]
    await world.poll()
    assert len(await world.titles()) == count
    return ids


async def calendar(world: World) -> dict[str, Any]:
    row = await world.pool.fetchrow("select * from calendars where id = $1", world.calendar_id)
    assert row is not None
    return dict(row.items())


async def held_back(world: World, ids: list[str], gone: int) -> None:
    """Delete *gone* events on Google and see the calendar paused, with nothing deleted."""
    for external_id in ids[:gone]:
        world.ada.delete(external_id)
    await world.poll()
    row = await calendar(world)
    assert row["state"] == "paused"
    assert (row["preview"]["deletions"], row["preview"]["of"]) == (gone, len(ids))
    shown = {event["title"] for event in row["preview"]["events"]}
    assert shown == {f"Event {number:03}" for number in range(gone)}
    assert len(await world.titles()) == len(ids)
    assert await world.pool.fetchval("select kind from sync_notifications") == "calendar_paused"
    await world.poll()
    assert len(await world.titles()) == len(ids)


async def test_sixty_percent_wait_and_go_on_approval(world: World) -> None:
    ids = await filled(world, 20)
    await held_back(world, ids, 12)
    assert await breaker.resume(world.pool, world.calendar_id, approve_deletions=True)
    await world.converge()
    assert len(await world.titles()) == 8
    assert (await calendar(world))["state"] == "healthy"
    await world.assert_silent()
    # The word was for those deletions alone.
    await held_back_again(world)


async def held_back_again(world: World) -> None:
    for number in range(20):
        world.add_there(f"Later {number}")
    await world.poll()
    for event in world.live():
        world.ada.delete(event["id"])
    await world.poll()
    assert (await calendar(world))["state"] == "paused"


async def test_sixty_percent_come_back_on_refusal(world: World) -> None:
    ids = await filled(world, 20)
    await held_back(world, ids, 12)
    assert await breaker.resume(world.pool, world.calendar_id, approve_deletions=False)
    await world.converge()
    assert len(await world.titles()) == 20
    assert world.summaries() == await world.titles()
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_resuming_without_a_word_asks_again(world: World) -> None:
    ids = await filled(world, 20)
    await held_back(world, ids, 12)
    assert await breaker.resume(world.pool, world.calendar_id, approve_deletions=None)
    await world.drain()
    assert (await calendar(world))["state"] == "paused"
    assert len(await world.titles()) == 20


async def test_edits_of_other_events_wait_and_are_not_lost(world: World) -> None:
    ids = await filled(world, 20)
    await held_back(world, ids, 12)
    kept = await world.pool.fetchval("select id from calendar_events where title = 'Event 019'")
    await world.edit(kept, title="Edited meanwhile")
    await world.drain()
    assert "Edited meanwhile" not in world.summaries()
    await breaker.resume(world.pool, world.calendar_id, approve_deletions=True)
    await world.converge()
    assert "Edited meanwhile" in world.summaries()


@pytest.mark.parametrize("pages", [None, 7])
async def test_five_hundred_events_and_then_an_empty_listing(
    world: World, pages: int | None
) -> None:
    world.google.configure(page_items=pages)
    count = len(await filled(world, 500 if pages is None else 100))
    true_state = world.google.dump()
    for event in world.live():
        world.ada.delete(event["id"])
    world.google.purge_tombstones("ada@example.com")
    world.google.expire_sync_tokens()
    await world.poll()
    row = await calendar(world)
    assert (row["state"], row["preview"]["deletions"]) == ("paused", count)
    assert len(await world.titles()) == count
    # It was a mistake of theirs, and is mended there.
    world.google.restore(true_state)
    world.google.expire_sync_tokens()
    await breaker.resume(world.pool, world.calendar_id, approve_deletions=None)
    await world.converge()
    assert len(await world.titles()) == count


async def test_an_emptied_calendar_is_filled_again_on_refusal(world: World) -> None:
    await filled(world, 15)
    for event in world.live():
        world.ada.delete(event["id"])
    world.google.purge_tombstones("ada@example.com")
    world.google.expire_sync_tokens()
    await world.poll()
    await breaker.resume(world.pool, world.calendar_id, approve_deletions=False)
    await world.converge()
    assert (
        world.summaries() == await world.titles() == [f"Event {number:03}" for number in range(15)]
    )
    await world.assert_silent()


async def test_few_deletions_just_happen(world: World) -> None:
    ids = await filled(world, 9)
    for external_id in ids:
        world.ada.delete(external_id)
    await world.converge()
    assert await world.titles() == []


@pytest.mark.parametrize(
    ("doomed", "live", "trips"),
    [
        (9, 9, False),
        (10, 10, True),
        (10, 20, False),
        (11, 20, True),
        (500, 500, True),
        (0, 0, False),
    ],
)
def test_the_share_and_the_number_must_both_be_passed(
    settings: Settings, doomed: int, live: int, trips: bool
) -> None:
    assert breaker.trips(doomed, live, settings) is trips
