"""Changes never run in circles: not between two sides, not in a ring of three, not by accident."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from sync_service.emulators.google import TEAM
from sync_service.engine import settle
from sync_service.engine.outbound import MOVES_PER_MINUTE
from sync_service.settings import Settings
from sync_service.store import queue
from tests.conftest import UserFactory
from tests.engine.world import World, open_world


@pytest.fixture
async def ring(world: World) -> AsyncIterator[World]:
    """The app and two Google calendars, each of which mirrors everything."""
    await world.pool.execute(
        "update calendars set enabled = true, mirror = 'all' where external_id = any($1)",
        ["ada@example.com", TEAM],
    )
    await world.drain()
    yield world


async def round_trip(world: World) -> None:
    """Pull every calendar and do what follows."""
    rows = await world.pool.fetch("select id from calendars where enabled")
    await queue.request_pulls(world.pool, [row["id"] for row in rows], "test")
    await world.drain()


def shown(world: World, calendar: str) -> list[str]:
    """Return the summaries that a Google calendar shows."""
    return sorted(
        event["summary"]
        for event in world.google.events(calendar)
        if event["status"] != "cancelled"
    )


async def test_a_ring_of_three_carries_everything_once_and_falls_silent(ring: World) -> None:
    await ring.add(title="From the app")
    ring.add_there("From the first")
    ring.ada.insert(
        {
            "summary": "From the second",
            "start": {"dateTime": "2026-12-02T10:00:00Z", "timeZone": "UTC"},
            "end": {"dateTime": "2026-12-02T11:00:00Z", "timeZone": "UTC"},
        },
        TEAM,
    )
    for _ in range(4):
        await round_trip(ring)
    everything = ["From the app", "From the first", "From the second"]
    assert await ring.titles() == everything
    assert shown(ring, "ada@example.com") == everything
    assert shown(ring, TEAM) == everything
    await _silent(ring)


async def test_an_edit_goes_round_the_ring_once(ring: World) -> None:
    await ring.add(title="One")
    for _ in range(3):
        await round_trip(ring)
    copy = next(event for event in ring.google.events(TEAM) if event["status"] != "cancelled")
    ring.ada.patch(copy["id"], {"summary": "Edited in the second"}, TEAM)
    before = ring.writes()
    for _ in range(4):
        await round_trip(ring)
    assert shown(ring, "ada@example.com") == ["Edited in the second"] == await ring.titles()
    assert ring.writes() == before + 1
    await _silent(ring)


async def test_a_deletion_goes_round_the_ring_once(ring: World) -> None:
    await ring.add(title="One")
    for _ in range(3):
        await round_trip(ring)
    [copy] = [event for event in ring.google.events(TEAM) if event["status"] != "cancelled"]
    ring.ada.delete(copy["id"], TEAM)
    for _ in range(4):
        await round_trip(ring)
    assert (shown(ring, "ada@example.com"), await ring.titles()) == ([], [])
    await _silent(ring)


async def test_echoes_are_known_without_provenance(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the mark of origin switched off, the comparison with the base alone ends the circle."""

    async def unmarked(*_: object) -> None:
        return

    monkeypatch.setattr(settle, "mark_origin", unmarked)
    event = await world.add(title="One")
    await world.drain()
    world.ada.patch(world.live()[0]["id"], {"summary": "Two"})
    before = world.writes()
    for _ in range(4):
        await world.poll()
    assert (await world.row(event))["title"] == "Two"
    assert world.writes() == before
    await world.assert_silent()


async def test_provenance_alone_sends_nothing_back(world: World) -> None:
    """The trigger itself queues no push to the calendar that a change came from."""
    world.add_there("Theirs")
    await world.poll()
    pushes = await world.pool.fetchval("select count(*) from sync_queue where kind = 'push'")
    assert pushes == 0


@pytest.fixture
async def unlimited(settings: Settings, user: UserFactory) -> AsyncIterator[World]:
    """A world in which no quota slows anything down."""
    generous = settings.model_copy(
        update={"google_user_calls_per_minute": 10**6, "google_project_calls_per_minute": 10**6}
    )
    async with open_world(generous, (await user()).id) as world:
        world.google.configure(user_units_per_minute=None)
        yield world


async def test_what_moves_faster_than_people_is_parked(unlimited: World) -> None:
    world = unlimited
    event = await world.add()
    await world.drain()
    for number in range(MOVES_PER_MINUTE + 5):
        await world.edit(event, title=f"Edit {number}")
        await world.drain()
    row = await world.pool.fetchrow(
        "select status, last_error from sync_queue where kind = 'push' and status <> 'completed'"
    )
    assert row is not None
    assert (row["status"], row["last_error"]["code"]) == ("failed", "moves_too_often")
    assert world.writes() == MOVES_PER_MINUTE + 1
    assert await world.pool.fetchval("select kind from sync_notifications") == "event_not_synced"
    # A minute later an edit is an edit again.
    await world.pool.execute("update event_mappings set moves_since = now() - interval '2 minutes'")
    await world.edit(event, title="By hand")
    await world.converge()
    assert world.summaries() == ["By hand"]


async def _silent(world: World) -> None:
    before = (world.writes(), await _versions(world))
    for _ in range(3):
        await round_trip(world)
    assert (world.writes(), await _versions(world)) == before


async def _versions(world: World) -> dict[UUID, int]:
    rows = await world.pool.fetch("select id, version from calendar_events")
    return {row["id"]: row["version"] for row in rows}
