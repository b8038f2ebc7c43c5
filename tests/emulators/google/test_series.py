"""Recurring events: occurrences, exceptions, and what an edit of the series does to them."""

from __future__ import annotations

import pytest

from sync_service.emulators.google import ADA, GRACE, TEAM
from tests.emulators.google.client import (
    Google,
    Json,
    event,
    ids,
    meeting,
    reason,
    timed,
    weekly,
)

CONFIRM = {"status": "confirmed"}


def days(first: str, last: str, *lines: str, **more: object) -> Json:
    """An all-day series; the end is exclusive."""
    return {"start": {"date": first}, "end": {"date": last}, "recurrence": list(lines), **more}


async def starts(google: Google) -> list[str]:
    """When the occurrences of everything begin, in order."""
    items = await google.items(singleEvents="true", orderBy="startTime")
    return [item["start"].get("dateTime") or item["start"]["date"] for item in items]


async def feed(google: Google, token: str) -> dict[str, Json]:
    """What has changed since, by id."""
    return {item["id"]: item for item in await google.items(syncToken=token)}


@pytest.mark.parametrize(
    ("body", "stamps"),
    [
        # The clock shows 2:30 twice on that night; the series begins at the second.
        (
            timed("2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z", recurrence=["RRULE:FREQ=DAILY"]),
            ["20261025T013000Z", "20261026T013000Z", "20261027T013000Z"],
        ),
        # There is no 2:30 on March 29; RFC 5545 takes the offset before the gap.
        (
            timed("2026-03-28T02:30:00", "2026-03-28T03:00:00", recurrence=["RRULE:FREQ=DAILY"]),
            ["20260328T013000Z", "20260329T013000Z", "20260330T003000Z"],
        ),
        # A start beside the rule comes first, and counts.
        (
            meeting(day=25, recurrence=["RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=3"]),
            ["20261125T090000Z", "20261201T090000Z", "20261208T090000Z"],
        ),
        # UNTIL includes the occurrence it names.
        (
            meeting(recurrence=["RRULE:FREQ=DAILY;UNTIL=20261126T090000Z"]),
            ["20261124T090000Z", "20261125T090000Z", "20261126T090000Z"],
        ),
        (meeting(recurrence=["RRULE:FREQ=DAILY;UNTIL=20261124T085959Z"]), ["20261124T090000Z"]),
        (
            days("2026-12-30", "2026-12-31", "RRULE:FREQ=DAILY;UNTIL=20270101"),
            ["20261230", "20261231", "20270101"],
        ),
        (
            days(
                "2026-11-24",
                "2026-11-26",
                "RRULE:FREQ=WEEKLY;COUNT=3",
                "EXDATE;VALUE=DATE:20261201",
                "RDATE;VALUE=DATE:20261203,20261208",
            ),
            ["20261124", "20261203", "20261208"],
        ),
        # Months without a 31st are passed over.
        (
            days("2027-01-31", "2027-02-01", "RRULE:FREQ=MONTHLY;COUNT=3"),
            ["20270131", "20270331", "20270531"],
        ),
        (
            meeting(recurrence=["RRULE:FREQ=DAILY;COUNT=4", "EXDATE:20261124T090000Z"]),
            ["20261125T090000Z", "20261126T090000Z", "20261127T090000Z"],
        ),
        # A rule that never comes true leaves the start.
        (meeting(recurrence=["RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"]), ["20261124T090000Z"]),
    ],
)
async def test_occurrences(google: Google, body: Json, stamps: list[str]) -> None:
    master = (await google.insert(body))["id"]
    answer = await google.ok("GET", f"{event(master)}/instances", maxResults=3)
    assert [item["id"] for item in answer["items"]] == [f"{master}_{stamp}" for stamp in stamps]


