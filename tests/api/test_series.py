"""Series through the HTTP API: one occurrence changed, all from one on, or all."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.api.conftest import Person, Sql, connect_account
from tests.api.series import DAILY, STARTS, change, changed, listed, said

People = Callable[[], Awaitable[Person]]


async def test_one_occurrence_is_changed_and_changed_again(person: People, sql: Sql):
    ann = await person()
    _, calendar = await connect_account(sql, ann)
    series = await ann.create(**DAILY, conference={"url": "https://meet.example.com/1"}, color="7")
    one = await changed(ann, series, {"title": "Demo"}, occurrence="2027-03-28T10:00:00+02:00")
    assert one["series_id"] == series["id"]
    assert (one["original_start_time"], one["start_time"]) == (STARTS[2], STARTS[2])
    assert (one["end_time"], one["recurrence"]) == ("2027-03-28T08:30:00Z", None)
    assert (one["conference"], one["color"]) == (series["conference"], "7")
    assert [state["calendar_id"] for state in one["sync"]] == [str(calendar)]
    again = await changed(ann, series, {"location": "Room 1"}, occurrence=STARTS[2], scope="this")
    assert (again["id"], again["title"], again["location"]) == (one["id"], "Demo", "Room 1")
    assert (await ann.call("GET", f"/events/{series['id']}")).json()["version"] == 1


async def test_a_cancelled_occurrence_is_gone_until_it_is_restored(person: People, sql: Sql):
    ann = await person()
    await connect_account(sql, ann)
    series = await ann.create(**DAILY)
    gone = await changed(ann, series, None, occurrence=STARTS[1])
    assert gone["deleted_at"] is not None
    assert [state["status"] for state in gone["sync"]] == ["pending"]
    assert STARTS[1] not in said(await listed(ann), "start_time")
    for body in (None, {"title": "Late"}):
        answer = await change(ann, series, body, occurrence=STARTS[1])
        assert (answer.status_code, answer.json()["code"]) == (404, "occurrence_not_found")
        assert gone["id"] in answer.json()["detail"]
    back = await ann.call("POST", f"/events/{gone['id']}/restore")
    assert back.status_code == 200, back.text
    assert said(await listed(ann), "start_time") == STARTS
    # An exception that was there before is cancelled and comes back alike.
    gone = await changed(ann, series, None, occurrence=STARTS[1])
    assert gone["id"] == back.json()["id"]
    await ann.call("POST", f"/events/{gone['id']}/restore")
    assert said(await listed(ann), "start_time") == STARTS


async def test_days_are_named_by_dates(person: People):
    ann = await person()
    days = {"start_time": "2027-03-27T00:00:00Z", "end_time": "2027-03-28T00:00:00Z"}
    series = await ann.create(**days, all_day=True, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    one = await changed(ann, series, {"title": "Off"}, occurrence="2027-03-28")
    assert one["original_start_time"] == "2027-03-28T00:00:00Z"
    await changed(ann, series, None, occurrence="2027-03-29", scope="following")
    assert said(await listed(ann), "title", "start_time") == [
        ("Lunch", "2027-03-27T00:00:00Z"),
        ("Off", "2027-03-28T00:00:00Z"),
    ]


async def test_the_following_become_a_series_of_their_own(person: People, sql: Sql):
    ann = await person()
    _, calendar = await connect_account(sql, ann)
    series = await ann.create(
        **DAILY,
        conference={"url": "https://meet.example.com/1"},
        notes="bring cake",
        calendar_id=str(calendar),
    )
    early = await changed(ann, series, {"title": "Early"}, occurrence=STARTS[1])
    late = await changed(ann, series, {"title": "Late"}, occurrence=STARTS[3])
    gone = await changed(ann, series, None, occurrence=STARTS[4])
    rest = await changed(
        ann,
        series,
        {
            "location": "Room 1",
            "start_time": "2027-03-28T10:00:00Z",
            "end_time": "2027-03-28T11:00:00Z",
        },
        occurrence=STARTS[2],
        scope="following",
    )
    assert rest["id"] != series["id"]
    assert rest["recurrence"] == ["RRULE:FREQ=DAILY;COUNT=3"]
    assert (rest["conference"], rest["notes"]) == (series["conference"], "bring cake")
    assert (rest["calendar_id"], len(rest["sync"])) == (str(calendar), 1)
    old = (await ann.call("GET", f"/events/{series['id']}")).json()
    assert (old["recurrence"], old["version"]) == (["RRULE:FREQ=DAILY;COUNT=2"], 2)
    assert said(await listed(ann), "start_time", "title", "location", "series_id") == [
        (STARTS[0], "Stand-up", None, series["id"]),
        (STARTS[1], "Early", None, series["id"]),
        ("2027-03-28T10:00:00Z", "Stand-up", "Room 1", rest["id"]),
        ("2027-03-29T10:00:00Z", "Late", "Room 1", rest["id"]),
    ]
    rows = {
        row["id"]: row
        for row in await sql.fetch("select * from calendar_events where user_id = $1", ann.id)
    }
    assert rows[uuid.UUID(early["id"])]["series_id"] == uuid.UUID(series["id"])
    for exception, hour in ((late, 29), (gone, 30)):
        row = rows[uuid.UUID(exception["id"])]
        assert row["series_id"] == uuid.UUID(rest["id"])
        assert (row["original_start_time"].day, row["original_start_time"].hour) == (hour, 10)


async def test_a_repeated_split_is_made_once(person: People):
    ann = await person()
    series = await ann.create(**DAILY)
    asked = {"occurrence": STARTS[2], "scope": "following"}
    first, *others = await asyncio.gather(
        *(changed(ann, series, {"title": "Rest"}, **asked) for _ in range(3))
    )
    assert [other["id"] for other in others] == [first["id"]] * 2
    again = await changed(ann, series, {"title": "Rest"}, **asked)
    assert (again["id"], again["version"]) == (first["id"], first["version"])
    assert said(await listed(ann), "start_time", "title") == [
        *((at, "Stand-up") for at in STARTS[:2]),
        *((at, "Rest") for at in STARTS[2:]),
    ]
    # Made whole and split again there, it is a new one.
    await changed(ann, first, None)
    await changed(ann, series, {"recurrence": DAILY["recurrence"]})
    other = await changed(ann, series, {"title": "New"}, **asked)
    assert other["id"] != first["id"]
    assert len(await listed(ann)) == 5


async def test_from_the_first_on_is_all(person: People):
    ann = await person()
    series = await ann.create(**DAILY)
    rest = await changed(ann, series, {"title": "All"}, occurrence=STARTS[0], scope="following")
    assert (rest["id"], rest["recurrence"]) == (series["id"], series["recurrence"])
    assert set(said(await listed(ann), "title")) == {"All"}
    gone = await changed(ann, series, None, occurrence=STARTS[0], scope="following")
    assert (gone["id"], gone["deleted_at"] is None) == (series["id"], False)
    assert await listed(ann) == []


async def test_the_following_are_deleted_by_ending_the_series(person: People):
    ann = await person()
    series = await ann.create(**DAILY | {"recurrence": ["RRULE:FREQ=DAILY"]})
    await changed(ann, series, {"title": "Late"}, occurrence=STARTS[3])
    kept = await changed(ann, series, {"title": "Early"}, occurrence=STARTS[0])
    ended = await changed(ann, series, None, occurrence=STARTS[2], scope="following")
    assert ended["recurrence"] == ["RRULE:FREQ=DAILY;UNTIL=20270328T075959Z"]
    assert (ended["id"], ended["deleted_at"]) == (series["id"], None)
    assert said(await listed(ann), "start_time", "id") == [
        (STARTS[0], kept["id"]),
        (STARTS[1], None),
    ]
    again = await change(ann, series, None, occurrence=STARTS[2], scope="following")
    assert again.status_code == 404


async def test_all_is_the_series_and_what_was_alike_follows(person: People):
    ann = await person()
    series = await ann.create(**DAILY, location="Room 1")
    await changed(ann, series, {"title": "Demo"}, occurrence=STARTS[1])
    await changed(ann, series, {"location": "Room 2"}, occurrence=STARTS[2])
    answer = await changed(ann, series, {"title": "Daily", "location": "Room 3"})
    assert (answer["id"], answer["title"], answer["version"]) == (series["id"], "Daily", 2)
    assert said(await listed(ann), "title", "location") == [
        ("Daily", "Room 3"),
        ("Demo", "Room 3"),
        ("Daily", "Room 2"),
        ("Daily", "Room 3"),
        ("Daily", "Room 3"),
    ]


async def test_all_that_move_stay_the_same_occurrences(person: People, sql: Sql):
    ann = await person()
    lines = ["RRULE:FREQ=DAILY;UNTIL=20270401T080000Z", "EXDATE:20270330T080000Z"]
    series = await ann.create(**DAILY | {"recurrence": lines})
    named = await changed(ann, series, {"title": "Demo"}, occurrence=STARTS[1])
    moved = await changed(
        ann, series, {"start_time": "2027-03-28T15:00:00Z", "end_time": "2027-03-28T16:00:00Z"}, occurrence=STARTS[2],
    )  # fmt: skip
    gone = await changed(ann, series, None, occurrence=STARTS[3])
    # A day and an hour later on the wall clock, said of an occurrence in summer time.
    answer = await changed(
        ann,
        series,
        {"start_time": "2027-04-01T09:00:00Z", "end_time": "2027-04-01T10:00:00Z"},
        occurrence="2027-03-31T08:00:00Z",
        scope="all",
    )
    assert answer["start_time"] == "2027-03-27T10:00:00Z"
    assert answer["end_time"] == "2027-03-27T11:00:00Z"
    assert answer["recurrence"] == [
        "RRULE:FREQ=DAILY;UNTIL=20270402T090000Z",
        "EXDATE:20270331T090000Z",
    ]
    assert said(await listed(ann), "start_time", "id", "original_start_time") == [
        ("2027-03-27T10:00:00Z", None, "2027-03-27T10:00:00Z"),
        ("2027-03-28T09:00:00Z", named["id"], "2027-03-28T09:00:00Z"),
        ("2027-03-28T15:00:00Z", moved["id"], "2027-03-29T09:00:00Z"),
        ("2027-04-01T09:00:00Z", None, "2027-04-01T09:00:00Z"),
        ("2027-04-02T09:00:00Z", None, "2027-04-02T09:00:00Z"),
    ]
    assert gone["id"] not in said(await listed(ann), "id")


async def test_all_may_cease_to_repeat(person: People):
    ann = await person()
    series = await ann.create(**DAILY)
    await changed(ann, series, {"title": "Demo"}, occurrence=STARTS[1])
    single = await changed(ann, series, {"recurrence": None})
    assert single["recurrence"] is None
    assert said(await listed(ann), "id", "start_time") == [(series["id"], STARTS[0])]


async def test_a_series_deleted_with_all_comes_back_with_its_exceptions(person: People):
    ann = await person()
    series = await ann.create(**DAILY)
    await changed(ann, series, {"title": "Demo"}, occurrence=STARTS[1])
    await changed(ann, series, None, occurrence=STARTS[2])
    before = said(await listed(ann), "start_time", "title")
    await changed(ann, series, None, occurrence=STARTS[3], scope="all")
    assert await listed(ann) == []
    assert (await ann.call("POST", f"/events/{series['id']}/restore")).status_code == 200
    assert said(await listed(ann), "start_time", "title") == before


@pytest.mark.parametrize("body", [None, {"title": "New"}])
@pytest.mark.parametrize("scope", ["this", "following", "all"])
async def test_conditions_are_kept_by_every_scope(
    person: People, scope: str, body: dict[str, Any] | None
):
    ann = await person()
    series = await ann.create(**DAILY)
    series = await changed(ann, series, {"location": "Room 1"})
    before = await listed(ann)
    asked = {"occurrence": STARTS[2], "scope": scope}
    stale = await change(ann, series, body, if_match="1", **asked)
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")
    assert await listed(ann) == before
    fresh = await change(ann, series, body, if_match="2", **asked)
    assert fresh.status_code == 200, fresh.text
    if scope == "this" and body is not None:
        # The exception has a version of its own.
        again = await change(ann, series, body, if_match="2", **asked)
        assert again.status_code == 412


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"scope": "some"}, 400, "bad_scope"),
        ({"scope": "some", "occurrence": STARTS[1]}, 400, "bad_scope"),
        ({"scope": "this"}, 400, "bad_scope"),
        ({"scope": "following"}, 400, "bad_scope"),
        ({"occurrence": "soon"}, 422, "validation_failed"),
        ({"occurrence": "2027-03-26T09:00:00"}, 422, "validation_failed"),
        ({"occurrence": "2027-03-26T09:01:00Z"}, 404, "occurrence_not_found"),
        ({"occurrence": "2027-03-26"}, 404, "occurrence_not_found"),
        ({"occurrence": "2027-03-31T08:00:00Z", "scope": "following"}, 404, "occurrence_not_found"),
        ({"occurrence": "2027-03-31T08:00:00Z", "scope": "all"}, 404, "occurrence_not_found"),
    ],
)
@pytest.mark.parametrize("body", [None, {"title": "New"}])
async def test_what_is_not_there_is_refused_and_nothing_changes(
    person: People, params: dict[str, str], status: int, code: str, body: dict[str, Any] | None
):
    ann, bea = await person(), await person()
    series = await ann.create(**DAILY)
    before = await listed(ann)
    answer = await change(ann, series, body, **params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    theirs = await change(bea, series, body, occurrence=STARTS[1])
    assert theirs.status_code == 404
    assert await listed(ann) == before


@pytest.mark.parametrize(
    ("scope", "field", "body"),
    [
        ("this", "recurrence", {"recurrence": ["RRULE:FREQ=DAILY"]}),
        ("this", "calendar_id", {"calendar_id": str(uuid.uuid4())}),
        ("this", "end_time", {"end_time": "2027-01-01T00:00:00Z"}),
        ("this", "time_zone", {"time_zone": "Mars/Olympus"}),
        ("following", "end_time", {"end_time": "2027-01-01T00:00:00Z"}),
        ("following", "calendar_id", {"calendar_id": str(uuid.uuid4())}),
        ("following", "time_zone", {"time_zone": None}),
        ("following", "recurrence[0]", {"recurrence": ["RRULE:FREQ=NEVER"]}),
        ("all", "all_day", {"all_day": True}),
        ("all", "recurrence", {"recurrence": ["EXDATE:20270328T080000Z"]}),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_changes(
    person: People, scope: str, field: str, body: dict[str, Any]
):
    ann = await person()
    series = await ann.create(**DAILY)
    await changed(ann, series, {"title": "Demo"}, occurrence=STARTS[3])
    before = await listed(ann)
    answer = await change(ann, series, body, occurrence=STARTS[2], scope=scope)
    assert answer.status_code == 422, answer.text
    assert field in [fault["field"] for fault in answer.json()["errors"]] or field == "all_day"
    assert await listed(ann) == before


async def test_an_occurrence_out_of_step_does_not_begin_a_series(person: People):
    ann = await person()
    lines = ["RRULE:FREQ=DAILY;INTERVAL=3", "RDATE:20270328T080000Z"]
    series = await ann.create(**DAILY | {"recurrence": lines})
    asked = {"occurrence": "2027-03-28T08:00:00Z", "scope": "following"}
    answer = await change(ann, series, {"title": "New"}, **asked)
    assert answer.status_code == 422
    assert "INTERVAL" in answer.json()["errors"][0]["message"]
    # It can still be the end.
    ended = await changed(ann, series, None, **asked)
    assert ended["recurrence"] == ["RRULE:FREQ=DAILY;INTERVAL=3;UNTIL=20270328T075959Z"]


async def test_an_exception_keeps_to_its_series(person: People, sql: Sql):
    ann = await person()
    _, calendar = await connect_account(sql, ann)
    series = await ann.create(**DAILY)
    one = await changed(ann, series, {"title": "Demo"}, occurrence=STARTS[1])
    for body in ({"calendar_id": str(calendar)}, {"recurrence": DAILY["recurrence"]}):
        answer = await change(ann, one, body)
        assert answer.status_code == 422
        assert [fault["field"] for fault in answer.json()["errors"]] == list(body)
    kept = await changed(ann, one, {"calendar_id": None, "recurrence": None, "title": "Show"})
    assert kept["title"] == "Show"


async def test_many_edits_at_once_all_count(person: People):
    ann = await person()
    series = await ann.create(**DAILY)
    edits = [({"title": f"{n}"}, STARTS[n], "this") for n in range(1, 4)]
    edits += [({"location": "Room 1"}, STARTS[0], "all"), ({"notes": "n"}, STARTS[0], "all")]
    answers = await asyncio.gather(
        *(change(ann, series, body, occurrence=at, scope=scope) for body, at, scope in edits)
    )
    assert {answer.status_code for answer in answers} == {200}
    items = await listed(ann)
    assert said(items[1:4], "title") == ["1", "2", "3"]
    assert (items[0]["location"], items[0]["notes"]) == ("Room 1", "n")
