"""Changes travel both ways, arrive once, and are followed by silence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.engine.world import World


async def test_connecting_lists_calendars_and_opens_a_channel(world: World) -> None:
    rows = await world.pool.fetch("select name, enabled, default_target, state from calendars")
    states = {row["name"]: (row["enabled"], row["default_target"], row["state"]) for row in rows}
    assert [state for state in states.values() if state[0]] == [(True, True, "healthy")]
    assert len(states) > 1
    assert await world.pool.fetchval(
        "select channel_expires_at > now() from calendars where enabled"
    )
    assert len(world.google.world.state.channels) == 1


async def test_create_update_delete_go_out(world: World) -> None:
    event = await world.add(title="Lunch", location="Canteen", description="Soup")
    await world.drain()
    [there] = world.live()
    assert (there["summary"], there["location"], there["description"]) == (
        "Lunch",
        "Canteen",
        "Soup",
    )
    assert there["start"]["timeZone"] == "Europe/Berlin"
    await world.edit(event, title="Late lunch")
    await world.drain()
    [there] = world.live()
    assert (there["summary"], there["location"]) == ("Late lunch", "Canteen")
    await world.remove(event)
    await world.drain()
    assert world.live() == []
    assert world.writes() == 3
    await world.converge()
    await world.assert_silent()


async def test_create_update_delete_come_in(world: World) -> None:
    there = world.add_there("Dentist", location="Main street")
    await world.poll()
    event = await world.only_event()
    row = await world.row(event)
    assert (row["title"], row["location"], row["sync_source"]) == (
        "Dentist",
        "Main street",
        "google",
    )
    assert row["start_time"] == datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert row["calendar_id"] == world.calendar_id
    world.ada.patch(there, {"summary": "Dentist, moved"})
    await world.poll()
    assert await world.titles() == ["Dentist, moved"]
    world.ada.delete(there)
    await world.poll()
    assert await world.titles() == []
    assert (await world.row(event))["deleted_at"] is not None
    assert world.writes() == 0
    await world.assert_silent()


async def test_a_hard_delete_goes_out_too(world: World) -> None:
    await world.add()
    await world.drain()
    await world.pool.execute("delete from calendar_events")
    await world.drain()
    assert world.live() == []
    await world.converge()
    await world.assert_silent()


async def test_an_update_sends_only_what_changed(world: World) -> None:
    event = await world.add()
    await world.drain()
    [there] = world.live()
    # Something that we do not know, set by somebody else.
    world.ada.patch(there["id"], {"guestsCanModify": True, "description": "Theirs"})
    await world.edit(event, title="Ours")
    await world.drain()
    [there] = world.live()
    assert (there["summary"], there["description"], there["guestsCanModify"]) == (
        "Ours",
        "Theirs",
        True,
    )
    await world.converge()
    assert (await world.row(event))["description"] == "Theirs"
    assert await world.conflicts() == []


ALL_FIELDS: dict[str, Any] = {
    "title": "Board meeting",
    "description": "Agenda\nand minutes",
    "location": "Room 4",
    "status": "tentative",
    "visibility": "private",
    "transparency": "transparent",
    "color": "7",
    "attendees": [
        {"email": "grace@example.com", "name": "Grace", "response": "accepted", "optional": True, "organizer": False}
    ],
    "reminders": {"use_default": False, "overrides": [{"method": "popup", "minutes": 15}]},
}  # fmt: skip


async def test_every_field_travels_unharmed(world: World) -> None:
    event = await world.add(**ALL_FIELDS)
    await world.drain()
    [there] = world.live()
    assert there["summary"] == "Board meeting"
    assert there["reminders"]["overrides"] == [{"method": "popup", "minutes": 15}]
    assert there["colorId"] == "7"
    await world.converge()
    row = await world.row(event)
    assert {name: row[name] for name in ALL_FIELDS if name != "attendees"} == {
        name: value for name, value in ALL_FIELDS.items() if name != "attendees"
    }
    await world.assert_silent()


@pytest.mark.parametrize(
    ("start", "end"), [("2027-03-27", "2027-03-29"), ("2026-10-25", "2026-10-26")]
)
async def test_all_day_events_are_dates(world: World, start: str, end: str) -> None:
    world.ada.insert({"summary": "Away", "start": {"date": start}, "end": {"date": end}})
    await world.poll()
    event = await world.only_event()
    row = await world.row(event)
    assert row["all_day"] and row["time_zone"] is None
    assert row["start_time"] == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert row["end_time"] == datetime.fromisoformat(end).replace(tzinfo=UTC)
    await world.edit(event, title="Far away")
    await world.drain()
    [there] = world.live()
    assert (there["start"], there["end"]) == ({"date": start}, {"date": end})
    await world.converge()
    await world.assert_silent()


async def test_timed_becomes_all_day_and_back(world: World) -> None:
    event = await world.add()
    await world.drain()
    midnight = datetime(2026, 12, 1, tzinfo=UTC)
    await world.edit(
        event, all_day=True, time_zone=None, start_time=midnight, end_time=midnight.replace(day=2)
    )
    await world.converge()
    [there] = world.live()
    assert there["start"] == {"date": "2026-12-01"}
    world.ada.patch(
        there["id"],
        {
            "start": {"dateTime": "2026-12-01T08:00:00Z", "timeZone": "UTC", "date": None},
            "end": {"dateTime": "2026-12-01T09:00:00Z", "timeZone": "UTC", "date": None},
        },
    )
    await world.converge()
    row = await world.row(event)
    assert (row["all_day"], row["time_zone"]) == (False, "UTC")


async def test_a_repeated_edit_costs_one_call(world: World) -> None:
    event = await world.add()
    for number in range(50):
        await world.edit(event, title=str(number))
    await world.drain()
    assert world.summaries() == ["49"]
    assert world.writes() == 1


async def test_an_undeleted_event_comes_back_on_both_sides(world: World) -> None:
    event = await world.add()
    await world.drain()
    await world.remove(event)
    await world.drain()
    await world.edit(event, deleted_at=None)
    await world.converge()
    assert world.summaries() == ["Planning"]
    [there] = world.live()
    world.ada.delete(there["id"])
    await world.converge()
    assert await world.titles() == []
    world.ada.patch(there["id"], {"status": "confirmed"})
    await world.converge()
    assert await world.titles() == ["Planning"]
    assert await world.conflicts() == []
    await world.assert_silent()