async def test_an_exception_keeps_its_id_and_its_original_start(google: Google) -> None:
    master = await google.insert(weekly(3, summary="s"))
    one = f"{master['id']}_20261201T090000Z"
    untouched = await google.ok("GET", event(one))
    assert untouched["originalStartTime"] == untouched["start"]
    assert "recurrence" not in untouched
    moved = await google.ok("PUT", event(one), untouched | meeting(day=30, hour=15))
    again = await google.ok("PATCH", event(one), meeting(day=29, hour=8))
    for read in (moved, again, await google.ok("GET", event(one))):
        assert (read["id"], read["recurringEventId"]) == (one, master["id"])
        assert read["originalStartTime"] == untouched["originalStartTime"]
    assert (await google.ok("GET", event(master["id"])))["etag"] == master["etag"]
    assert await starts(google) == [
        "2026-11-24T10:00:00+01:00",
        "2026-11-29T08:00:00+01:00",
        "2026-12-08T10:00:00+01:00",
    ]


async def test_an_all_day_exception(google: Google) -> None:
    body = days("2026-11-24", "2026-11-25", "RRULE:FREQ=WEEKLY;COUNT=3")
    master = (await google.insert(body))["id"]
    one, two = f"{master}_20261201", f"{master}_20261208"
    moved = {"start": {"date": "2026-12-02"}, "end": {"date": "2026-12-04"}}
    read = await google.ok("PATCH", event(one), moved)
    assert read["originalStartTime"] == {"date": "2026-12-01"}
    await google.ok("DELETE", event(two))
    (found,) = [i for i in await google.items() if i["status"] == "cancelled"]
    assert (found["id"], found["originalStartTime"]) == (two, {"date": "2026-12-08"})
    assert await starts(google) == ["2026-11-24", "2026-12-02"]


@pytest.mark.parametrize("how", ["DELETE", "PATCH", "PUT"])
async def test_cancelling_and_reviving_one_occurrence(google: Google, how: str) -> None:
    master = await google.insert(weekly(3, summary="s"))
    one = f"{master['id']}_20261201T090000Z"
    body = await google.ok("GET", event(one)) | {"status": "cancelled"}
    sent = {"DELETE": None, "PATCH": {"status": "cancelled"}, "PUT": body}[how]
    await google.ok(how, event(one), sent)
    assert reason(await google.call("DELETE", event(one))) == (410, "deleted")
    assert len(await starts(google)) == 2
    assert (await google.ok("GET", event(master["id"])))["recurrence"] == master["recurrence"]
    # The series goes on being edited; the occurrence comes back as it would be now.
    await google.ok("PATCH", event(master["id"]), {"summary": "t"})
    token = await google.sync_token()
    revived = await google.ok("PATCH", event(one), CONFIRM)
    assert (revived["status"], revived["summary"]) == ("confirmed", "t")
    assert revived["start"] == revived["originalStartTime"]
    assert ids(await google.items(syncToken=token)) == [one]
    assert len(await starts(google)) == 3


async def test_a_moved_occurrence_comes_back_where_it_was(google: Google) -> None:
    master = (await google.insert(weekly(3)))["id"]
    one = f"{master}_20261201T090000Z"
    await google.ok("PATCH", event(one), meeting(day=30, hour=15))
    await google.ok("DELETE", event(one))
    revived = await google.ok("PATCH", event(one), CONFIRM)
    assert revived["start"]["dateTime"] == "2026-11-30T15:00:00+01:00"


async def test_what_no_longer_occurs_cannot_be_revived(google: Google) -> None:
    master = (await google.insert(weekly(4)))["id"]
    one = f"{master}_20261215T090000Z"
    await google.ok("PATCH", event(one), {"summary": "own"})
    await google.ok("PATCH", event(master), weekly(2))
    assert (await google.ok("GET", event(one)))["status"] == "cancelled"
    assert reason(await google.call("PATCH", event(one), CONFIRM)) == (403, "forbidden")
    await google.ok("PATCH", event(master), weekly(4))
    assert (await google.ok("GET", event(one)))["status"] == "cancelled"
    assert (await google.ok("PATCH", event(one), CONFIRM))["summary"] == "own"


