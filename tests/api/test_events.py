"""Events through the HTTP API, against the real data API and database."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.api.conftest import (
    Person,
    Sql,
    add_calendar,
    connect_account,
    event_body,
    finish_push,
)

People = Callable[[], Awaitable[Person]]
NEW_YEAR = {"start_date": "2027-01-01", "end_date": "2027-01-02"}


async def test_an_event_is_created_read_changed_and_deleted(person: People):
    ann = await person()
    created = await ann.call("POST", "/events", json=event_body(notes="bring cake"))
    event = created.json()
    assert created.status_code == 201
    assert created.headers["etag"] == '"1"'
    assert created.headers["location"] == f"/api/calendar/events/{event['id']}"
    assert event["start_time"] == "2027-01-01T12:00:00Z"
    assert event["sync"] == []
    assert event["version"] == 1

    assert (await ann.call("GET", f"/events/{event['id']}")).json() == event

    changed = await ann.call("PATCH", f"/events/{event['id']}", json={"notes": None})
    assert changed.status_code == 200
    assert changed.headers["etag"] == '"2"'
    assert changed.json()["notes"] is None
    assert changed.json()["title"] == "Lunch"

    deleted = await ann.call("DELETE", f"/events/{event['id']}")
    assert deleted.status_code == 200
    assert deleted.json()["deleted_at"] is not None
    for method in ("GET", "PATCH", "DELETE"):
        again = await ann.call(method, f"/events/{event['id']}", json={})
        assert again.status_code == 404, method
    assert (await ann.call("GET", "/events", params=NEW_YEAR)).json()["items"] == []


async def test_every_writable_field_comes_back_as_it_was_sent(person: People):
    ann = await person()
    sent = event_body(
        description="d",
        location="l",
        notes="n",
        time_zone="Europe/Vienna",
        recurrence=["RRULE:FREQ=WEEKLY;UNTIL=20270301T120000Z", "EXDATE:20270108T120000Z"],
        status="tentative",
        visibility="private",
        transparency="transparent",
        attendees=[
            {
                "email": "bea@example.com",
                "name": "Bea",
                "response": "accepted",
                "optional": True,
                "organizer": False,
            }
        ],
        reminders={"use_default": False, "overrides": [{"method": "popup", "minutes": 10}]},
        attachments=[{"url": "https://example.com/a.pdf", "title": "a", "mime_type": None}],
        conference={"url": "https://meet.example.com/1", "pin": "7"},
        color="#ff0000",
        kind="deal",
        metadata={"deal": {"id": 7, "tags": ["a", None, 1.5]}},
    )
    event = await ann.create(**sent)
    assert {name: event[name] for name in sent} == sent


async def test_attendees_and_reminders_are_completed_with_their_defaults(person: People):
    ann = await person()
    event = await ann.create(attendees=[{"email": "bea@example.com"}], reminders={})
    assert event["attendees"][0]["response"] == "needs_action"
    assert event["reminders"] == {"use_default": True, "overrides": []}


async def test_times_are_answered_in_utc_whatever_offset_they_came_with(person: People):
    ann = await person()
    event = await ann.create(
        start_time="2027-01-01T12:00:00.25+05:30", end_time="2027-01-01T12:00:00.25+05:30"
    )
    assert event["start_time"] == "2027-01-01T06:30:00.250000Z"


async def test_an_all_day_event_has_no_zone(person: People):
    ann = await person()
    days = {"start_time": "2027-01-01T00:00:00Z", "end_time": "2027-01-03T00:00:00Z"}
    event = await ann.create(time_zone="Europe/Vienna")
    changed = await ann.call("PATCH", f"/events/{event['id']}", json={"all_day": True} | days)
    assert changed.status_code == 200, changed.text
    assert changed.json()["time_zone"] is None
    assert changed.json()["all_day"] is True


@pytest.mark.parametrize("condition", ['"1"', "1", 'W/"1"', "*"])
async def test_if_match_lets_a_fresh_write_through(person: People, condition: str):
    ann = await person()
    event = await ann.create()
    answer = await ann.call(
        "PATCH", f"/events/{event['id']}", json={"title": "New"}, headers={"If-Match": condition}
    )
    assert answer.status_code == 200
    assert answer.json()["version"] == 2


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_if_match_refuses_a_stale_write_and_changes_nothing(person: People, method: str):
    ann = await person()
    event = await ann.create()
    await ann.call("PATCH", f"/events/{event['id']}", json={"title": "First"})
    stale = await ann.call(
        method, f"/events/{event['id']}", json={"title": "Second"}, headers={"If-Match": '"1"'}
    )
    assert stale.status_code == 412
    assert stale.json()["code"] == "version_mismatch"
    assert stale.headers["etag"] == '"2"'
    assert (await ann.call("GET", f"/events/{event['id']}")).json()["title"] == "First"


async def test_of_two_writes_with_the_same_condition_one_wins(person: People):
    ann = await person()
    event = await ann.create()
    answers = await asyncio.gather(
        *(
            ann.call(
                "PATCH",
                f"/events/{event['id']}",
                json={"title": f"Writer {number}"},
                headers={"If-Match": '"1"'},
            )
            for number in range(5)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


async def test_a_change_without_fields_changes_nothing(person: People):
    ann = await person()
    event = await ann.create()
    answer = await ann.call("PATCH", f"/events/{event['id']}", json={})
    assert answer.json()["version"] == 1
    stale = await ann.call("PATCH", f"/events/{event['id']}", json={}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412


async def test_pages_hold_every_event_once_in_order(person: People):
    ann = await person()
    # Equal starts, so that the order within them depends on the id.
    hours = [9, 9, 9, 10, 11, 11, 12]
    for hour in hours:
        await ann.create(
            start_time=f"2027-01-01T{hour:02}:00:00.123456Z", end_time="2027-01-01T15:00:00Z"
        )
    seen: list[dict[str, Any]] = []
    pages = 0
    cursor: str | None = None
    while True:
        params = NEW_YEAR | {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        answer = await ann.call("GET", "/events", params=params)
        assert answer.status_code == 200, answer.text
        seen += answer.json()["items"]
        pages += 1
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    assert pages == 4
    assert [int(event["start_time"][11:13]) for event in seen] == hours
    assert len({event["id"] for event in seen}) == len(hours)


async def test_a_window_holds_what_touches_it(person: People):
    ann = await person()
    wanted = {
        "across the start": ("2026-12-31T23:00:00Z", "2027-01-01T01:00:00Z"),
        "across the end": ("2027-01-01T23:00:00Z", "2027-01-02T01:00:00Z"),
        "longer": ("2026-12-30T00:00:00Z", "2027-01-05T00:00:00Z"),
        "a moment at the start": ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    }
    unwanted = {
        "ends at the start": ("2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z"),
        "starts at the end": ("2027-01-02T00:00:00Z", "2027-01-02T01:00:00Z"),
    }
    for title, (start, end) in (wanted | unwanted).items():
        await ann.create(title=title, start_time=start, end_time=end)
    await ann.create(
        title="repeats",
        start_time="2020-01-01T00:00:00Z",
        end_time="2020-01-01T01:00:00Z",
        time_zone="UTC",
        recurrence=["RRULE:FREQ=DAILY"],
    )
    answer = await ann.call("GET", "/events", params=NEW_YEAR)
    assert {event["title"] for event in answer.json()["items"]} == {*wanted, "repeats"}


async def test_a_window_can_be_narrowed_to_a_calendar(person: People, sql: Sql):
    ann = await person()
    connection_id, default = await connect_account(sql, ann)
    other = await add_calendar(sql, ann, connection_id, default_target=False)
    await ann.create(title="homeless")
    await ann.create(title="at home", calendar_id=str(other))

    async def titles(calendar_id: uuid.UUID) -> list[str]:
        params = NEW_YEAR | {"calendar_id": str(calendar_id)}
        items = (await ann.call("GET", "/events", params=params)).json()["items"]
        return [event["title"] for event in items]

    assert await titles(default) == ["homeless"]
    assert await titles(other) == ["at home"]


async def test_a_long_list_carries_every_sync_state(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    await sql.execute(
        "insert into calendar_events (user_id, title, start_time, end_time)"
        " select $1, 'e', '2027-01-01T10:00Z', '2027-01-01T11:00Z' from generate_series(1, 160)",
        ann.id,
    )
    answer = await ann.call("GET", "/events", params=NEW_YEAR | {"limit": "250"})
    items = answer.json()["items"]
    assert len(items) == 160
    assert all([state["status"] for state in event["sync"]] == ["pending"] for event in items)
    assert items[0]["sync"][0]["calendar_id"] == str(calendar_id)


async def test_sync_says_how_far_an_event_has_come(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    event = await ann.create()
    assert event["sync"] == [
        {
            "calendar_id": str(calendar_id),
            "provider": "google",
            "status": "pending",
            "external_id": None,
            "html_link": None,
            "last_synced_at": None,
            "error": None,
        }
    ]

    async def state() -> dict[str, Any]:
        found = (await ann.call("GET", f"/events/{event['id']}")).json()["sync"]
        assert len(found) == 1
        return found[0]

    await finish_push(sql, event, calendar_id)
    synced = await state()
    assert synced["status"] == "synced"
    assert synced["external_id"] == "remote1"
    assert synced["html_link"] == "https://calendar.example/remote1"
    assert synced["last_synced_at"] is not None

    await ann.call("PATCH", f"/events/{event['id']}", json={"title": "New"})
    assert (await state())["status"] == "pending"

    await sql.execute(
        "update sync_queue set status = 'failed', last_error = $2"
        " where event_id = $1 and status = 'pending'",
        uuid.UUID(event["id"]),
        '{"code": "provider_rejected", "detail": "Too long.", "scope": "event"}',
    )
    failed = await state()
    assert failed["status"] == "failed"
    assert failed["error"] == {
        "code": "provider_rejected",
        "detail": "Too long.",
        "scope": "event",
    }
    await sql.execute(
        "update sync_queue set status = 'completed' where event_id = $1", uuid.UUID(event["id"])
    )
    await finish_push(sql, event, calendar_id, status="conflict")
    assert (await state())["status"] == "conflict"


async def test_a_calendar_that_an_event_left_is_not_listed(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    event = await ann.create()
    await finish_push(sql, event, calendar_id, status="deleted")
    assert (await ann.call("GET", f"/events/{event['id']}")).json()["sync"] == []


async def test_wait_answers_once_the_event_is_synced(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    event = await ann.create()

    async def push_later() -> None:
        await asyncio.sleep(0.3)
        await finish_push(sql, event, calendar_id)

    started = time.monotonic()
    answer, _ = await asyncio.gather(
        ann.call("GET", f"/events/{event['id']}", headers={"Prefer": "wait=10"}), push_later()
    )
    elapsed = time.monotonic() - started
    assert answer.json()["sync"][0]["status"] == "synced"
    assert answer.headers["preference-applied"] == "wait=10"
    assert 0.25 < elapsed < 1.5


async def test_wait_works_for_create_change_and_delete(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)

    async def push_everything() -> None:
        while True:
            rows = await sql.fetch(
                "select event_id, status from sync_queue"
                " where user_id = $1 and status = 'pending' and kind = 'push'",
                ann.id,
            )
            for row in rows:
                deleted = await sql.fetchval(
                    "select deleted_at is not null from calendar_events where id = $1",
                    row["event_id"],
                )
                await finish_push(
                    sql,
                    {"id": str(row["event_id"])},
                    calendar_id,
                    status="deleted" if deleted else "synced",
                )
            await asyncio.sleep(0.05)

    worker = asyncio.create_task(push_everything())
    wait = {"Prefer": "respond-async, wait=5"}
    try:
        created = await ann.call("POST", "/events", json=event_body(), headers=wait)
        path = f"/events/{created.json()['id']}"
        changed = await ann.call("PATCH", path, json={"title": "New"}, headers=wait)
        deleted = await ann.call("DELETE", path, headers=wait)
    finally:
        worker.cancel()
    for answer in (created, changed, deleted):
        assert [state["status"] for state in answer.json()["sync"]] == ["synced"], answer.text


async def test_wait_gives_up_when_time_is_up(person: People, sql: Sql):
    ann = await person()
    await connect_account(sql, ann)
    started = time.monotonic()
    answer = await ann.call("POST", "/events", json=event_body(), headers={"Prefer": "wait=0.5"})
    assert answer.status_code == 201
    assert answer.json()["sync"][0]["status"] == "pending"
    assert 0.4 < time.monotonic() - started < 1.5


async def test_wait_does_not_wait_for_what_failed_or_has_no_calendar(person: People, sql: Sql):
    ann = await person()
    started = time.monotonic()
    await ann.call("POST", "/events", json=event_body(), headers={"Prefer": "wait=10"})
    _, calendar_id = await connect_account(sql, ann)
    event = await ann.create()
    await sql.execute("update sync_queue set status = 'failed' where calendar_id = $1", calendar_id)
    answer = await ann.call("GET", f"/events/{event['id']}", headers={"Prefer": "wait=10"})
    assert answer.json()["sync"][0]["status"] == "failed"
    assert time.monotonic() - started < 3


async def test_somebody_elses_event_is_not_there(person: People):
    ann, bob = await person(), await person()
    event = await ann.create()
    path = f"/events/{event['id']}"
    for method in ("GET", "PATCH", "DELETE"):
        answer = await bob.call(method, path, json={"title": "Mine"})
        unknown = await bob.call(method, f"/events/{uuid.uuid4()}", json={"title": "Mine"})
        assert answer.status_code == 404
        assert answer.json() == unknown.json()
    assert (await bob.call("GET", "/events", params=NEW_YEAR)).json()["items"] == []
    assert (await ann.call("GET", path)).json() == event


async def test_whoever_changes_an_event_says_who_is_told(person: People, sql: Sql):
    ann = await person()
    created = await ann.call("POST", "/events?send_updates=all", json=event_body())
    assert created.status_code == 201, created.text
    path = f"/events/{created.json()['id']}"
    for method, query in (
        ("PATCH", ""),
        ("PATCH", "?send_updates=external_only"),
        ("PATCH", "?send_updates=none"),
        ("DELETE", "?send_updates=all"),
    ):
        body = {"title": f"{method}{query}"} if method == "PATCH" else None
        answer = await ann.call(method, path + query, json=body)
        assert answer.status_code == 200, answer.text
        assert "send_updates" not in answer.json()
    wishes = await sql.fetch(
        "select version, send_updates from private.update_wishes where event_id = $1"
        " order by version",
        uuid.UUID(created.json()["id"]),
    )
    assert [tuple(row) for row in wishes] == [(1, "all"), (3, "external_only"), (5, "all")]


async def test_only_known_ways_of_telling_are_taken(person: People):
    ann = await person()
    answer = await ann.call("POST", "/events?send_updates=everybody", json=event_body())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "send_updates"


async def test_a_conference_may_be_asked_for(person: People):
    ann = await person()
    event = await ann.create(conference={"create": "google_meet"})
    assert event["conference"] == {"create": "google_meet"}
    for conference in ({"create": "fax"}, {"create": "google_meet", "url": "nowhere"}, {}):
        answer = await ann.call("POST", "/events", json=event_body(conference=conference))
        assert answer.status_code == 422, conference
        assert answer.json()["errors"][0]["field"] == "conference.url"
