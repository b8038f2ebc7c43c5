"""Windows through the HTTP API, with series as they are stored and as their occurrences."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

import pytest

from tests.api.conftest import Person, Sql, event_body
from tests.api.series import DAILY, STARTS, changed, listed, said

People = Callable[[], Awaitable[Person]]


async def test_occurrences_are_listed_in_place_of_their_series(person: People):
    ann = await person()
    series = await ann.create(**DAILY, metadata={"deal": 7})
    items = await listed(ann)
    assert said(items, "start_time") == STARTS
    assert said(items, "original_start_time") == STARTS
    first = items[0]
    assert first["end_time"] == "2027-03-26T09:30:00Z"
    assert (first["id"], first["series_id"], first["recurrence"]) == (None, series["id"], None)
    same = ("title", "metadata", "version", "time_zone", "created_at", "sync")
    assert {name: first[name] for name in same} == {name: series[name] for name in same}
    window = {"start_date": "2027-03-28", "end_date": "2027-03-29"}
    stored = (await ann.call("GET", "/events", params=window)).json()["items"]
    assert stored == [series]


async def test_days_are_listed_as_days(person: People):
    ann = await person()
    days = {"start_time": "2027-03-27T00:00:00Z", "end_time": "2027-03-29T00:00:00Z"}
    await ann.create(**days, all_day=True, recurrence=["RRULE:FREQ=WEEKLY;COUNT=2"])
    items = await listed(ann, "2027-03-28", "2027-04-30")
    assert said(items, "start_time", "end_time") == [
        ("2027-03-27T00:00:00Z", "2027-03-29T00:00:00Z"),
        ("2027-04-03T00:00:00Z", "2027-04-05T00:00:00Z"),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_of_occurrences_hold_each_once_in_order(person: People, limit: int):
    ann = await person()
    for _ in range(2):
        await ann.create(**DAILY)
    series = await ann.create(**DAILY | {"title": "Other"})
    await ann.create(**event_body(start_time=STARTS[1], end_time=STARTS[2]))
    await changed(
        ann, series, {"start_time": STARTS[3], "end_time": STARTS[4]}, occurrence=STARTS[0]
    )
    await changed(ann, series, None, occurrence=STARTS[1])
    whole = await listed(ann)
    assert len(whole) == 3 * 5 + 1 - 1
    assert await listed(ann, limit=limit) == whole
    keys = said(whole, "start_time")
    assert keys == sorted(keys)


async def test_an_endless_series_is_quick_to_list_long_after(person: People):
    ann = await person()
    await ann.create(**DAILY | {"recurrence": ["RRULE:FREQ=DAILY"]})
    items = await listed(ann, "2087-07-01", "2087-07-02")
    assert said(items, "start_time") == ["2087-07-01T08:00:00Z"]


async def test_a_series_is_listed_while_it_may_occur(person: People):
    ann = await person()
    ended = await ann.create(**DAILY)
    endless = await ann.create(**DAILY | {"recurrence": ["RRULE:FREQ=MONTHLY"]})

    async def stored(start: str, end: str) -> list[str]:
        found: list[str] = []
        params = {"start_date": start, "end_date": end, "limit": "1"}
        while True:
            answer = (await ann.call("GET", "/events", params=params)).json()
            found += said(answer["items"], "id")
            if answer["next_cursor"] is None:
                return found
            params["cursor"] = answer["next_cursor"]

    assert set(await stored("2027-03-26", "2027-03-27")) == {ended["id"], endless["id"]}
    assert await stored("2027-03-29", "2027-03-30") == [ended["id"]]
    assert await stored("2027-06-26", "2027-06-27") == [endless["id"]]
    assert await stored("2027-06-01", "2027-06-02") == []


async def test_exceptions_are_shown_where_they_are(person: People, sql: Sql):
    ann = await person()
    series = await ann.create(**DAILY)
    moved = await changed(
        ann,
        series,
        {"start_time": "2027-06-01T12:00:00Z", "end_time": "2027-06-01T13:00:00Z"},
        occurrence=STARTS[1],
    )
    renamed = await changed(ann, series, {"title": "Demo"}, occurrence=STARTS[2])
    await changed(ann, series, None, occurrence=STARTS[3])
    assert said(await listed(ann), "start_time", "title", "id") == [
        (STARTS[0], "Stand-up", None),
        (STARTS[2], "Demo", renamed["id"]),
        (STARTS[4], "Stand-up", None),
    ]
    # From outside into a window, and still there when the rules no longer know of it.
    june = {"start": "2027-06-01", "end": "2027-06-02"}
    assert said(await listed(ann, **june), "id", "series_id", "original_start_time") == [
        (moved["id"], series["id"], STARTS[1])
    ]
    await sql.execute(
        "update calendar_events set recurrence = '{RRULE:FREQ=DAILY;COUNT=1}' where id = $1",
        uuid.UUID(series["id"]),
    )
    assert said(await listed(ann, **june), "id") == [moved["id"]]
