"""An event that moves from one calendar to another, on either side, stays one event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from sync_service.emulators.google import ADA
from sync_service.emulators.google.seed import TEAM
from sync_service.engine import moves
from sync_service.store import queue
from tests.engine.world import World


@pytest.fixture
async def team(world: World) -> UUID:
    """Ada's second calendar, turned on and read."""
    calendar = await world.pool.fetchval(
        "update calendars set enabled = true where external_id = $1 returning id", TEAM
    )
    await world.drain()
    return calendar


async def pull(world: World, *calendars: UUID) -> None:
    for calendar in calendars:
        await queue.request_pulls(world.pool, [calendar], "test")
        [task] = [
            task
            for task in await queue.claim_batch(world.pool, 10, 60)
            if task.kind == "pull" and task.calendar_id == calendar
        ]
        await world.run(task)


def live_in(world: World, calendar: str) -> list[dict[str, Any]]:
    return [event for event in world.google.events(calendar) if event["status"] != "cancelled"]


async def settle(world: World, *calendars: UUID) -> None:
    for _ in range(3):
        await queue.release_waiting(world.pool, list(calendars))
        await queue.request_pulls(world.pool, list(calendars), "test")
        await world.drain()
    await world.assert_equal()


@pytest.mark.parametrize("first", ["source", "destination"])
@pytest.mark.parametrize("born", ["here", "there"])
async def test_a_move_on_google_moves_the_same_row(
    world: World, team: UUID, first: str, born: str
) -> None:
    if born == "here":
        event = await world.add(metadata={"deal": 7}, notes="Only ours")
        await world.drain()
        [there] = world.live()
    else:
        there = {"id": world.add_there()}
        await world.poll()
        event = await world.only_event()
        await world.edit(event, metadata={"deal": 7}, notes="Only ours")
        await world.drain()
    writes = world.writes()
    world.ada.move(there["id"], TEAM)
    order = (world.calendar_id, team) if first == "source" else (team, world.calendar_id)
    await pull(world, *order)
    row = await world.row(event)
    assert (row["calendar_id"], row["deleted_at"], row["notes"]) == (team, None, "Only ours")
    assert row["metadata"] == {"deal": 7}
    await settle(world, team, world.calendar_id)
    assert await world.only_event() == event
    assert [each["id"] for each in live_in(world, TEAM)] == [there["id"]]
    assert live_in(world, ADA) == []
    assert world.writes() == writes
    assert not await world.pool.fetchval(
        "select exists (select from sync_audit where action = 'event.deleted')"
    )
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_a_move_to_a_calendar_that_is_read_for_the_first_time(world: World) -> None:
    """Its first listing is of what is near in time, and meets the event there."""
    tomorrow = datetime.fromtimestamp(world.google.clock.seconds(), UTC) + timedelta(days=1)
    there = world.add_there(
        start={"dateTime": tomorrow.isoformat()},
        end={"dateTime": (tomorrow + timedelta(hours=1)).isoformat()},
    )
    await world.poll()
    event = await world.only_event()
    await world.edit(event, notes="Only ours")
    await world.drain()
    world.ada.move(there, TEAM)
    team = await world.pool.fetchval(
        "update calendars set enabled = true where external_id = $1 returning id", TEAM
    )
    await pull(world, team)
    row = await world.row(await world.only_event())
    assert (row["id"], row["calendar_id"], row["notes"]) == (event, team, "Only ours")
    await settle(world, team, world.calendar_id)
    assert await world.only_event() == event


async def test_there_and_back_again(world: World, team: UUID) -> None:
    there = world.add_there()
    await world.poll()
    event = await world.only_event()
    for destination, calendar in ((TEAM, team), (ADA, world.calendar_id), (TEAM, team)):
        source = ADA if destination == TEAM else TEAM
        world.ada.move(there, destination, source)
        await settle(world, world.calendar_id, team)
        assert await world.only_event() == event
        assert (await world.row(event))["calendar_id"] == calendar