async def test_edits_of_the_series_flow_into_untouched_fields(google: Google) -> None:
    master = (await google.insert(weekly(3, summary="s", location="here")))["id"]
    named, moved = f"{master}_20261201T090000Z", f"{master}_20261208T090000Z"
    await google.ok("PATCH", event(named), {"summary": "own", "description": "d"})
    await google.ok("PATCH", event(moved), meeting(day=30, hour=15))
    token = await google.sync_token()
    # An hour longer, renamed, nowhere, tentative.
    longer = {"end": {"dateTime": "2026-11-24T12:00:00+01:00", "timeZone": "Europe/Berlin"}}
    changes = longer | {"summary": "t", "location": None, "status": "tentative"}
    await google.ok("PATCH", event(master), changes)
    found = await feed(google, token)
    assert found.keys() == {master, named, moved}
    assert (found[named]["summary"], found[named]["description"]) == ("own", "d")
    assert (found[moved]["summary"], found[moved]["status"]) == ("t", "tentative")
    assert "location" not in found[named]
    assert found[named]["end"]["dateTime"] == "2026-12-01T12:00:00+01:00"
    assert found[moved]["end"]["dateTime"] == "2026-11-30T16:00:00+01:00"
    google.emulator.configure(master_edits_flow=False)
    token = await google.sync_token()
    await google.ok("PATCH", event(master), {"summary": "u"})
    assert (await feed(google, token)).keys() == {master}


async def test_a_new_start_keeps_the_exceptions_that_still_occur(google: Google) -> None:
    master = (await google.insert(weekly(4, summary="s")))["id"]
    kept, dropped = f"{master}_20261201T090000Z", f"{master}_20261124T090000Z"
    gone = f"{master}_20261208T090000Z"
    await google.ok("PATCH", event(kept), {"summary": "kept"})
    await google.ok("PATCH", event(dropped), {"summary": "dropped"})
    await google.ok("DELETE", event(gone))
    token = await google.sync_token()
    later = timed("2026-12-01T10:00:00", "2026-12-01T11:00:00")
    await google.ok("PATCH", event(master), later)
    found = await feed(google, token)
    assert {i: item["status"] for i, item in found.items()} == {
        master: "confirmed",
        dropped: "cancelled",
    }
    assert await starts(google) == [
        "2026-12-01T10:00:00+01:00",
        "2026-12-15T10:00:00+01:00",
        "2026-12-22T10:00:00+01:00",
    ]
    # Another hour: nothing occurs when it did.
    token = await google.sync_token()
    await google.ok("PATCH", event(master), timed("2026-12-01T11:00:00", "2026-12-01T12:00:00"))
    assert (await feed(google, token))[kept]["status"] == "cancelled"
    assert len(await starts(google)) == 4


async def test_another_zone_moves_what_lies_between_the_clock_changes(google: Google) -> None:
    body = timed("2026-10-19T15:00:00", "2026-10-19T16:00:00", recurrence=["RRULE:FREQ=WEEKLY"])
    master = (await google.insert(body))["id"]
    stamps = ["20261019T130000Z", "20261026T140000Z", "20261102T140000Z"]
    for stamp in stamps:
        await google.ok("PATCH", event(f"{master}_{stamp}"), {"summary": stamp})
    token = await google.sync_token()
    # The same first instant; New York changes its clocks a week after Berlin.
    ny = timed("2026-10-19T09:00:00", "2026-10-19T10:00:00", "America/New_York")
    changed = await google.ok("PATCH", event(master), ny)
    assert changed["start"] == {
        "dateTime": "2026-10-19T15:00:00+02:00",
        "timeZone": "America/New_York",
    }
    found = await feed(google, token)
    assert {i: item["status"] for i, item in found.items()} == {
        master: "confirmed",
        f"{master}_{stamps[0]}": "confirmed",
        f"{master}_{stamps[1]}": "cancelled",
        f"{master}_{stamps[2]}": "confirmed",
    }
    assert found[f"{master}_{stamps[2]}"]["start"]["timeZone"] == "America/New_York"
    assert (await starts(google))[:3] == [
        "2026-10-19T15:00:00+02:00",
        "2026-10-26T14:00:00+01:00",
        "2026-11-02T15:00:00+01:00",
    ]


