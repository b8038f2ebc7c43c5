"""The user's word: on conflicts, on paused calendars, on what failed."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from tests.api.conftest import Backend, Person, Sql, add_calendar, connect_account, finish_push

People = Callable[[], Awaitable[Person]]
MERGE = {"resolution": "merge"}


async def conflict_about(
    sql: Sql, person: Person, event: dict[str, Any], calendar_id: uuid.UUID, **remote: Any
) -> str:
    """Park the event in a conflict: its version here against the one with *remote*'s fields."""
    local = {
        "title": event["title"],
        "start": event["start_time"],
        "end": event["end_time"],
    }
    await finish_push(sql, event, calendar_id, status="conflict")
    return str(
        await sql.fetchval(
            "insert into sync_conflicts (user_id, event_id, calendar_id, fields, base, local,"
            " remote, policy) values ($1, $2, $3, '{title}', $4, $4, $5, 'manual') returning id",
            person.id,
            uuid.UUID(event["id"]),
            calendar_id,
            json.dumps(local),
            json.dumps(local | remote),
        )
    )


@pytest.fixture
async def parked(person: People, sql: Sql) -> tuple[Person, dict[str, Any], str]:
    """A person, their event, and the conflict it is parked in: Lunch here, Brunch there."""
    ann = await person()
    _, calendar_id = await connect_account(sql, ann, conflict_policy="manual")
    event = await ann.create()
    return ann, event, await conflict_about(sql, ann, event, calendar_id, title="Brunch")


Parked = tuple[Person, dict[str, Any], str]


@pytest.mark.parametrize(("resolution", "title"), [("local", "Lunch"), ("remote", "Brunch")])
async def test_one_side_is_chosen(parked: Parked, resolution: str, title: str):
    ann, event, conflict = parked
    answer = await ann.call(
        "POST", f"/conflicts/{conflict}/resolve", json={"resolution": resolution}
    )
    assert answer.status_code == 200, answer.text
    settled = answer.json()
    assert settled["conflict"]["id"] == conflict
    assert (settled["conflict"]["status"], settled["conflict"]["resolution"]) == (
        "resolved",
        resolution,
    )
    assert (settled["event"]["id"], settled["event"]["title"]) == (event["id"], title)
    assert [state["status"] for state in settled["event"]["sync"]] == ["pending"]


async def test_a_conflict_is_overruled_and_waited_for(parked: Parked):
    ann, _, conflict = parked
    path = f"/conflicts/{conflict}/resolve"
    await ann.call("POST", path, json={"resolution": "remote"})
    answer = await ann.call(
        "POST", path, json={"resolution": "local"}, headers={"Prefer": "wait=0.2"}
    )
    assert answer.json()["event"]["title"] == "Lunch"
    assert answer.headers["preference-applied"] == "wait=0.2"


async def test_a_merge_sets_the_fields_that_are_given(parked: Parked):
    ann, _, conflict = parked
    merged = {
        "title": "Both",
        "location": "Home",
        "end_time": "2027-01-01T16:30:00+02:00",
        "attendees": [{"email": "bea@example.com"}],
        "reminders": {"use_default": False, "overrides": [{"method": "popup", "minutes": 5}]},
        "metadata": {"deal": 7},
    }
    answer = await ann.call(
        "POST", f"/conflicts/{conflict}/resolve", json=MERGE | {"event": merged}
    )
    assert answer.status_code == 200, answer.text
    event = answer.json()["event"]
    assert (event["title"], event["location"]) == ("Both", "Home")
    assert (event["start_time"], event["end_time"]) == (
        "2027-01-01T12:00:00Z",
        "2027-01-01T14:30:00Z",
    )
    assert event["attendees"][0]["email"] == "bea@example.com"
    assert event["reminders"] == merged["reminders"]
    assert event["metadata"] == {"deal": 7}


