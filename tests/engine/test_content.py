"""Everything that an event says travels both ways, and what we do not know is left as it is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from sync_service.emulators.google import ADA
from tests.engine.world import World

COLUMNS = [
    "title",
    "description",
    "location",
    "start_time",
    "end_time",
    "all_day",
    "time_zone",
    "recurrence",
    "status",
    "visibility",
    "transparency",
    "attendees",
    "reminders",
    "attachments",
    "conference",
    "color",
    "kind",
    "metadata",
]
VOLATILE = {"etag", "updated", "sequence"}

EVERYTHING: dict[str, Any] = {
    "title": "Board meeting",
    "description": "Agenda\n<b>and</b> minutes",
    "location": "Room 4",
    "status": "tentative",
    "visibility": "private",
    "transparency": "transparent",
    "color": "7",
    "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"],
    "attendees": [
        {
            "email": "guest@example.com",
            "name": "Grace",
            "response": "accepted",
            "optional": True,
            "organizer": False,
        }
    ],
    "reminders": {"use_default": False, "overrides": [{"method": "popup", "minutes": 15}]},
    "attachments": [{"url": "https://drive.example.com/1", "title": "Agenda", "mime_type": "a/b"}],
    "conference": {"url": "https://call.example.com/42"},
    "metadata": {"deal": "D-42", "stage": 3, "flags": {"hot": True, "owners": ["ann", None]}},
}

UNKNOWN: dict[str, Any] = {
    "guestsCanModify": True,
    "guestsCanInviteOthers": False,
    "guestsCanSeeOtherGuests": False,
    "anyoneCanAddSelf": True,
    "gadget": {"type": "weather"},
    "source": {"title": "CRM", "url": "https://crm.example.com/1"},
}
"""What we neither show nor understand."""

FOREIGN_FIELDS: dict[str, Any] = {
    "summary": "Board meeting",
    "description": "<p>Agenda</p>",
    "location": "Room 4",
    "status": "tentative",
    "visibility": "public",
    "transparency": "transparent",
    "colorId": "3",
    "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4", "EXDATE;TZID=Europe/Berlin:20261208T100000"],
    "attendees": [
        {"email": ADA, "responseStatus": "accepted", "comment": "With pleasure"},
        {
            "email": "Guest@Example.com",
            "displayName": "Guest",
            "responseStatus": "tentative",
            "optional": True,
            "additionalGuests": 2,
            "comment": "Bringing two",
        },
    ],
    "reminders": {"useDefault": False, "overrides": [{"method": "email", "minutes": 1440}]},
    "attachments": [
        {
            "fileUrl": "https://drive.example.com/1",
            "title": "Agenda",
            "mimeType": "text/plain",
            "iconLink": "https://drive.example.com/icon",
        }
    ],
    "conferenceData": {
        "conferenceId": "abc-defg-hij",
        "conferenceSolution": {"key": {"type": "hangoutsMeet"}, "name": "Google Meet"},
        "entryPoints": [
            {"entryPointType": "video", "uri": "https://meet.google.com/abc-defg-hij"},
            {"entryPointType": "phone", "uri": "tel:+49-1", "pin": "1234"},
        ],
        "notes": "Ask for the host",
        "signature": "sig",
    },
    "extendedProperties": {
        "private": {"calsync.deal": "D-42", "other": "theirs"},
        "shared": {"team": "blue"},
    },
    **UNKNOWN,
}


async def said(world: World, event: UUID) -> dict[str, Any]:
    row = await world.row(event)
    return {name: row[name] for name in COLUMNS}


async def touch_here(world: World, event: UUID) -> None:
    """Change the event and change it back, each carried to the other side."""
    before = await world.row(event)
    for title in ("Elsewhere", before["title"]):
        await world.edit(event, title=title)
        await world.drain()


def resource(world: World) -> dict[str, Any]:
    """Return Google's only event without what moves at every write."""
    [there] = world.live()
    return {name: value for name, value in there.items() if name not in VOLATILE}


async def test_every_field_goes_there_and_comes_back(world: World) -> None:
    event = await world.add(**EVERYTHING)
    before = await said(world, event)
    await world.converge()
    [there] = world.live()
    assert there["conferenceData"]["entryPoints"] == [
        {"entryPointType": "video", "uri": "https://call.example.com/42"}
    ]
    assert there["attachments"][0]["fileUrl"] == "https://drive.example.com/1"
    assert there["extendedProperties"]["private"]["calsync.deal"] == "D-42"
    # A change on Google's side brings the whole event back.
    world.ada.patch(there["id"], {"location": "Room 5"})
    await world.converge()
    after = await said(world, event)
    assert after.pop("conference")["url"] == before.pop("conference")["url"]
    assert after == before | {"location": "Room 5"}
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_every_field_comes_here_and_goes_back(world: World) -> None:
    world.add_there(**FOREIGN_FIELDS)
    before = resource(world)
    await world.poll()
    event = await world.only_event()
    row = await said(world, event)
    assert row["metadata"] == {"deal": "D-42"}
    assert row["conference"]["url"] == "https://meet.google.com/abc-defg-hij"
    assert row["conference"]["google"]["signature"] == "sig"
    assert [guest["email"] for guest in row["attendees"]] == [ADA, "Guest@Example.com"]
    await touch_here(world, event)
    assert resource(world) == before
    assert await said(world, event) == row
    await world.converge()
    await world.assert_silent()