async def test_a_series_becomes_a_single_event(google: Google) -> None:
    master = (await google.insert(weekly(3)))["id"]
    moved, gone = f"{master}_20261201T090000Z", f"{master}_20261208T090000Z"
    await google.ok("PATCH", event(moved), {"summary": "x"})
    await google.ok("DELETE", event(gone))
    token = await google.sync_token()
    # PUT resets what it does not name, the recurrence too.
    await google.ok("PUT", event(master), meeting())
    assert {i: item["status"] for i, item in (await feed(google, token)).items()} == {
        master: "confirmed",
        moved: "cancelled",
    }
    assert ids(await google.items()) == [master]
    assert len(await starts(google)) == 1


async def test_a_deleted_series_comes_back_with_its_exceptions(google: Google) -> None:
    master = (await google.insert(weekly(4, summary="s")))["id"]
    moved, gone = f"{master}_20261201T090000Z", f"{master}_20261208T090000Z"
    await google.ok("PATCH", event(moved), meeting(day=30, hour=15, status="tentative"))
    await google.ok("DELETE", event(gone))
    before = await starts(google)
    expanded = await google.sync_token(singleEvents="true")
    await google.ok("DELETE", event(master))
    assert reason(await google.call("GET", event(f"{master}_20261124T090000Z")))[0] == 404
    assert reason(await google.call("PATCH", event(moved), CONFIRM)) == (403, "forbidden")
    token = await google.sync_token()
    await google.ok("PATCH", event(master), CONFIRM)
    found = await feed(google, token)
    assert {i: item["status"] for i, item in found.items()} == {
        master: "confirmed",
        moved: "tentative",
    }
    assert await starts(google) == before
    once = ids(await google.items(singleEvents="true", syncToken=expanded))
    assert len(once) == len(set(once))
    google.emulator.configure(exceptions_revive=False)
    await google.ok("DELETE", event(master))
    await google.ok("PATCH", event(master), CONFIRM)
    assert (await google.ok("GET", event(moved)))["status"] == "cancelled"


async def test_cancelled_occurrences_last_as_long_as_their_series(google: Google) -> None:
    master = (await google.insert(weekly(2)))["id"]
    gone = f"{master}_20261201T090000Z"
    ada = google.emulator.person(ADA)
    ada.delete(gone)
    google.emulator.clock.advance(60 * 86400)
    assert ada.get(gone)["status"] == "cancelled"
    assert gone in ids(google.emulator.events(ADA))
    fresh = {"Authorization": f"Bearer {google.emulator.issue_tokens(ADA, ['calendar'])[0]}"}
    assert ids(await google.items(headers=fresh)) == [master, gone]
    ada.delete(master)
    assert ids(await google.items(headers=fresh, showDeleted="true")) == [master, gone]
    google.emulator.configure(tombstone_fields="minimal")
    for item in await google.items(headers=fresh, showDeleted="true"):
        assert item.keys() == {"kind", "etag", "id", "status"}
    google.emulator.clock.advance(30 * 86400 + 1)
    fresh = {"Authorization": f"Bearer {google.emulator.issue_tokens(ADA, ['calendar'])[0]}"}
    assert await google.items(headers=fresh, showDeleted="true") == []
    assert reason(await google.call("GET", event(gone), headers=fresh)) == (404, "notFound")


async def test_minimal_tombstones_still_name_the_series_that_lives(google: Google) -> None:
    google.emulator.configure(tombstone_fields="minimal")
    master = (await google.insert(weekly(2)))["id"]
    await google.ok("DELETE", event(f"{master}_20261201T090000Z"))
    (item,) = [i for i in await google.items() if i["status"] == "cancelled"]
    assert item["recurringEventId"] == master
    assert "originalStartTime" in item


