"""The emulator's faithfulness checklist, statements 31 to 50: writes."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

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

EVENTS = "calendars/primary/events"


async def test_31_insert_returns_the_stored_event(google: Google) -> None:
    answer = await google.call("POST", EVENTS, {**meeting(summary="Plan"), "id": "abcde12345"})
    made = answer.json()
    assert answer.status_code == 200
    assert answer.headers["etag"] == made["etag"]
    assert made["etag"].startswith('"')
    assert (made["iCalUID"], made["sequence"]) == ("abcde12345@google.com", 0)
    assert (made["status"], made["eventType"]) == ("confirmed", "default")
    assert made["reminders"] == {"useDefault": True}
    assert made["creator"] == made["organizer"] == {"email": ADA, "self": True}
    assert made["created"].endswith(".000Z")
    eid = parse_qs(urlsplit(str(made["htmlLink"])).query)["eid"][0]
    assert base64.urlsafe_b64decode(eid + "==").decode() == f"abcde12345 {ADA}"
    server_made = await google.insert(meeting())
    assert len(server_made["id"]) == 26
    team = await google.insert(meeting(), TEAM)
    assert team["organizer"] == {"email": TEAM, "displayName": "Team", "self": True}
    assert team["creator"] == {"email": ADA}


@pytest.mark.parametrize(
    "event_id",
    ["abcd", "ABCDE", "wxyz1", "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "a" * 1025, "é" * 6],
)
async def test_32_ids_outside_the_alphabet_are_refused(google: Google, event_id: str) -> None:
    answer = await google.call("POST", EVENTS, {**meeting(), "id": event_id})
    assert reason(answer) == (400, "invalid")
    assert answer.json()["error"]["message"] == "Invalid resource id value."


@pytest.mark.parametrize(
    "event_id", ["abcde", "0v9fa", "5" * 1024, "1b4e28ba2fa111d2883f0016d3cca427"]
)
async def test_32_ids_of_the_alphabet_are_kept(google: Google, event_id: str) -> None:
    assert (await google.insert({**meeting(), "id": event_id}))["id"] == event_id


async def test_33_ids_in_use_are_refused_even_when_deleted(google: Google) -> None:
    body = {**meeting(), "id": "0123456789abcdef"}
    await google.insert(body)
    assert reason(await google.call("POST", EVENTS, body)) == (409, "duplicate")
    await google.ok("DELETE", event(body["id"]))
    answer = await google.call("POST", EVENTS, body)
    assert reason(answer) == (409, "duplicate")
    assert answer.json()["error"]["message"] == "The requested identifier already exists."
    await google.insert(body, TEAM)


BERLIN = {"timeZone": "Europe/Berlin"}
TEN = {"dateTime": "2026-11-24T10:00:00+01:00"}
ELEVEN = {"dateTime": "2026-11-24T11:00:00+01:00"}
LOCAL = {"dateTime": "2026-11-24T10:00:00"}


@pytest.mark.parametrize(
    ("body", "expected", "message"),
    [
        ({"start": TEN}, "required", "Missing end time."),
        ({"end": TEN}, "required", "Missing start time."),
        ({"start": TEN, "end": {}}, "required", "Missing end time."),
        ({"start": TEN, "end": {"date": "2026-11-25"}}, "invalid", None),
        ({"start": {**TEN, "date": "2026-11-24"}, "end": ELEVEN}, "invalid", None),
        (
            {"start": {**TEN, "timeZone": "UTC+2"}, "end": ELEVEN},
            "invalid",
            "Invalid time zone definition for start time.",
        ),
        (
            {"start": {**TEN, "timeZone": "W. Europe Standard Time"}, "end": ELEVEN},
            "invalid",
            "Invalid time zone definition for start time.",
        ),
        (
            {"start": LOCAL, "end": ELEVEN},
            "required",
            "Missing time zone definition for start time.",
        ),
        (
            {"start": TEN, "end": ELEVEN, "recurrence": ["RRULE:FREQ=DAILY"]},
            "required",
            "Missing time zone definition for start time.",
        ),
        (
            {**meeting(), "recurrence": ["RRULE:FREQ=SOMETIMES"]},
            "invalid",
            "Invalid recurrence rule.",
        ),
        ({**meeting(), "recurrence": ["DTSTART:20261124T100000"]}, "invalid", None),
        (
            {**meeting(), "recurrence": ["RRULE:FREQ=DAILY;COUNT=2;UNTIL=20261201T000000Z"]},
            "invalid",
            None,
        ),
        ({**meeting(), "visibility": "loud"}, "invalid", None),
        ({**meeting(), "summary": 7}, "invalid", None),
        ({**meeting(), "colorId": "99"}, "invalid", None),
    ],
)
async def test_34_malformed_events_are_refused(
    google: Google, body: Json, expected: str, message: str | None
) -> None:
    answer = await google.call("POST", EVENTS, body)
    assert reason(answer) == (400, expected), answer.text
    if message is not None:
        assert answer.json()["error"]["message"] == message


async def test_34_a_body_that_is_not_json(google: Google) -> None:
    answer = await google.http.post(
        "/calendar/v3/calendars/primary/events",
        content=b"{",
        headers={"Authorization": f"Bearer {google.token()}"},
    )
    assert reason(answer) == (400, "parseError")
    assert answer.json()["error"]["message"] == "Parse Error"


async def test_35_empty_ranges_are_refused_but_can_be_read(google: Google) -> None:
    backwards = {"start": ELEVEN, "end": TEN}
    zero = {"start": TEN, "end": TEN}
    no_day = {"start": {"date": "2026-11-24"}, "end": {"date": "2026-11-24"}}
    for body in (backwards, zero, no_day):
        answer = await google.call("POST", EVENTS, body)
        assert reason(answer) == (400, "timeRangeEmpty")
        assert answer.json()["error"]["errors"][0]["domain"] == "calendar"
    made = google.emulator.person(ADA).insert(zero)
    (read,) = await google.items()
    assert read["id"] == made["id"]
    assert read["start"] == read["end"]
    google.emulator.configure(equal_times="accept")
    await google.insert(zero)
    assert reason(await google.call("POST", EVENTS, backwards))[0] == 400


async def test_36_put_resets_what_is_missing(google: Google) -> None:
    made = await google.insert(
        meeting(
            summary="a",
            description="b",
            colorId="3",
            transparency="transparent",
            attendees=[{"email": "x@example.org"}],
            extendedProperties={"private": {"k": "v"}},
        )
    )
    replaced = await google.ok("PUT", event(made["id"]), meeting(summary="c"))
    for name in ("description", "colorId", "transparency", "attendees", "extendedProperties"):
        assert name not in replaced
    assert replaced["summary"] == "c"
    assert (replaced["iCalUID"], replaced["created"]) == (made["iCalUID"], made["created"])
    assert reason(await google.call("PUT", event("abcde99999"), meeting())) == (404, "notFound")
    assert reason(await google.call("PUT", event(made["id"]), {"summary": "d"}))[0] == 400


async def test_36_patch_merges(google: Google) -> None:
    made = await google.insert(
        meeting(
            summary="a",
            description="b",
            attendees=[{"email": "x@example.org"}, {"email": "y@example.org"}],
            extendedProperties={"private": {"k": "v", "l": "w"}},
        )
    )
    changes = {
        "description": None,
        "location": "here",
        "attendees": [{"email": "z@example.org"}],
        "extendedProperties": {"private": {"k": None, "m": "x"}},
        "unknown": 1,
        "htmlLink": "ignored",
    }
    patched = await google.ok("PATCH", event(made["id"]), changes)
    assert "description" not in patched
    assert (patched["summary"], patched["location"]) == ("a", "here")
    assert [a["email"] for a in patched["attendees"]] == ["z@example.org"]
    assert patched["extendedProperties"] == {"private": {"l": "w", "m": "x"}}
    day = {"start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}}
    assert (await google.call("PATCH", event(made["id"]), day)).status_code == 400
    for part in day.values():
        part |= {"dateTime": None, "timeZone": None}
    assert (await google.ok("PATCH", event(made["id"]), day))["start"] == {"date": "2026-12-01"}


async def test_36_version_flags_protect(google: Google) -> None:
    conference = {"entryPoints": [{"entryPointType": "video", "uri": "https://meet.test/x"}]}
    file = {"fileUrl": "https://files.test/1", "title": "f"}
    body = meeting(
        conferenceData=conference, attachments=[file], colorId="2", eventLabelId="label-1"
    )
    flags: Json = {"conferenceDataVersion": 1, "supportsAttachments": "true"}
    ignored = await google.insert(body)
    assert "conferenceData" not in ignored
    assert "attachments" not in ignored
    assert "eventLabelId" not in ignored
    made = await google.insert(body, query=flags)
    assert made["hangoutLink"] == "https://meet.test/x"
    kept = await google.ok("PUT", event(made["id"]), meeting())
    assert (kept["conferenceData"], kept["attachments"]) == (conference, [file])
    kept = await google.ok("PATCH", event(made["id"]), {"conferenceData": None})
    assert "conferenceData" in kept
    gone = await google.ok("PUT", event(made["id"]), meeting(), query=flags)
    assert "conferenceData" not in gone
    assert "attachments" not in gone
    labelled = await google.insert(body, eventLabelVersion=1)
    assert labelled["eventLabelId"] == "label-1"
    assert "colorId" not in labelled
    kept = await google.ok("PUT", event(labelled["id"]), meeting())
    assert kept["eventLabelId"] == "label-1"
    bare = await google.ok("PUT", event(labelled["id"]), meeting(), eventLabelVersion=1)
    assert "eventLabelId" not in bare


async def test_37_every_change_has_an_etag_of_its_own(google: Google) -> None:
    google.emulator.clock.freeze()
    made = await google.insert(meeting())
    seen = [made["etag"]]
    for changes in ({"summary": "a"}, {"summary": "b"}, {"summary": "a"}, {"summary": "a"}):
        seen.append((await google.ok("PATCH", event(made["id"]), changes))["etag"])
    assert len(set(seen)) == len(seen)
    google.emulator.clock.advance(60)
    before = await google.ok("GET", event(made["id"]))
    token = await google.sync_token()
    reminders = {
        "reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 5}]}
    }
    after = await google.ok("PATCH", event(made["id"]), reminders)
    assert after["updated"] == before["updated"]
    assert after["etag"] != before["etag"]
    assert ids(await google.items(syncToken=token)) == [made["id"]]
    google.emulator.configure(reminders_in_feed=False, noop_writes="ignore")
    token = await google.sync_token()
    await google.ok("PATCH", event(made["id"]), {"reminders": None})
    same = await google.ok("PATCH", event(made["id"]), {"reminders": None})
    assert same["etag"] == (await google.ok("GET", event(made["id"])))["etag"]
    assert await google.items(syncToken=token) == []


async def test_37_sequence_counts_moves(google: Google) -> None:
    made = await google.insert(meeting())
    assert (await google.ok("PATCH", event(made["id"]), {"summary": "x"}))["sequence"] == 0
    moved = await google.ok("PATCH", event(made["id"]), meeting(hour=12))
    assert moved["sequence"] == 1
    lower = await google.call("PATCH", event(made["id"]), {"sequence": 0})
    assert reason(lower) == (400, "invalid")


async def test_38_preconditions(google: Google) -> None:
    made = await google.insert(meeting(summary="a"))
    path = event(made["id"])
    fresh = await google.ok("PATCH", path, {"summary": "b"}, headers={"If-Match": made["etag"]})
    stale = {"If-Match": made["etag"]}
    for method, body in (("PUT", meeting(summary="c")), ("PATCH", {"summary": "c"})):
        answer = await google.call(method, path, body, headers=stale)
        assert reason(answer) == (412, "conditionNotMet")
        error = answer.json()["error"]["errors"][0]
        assert (error["locationType"], error["location"]) == ("header", "If-Match")
    assert reason(await google.call("DELETE", path, headers=stale)) == (412, "conditionNotMet")
    assert (await google.ok("GET", path))["etag"] == fresh["etag"]
    unchanged = await google.call("GET", path, headers={"If-None-Match": fresh["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    changed = await google.call("GET", path, headers=stale | {"If-None-Match": made["etag"]})
    assert changed.status_code == 200
    assert (
        await google.call("DELETE", path, headers={"If-Match": fresh["etag"]})
    ).status_code == 204


async def test_39_deleting(google: Google) -> None:
    made = await google.insert(meeting())
    answer = await google.call("DELETE", event(made["id"]))
    assert (answer.status_code, answer.content) == (204, b"")
    again = await google.call("DELETE", event(made["id"]))
    assert reason(again) == (410, "deleted")
    assert again.json()["error"]["message"] == "Resource has been deleted"
    assert reason(await google.call("DELETE", event("never12345"))) == (404, "notFound")
    assert (await google.ok("GET", event(made["id"])))["status"] == "cancelled"
    other = await google.insert(meeting())
    gone = await google.ok("PATCH", event(other["id"]), {"status": "cancelled"})
    assert gone["status"] == "cancelled"
    assert reason(await google.call("DELETE", event(other["id"])))[0] == 410


async def test_40_reviving(google: Google) -> None:
    made = await google.insert(meeting(summary="kept"))
    await google.ok("DELETE", event(made["id"]))
    back = await google.ok("PATCH", event(made["id"]), {"status": "confirmed"})
    assert (back["status"], back["summary"], back["id"]) == ("confirmed", "kept", made["id"])
    await google.ok("DELETE", event(made["id"]))
    body = {**meeting(summary="new"), "status": "confirmed"}
    assert (await google.ok("PUT", event(made["id"]), body))["summary"] == "new"
    await google.ok("DELETE", event(made["id"]))
    google.emulator.configure(revive_tombstones=False)
    refused = await google.call("PATCH", event(made["id"]), {"status": "confirmed"})
    assert reason(refused) == (403, "forbidden")


async def test_41_exceptions(google: Google) -> None:
    master = await google.insert(weekly(3, summary="s", extendedProperties={"private": {"k": "v"}}))
    moved_id = f"{master['id']}_20261201T090000Z"
    token = await google.sync_token()
    moved = await google.ok("PATCH", event(moved_id), meeting(day=30, hour=15))
    assert (moved["id"], moved["recurringEventId"]) == (moved_id, master["id"])
    assert moved["originalStartTime"]["dateTime"] == "2026-12-01T10:00:00+01:00"
    assert (moved["iCalUID"], moved["summary"]) == (master["iCalUID"], "s")
    assert moved["extendedProperties"] == {"private": {"k": "v"}}
    cancelled_id = f"{master['id']}_20261208T090000Z"
    await google.ok("DELETE", event(cancelled_id))
    delta = {item["id"]: item for item in await google.items(syncToken=token)}
    assert delta.keys() == {moved_id, cancelled_id}
    assert delta[cancelled_id]["recurringEventId"] == master["id"]
    assert (await google.ok("GET", event(master["id"])))["recurrence"] == master["recurrence"]
    answer = await google.ok("GET", f"{event(master['id'])}/instances")
    assert ids(answer["items"]) == [f"{master['id']}_20261124T090000Z", moved_id]
    shown = await google.ok("GET", f"{event(master['id'])}/instances", showDeleted="true")
    assert len(shown["items"]) == 3
    by_start = {"originalStart": "2026-12-01T10:00:00+01:00"}
    (found,) = (await google.ok("GET", f"{event(master['id'])}/instances", **by_start))["items"]
    assert found["id"] == moved_id
    on_instance = {"recurrence": ["RRULE:FREQ=DAILY"]}
    refused = await google.call("PATCH", event(moved_id), on_instance)
    assert reason(refused) == (400, "invalid")
    restored = await google.ok("PATCH", event(cancelled_id), {"status": "confirmed"})
    assert restored["status"] == "confirmed"
    nowhere = event(f"{master['id']}_20261202T090000Z")
    assert reason(await google.call("GET", nowhere)) == (404, "notFound")


async def test_41_a_changed_series_keeps_exceptions_that_still_occur(google: Google) -> None:
    master = (await google.insert(weekly(4, summary="s")))["id"]
    kept, dropped = f"{master}_20261201T090000Z", f"{master}_20261215T090000Z"
    await google.ok("PATCH", event(kept), {"summary": "own"})
    await google.ok("PATCH", event(dropped), {"location": "x"})
    token = await google.sync_token()
    shorter = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=2"], "description": "new"}
    await google.ok("PATCH", event(master), {**shorter, "summary": "t"})
    delta = {item["id"]: item for item in await google.items(syncToken=token)}
    assert delta[dropped]["status"] == "cancelled"
    assert (delta[kept]["summary"], delta[kept]["description"]) == ("own", "new")
    google.emulator.configure(orphaned_exceptions="keep", master_edits_flow=False)
    await google.ok("PATCH", event(master), {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=1"]})
    assert (await google.ok("GET", event(kept)))["status"] == "confirmed"
    single = await google.ok("PATCH", event(master), {"recurrence": []})
    assert "recurrence" not in single


async def test_41_this_and_following_in_the_interface(google: Google) -> None:
    master = (await google.insert(weekly(4, summary="s")))["id"]
    at = f"{master}_20261208T090000Z"
    rest = google.emulator.person(ADA).split(at, {"summary": "later"})
    assert rest["id"] == f"{master}_R20261208T090000"
    assert rest["recurrence"] == ["RRULE:FREQ=WEEKLY;COUNT=2"]
    first = await google.ok("GET", event(master))
    assert first["recurrence"] == ["RRULE:FREQ=WEEKLY;UNTIL=20261208T085959Z"]
    found = await google.items(singleEvents="true", orderBy="startTime")
    assert [item["summary"] for item in found] == ["s", "s", "later", "later"]


async def test_41_tightening_one_occurrence_tightens_the_series(google: Google) -> None:
    master = (await google.insert(weekly(3)))["id"]
    one = event(f"{master}_20261201T090000Z")
    await google.ok("PATCH", one, {"visibility": "private"})
    assert (await google.ok("GET", event(master)))["visibility"] == "private"
    loosened = await google.ok("PATCH", one, {"visibility": "default"})
    assert loosened["visibility"] == "private"


async def test_42_deleting_a_series(google: Google) -> None:
    master = (await google.insert(weekly(3)))["id"]
    exception = f"{master}_20261201T090000Z"
    await google.ok("PATCH", event(exception), {"summary": "x"})
    token = await google.sync_token()
    await google.ok("DELETE", event(master))
    delta = {item["id"]: item for item in await google.items(syncToken=token)}
    assert {i: item["status"] for i, item in delta.items()} == {
        master: "cancelled",
        exception: "cancelled",
    }
    assert reason(await google.call("GET", f"{event(master)}/instances")) == (404, "notFound")


async def test_43_moving(google: Google) -> None:
    made = await google.insert(meeting(summary="m"))
    here, there = await google.sync_token(), await google.sync_token(TEAM)
    moved = await google.ok("POST", f"{event(made['id'])}/move", destination=TEAM)
    assert (moved["id"], moved["iCalUID"]) == (made["id"], made["iCalUID"])
    assert moved["organizer"]["email"] == TEAM
    (left,) = await google.items(syncToken=here, showDeleted="true")
    assert left.keys() == {"kind", "etag", "id", "status"}
    (arrived,) = await google.items(TEAM, syncToken=there)
    assert arrived["summary"] == "m"
    back = await google.ok("POST", f"{event(made['id'], TEAM)}/move", destination=ADA)
    assert back["status"] == "confirmed"
    focus = await google.insert(meeting(eventType="focusTime"))
    refused = await google.call("POST", f"{event(focus['id'])}/move", destination=TEAM)
    assert refused.status_code == 400
    master = (await google.insert(weekly(2)))["id"]
    instance = event(f"{master}_20261201T090000Z")
    assert (await google.call("POST", f"{instance}/move", destination=TEAM)).status_code == 400
    assert reason(await google.call("POST", f"{event(master)}/move")) == (400, "required")


async def test_44_extended_properties_are_dropped_and_cut_in_silence(google: Google) -> None:
    properties = {"private": {"k" * 44: "v" * 1025, "k" * 45: "gone"}, "shared": {"s": "t"}}
    body = meeting(extendedProperties=properties, attendees=[{"email": GRACE}])
    made = await google.insert(body)
    assert made["extendedProperties"] == {
        "private": {"k" * 44: "v" * 1024},
        "shared": {"s": "t"},
    }
    copy = await google.ok("GET", event(made["id"]), who=GRACE)
    assert copy["extendedProperties"] == {"shared": {"s": "t"}}
    own = {"extendedProperties": {"private": {"mine": "1"}}}
    await google.ok("PATCH", event(made["id"]), own, who=GRACE)
    await google.ok("PATCH", event(made["id"]), {"summary": "new"})
    copy = await google.ok("GET", event(made["id"]), who=GRACE)
    assert (copy["summary"], copy["extendedProperties"]["private"]) == ("new", {"mine": "1"})
    assert (
        "mine" not in (await google.ok("GET", event(made["id"])))["extendedProperties"]["private"]
    )


@pytest.mark.parametrize(
    "reminders",
    [
        {"useDefault": False, "overrides": [{"method": "popup", "minutes": n} for n in range(6)]},
        {"useDefault": False, "overrides": [{"method": "popup", "minutes": 40321}]},
        {"useDefault": False, "overrides": [{"method": "popup", "minutes": -1}]},
        {"useDefault": False, "overrides": [{"method": "sms", "minutes": 1}]},
        {"useDefault": True, "overrides": [{"method": "popup", "minutes": 1}]},
    ],
)
async def test_45_reminders_out_of_range(google: Google, reminders: Json) -> None:
    answer = await google.call("POST", EVENTS, meeting(reminders=reminders))
    assert answer.status_code == 400


async def test_45_reminders_at_the_edge(google: Google) -> None:
    overrides = [{"method": "popup", "minutes": n} for n in (0, 1, 2, 3)]
    overrides.append({"method": "email", "minutes": 40320})
    reminders = {"useDefault": False, "overrides": overrides}
    assert (await google.insert(meeting(reminders=reminders)))["reminders"] == reminders


async def test_46_guests_have_copies_of_their_own(google: Google) -> None:
    guests = [{"email": GRACE}, {"email": "x@example.org"}]
    made = await google.insert(meeting(summary="m", attendees=guests, colorId="3"))
    copy = await google.ok("GET", event(made["id"]), who=GRACE)
    assert (copy["id"], copy["iCalUID"]) == (made["id"], made["iCalUID"])
    assert copy["etag"] != made["etag"]
    assert copy["organizer"] == {"email": ADA}
    assert "colorId" not in copy
    me = {"email": GRACE, "responseStatus": "accepted"}
    answer = {"attendeesOmitted": True, "attendees": [me]}
    await google.ok("PATCH", event(made["id"]), answer, who=GRACE)
    after = await google.ok("GET", event(made["id"]))
    status = {a["email"]: a["responseStatus"] for a in after["attendees"]}
    assert status == {GRACE: "accepted", "x@example.org": "needsAction"}
    assert after["sequence"] == 0
    few = await google.ok("GET", event(made["id"]), who=GRACE, maxAttendees=1)
    assert (few["attendeesOmitted"], len(few["attendees"])) == (True, 1)
    await google.ok("PATCH", event(made["id"]), {"attendees": [{"email": "x@example.org"}]})
    gone = await google.ok("GET", event(made["id"]), who=GRACE)
    assert gone.keys() == {"kind", "etag", "id", "status"}


async def test_46_guests_leave_and_series_travel(google: Google) -> None:
    made = await google.insert(weekly(3, attendees=[{"email": GRACE}]))
    one = f"{made['id']}_20261201T090000Z"
    await google.ok("PATCH", event(one), {"summary": "special"})
    assert (await google.ok("GET", event(one), who=GRACE))["summary"] == "special"
    google.emulator.person(GRACE).respond(f"{made['id']}_20261208T090000Z", "tentative")
    theirs = await google.ok("GET", event(f"{made['id']}_20261208T090000Z"))
    assert theirs["attendees"][0]["responseStatus"] == "tentative"
    await google.ok("DELETE", event(made["id"]), who=GRACE)
    mine = await google.ok("GET", event(made["id"]))
    assert (mine["status"], mine["attendees"][0]["responseStatus"]) == ("confirmed", "declined")


async def test_47_guest_flags_belong_to_the_organizer(google: Google) -> None:
    body = meeting(summary="m", guestsCanInviteOthers=False, attendees=[{"email": GRACE}])
    made = await google.insert(body)
    refused = await google.call("PUT", event(made["id"]), meeting(summary="n"), who=GRACE)
    assert reason(refused) == (403, "forbiddenForNonOrganizer")
    assert refused.json()["error"]["errors"][0]["domain"] == "calendar"
    passed = await google.ok("PATCH", event(made["id"]), {"colorId": "2"}, who=GRACE)
    assert passed["colorId"] == "2"
    named = {"guestsCanModify": True}
    refused = await google.call("PATCH", event(made["id"]), named, who=GRACE)
    assert reason(refused) == (403, "forbiddenForNonOrganizer")
    google.emulator.configure(guest_edits="refuse")
    refused = await google.call("PATCH", event(made["id"]), {"summary": "z"}, who=GRACE)
    assert reason(refused) == (403, "forbidden")


async def test_47_guests_may_modify_when_allowed(google: Google) -> None:
    body = meeting(summary="m", guestsCanModify=True, attendees=[{"email": GRACE}])
    made = await google.insert(body)
    await google.ok("PATCH", event(made["id"]), {"summary": "theirs"}, who=GRACE)
    assert (await google.ok("GET", event(made["id"])))["summary"] == "theirs"


async def test_48_roles(google: Google) -> None:
    path = f"calendars/{TEAM}/events"
    made = await google.insert(meeting(visibility="private"), TEAM)
    assert reason(await google.call("GET", path, who=GRACE)) == (404, "notFound")
    assert reason(await google.call("POST", path, meeting(), who=GRACE)) == (404, "notFound")
    for role in ("freeBusyReader", "reader"):
        google.emulator.share(TEAM, GRACE, role)
        answer = await google.call("POST", path, meeting(), who=GRACE)
        assert reason(answer) == (403, "requiredAccessLevel")
        error = answer.json()["error"]
        assert error["errors"][0]["domain"] == "calendar"
        assert error["message"] == "You need to have writer access to this calendar."
    google.emulator.share(TEAM, GRACE, "writerWithoutPrivateAccess")
    await google.insert(meeting(), TEAM, who=GRACE)
    answer = await google.call("PATCH", event(made["id"], TEAM), {"summary": "x"}, who=GRACE)
    assert reason(answer) == (403, "requiredAccessLevel")
    google.emulator.share(TEAM, GRACE, "writer")
    await google.ok("PATCH", event(made["id"], TEAM), {"summary": "x"}, who=GRACE)
    google.emulator.share(TEAM, GRACE, "none")
    assert reason(await google.call("GET", path, who=GRACE)) == (404, "notFound")


async def test_49_times_are_rendered_in_the_responses_zone(google: Google) -> None:
    body = timed("2026-07-01T10:00:00.500", "2026-07-01T11:00:00", "America/Toronto")
    made = await google.insert(body)
    assert made["start"] == {
        "dateTime": "2026-07-01T16:00:00+02:00",
        "timeZone": "America/Toronto",
    }
    (listed,) = await google.items(timeZone="Asia/Tokyo")
    assert listed["start"] == {
        "dateTime": "2026-07-01T23:00:00+09:00",
        "timeZone": "America/Toronto",
    }
    utc = await google.insert(
        {"start": {"dateTime": "2026-07-01T10:00:00Z"}, "end": {"dateTime": "2026-07-01T11:00:00Z"}}
    )
    assert utc["start"] == {"dateTime": "2026-07-01T12:00:00+02:00", "timeZone": "Europe/Berlin"}


async def test_50_conferences_arrive_later(google: Google) -> None:
    ask = {"createRequest": {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}
    google.emulator.clock.freeze()
    made = await google.insert(meeting(conferenceData=ask), conferenceDataVersion=1)
    status = made["conferenceData"]["createRequest"]["status"]
    assert status == {"statusCode": "pending"}
    token = await google.sync_token()
    google.emulator.clock.advance(1)
    (item,) = await google.items(syncToken=token)
    assert item["etag"] != made["etag"]
    assert item["conferenceData"]["createRequest"]["status"] == {"statusCode": "success"}
    assert item["hangoutLink"].startswith("https://meet.google.com/")
    again = await google.ok(
        "PATCH", event(made["id"]), {"conferenceData": ask}, conferenceDataVersion=1
    )
    assert again["conferenceData"] == item["conferenceData"]
    fence = "notes\n-::~:~::~:~:~::~:~::-\nJoin: https://meet\n-::~:~::~:~:~::~:~::-"
    plain = await google.insert(meeting(description=fence))
    assert plain["description"] == "notes"


async def test_50_importing(google: Google) -> None:
    path = f"{EVENTS}/import"
    body = {**meeting(summary="a"), "iCalUID": "u1@elsewhere", "organizer": {"email": "o@x.org"}}
    assert reason(await google.call("POST", path, meeting())) == (400, "required")
    made = await google.ok("POST", path, body)
    assert made["organizer"] == {"email": "o@x.org"}
    again = await google.ok("POST", path, {**body, "summary": "b"})
    assert (again["id"], again["summary"]) == (made["id"], "b")
    google.emulator.configure(repeated_import="duplicate")
    assert reason(await google.call("POST", path, body)) == (409, "duplicate")
    await google.ok("DELETE", event(made["id"]))
    back = await google.call("PATCH", event(made["id"]), {"status": "confirmed"})
    assert reason(back) == (403, "forbidden")
    quick = await google.ok("POST", f"{EVENTS}/quickAdd", text="Lunch")
    assert quick["summary"] == "Lunch"
