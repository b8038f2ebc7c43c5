"""The emulator's faithfulness checklist, statements 13 to 30: listing and sync."""

from __future__ import annotations

from typing import Any

from sync_service.emulators.google import ADA, GRACE, HOLIDAYS, TEAM
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


async def pages(google: Google, **query: Any) -> list[Json]:
    found = [await google.list(**query)]
    while "nextPageToken" in found[-1]:
        found.append(await google.list(**query, pageToken=found[-1]["nextPageToken"]))
    return found


async def fill(google: Google, count: int) -> None:
    google.emulator.configure(user_units_per_minute=None)
    for number in range(count):
        google.emulator.person(ADA).insert(meeting(summary=f"{number}"))


async def test_13_each_page_has_exactly_one_of_the_two_tokens(google: Google) -> None:
    await fill(google, 5)
    found = await pages(google, maxResults=2)
    assert [len(page["items"]) for page in found] == [2, 2, 1]
    assert ["nextSyncToken" in page for page in found] == [False, False, True]
    assert ["nextPageToken" in page for page in found] == [True, True, False]
    assert len({item["id"] for page in found for item in page["items"]}) == 5


async def test_14_intermediate_pages_can_be_short_or_empty(google: Google) -> None:
    await fill(google, 5)
    google.emulator.add_fault("pages", operation="events.list", sizes=[0, 1, 0, 3])
    found = await pages(google)
    assert [len(page["items"]) for page in found] == [0, 1, 0, 3, 1]
    assert "nextSyncToken" in found[-1]
    google.emulator.configure(page_items=2, empty_first_page=True)
    assert [len(page["items"]) for page in await pages(google)] == [0, 2, 2, 1]


async def test_15_page_sizes(google: Google) -> None:
    await fill(google, 2501)
    assert len(await google.items()) == 250
    for size in (2500, 5000):
        page = await google.list(maxResults=size)
        assert len(page["items"]) == 2500
        assert "nextPageToken" in page
    too_small = await google.call("GET", EVENTS, maxResults=0)
    assert reason(too_small) == (400, "invalidParameter")
    error = too_small.json()["error"]["errors"][0]
    assert error["message"] == (
        "Invalid value '0'. Values must be within the range: [1, 2147483647]"
    )
    assert error["location"] == "maxResults"
    for number in range(300):
        google.emulator.create_calendar(ADA, f"calendar {number}")
    for size, expected in ((None, 100), (50, 50), (1000, 250)):
        query = {} if size is None else {"maxResults": size}
        answer = await google.ok("GET", "users/me/calendarList", **query)
        assert len(answer["items"]) == expected


async def test_16_parameters_forbidden_with_a_sync_token(google: Google) -> None:
    token = await google.sync_token()
    forbidden = {
        "timeMin": "2026-01-01T00:00:00Z",
        "timeMax": "2027-01-01T00:00:00Z",
        "updatedMin": "2026-11-20T00:00:00Z",
        "orderBy": "updated",
        "q": "x",
        "iCalUID": "x",
        "privateExtendedProperty": "a=b",
        "sharedExtendedProperty": "a=b",
        "showDeleted": "false",
    }
    for name, value in forbidden.items():
        answer = await google.call("GET", EVENTS, query={"syncToken": token, name: value})
        assert reason(answer) == (400, "invalid"), name
        assert "Sync token cannot be used with" in answer.text
    await google.list(syncToken=token, showDeleted="true", maxResults=10)
    google.emulator.configure(refuse_show_deleted_false=False)
    await google.list(syncToken=token, showDeleted="false")