UNUSABLE: list[tuple[str, dict[str, Any]]] = [
    ("event", MERGE),
    ("event", MERGE | {"event": {}}),
    ("event", {"resolution": "local", "event": {"title": "x"}}),
    ("event.title", MERGE | {"event": {"title": 7}}),
    ("event.titel", MERGE | {"event": {"titel": "x"}}),
    ("event.start", MERGE | {"event": {"start": "2027-01-01T12:00:00Z"}}),
    ("event.time_zone", MERGE | {"event": {"time_zone": "Europe/Atlantis"}}),
    ("event.calendar_id", MERGE | {"event": {"calendar_id": None}}),
    ("event.kind", MERGE | {"event": {"kind": "deal"}}),
    # Alone they are fine; together with what the event says they are not.
    ("event.end_time", MERGE | {"event": {"end_time": "2027-01-01T11:00:00Z"}}),
    ("event.start_time", MERGE | {"event": {"all_day": True}}),
    ("event.time_zone", MERGE | {"event": {"recurrence": ["RRULE:FREQ=DAILY"]}}),
    ("resolution", {"resolution": "mine"}),
    ("resolution", {}),
]


async def test_a_word_that_cannot_be_used_changes_nothing(parked: Parked):
    ann, event, conflict = parked
    for field, body in UNUSABLE:
        answer = await ann.call("POST", f"/conflicts/{conflict}/resolve", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["field"] == field
    assert (await ann.call("GET", f"/events/{event['id']}")).json()["version"] == 1
    [still] = (await ann.call("GET", "/conflicts", params={"status": "open"})).json()["items"]
    assert still["id"] == conflict


async def test_the_side_that_deleted_may_be_chosen(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    event = await ann.create()
    conflict = await conflict_about(sql, ann, event, calendar_id)
    await sql.execute(
        "update sync_conflicts set remote = null, fields = '{deleted}' where id = $1",
        uuid.UUID(conflict),
    )
    path = f"/conflicts/{conflict}/resolve"
    deleted = (await ann.call("POST", path, json={"resolution": "remote"})).json()
    assert deleted["event"]["deleted_at"] is not None
    # A merge into what is deleted starts from the version that was kept.
    late = MERGE | {"event": {"end_time": "2027-01-01T11:00:00Z"}}
    assert (await ann.call("POST", path, json=late)).status_code == 422
    back = await ann.call("POST", path, json=MERGE | {"event": {"title": "Again"}})
    assert (back.json()["event"]["title"], back.json()["event"]["deleted_at"]) == ("Again", None)


async def test_a_conflict_of_an_event_that_was_removed_has_no_event(parked: Parked, sql: Sql):
    ann, event, conflict = parked
    await sql.execute("delete from calendar_events where id = $1", uuid.UUID(event["id"]))
    await sql.execute(
        "update sync_conflicts set remote = null, fields = '{deleted}' where id = $1",
        uuid.UUID(conflict),
    )
    answer = await ann.call("POST", f"/conflicts/{conflict}/resolve", json={"resolution": "remote"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["event"] is None


async def test_a_held_lock_is_no_fault_of_ours(parked: Parked, backend: Backend):
    ann, _, conflict = parked
    holder = await asyncpg.connect(backend.info.database_url)
    try:
        async with holder.transaction():
            await holder.execute(
                "select from sync_conflicts where id = $1 for update", uuid.UUID(conflict)
            )
            answer = await ann.call(
                "POST", f"/conflicts/{conflict}/resolve", json={"resolution": "local"}
            )
    finally:
        await holder.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer.headers["retry-after"]


PAUSED = {
    "state": "paused",
    "state_reason": "12 of 12 events were deleted at once; say whether you meant it.",
    "preview": '{"deletions": 12, "of": 12, "events": []}',
}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, None),
        ({}, None),
        ({"approve_deletions": True}, "approved"),
        ({"approve_deletions": False}, "refused"),
    ],
)
async def test_a_paused_calendar_goes_on(
    person: People, sql: Sql, body: dict[str, Any] | None, said: str | None
):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann, **PAUSED)
    await sql.execute("insert into private.calendar_feeds (calendar_id) values ($1)", calendar_id)
    [shown] = (await ann.call("GET", "/calendars")).json()["items"]
    assert shown["preview"]["deletions"] == 12
    assert shown["state_reason"] == PAUSED["state_reason"]

    answer = await ann.call("POST", f"/calendars/{calendar_id}/resume", json=body)
    assert answer.status_code == 200, answer.text
    calendar = answer.json()
    assert (calendar["state"], calendar["state_reason"], calendar["preview"]) == (
        "catching_up",
        None,
        None,
    )
    assert said == await sql.fetchval(
        "select deletions from private.calendar_feeds where calendar_id = $1", calendar_id
    )
    assert await sql.fetchval(
        "select reason from sync_queue where calendar_id = $1 and kind = 'pull'", calendar_id
    )


