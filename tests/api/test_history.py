"""What happened to an event, why it is not there, and getting an earlier version back."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.api.conftest import Person, Sql, add_calendar, connect_account, finish_push

People = Callable[[], Awaitable[Person]]


async def history(person: Person, event: dict[str, Any], **query: str) -> dict[str, Any]:
    answer = await person.call("GET", f"/events/{event['id']}/history", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def fail(sql: Sql, event: dict[str, Any], code: str, detail: str) -> int:
    """Give up the event's push; answers the queue row."""
    return await sql.fetchval(
        "update sync_queue set status = 'failed', attempts = 8, last_error ="
        " jsonb_build_object('code', $2::text, 'detail', $3::text) where event_id = $1"
        " returning id",
        uuid.UUID(event["id"]),
        code,
        detail,
    )


async def test_the_history_tells_every_change_and_what_it_replaced(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    event = await ann.create()
    await ann.call("PATCH", f"/events/{event['id']}", json={"title": "Dinner", "location": "Home"})
    await sql.execute(
        "insert into sync_audit (user_id, calendar_id, event_id, action, source, detail,"
        " duration_ms) values ($1, $2, $3, 'push.updated', 'app',"
        ' \'{"units": ["time", "title"], "attempt": 1}\', 12.5)',
        ann.id,
        calendar_id,
        uuid.UUID(event["id"]),
    )
    await ann.call("DELETE", f"/events/{event['id']}")

    created, updated, pushed, deleted = (await history(ann, event))["items"]
    assert (created["action"], created["source"], created["version"]) == ("event.created", "app", 1)
    assert (created["changed"], created["before"]) == ([], {})
    assert updated["changed"] == ["location", "title"]
    assert updated["before"] == {"title": "Lunch", "location": None}
    assert updated["detail"] == {"title": "Dinner"}
    assert pushed["calendar_id"] == str(calendar_id)
    assert pushed["changed"] == ["all_day", "end_time", "start_time", "time_zone", "title"]
    assert (pushed["duration_ms"], pushed["detail"]) == (12.5, {"attempt": 1})
    assert (deleted["action"], deleted["changed"]) == ("event.deleted", ["deleted_at"])
    assert created["at"] <= updated["at"] <= deleted["at"]


async def test_the_history_comes_in_pages(person: People):
    ann = await person()
    event = await ann.create()
    for number in range(4):
        await ann.call("PATCH", f"/events/{event['id']}", json={"title": f"Title {number}"})
    versions: list[int] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        page = await history(ann, event, **query)
        versions += [item["version"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert versions == [1, 2, 3, 4, 5]


async def test_a_cursor_that_is_not_ours_is_refused(person: People):
    ann = await person()
    event = await ann.create()
    for path in (f"/events/{event['id']}/history", "/audit"):
        for cursor in ("", "x", "WyJhIl0", "Wy0xXQ", "W10", "WzFlOTld"):
            answer = await ann.call("GET", path, params={"cursor": cursor})
            assert answer.status_code == 422, cursor
            assert answer.json()["errors"][0]["field"] == "cursor"


async def test_a_removed_event_keeps_its_history(person: People, sql: Sql):
    ann = await person()
    event = await ann.create(notes="secret")
    await sql.execute("delete from calendar_events where id = $1", uuid.UUID(event["id"]))
    found = await history(ann, event)
    removed = found["items"][-1]
    assert (removed["action"], removed["changed"]) == ("event.deleted", [])
    assert removed["before"]["notes"] == "secret"
    assert "user_id" not in removed["before"]
    assert found["explanation"] == "It is deleted here, and no calendar holds a copy."


async def test_it_says_why_an_event_is_not_there(person: People, sql: Sql):
    ann = await person()
    event = await ann.create()
    found = await history(ann, event)
    assert (found["sync"], found["explanation"]) == (
        [],
        "It is only here: no calendar account is connected.",
    )

    connection_id, calendar_id = await connect_account(sql, ann, default_target=False)
    found = await history(ann, event)
    assert found["sync"] == []
    assert "none is the default target" in found["explanation"]

    await ann.call("PATCH", f"/calendars/{calendar_id}", json={"default_target": True})
    [standing] = (await history(ann, event))["sync"]
    assert (standing["status"], standing["waiting"]) == (None, None)
    assert "is being read first" in standing["explanation"]

    await ann.call("PATCH", f"/events/{event['id']}", json={"title": "Dinner"})
    [standing] = (await history(ann, event))["sync"]
    assert standing["status"] == "pending"
    assert standing["waiting"]["reason"] == "updated"
    assert standing["waiting"]["next_try_at"] is not None
    assert standing["explanation"].startswith("It waits to be sent to “Primary” since ")

    queue_id = await fail(sql, event, "provider_rejected", "The title is too long.")
    found = await history(ann, event)
    [standing] = found["sync"]
    assert standing["status"] == "failed"
    assert standing["error"]["code"] == "provider_rejected"
    assert standing["waiting"]["queue_id"] == queue_id
    assert standing["explanation"] == found["explanation"]
    assert found["explanation"] == (
        "“Primary” did not take it: The title is too long. Edit the event, or retry."
    )

    await sql.execute(
        "update calendar_connections set status = 'reconnect_needed' where id = $1", connection_id
    )
    assert (await history(ann, event))["explanation"] == (
        "“Primary” waits: me@example.com must be connected again."
    )


async def test_every_calendar_has_its_say(person: People, sql: Sql):
    ann = await person()
    connection_id, first = await connect_account(sql, ann, name="A")
    await add_calendar(
        sql, ann, connection_id, name="B", mirror="all", default_target=False, direction="pull"
    )
    await add_calendar(sql, ann, connection_id, name="C", default_target=False)
    left = await add_calendar(sql, ann, connection_id, name="D", default_target=False)
    event = await ann.create()
    await finish_push(sql, event, first)
    await sql.execute(
        "insert into event_mappings (user_id, event_id, calendar_id, external_id, status)"
        " values ($1, $2, $3, 'gone', 'deleted')",
        ann.id,
        uuid.UUID(event["id"]),
        left,
    )
    found = await history(ann, event)
    assert [each["calendar_name"] for each in found["sync"]] == ["A", "B"]
    assert found["sync"][0]["external_id"] == "remote1"
    lines = found["explanation"].splitlines()
    assert lines[0].startswith("It is in sync with “A”, last at ")
    assert lines[1] == "“B” is only read, so events from here are not sent there."


async def test_an_old_event_is_outside_the_window(person: People, sql: Sql):
    ann = await person()
    event = await ann.create(start_time="2020-01-01T12:00:00Z", end_time="2020-01-01T13:00:00Z")
    await connect_account(sql, ann)
    assert (await history(ann, event))["explanation"].startswith("It ended before ")


async def test_a_parked_conflict_is_the_reason(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    event = await ann.create()
    await finish_push(sql, event, calendar_id, status="conflict")
    assert "until you settle the conflict" in (await history(ann, event))["explanation"]


async def test_the_last_change_is_undone(person: People):
    ann = await person()
    event = await ann.create()
    path = f"/events/{event['id']}"
    await ann.call("PATCH", path, json={"title": "Wrong"})
    answer = await ann.call("POST", f"{path}/restore")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["title"], answer.json()["version"]) == ("Lunch", 3)
    assert answer.headers["etag"] == '"3"'


@pytest.mark.parametrize(
    "deletion",
    [
        "update calendar_events set deleted_at = now() where id = $1",
        "delete from calendar_events where id = $1",
    ],
)
async def test_a_deleted_event_comes_back(person: People, sql: Sql, deletion: str):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    event = await ann.create(notes="kept")
    await sql.execute(deletion, uuid.UUID(event["id"]))
    answer = await ann.call("POST", f"/events/{event['id']}/restore")
    assert answer.status_code == 200, answer.text
    restored = answer.json()
    assert (restored["notes"], restored["deleted_at"]) == ("kept", None)
    assert [state["status"] for state in restored["sync"]] == ["pending"]
    await finish_push(sql, event, calendar_id)
    assert (await ann.call("GET", f"/events/{event['id']}")).json()["title"] == "Lunch"


async def test_a_version_is_chosen_and_waited_for(person: People, sql: Sql):
    ann = await person()
    await connect_account(sql, ann)
    event = await ann.create()
    path = f"/events/{event['id']}"
    for title in ("Second", "Third"):
        await ann.call("PATCH", path, json={"title": title})
    answer = await ann.call(
        "POST", f"{path}/restore", json={"version": 2}, headers={"Prefer": "wait=0.2"}
    )
    assert answer.json()["title"] == "Second"
    assert answer.headers["preference-applied"] == "wait=0.2"


async def test_what_cannot_be_restored_is_said(person: People):
    ann, bob = await person(), await person()
    event = await ann.create()
    path = f"/events/{event['id']}/restore"
    nothing = await ann.call("POST", path)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_restore")
    await ann.call("PATCH", f"/events/{event['id']}", json={"title": "Second"})
    future = await ann.call("POST", path, json={"version": 7})
    assert (future.status_code, future.json()["code"]) == (409, "nothing_to_restore")
    for body in ({"version": 0}, {"version": "1"}, {"at": 1}):
        assert (await ann.call("POST", path, json=body)).status_code == 422
    for who, where in ((bob, path), (ann, f"/events/{uuid.uuid4()}/restore")):
        unknown = await who.call("POST", where)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (await ann.call("GET", f"/events/{event['id']}")).json()["title"] == "Second"


async def test_the_history_is_the_owners(person: People):
    ann, bob = await person(), await person()
    event = await ann.create()
    for who, event_id in ((bob, event["id"]), (ann, uuid.uuid4())):
        answer = await who.call("GET", f"/events/{event_id}/history")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await bob.call("GET", "/audit")).json()["items"] == []


async def test_the_audit_log_is_filtered_and_paged_newest_first(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    first, second = await ann.create(), await ann.create()
    await ann.call("DELETE", f"/events/{first['id']}")
    await sql.execute(
        "insert into sync_audit (user_id, calendar_id, action, source)"
        " values ($1, $2, 'calendar.paused', 'google')",
        ann.id,
        calendar_id,
    )

    async def read(*query: tuple[str, str]) -> list[tuple[str, str | None]]:
        page = (await ann.call("GET", "/audit", params=list(query))).json()
        return [(item["action"], item["event_id"]) for item in page["items"]]

    whole = [
        ("calendar.paused", None),
        ("event.deleted", first["id"]),
        ("event.created", second["id"]),
        ("event.created", first["id"]),
    ]
    assert await read() == whole
    assert await read(("event_id", first["id"])) == [whole[1], whole[3]]
    assert await read(("calendar_id", str(calendar_id))) == whole[:1]
    assert await read(("action", "event.created")) == whole[2:]
    several = (("action", "event.deleted"), ("action", "calendar.paused"))
    assert await read(*several) == whole[:2]

    page = (await ann.call("GET", "/audit", params={"limit": "3"})).json()
    rest = await ann.call("GET", "/audit", params={"cursor": page["next_cursor"]})
    assert [item["id"] for item in rest.json()["items"]] < [item["id"] for item in page["items"]]
    assert (len(rest.json()["items"]), rest.json()["next_cursor"]) == (1, None)
