"""\"This and following\", as Google's own interface does it."""

from __future__ import annotations

import pytest

from sync_service.emulators.google import ADA, GRACE
from tests.emulators.google.client import Google, Json, event, meeting, timed, weekly

SERIES: list[tuple[Json, int]] = [
    (weekly(5), 2),
    (meeting(recurrence=["RRULE:FREQ=DAILY;COUNT=8", "EXDATE:20261125T090000Z"]), 3),
    (
        meeting(
            recurrence=[
                "RRULE:FREQ=WEEKLY;COUNT=4",
                "RDATE:20261126T090000Z,20261210T090000Z",
                "EXDATE:20261201T090000Z,20261215T090000Z",
            ]
        ),
        2,
    ),
    (meeting(day=25, recurrence=["RRULE:FREQ=WEEKLY;BYDAY=TU,TH;COUNT=6"]), 1),
    (meeting(recurrence=["RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,FR;UNTIL=20270201T000000Z"]), 3),
    (meeting(recurrence=["RRULE:FREQ=MONTHLY;BYDAY=-1TU;UNTIL=20270701T000000Z"]), 2),
    # Across the change of the clocks.
    (
        timed(
            "2026-10-19T09:00:00", "2026-10-19T10:00:00", recurrence=["RRULE:FREQ=WEEKLY;COUNT=4"]
        ),
        1,
    ),
    (
        {
            "start": {"date": "2026-11-24"},
            "end": {"date": "2026-11-26"},
            "recurrence": ["RRULE:FREQ=DAILY;INTERVAL=3;UNTIL=20261220"],
        },
        4,
    ),
    # Behind the end of the rule there are only added dates.
    (meeting(recurrence=["RRULE:FREQ=WEEKLY;COUNT=2", "RDATE:20261230T090000Z"]), 2),
]


async def expanded(google: Google, **query: str) -> list[Json]:
    return await google.items(singleEvents="true", orderBy="startTime", **query)


@pytest.mark.parametrize(("body", "nth"), SERIES)
async def test_no_occurrence_is_lost_or_doubled(google: Google, body: Json, nth: int) -> None:
    master = await google.insert({**body, "summary": "s"})
    before = await expanded(google)
    rest = google.emulator.person(ADA).split(before[nth]["id"], {"summary": "t"})
    after = await expanded(google)
    assert [i["start"] for i in after] == [i["start"] for i in before]
    assert [i["end"] for i in after] == [i["end"] for i in before]
    assert [i["summary"] for i in after] == ["s"] * nth + ["t"] * (len(before) - nth)
    stamp = before[nth]["id"].removeprefix(master["id"] + "_").removesuffix("Z")
    assert rest["id"] == f"{master['id']}_R{stamp}"
    assert rest["iCalUID"] == f"{rest['id']}@google.com"


@pytest.mark.parametrize(("body", "nth"), SERIES)
async def test_deleting_this_and_following(google: Google, body: Json, nth: int) -> None:
    await google.insert(body)
    before = await expanded(google)
    google.emulator.person(ADA).delete_following(before[nth]["id"])
    assert [i["id"] for i in await expanded(google)] == [i["id"] for i in before[:nth]]


async def test_the_first_occurrence_stands_for_the_series(google: Google) -> None:
    ada = google.emulator.person(ADA)
    master = (await google.insert(weekly(3)))["id"]
    changed = ada.split(f"{master}_20261124T090000Z", {"summary": "t"})
    assert (changed["id"], changed["summary"]) == (master, "t")
    assert len(await expanded(google)) == 3
    ada.delete_following(f"{master}_20261124T090000Z")
    assert await google.items() == []


async def test_exceptions_go_on_under_new_ids(google: Google) -> None:
    master = (await google.insert(weekly(6, summary="s", attendees=[{"email": GRACE}])))["id"]
    stamps = ["20261201T090000Z", "20261215T090000Z", "20261222T090000Z", "20261229T090000Z"]
    early, named, gone, moved = stamps
    await google.ok("PATCH", event(f"{master}_{early}"), {"summary": "early"})
    await google.ok("PATCH", event(f"{master}_{named}"), {"summary": "own"})
    await google.ok("DELETE", event(f"{master}_{gone}"))
    await google.ok(
        "PATCH", event(f"{master}_{moved}"), timed("2026-12-30T15:00:00", "2026-12-30T16:00:00")
    )
    token = await google.sync_token()
    at = f"{master}_20261208T090000Z"
    rest = google.emulator.person(ADA).split(at, {"location": "elsewhere"})["id"]
    feed = {i["id"]: i for i in await google.items(syncToken=token)}
    assert {i: item["status"] for i, item in feed.items()} == {
        master: "confirmed",
        rest: "confirmed",
        f"{master}_{named}": "cancelled",
        f"{master}_{moved}": "cancelled",
        f"{rest}_{named}": "confirmed",
        f"{rest}_{gone}": "cancelled",
        f"{rest}_{moved}": "confirmed",
    }
    own = feed[f"{rest}_{named}"]
    assert (own["summary"], own["location"]) == ("own", "elsewhere")
    assert own["recurringEventId"] == rest
    assert own["iCalUID"] == feed[rest]["iCalUID"]
    assert feed[f"{rest}_{moved}"]["originalStartTime"]["dateTime"] == "2026-12-29T10:00:00+01:00"
    assert feed[f"{rest}_{moved}"]["start"]["dateTime"] == "2026-12-30T15:00:00+01:00"
    for who in (ADA, GRACE):
        seen = [
            i["summary"]
            for i in await google.items(who=who, singleEvents="true", orderBy="startTime")
        ]
        assert seen == ["s", "early", "s", "own", "s"]


async def test_another_hour_drops_the_exceptions_behind(google: Google) -> None:
    master = (await google.insert(weekly(4)))["id"]
    await google.ok("PATCH", event(f"{master}_20261215T090000Z"), {"summary": "own"})
    at = f"{master}_20261208T090000Z"
    later = timed("2026-12-08T12:00:00", "2026-12-08T13:00:00")
    rest = google.emulator.person(ADA).split(at, later)
    assert rest["start"]["dateTime"] == "2026-12-08T12:00:00+01:00"
    found = await expanded(google)
    assert [i["start"]["dateTime"][11:16] for i in found] == ["10:00", "10:00", "12:00", "12:00"]
    assert all("summary" not in item for item in found)


@pytest.mark.parametrize("new_first", [False, True])
async def test_a_reader_can_come_in_between(google: Google, *, new_first: bool) -> None:
    master = (await google.insert(weekly(4)))["id"]
    token = await google.sync_token()
    halves = google.emulator.person(ADA).splitting(
        f"{master}_20261208T090000Z", {}, new_first=new_first
    )
    seen: list[list[str]] = []
    for _ in halves:
        page = await google.list(syncToken=token)
        token = page["nextSyncToken"]
        seen.append([item["id"] for item in page["items"]])
    rest = f"{master}_R20261208T090000"
    assert seen == ([[rest], [master]] if new_first else [[master], [rest]])
    assert len(await expanded(google)) == 4


async def test_a_split_series_can_be_split_again(google: Google) -> None:
    ada = google.emulator.person(ADA)
    master = (await google.insert(weekly(6)))["id"]
    first = ada.split(f"{master}_20261208T090000Z", {})
    second = ada.split(f"{first['id']}_20261222T090000Z", {"summary": "last"})
    assert second["id"] == f"{master}_R20261222T090000"
    found = await expanded(google)
    assert [i["recurringEventId"] for i in found] == (
        [master] * 2 + [first["id"]] * 2 + [second["id"]] * 2
    )