async def test_17_changes_while_paging_are_not_lost(google: Google) -> None:
    ada = google.emulator.person(ADA)
    made = sorted([ada.insert(meeting(summary=str(n)))["id"] for n in range(4)])
    first = await google.list(maxResults=2)
    ada.patch(made[0], {"summary": "behind"})
    ada.patch(made[3], {"summary": "ahead"})
    ada.delete(made[2])
    new = ada.insert(meeting())["id"]
    seen = {item["id"]: item for item in first["items"]}
    page = first
    while "nextPageToken" in page:
        page = await google.list(maxResults=2, pageToken=page["nextPageToken"])
        seen |= {item["id"]: item for item in page["items"]}
    for item in await google.items(syncToken=page["nextSyncToken"]):
        seen[item["id"]] = item
    assert seen[made[0]]["summary"] == "behind"
    assert seen[made[3]]["summary"] == "ahead"
    assert seen.get(made[2], {"status": "cancelled"})["status"] == "cancelled"
    assert new in seen


async def test_18_deltas(google: Google) -> None:
    ada = google.emulator.person(ADA)
    still = ada.insert(meeting(summary="still"))["id"]
    edited = ada.insert(meeting(summary="a"))["id"]
    token = await google.sync_token()
    assert await google.items(syncToken=token) == []
    ada.patch(edited, {"summary": "b"})
    ada.patch(edited, {"summary": "c"})
    own = (await google.insert(meeting(summary="own")))["id"]
    ada.delete(still)
    delta = await google.list(syncToken=token)
    found = {item["id"]: item for item in delta["items"]}
    assert found[edited]["summary"] == "c"
    assert found[own]["summary"] == "own"
    assert found[still]["status"] == "cancelled"
    assert len(found) == 3
    assert await google.items(syncToken=delta["nextSyncToken"]) == []
    google.emulator.configure(edge_redelivery=True)
    assert len(await google.items(syncToken=delta["nextSyncToken"])) == 1


async def test_18_a_delta_can_be_paged(google: Google) -> None:
    token = await google.sync_token()
    await fill(google, 5)
    found = await pages(google, syncToken=token, maxResults=2)
    assert [len(page["items"]) for page in found] == [2, 2, 1]
    lost = await google.call("GET", EVENTS, pageToken=found[0]["nextPageToken"])
    assert lost.status_code == 400


async def test_19_a_token_is_bound_to_calendar_user_and_parameters(google: Google) -> None:
    google.emulator.share(ADA, GRACE, "writer")
    token = await google.sync_token()
    elsewhere = await google.call("GET", f"calendars/{TEAM}/events", syncToken=token)
    assert reason(elsewhere) == (410, "fullSyncRequired")
    someone = await google.call("GET", f"calendars/{ADA}/events", who=GRACE, syncToken=token)
    assert reason(someone) == (410, "fullSyncRequired")
    other = await google.call("GET", EVENTS, syncToken=token, singleEvents="true")
    assert reason(other) == (410, "fullSyncRequired")
    assert reason(await google.call("GET", EVENTS, syncToken="garbage"))[0] == 410
    google.emulator.configure(malformed_sync_token="400", sync_token_parameters="ignore")
    garbage = await google.call("GET", EVENTS, syncToken="garbage")
    assert reason(garbage) == (400, "invalid")
    assert garbage.json()["error"]["errors"][0]["location"] == "syncToken"
    await google.list(syncToken=token, singleEvents="true")


async def test_20_sync_tokens_die_on_command_and_by_acl_change(google: Google) -> None:
    token = await google.sync_token()
    google.emulator.expire_sync_tokens(ADA)
    dead = await google.call("GET", EVENTS, syncToken=token)
    assert reason(dead) == (410, "fullSyncRequired")
    error = dead.json()["error"]["errors"][0]
    assert (error["domain"], error["location"]) == ("calendar", "syncToken")
    token = await google.sync_token()
    google.emulator.share(ADA, GRACE, "reader")
    assert reason(await google.call("GET", EVENTS, syncToken=token))[0] == 410
    google.emulator.configure(sync_token_lifetime_s=3600)
    token = await google.sync_token()
    google.emulator.clock.advance(3601)
    bearer = google.emulator.issue_tokens(ADA, ["calendar"])[0]
    late = await google.call(
        "GET", EVENTS, headers={"Authorization": f"Bearer {bearer}"}, syncToken=token
    )
    assert reason(late)[0] == 410