async def test_only_what_is_paused_is_resumed(person: People, sql: Sql):
    ann, bob = await person(), await person()
    connection_id, calendar_id = await connect_account(sql, ann)
    off = await add_calendar(sql, ann, connection_id, enabled=False, default_target=False)
    for each in (calendar_id, off):
        answer = await ann.call("POST", f"/calendars/{each}/resume")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_paused")
    await sql.execute("update calendars set state = 'paused' where id = $1", calendar_id)
    for who, each in ((bob, calendar_id), (ann, uuid.uuid4())):
        answer = await who.call("POST", f"/calendars/{each}/resume", json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    bad = await ann.call(
        "POST", f"/calendars/{calendar_id}/resume", json={"approve_deletions": "yes"}
    )
    assert bad.json()["errors"][0]["field"] == "approve_deletions"
    assert await sql.fetchval("select state from calendars where id = $1", calendar_id) == "paused"


async def test_what_failed_is_listed_and_retried(person: People, sql: Sql, backend: Backend):
    ann, bob = await person(), await person()
    await connect_account(sql, ann)
    first, second = await ann.create(), await ann.create()
    await sql.execute(
        "update sync_queue set status = 'failed', attempts = 8, run_at = now() + interval '1 day',"
        ' last_error = \'{"code": "refused", "detail": "No."}\' where user_id = $1',
        ann.id,
    )
    page = (await ann.call("GET", "/sync/queue", params={"status": "failed", "limit": "1"})).json()
    assert page["failed"] == 2
    [row] = page["items"]
    assert row["event_id"] == second["id"]
    assert row["last_error"] == {"code": "refused", "detail": "No."}
    assert (row["attempts"], row["next_try_at"]) == (8, None)
    query = {"status": "failed", "cursor": page["next_cursor"]}
    [other] = (await ann.call("GET", "/sync/queue", params=query)).json()["items"]
    assert other["event_id"] == first["id"]
    assert (await bob.call("GET", "/sync/queue", params={"status": "failed"})).json()["items"] == []

    path = f"/sync/queue/{row['id']}/retry"
    assert (await bob.call("POST", path)).status_code == 404
    for unknown in (0, 2**63):
        assert (await ann.call("POST", f"/sync/queue/{unknown}/retry")).status_code == 404

    heard = asyncio.Event()

    def hear(*_: object) -> None:
        heard.set()

    listener = await asyncpg.connect(backend.info.database_url)
    await listener.add_listener("calsync_queue", hear)
    try:
        retried = (await ann.call("POST", path)).json()
        await asyncio.wait_for(heard.wait(), 2)
    finally:
        await listener.close()
    assert (retried["status"], retried["attempts"]) == ("pending", 0)
    assert retried["next_try_at"] <= retried["updated_at"]
    again = await ann.call("POST", path)
    assert (again.status_code, again.json()["code"]) == (409, "not_failed")
    assert (await ann.call("GET", "/sync/queue")).json().keys() >= {"pending", "failed"}
    assert "items" not in (await ann.call("GET", "/sync/queue")).json()


async def test_a_conflict_is_its_owners_to_settle(parked: Parked, person: People):
    ann, _, conflict = parked
    bob = await person()
    for who, each in ((bob, conflict), (ann, uuid.uuid4())):
        answer = await who.call("POST", f"/conflicts/{each}/resolve", json={"resolution": "remote"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    [still] = (await ann.call("GET", "/conflicts")).json()["items"]
    assert still["status"] == "open"