async def test_lists_are_sent_whole_with_what_we_do_not_know_of_their_entries(world: World) -> None:
    world.add_there(**FOREIGN_FIELDS)
    await world.poll()
    event = await world.only_event()
    row = await world.row(event)
    added = {"email": "new@example.com"}
    await world.edit(
        event,
        attendees=[*row["attendees"], added],
        attachments=[*row["attachments"], {"url": "https://drive.example.com/2"}],
    )
    await world.drain()
    there = resource(world)
    assert [guest.get("comment") for guest in there["attendees"]] == [
        "With pleasure",
        "Bringing two",
        None,
    ]
    assert there["attendees"][1]["additionalGuests"] == 2
    assert there["attachments"][0]["iconLink"] == "https://drive.example.com/icon"
    assert {name: there[name] for name in UNKNOWN} == UNKNOWN
    await world.converge()
    await world.assert_silent()


async def test_what_lives_again_keeps_what_we_do_not_know(world: World) -> None:
    event = await world.add(metadata={"deal": "1", "case": "2"})
    await world.drain()
    [there] = world.live()
    shared = {"extendedProperties": {"shared": {"team": "blue"}, "private": {"other": "theirs"}}}
    world.ada.patch(there["id"], {**UNKNOWN, **shared})
    await world.converge()
    await world.remove(event)
    await world.drain()
    assert world.live() == []
    await world.edit(event, deleted_at=None, metadata={"deal": "1"})
    await world.converge()
    [again] = world.live()
    assert again["id"] == there["id"]
    assert {name: again[name] for name in UNKNOWN} == UNKNOWN
    private = again["extendedProperties"]["private"]
    assert (private["other"], private["calsync.deal"]) == ("theirs", '"1"')
    assert private["calsyncEvent"] == str(event)
    assert "calsync.case" not in private
    assert again["extendedProperties"]["shared"] == {"team": "blue"}
    await world.assert_silent()


# Metadata


async def test_metadata_merges_by_key(world: World) -> None:
    event = await world.add(metadata={"deal": "D-1", "case": "C-1", "gone": "x"})
    await world.drain()
    [there] = world.live()
    world.ada.patch(
        there["id"],
        {"extendedProperties": {"private": {"calsync.case": "C-2", "calsync.gone": None}}},
    )
    await world.edit(event, metadata={"deal": "D-2", "case": "C-1", "gone": "x", "new": [1, 2.5]})
    await world.converge()
    assert (await world.row(event))["metadata"] == {"deal": "D-2", "case": "C-2", "new": [1, 2.5]}
    private = resource(world)["extendedProperties"]["private"]
    assert private["calsync.new"] == "[1,2.5]"
    assert private["calsyncEvent"] == str(event)
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_long_metadata_is_kept_in_parts(world: World) -> None:
    long, longer = "ä" * 3000, {"list": ["x" * 900] * 8}
    event = await world.add(metadata={"note": long, "a key of no letters: ü": longer})
    await world.drain()
    assert len(resource(world)["extendedProperties"]["private"]) > 10
    await world.converge()
    [there] = world.live()
    world.ada.patch(there["id"], {"location": "Elsewhere"})
    await world.converge()
    assert (await world.row(event))["metadata"] == {"note": long, "a key of no letters: ü": longer}
    await world.edit(event, metadata={"note": "short"})
    await world.converge()
    private = resource(world)["extendedProperties"]["private"]
    assert {name for name in private if "calsync." in name or "~" in name} == {"calsync.note"}
    await world.assert_silent()


async def test_more_metadata_than_google_holds_stays_here_and_holds_nothing_back(
    world: World,
) -> None:
    too_much = {f"key{number}": "x" * 900 for number in range(40)}
    event = await world.add(title="First", metadata=too_much)
    await world.drain()
    await world.hurry()
    await world.drain()
    assert world.summaries() == ["First"]
    mapping = await world.mapping(event)
    assert (mapping["status"], mapping["last_error"]["code"]) == ("failed", "unmappable")
    assert "metadata" in mapping["last_error"]["detail"]
    await world.edit(event, title="Second")
    await world.drain()
    await world.drain()
    assert world.summaries() == ["Second"]
    assert (await world.row(event))["metadata"] == too_much
    await world.edit(event, metadata={"key": "little"})
    await world.converge()
    assert (await world.mapping(event))["status"] == "synced"
    await world.assert_silent()


