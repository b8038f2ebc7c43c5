"""The user overrules a conflict: both sides follow, and whatever was edited since survives."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from sync_service.engine.resolve import resolve
from sync_service.errors import Gone, Rejected
from tests.engine.world import World


async def in_conflict(world: World, policy: str = "last_write_wins") -> tuple[UUID, UUID]:
    """Edit one field two ways; answers the ids of the event and of the conflict."""
    await world.pool.execute("update calendars set conflict_policy = $1", policy)
    event = await world.add(location="Room 1")
    await world.converge()
    await world.edit(event, title="Ours")
    world.google.clock.advance(5)
    world.ada.patch(world.live()[0]["id"], {"summary": "Theirs"})
    for _ in range(3):
        await world.poll()
    [conflict] = await world.conflicts()
    return event, conflict["id"]


async def both(world: World) -> tuple[list[str], list[str]]:
    await world.converge()
    return await world.titles(), world.summaries()


@pytest.mark.parametrize("policy", ["last_write_wins", "app_wins", "provider_wins", "manual"])
@pytest.mark.parametrize(("resolution", "title"), [("local", "Ours"), ("remote", "Theirs")])
async def test_either_side_may_be_chosen_under_any_policy(
    world: World, policy: str, resolution: Any, title: str
) -> None:
    _, conflict = await in_conflict(world, policy)
    await resolve(world.pool, conflict, resolution)
    assert await both(world) == ([title], [title])
    assert len(await world.conflicts()) == 1
    assert (await world.conflicts())[0]["status"] == "resolved"
    await world.assert_silent()


async def test_edits_made_since_survive(world: World) -> None:
    event, conflict = await in_conflict(world)
    await world.edit(event, location="Room 2")
    await world.converge()
    world.ada.patch(world.live()[0]["id"], {"description": "Bring cake"})
    await world.converge()
    await resolve(world.pool, conflict, "local")
    assert await both(world) == (["Ours"], ["Ours"])
    row = await world.row(event)
    assert (row["location"], row["description"]) == ("Room 2", "Bring cake")


async def test_a_merge_says_it_all(world: World) -> None:
    _, conflict = await in_conflict(world, "manual")
    await resolve(world.pool, conflict, "merge", {"title": "Ours and theirs"})
    assert await both(world) == (["Ours and theirs"], ["Ours and theirs"])
    await world.assert_silent()


async def test_the_last_word_counts(world: World) -> None:
    _, conflict = await in_conflict(world)
    await resolve(world.pool, conflict, "local")
    assert (await both(world))[1] == ["Ours"]
    await resolve(world.pool, conflict, "remote")
    assert (await both(world))[1] == ["Theirs"]


async def test_an_edit_that_came_while_it_was_parked_is_merged(world: World) -> None:
    event, conflict = await in_conflict(world, "manual")
    await world.edit(event, location="Room 2")
    world.ada.patch(world.live()[0]["id"], {"description": "Bring cake"})
    await world.poll()
    await resolve(world.pool, conflict, "local")
    assert await both(world) == (["Ours"], ["Ours"])
    row = await world.row(event)
    assert (row["location"], row["description"]) == ("Room 2", "Bring cake")


@pytest.mark.parametrize(("resolution", "titles"), [("local", ["Ours"]), ("remote", [])])
async def test_an_edit_against_a_deletion_there(
    world: World, resolution: Any, titles: list[str]
) -> None:
    event = await world.add()
    await world.converge()
    world.ada.delete(world.live()[0]["id"])
    await world.edit(event, title="Ours")
    await world.converge()
    [conflict] = await world.conflicts()
    await resolve(world.pool, conflict["id"], resolution)
    assert await both(world) == (titles, titles)
    await world.assert_silent()


@pytest.mark.parametrize(("resolution", "titles"), [("local", []), ("remote", ["Theirs"])])
async def test_an_edit_against_a_deletion_here(
    world: World, resolution: Any, titles: list[str]
) -> None:
    await world.add()
    await world.converge()
    world.ada.patch(world.live()[0]["id"], {"summary": "Theirs"})
    await world.pool.execute("delete from calendar_events")
    await world.converge()
    [conflict] = await world.conflicts()
    await resolve(world.pool, conflict["id"], resolution)
    assert await both(world) == (titles, titles)
    await world.assert_silent()


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {},
        {"colour": "red"},
        {"start": "soon"},
        {"end": "2020-01-01T00:00:00Z"},
        {"time_zone": "Mars/Olympus"},
    ],
)
async def test_a_senseless_merge_is_refused(world: World, fields: Any) -> None:
    _, conflict = await in_conflict(world, "manual")
    with pytest.raises(Rejected):
        await resolve(world.pool, conflict, "merge", fields)
    assert (await world.conflicts())[0]["status"] == "open"


async def test_there_must_be_a_conflict(world: World) -> None:
    with pytest.raises(Gone):
        await resolve(world.pool, UUID(int=7), "local")