async def test_21_orders_and_filters_that_withhold_the_sync_token(google: Google) -> None:
    await google.insert(meeting(summary="x"))
    unordered = await google.call("GET", EVENTS, orderBy="startTime")
    assert reason(unordered) == (400, "badRequest")
    for name, value in {
        "orderBy": "updated",
        "q": "x",
        "iCalUID": "x",
        "privateExtendedProperty": "a=b",
        "sharedExtendedProperty": "a=b",
        "updatedMin": "2026-11-20T00:00:00Z",
    }.items():
        page = await google.list(**{name: value})
        assert "nextSyncToken" not in page, name
        assert "nextPageToken" not in page
    window = {"timeMin": "2026-11-01T00:00:00Z", "timeMax": "2026-12-01T00:00:00Z"}
    assert "nextSyncToken" in await google.list(**window)
    old = await google.call("GET", EVENTS, updatedMin="2026-10-01T00:00:00Z")
    assert reason(old) == (410, "updatedMinTooLongAgo")


async def test_21_orders(google: Google) -> None:
    ada = google.emulator.person(ADA)
    late = ada.insert(meeting(day=26))["id"]
    early = ada.insert(meeting(day=23))["id"]
    found = await google.items(orderBy="startTime", singleEvents="true")
    assert [item["id"] for item in found] == [early, late]
    found = await google.items(orderBy="updated")
    assert [item["id"] for item in found] == [late, early]
    for order in ("reversed", "shuffled"):
        google.emulator.configure(list_order=order)
        assert ids(await google.items()) == sorted([early, late])


async def test_22_windows(google: Google) -> None:
    inside = (await google.insert(meeting(day=24, hour=10)))["id"]
    all_day = (
        await google.insert({"start": {"date": "2026-11-24"}, "end": {"date": "2026-11-25"}})
    )["id"]
    for low, high, expected in (
        ("2026-11-24T10:00:00Z", None, [all_day]),
        ("2026-11-24T09:59:59Z", None, [inside, all_day]),
        ("2026-11-24T23:00:00Z", None, []),
        (None, "2026-11-24T09:00:00Z", [all_day]),
        (None, "2026-11-24T09:00:01Z", [inside, all_day]),
        (None, "2026-11-24T00:00:00+01:00", []),
        ("2026-11-24T09:59:59.999+00:00", "2026-11-25T00:00:00Z", [inside, all_day]),
    ):
        query = {k: v for k, v in (("timeMin", low), ("timeMax", high)) if v}
        assert ids(await google.items(**query)) == sorted(expected), query
    for text in ("2026-11-24T10:00:00", "2026-11-24", "soon"):
        for name in ("timeMin", "timeMax"):
            assert (await google.call("GET", EVENTS, query={name: text})).status_code == 400
    same = "2026-11-24T10:00:00Z"
    empty = await google.call("GET", EVENTS, timeMin=same, timeMax=same)
    assert reason(empty) == (400, "timeRangeEmpty")
    assert empty.json()["error"]["errors"][0]["location"] == "timeMax"


async def test_22_a_token_does_not_remember_the_window_unless_told(google: Google) -> None:
    window = {"timeMin": "2026-11-01T00:00:00Z", "timeMax": "2026-12-01T00:00:00Z"}
    for remembers, expected in ((False, 1), (True, 0)):
        google.emulator.configure(window_on_incremental=remembers)
        token = await google.sync_token(**window)
        await google.insert(timed("2027-06-01T10:00:00", "2027-06-01T11:00:00"))
        assert len(await google.items(syncToken=token)) == expected