# What Google cannot hold


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"color": "blue"}, "color"),
        ({"conference": {"create": "zoom"}}, "google_meet"),
        ({"attachments": [{"url": f"https://x.example.com/{n}"} for n in range(26)]}, "25"),
        (
            {
                "reminders": {
                    "use_default": False,
                    "overrides": [{"method": "popup", "minutes": n} for n in range(6)],
                }
            },
            "5 reminders",
        ),
        (
            {
                "reminders": {
                    "use_default": False,
                    "overrides": [{"method": "popup", "minutes": 40_321}],
                }
            },
            "40320",
        ),
    ],
)
async def test_what_google_cannot_hold_is_named_and_the_rest_goes(
    world: World, columns: dict[str, Any], said: str
) -> None:
    event = await world.add(location="Room 1", **columns)
    await world.drain()
    await world.drain()
    assert [there["location"] for there in world.live()] == ["Room 1"]
    mapping = await world.mapping(event)
    assert mapping["status"] == "failed"
    assert said in mapping["last_error"]["detail"]
    row = await world.row(event)
    assert {name: row[name] for name in columns} == columns
    writes = world.writes()
    await world.poll()
    assert world.writes() == writes


# Conferences


async def test_a_conference_is_made_on_request(world: World) -> None:
    event = await world.add(conference={"create": "google_meet"})
    await world.drain()
    [there] = world.live()
    assert there["conferenceData"]["createRequest"]["status"]["statusCode"] == "pending"
    await world.poll()
    world.google.clock.advance(1)
    world.google.tick()
    await world.converge()
    conference = (await world.row(event))["conference"]
    assert conference["url"].startswith("https://meet.google.com/")
    assert conference["url"] == world.live()[0]["hangoutLink"]
    assert await world.conflicts() == []
    await world.assert_silent()
    await world.edit(event, conference=None)
    await world.converge()
    assert "conferenceData" not in world.live()[0]
    await world.assert_silent()


async def test_a_conference_that_was_asked_for_and_no_longer_wanted(world: World) -> None:
    event = await world.add(conference={"create": "google_meet"})
    await world.drain()
    world.google.clock.advance(1)
    world.google.tick()
    await world.edit(event, conference=None)
    await world.converge()
    assert "conferenceData" not in world.live()[0]
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_a_request_without_an_answer_makes_one_conference(world: World) -> None:
    event = await world.add()
    await world.drain()
    await world.edit(event, conference={"create": "google_meet"})
    world.google.add_fault("drop_after", operation="events.patch")
    await world.drain()
    world.google.clock.advance(1)
    world.google.tick()
    [made] = world.live()
    await world.converge()
    assert (await world.row(event))["conference"]["url"] == made["hangoutLink"]
    assert world.live()[0]["hangoutLink"] == made["hangoutLink"]
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_googles_conference_can_be_given_to_another_event(world: World) -> None:
    world.add_there("First", **{"conferenceData": FOREIGN_FIELDS["conferenceData"]})
    await world.poll()
    row = await world.row(await world.only_event())
    await world.add(title="Second", conference=row["conference"])
    await world.drain()
    first, second = world.live()
    assert second["conferenceData"] == first["conferenceData"]
    await world.converge()
    await world.assert_silent()


# Kinds


@pytest.mark.parametrize("kind", ["birthday", "outOfOffice", "focusTime", "workingLocation"])
async def test_googles_own_kinds_are_shown_and_left_alone(world: World, kind: str) -> None:
    day = {"start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}}
    world.ada.insert({"summary": "Special", "eventType": kind, **day})
    before = resource(world)
    await world.poll()
    event = await world.only_event()
    assert (await world.row(event))["kind"] == kind
    assert kind in (await world.mapping(event))["provider_data"]["read_only"]
    await world.edit(event, title="Mine")
    await world.drain()
    assert resource(world) == before
    assert (await world.mapping(event))["last_error"]["code"] == "remote_read_only"


# Time


async def test_an_event_without_a_zone_has_its_calendars(world: World) -> None:
    world.google.configure(fill_time_zone=False)
    times = {
        "start": {"dateTime": "2026-12-01T10:00:00Z"},
        "end": {"dateTime": "2026-12-01T11:00:00Z"},
    }
    world.ada.insert({"summary": "Somewhere", **times})
    await world.poll()
    event = await world.only_event()
    zone = (await world.row(event))["time_zone"]
    assert zone == world.google.calendar(ADA).time_zone != "UTC"
    await touch_here(world, event)
    assert (await world.row(event))["time_zone"] == zone
    assert "timeZone" not in resource(world)["start"]
    await world.converge()
    await world.assert_silent()


async def test_an_event_without_length_is_written_only_with_one(world: World) -> None:
    moment = {"dateTime": "2026-12-01T10:00:00+01:00", "timeZone": "Europe/Berlin"}
    world.ada.insert({"summary": "Ring", "start": moment, "end": moment})
    await world.poll()
    event = await world.only_event()
    row = await world.row(event)
    assert row["start_time"] == row["end_time"]
    await touch_here(world, event)
    assert resource(world)["start"] == resource(world)["end"]
    await world.edit(event, time_zone="Europe/London")
    await world.converge()
    assert resource(world)["end"]["dateTime"] == "2026-12-01T10:01:00+01:00"
    await world.assert_silent()