async def test_what_was_edited_on_both_sides_meanwhile_is_kept(world: World, team: UUID) -> None:
    there = world.add_there("Dentist")
    await world.poll()
    event = await world.only_event()
    await world.edit(event, location="Main street")
    world.ada.move(there, TEAM)
    world.ada.patch(there, {"summary": "Dentist, moved"}, TEAM)
    await settle(world, world.calendar_id, team)
    [copy] = live_in(world, TEAM)
    assert (copy["id"], copy["summary"], copy["location"]) == (
        there,
        "Dentist, moved",
        "Main street",
    )
    row = await world.row(event)
    assert (row["title"], row["location"], row["calendar_id"]) == (
        "Dentist, moved",
        "Main street",
        team,
    )


async def test_many_moves_at_once_lose_no_row(
    world: World, team: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than are looked for: some arrive as deletions first, and come back as they were."""
    monkeypatch.setattr(moves, "_LOOKS", 4)
    for number in range(9):
        world.add_there(str(number))
    await world.poll()
    before = {row["id"] for row in await world.pool.fetch("select id from calendar_events")}
    for event in world.live():
        world.ada.move(event["id"], TEAM)
    await settle(world, world.calendar_id, team)
    rows = await world.pool.fetch("select id, calendar_id, deleted_at from calendar_events")
    assert {row["id"] for row in rows} == before
    assert {(row["calendar_id"], row["deleted_at"]) for row in rows} == {(team, None)}


async def test_a_guests_copy_is_no_move(world: World, team: UUID) -> None:
    """Ada invites herself from the team's calendar: the same id twice, and both are there."""
    there = world.ada.insert(
        {
            "summary": "Team lunch",
            "start": {"date": "2026-12-01"},
            "end": {"date": "2026-12-02"},
            "attendees": [{"email": ADA}],
        },
        TEAM,
    )
    assert [each["id"] for each in live_in(world, ADA)] == [there["id"]]
    await settle(world, team, world.calendar_id)
    rows = await world.pool.fetch(
        "select calendar_id from calendar_events where deleted_at is null"
    )
    assert {row["calendar_id"] for row in rows} == {team, world.calendar_id}


async def test_a_deletion_is_a_deletion(world: World, team: UUID) -> None:
    there = world.add_there()
    await world.poll()
    world.ada.delete(there)
    await settle(world, world.calendar_id, team)
    assert await world.titles() == []


@pytest.mark.parametrize("order", ["create first", "delete first"])
async def test_a_move_here_leaves_one_copy_there(world: World, team: UUID, order: str) -> None:
    """Made in the one calendar and deleted in the other, in whatever order, and whoever dies."""
    event = await world.add(title="Moved")
    await world.drain()
    await world.edit(event, calendar_id=team)
    tasks = await queue.claim_batch(world.pool, 10, 60)
    assert {task.calendar_id for task in tasks} == {team, world.calendar_id}
    tasks.sort(key=lambda task: (task.calendar_id == team) == (order == "delete first"))
    for task in tasks:
        await world.run(task)
        # What each half looks like from Google reaches us before the other half is done.
        await queue.request_pulls(world.pool, [team, world.calendar_id], "test")
        for pulled in await queue.claim_batch(world.pool, 10, 60):
            if pulled.kind == "pull":
                await world.run(pulled)
    await settle(world, team, world.calendar_id)
    assert [each["summary"] for each in live_in(world, TEAM)] == ["Moved"]
    assert live_in(world, ADA) == []
    assert await world.only_event() == event
    assert (await world.row(event))["calendar_id"] == team
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_a_move_here_that_is_refused_there_keeps_the_event(world: World, team: UUID) -> None:
    event = await world.add(title="Moved")
    await world.drain()
    world.google.add_fault(
        "error", operation="events.insert", status=400, reason="invalid", calendar=TEAM
    )
    await world.edit(event, calendar_id=team)
    await world.drain()
    assert await world.titles() == ["Moved"]
    await world.edit(event, location="Room 2")
    await settle(world, team, world.calendar_id)
    assert [each["location"] for each in live_in(world, TEAM)] == ["Room 2"]