async def matrix(google: Google) -> dict[str, str]:
    ada = google.emulator.person(ADA)
    live = ada.insert(meeting(summary="live"))["id"]
    dead = ada.insert(meeting(summary="dead"))["id"]
    ada.delete(dead)
    series = ada.insert(weekly(3, summary="series"))["id"]
    ada.delete(f"{series}_20261201T090000Z")
    gone = ada.insert(weekly(2, summary="gone"))["id"]
    ada.delete(gone)
    return {"live": live, "dead": dead, "series": series, "gone": gone}


async def test_23_show_deleted_and_single_events(google: Google) -> None:
    made = await matrix(google)
    series = made["series"]
    cancelled = f"{series}_20261201T090000Z"
    instances = [f"{series}_20261124T090000Z", f"{series}_20261208T090000Z"]
    expected = {
        ("false", "false"): [made["live"], series, cancelled],
        ("false", "true"): [made["live"], *instances],
        ("true", "false"): [made["live"], series, cancelled, made["dead"], made["gone"]],
        ("true", "true"): [made["live"], *instances, cancelled, made["dead"]],
    }
    for (deleted, single), wanted in expected.items():
        items = await google.items(showDeleted=deleted, singleEvents=single)
        assert ids(items) == sorted(wanted), (deleted, single)


async def test_24_cancelled_exceptions_are_in_a_plain_list(google: Google) -> None:
    made = await matrix(google)
    items = await google.items()
    (cancelled,) = [item for item in items if item["status"] == "cancelled"]
    assert cancelled.keys() == {
        "kind",
        "etag",
        "id",
        "status",
        "recurringEventId",
        "originalStartTime",
    }
    assert cancelled["recurringEventId"] == made["series"]
    assert cancelled["originalStartTime"] == {
        "dateTime": "2026-12-01T10:00:00+01:00",
        "timeZone": "Europe/Berlin",
    }


async def test_25_cancelled_items_can_be_bare(google: Google) -> None:
    token = await google.sync_token()
    made = await google.insert(meeting(summary="secret"))
    await google.ok("DELETE", event(made["id"]))
    (plain,) = await google.items(syncToken=token)
    assert plain.keys() == {"kind", "etag", "id", "status"}
    (detailed,) = await google.items(syncToken=token, showDeleted="true")
    assert detailed["summary"] == "secret"
    google.emulator.configure(tombstone_fields="minimal")
    (bare,) = await google.items(syncToken=token, showDeleted="true")
    assert bare.keys() == {"kind", "etag", "id", "status"}
    google.emulator.configure(tombstone_fields="full")
    (full,) = await google.items(syncToken=token)
    assert full["summary"] == "secret"


async def test_26_tombstones_can_be_purged_but_keep_their_ids(google: Google) -> None:
    made = await google.insert({**meeting(), "id": "abcde12345"})
    await google.ok("DELETE", event(made["id"]))
    assert google.emulator.purge_tombstones(ADA) == 1
    assert reason(await google.call("GET", event(made["id"]))) == (404, "notFound")
    assert await google.items(showDeleted="true") == []
    again = await google.call("POST", EVENTS, {**meeting(), "id": "abcde12345"})
    assert reason(again) == (409, "duplicate")
    uid = await google.call("POST", EVENTS, {**meeting(), "iCalUID": made["iCalUID"]})
    assert reason(uid) == (409, "duplicate")


async def test_26_tombstones_fade_with_time(google: Google) -> None:
    google.emulator.configure(access_token_lifetime_s=10**8)
    made = await google.insert(meeting())
    await google.ok("DELETE", event(made["id"]))
    google.emulator.clock.advance(30 * 86400 + 1)
    assert reason(await google.call("GET", event(made["id"]))) == (404, "notFound")
    assert await google.items(showDeleted="true") == []