@pytest.mark.parametrize("order", ["stable", "reversed"])
async def test_exceptions_may_come_before_their_series_on_other_pages(
    google: Google, order: str
) -> None:
    google.emulator.configure(list_order=order)
    token = await google.sync_token()
    master = (await google.insert(weekly(3)))["id"]
    moved, gone = f"{master}_20261201T090000Z", f"{master}_20261208T090000Z"
    await google.ok("PATCH", event(moved), {"summary": "x"})
    await google.ok("DELETE", event(gone))
    expected = [master, moved, gone] if order == "stable" else [gone, moved, master]
    for query in ({}, {"syncToken": token}):
        seen: list[str] = []
        page: Json = {"nextPageToken": None}
        while "nextPageToken" in page:
            more = {"pageToken": page["nextPageToken"]} if page["nextPageToken"] else {}
            page = await google.list(maxResults=1, query={**query, **more})
            seen += [item["id"] for item in page["items"]]
        assert seen == expected


async def test_moving_a_series(google: Google) -> None:
    master = (await google.insert(weekly(3, attendees=[{"email": GRACE}])))["id"]
    moved, gone = f"{master}_20261201T090000Z", f"{master}_20261208T090000Z"
    await google.ok("PATCH", event(moved), {"summary": "x"})
    await google.ok("DELETE", event(gone))
    here, there = await google.sync_token(), await google.sync_token(TEAM)
    await google.ok("POST", f"{event(master)}/move", destination=TEAM)
    left = await google.items(syncToken=here, showDeleted="true")
    assert {i["id"]: i["status"] for i in left} == dict.fromkeys((master, moved, gone), "cancelled")
    assert all("start" not in item for item in left)
    arrived = {i["id"]: i for i in await google.items(TEAM, syncToken=there)}
    assert {i: item["status"] for i, item in arrived.items()} == {
        master: "confirmed",
        moved: "confirmed",
        gone: "cancelled",
    }
    assert arrived[moved]["organizer"]["email"] == TEAM
    theirs = await google.ok("GET", event(moved), who=GRACE)
    assert (theirs["organizer"]["email"], theirs["status"]) == (TEAM, "confirmed")


async def test_guests_follow_the_organizers_series(google: Google) -> None:
    grace: Json = {"who": GRACE}
    master = (await google.insert(weekly(4, summary="s", attendees=[{"email": GRACE}])))["id"]
    one, two, three = (f"{master}_{d}T090000Z" for d in ("20261201", "20261208", "20261215"))
    await google.ok("DELETE", event(one))
    assert (await google.ok("GET", event(one), **grace))["status"] == "cancelled"
    await google.ok("PATCH", event(two), {"summary": "special"})
    # A guest removes one occurrence from her own calendar; it stays away.
    await google.ok("DELETE", event(three), **grace)
    status = (await google.ok("GET", event(three)))["attendees"][0]["responseStatus"]
    assert status == "declined"
    await google.ok("PATCH", event(master), {"summary": "t", "location": "l"})
    assert (await google.ok("GET", event(three), **grace))["status"] == "cancelled"
    theirs = await google.ok("GET", event(two), **grace)
    assert (theirs["summary"], theirs["location"]) == ("special", "l")
    # A guest invited later gets the series as it is, without what is cancelled.
    people = [{"email": GRACE}, {"email": "kay@example.com"}]
    google.emulator.create_account("kay@example.com")
    await google.ok("PATCH", event(master), {"attendees": people})
    kay = await google.items(who="kay@example.com", singleEvents="true", orderBy="startTime")
    assert [item["summary"] for item in kay] == ["t", "special"]
    shorter = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"]}
    await google.ok("PATCH", event(master), shorter)
    assert (await google.ok("GET", event(two), **grace))["status"] == "cancelled"
    await google.ok("DELETE", event(master))
    assert await google.items(singleEvents="true", **grace) == []
    assert await google.items(**grace) == []
