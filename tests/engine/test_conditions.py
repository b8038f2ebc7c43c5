"""412 and 409: somebody was there, or the id exists already, as ours, as a tombstone, as another's."""

from __future__ import annotations

import pytest

from tests.engine.world import END, START, World


async def reserved(world: World) -> str:
    """Let a create fail before it was sent; answers the id that was chosen for it."""
    event = await world.add()
    world.google.add_fault("drop_before", operation="events.insert")
    await world.drain()
    assert world.live() == []
    return str((await world.mapping(event))["external_id"])


def statuses(world: World, operation: str) -> list[int]:
    return [call.status for call in world.google.calls if call.operation == operation]


async def test_an_update_that_meets_a_stale_etag_reads_merges_and_tries_again(world: World) -> None:
    event = await world.add()
    await world.drain()
    world.ada.patch(world.live()[0]["id"], {"location": "There"})
    await world.edit(event, title="Ours")
    await world.drain()
    assert statuses(world, "events.patch") == [412, 200]
    [there] = world.live()
    assert (there["summary"], there["location"]) == ("Ours", "There")
    await world.converge()
    await world.assert_silent()


async def test_a_deletion_that_meets_a_stale_etag_gives_way(world: World) -> None:
    event = await world.add()
    await world.drain()
    world.ada.patch(world.live()[0]["id"], {"summary": "Edited meanwhile"})
    await world.remove(event)
    await world.drain()
    assert statuses(world, "events.delete") == [412]
    await world.converge()
    assert await world.titles() == ["Edited meanwhile"] == world.summaries()


async def test_an_id_that_is_ours_is_adopted(world: World) -> None:
    await world.add()
    world.google.add_fault("drop_after", operation="events.insert")
    await world.drain()
    await world.hurry()
    await world.drain()
    assert world.summaries() == ["Planning"]
    assert 200 not in statuses(world, "events.insert")[1:]
    await world.converge()
    await world.assert_silent()


async def test_an_id_that_was_deleted_is_revived(world: World) -> None:
    event = await world.add()
    await world.drain()
    [there] = world.live()
    await world.remove(event)
    await world.drain()
    await world.edit(event, deleted_at=None)
    await world.converge()
    assert [each["id"] for each in world.live()] == [there["id"]]


async def test_an_id_that_may_not_be_revived_is_replaced(world: World) -> None:
    event = await world.add()
    await world.drain()
    [there] = world.live()
    await world.remove(event)
    await world.drain()
    world.google.configure(revive_tombstones=False)
    await world.edit(event, deleted_at=None)
    await world.converge()
    [again] = world.live()
    assert (again["summary"], again["id"] != there["id"]) == ("Planning", True)
    await world.assert_silent()


@pytest.mark.parametrize("deleted", [False, True])
async def test_an_id_of_somebody_else_is_left_alone(world: World, deleted: bool) -> None:
    chosen = await reserved(world)
    world.ada.insert(
        {
            "id": chosen,
            "summary": "Not ours",
            "start": {"dateTime": START, "timeZone": "Europe/Berlin"},
            "end": {"dateTime": END, "timeZone": "Europe/Berlin"},
        }
    )
    if deleted:
        world.ada.delete(chosen)
    await world.hurry()
    await world.drain()
    await world.converge()
    foreign = [event for event in world.google.events("ada@example.com") if event["id"] == chosen]
    if not deleted:
        assert foreign[0]["summary"] == "Not ours"
    assert world.summaries().count("Planning") == 1
    assert await world.titles() == world.summaries()
    await world.assert_silent()