async def test_27_expansion_follows_the_wall_clock(google: Google) -> None:
    rule = ["RRULE:FREQ=WEEKLY;COUNT=3"]
    body = timed("2026-10-19T09:00:00", "2026-10-19T10:00:00", recurrence=rule)
    master = (await google.insert(body))["id"]
    items = await google.items(singleEvents="true", orderBy="startTime")
    assert [item["id"] for item in items] == [
        f"{master}_20261019T070000Z",
        f"{master}_20261026T080000Z",
        f"{master}_20261102T080000Z",
    ]
    assert [item["start"]["dateTime"] for item in items] == [
        "2026-10-19T09:00:00+02:00",
        "2026-10-26T09:00:00+01:00",
        "2026-11-02T09:00:00+01:00",
    ]
    for item in items:
        assert item["recurringEventId"] == master
        assert item["originalStartTime"] == item["start"]
        assert "recurrence" not in item
    days = {"start": {"date": "2026-11-24"}, "end": {"date": "2026-11-26"}}
    whole = await google.insert({**days, "recurrence": ["RRULE:FREQ=DAILY;INTERVAL=3;COUNT=2"]})
    found = await google.items(singleEvents="true", iCalUID=whole["iCalUID"])
    assert [(i["id"], i["end"]["date"]) for i in found] == [
        (f"{whole['id']}_20261124", "2026-11-26"),
        (f"{whole['id']}_20261127", "2026-11-29"),
    ]


async def test_27_rules_exclusions_and_additions(google: Google) -> None:
    lines = [
        "RRULE:FREQ=WEEKLY;BYDAY=TU,TH;UNTIL=20261203T090000Z",
        "EXDATE;TZID=Europe/Berlin:20261126T100000",
        "RDATE:20261205T090000Z",
    ]
    master = (await google.insert(meeting(day=25, recurrence=lines)))["id"]
    found = await google.items(singleEvents="true")
    stamps = [item.removeprefix(master + "_") for item in ids(found)]
    assert stamps == [
        "20261125T090000Z",
        "20261201T090000Z",
        "20261203T090000Z",
        "20261205T090000Z",
    ]
    endless = (await google.insert(meeting(recurrence=["RRULE:FREQ=DAILY"])))["id"]
    answer = await google.ok("GET", f"{event(endless)}/instances", maxResults=2500)
    assert len(answer["items"]) == 730


async def test_27_touching_a_series_touches_every_instance(google: Google) -> None:
    master = (await google.insert(weekly(5)))["id"]
    token = await google.sync_token(singleEvents="true")
    google.emulator.person(ADA).patch(master, {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"]})
    delta = await google.items(syncToken=token, singleEvents="true")
    assert [item["status"] for item in sorted(delta, key=lambda i: i["id"])] == [
        "confirmed",
        "confirmed",
        "confirmed",
        "cancelled",
        "cancelled",
    ]
    token = await google.sync_token(singleEvents="true")
    google.emulator.person(ADA).delete(master)
    delta = await google.items(syncToken=token, singleEvents="true")
    assert len(delta) == 3
    assert {item["status"] for item in delta} == {"cancelled"}
    assert master not in ids(delta)


async def test_28_free_busy_readers_see_times_only(google: Google) -> None:
    google.emulator.share(TEAM, GRACE, "freeBusyReader")
    body = weekly(2, summary="plan", description="d", location="l", attendees=[{"email": ADA}])
    master = (await google.insert(body, TEAM))["id"]
    page = await google.list(TEAM, who=GRACE, singleEvents="false")
    assert page["accessRole"] == "freeBusyReader"
    assert ids(page["items"]) == [f"{master}_20261124T090000Z", f"{master}_20261201T090000Z"]
    for item in page["items"]:
        assert {"id", "start", "end"} <= item.keys()
        assert not {"summary", "description", "location", "attendees", "creator"} & item.keys()


async def test_28_private_events_are_masked_for_readers(google: Google) -> None:
    google.emulator.share(TEAM, GRACE, "reader")
    secret = meeting(summary="secret", visibility="private", location="here")
    made = await google.insert(secret, TEAM)
    await google.insert(meeting(summary="open"), TEAM)
    items = await google.items(TEAM, who=GRACE)
    (masked,) = [item for item in items if item["id"] == made["id"]]
    assert masked["visibility"] == "private"
    assert "summary" not in masked
    assert "location" not in masked
    assert [item["summary"] for item in items if "summary" in item] == ["open"]
    assert (await google.ok("GET", event(made["id"], TEAM)))["summary"] == "secret"


async def test_29_event_types_filter_lists(google: Google) -> None:
    plain = (await google.insert(meeting()))["id"]
    focus = (await google.insert(meeting(eventType="focusTime")))["id"]
    assert ids(await google.items(eventTypes="default")) == [plain]
    both = await google.items(eventTypes=["default", "focusTime"])
    assert ids(both) == sorted([plain, focus])
    token = await google.sync_token(eventTypes="focusTime")
    google.emulator.person(ADA).patch(plain, {"summary": "x"})
    assert await google.items(syncToken=token, eventTypes="focusTime") == []
    assert (await google.call("GET", EVENTS, eventTypes="party")).status_code == 400


async def test_30_defaults_and_empty_arrays_are_absent(google: Google) -> None:
    made = await google.insert(
        meeting(
            transparency="opaque",
            visibility="default",
            guestsCanInviteOthers=True,
            guestsCanModify=False,
            attendees=[],
            recurrence=[],
            summary="",
            extendedProperties={"private": {}},
        )
    )
    assert made.keys() == {
        "kind",
        "etag",
        "id",
        "status",
        "htmlLink",
        "created",
        "updated",
        "creator",
        "organizer",
        "start",
        "end",
        "iCalUID",
        "sequence",
        "reminders",
        "eventType",
    }


async def test_30_filters_by_text_and_property(google: Google) -> None:
    one = await google.insert(
        meeting(summary="Café plan", extendedProperties={"private": {"a": "1", "b": "1"}})
    )
    two = await google.insert(
        meeting(location="Room 7", extendedProperties={"private": {"a": "2"}, "shared": {"c": "3"}})
    )
    assert ids(await google.items(q="PLAN café")) == [one["id"]]
    assert ids(await google.items(q="room")) == [two["id"]]
    either = {"privateExtendedProperty": ["a=1", "a=2"]}
    assert len(await google.items(query=either)) == 2
    across = {"privateExtendedProperty": "a=2", "sharedExtendedProperty": "c=3"}
    assert ids(await google.items(query=across)) == [two["id"]]
    google.emulator.configure(property_filters="and")
    assert await google.items(query=either) == []
    assert ids(await google.items(privateExtendedProperty=["a=1", "b=1"])) == [one["id"]]


async def test_30_the_calendar_list_has_its_own_feed(google: Google) -> None:
    path = "users/me/calendarList"
    page = await google.ok("GET", path)
    token = page["nextSyncToken"]
    assert {e["id"]: e["accessRole"] for e in page["items"]} == {
        ADA: "owner",
        TEAM: "owner",
        HOLIDAYS: "reader",
    }
    google.emulator.person(ADA).entry(TEAM, hidden=True, summary_override="Crew")
    (changed,) = (await google.ok("GET", path, syncToken=token))["items"]
    assert (changed["id"], changed["hidden"], changed["summaryOverride"]) == (TEAM, True, "Crew")
    assert len((await google.ok("GET", path))["items"]) == 2
    assert len((await google.ok("GET", path, showHidden="true"))["items"]) == 3
    assert len((await google.ok("GET", path, minAccessRole="writer"))["items"]) == 1
    for name, value in (("minAccessRole", "owner"), ("showHidden", "false")):
        assert (
            await google.call("GET", path, query={"syncToken": token, name: value})
        ).status_code == 400
    google.emulator.delete_calendar(TEAM)
    (changed,) = (await google.ok("GET", path, syncToken=token))["items"]
    assert changed["deleted"] is True
    assert reason(await google.call("GET", f"calendars/{TEAM}/events")) == (404, "notFound")
