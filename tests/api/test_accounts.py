"""Connections, calendars, the state of syncing, notifications and conflicts."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.api.conftest import Person, Sql, add_calendar, connect_account

People = Callable[[], Awaitable[Person]]


async def test_integrations_show_their_calendars_primary_first(person: People, sql: Sql):
    ann = await person()
    connection_id, calendar_id = await connect_account(
        sql, ann, last_error='{"code": "throttled", "detail": "Slow down.", "extra": 1}'
    )
    await add_calendar(
        sql,
        ann,
        connection_id,
        name="Another",
        is_primary=False,
        enabled=False,
        default_target=False,
        access_role="reader",
        unsyncable_reason="read only",
    )
    page = (await ann.call("GET", "/integrations")).json()
    assert page["next_cursor"] is None
    [integration] = page["items"]
    assert integration["id"] == str(connection_id)
    assert integration["account_email"] == "me@example.com"
    assert [found["name"] for found in integration["calendars"]] == ["Primary", "Another"]
    assert integration["calendars"][0]["id"] == str(calendar_id)
    assert integration["calendars"][0]["last_error"] == {
        "code": "throttled",
        "detail": "Slow down.",
    }
    assert "account_id" not in integration

    calendars = (await ann.call("GET", "/calendars")).json()["items"]
    assert [found["name"] for found in calendars] == ["Another", "Primary"]
    assert calendars[0]["unsyncable_reason"] == "read only"


async def test_an_integration_shows_what_it_spent_today_and_when_it_may_write_again(
    person: People, sql: Sql
):
    ann, bob = await person(), await person()
    connection_id, _ = await connect_account(sql, ann)
    await connect_account(sql, bob)
    await sql.execute(
        "insert into sync_usage (day, connection_id, user_id, units)"
        " select (now() at time zone 'UTC')::date - n, $1, $2, 40 + n from generate_series(0, 1) n",
        connection_id,
        ann.id,
    )
    await sql.execute(
        "update calendar_connections set writes_parked_until = now() + interval '1 hour'"
        " where id = $1",
        connection_id,
    )
    [mine] = (await ann.call("GET", "/integrations")).json()["items"]
    assert mine["units_today"] == 40
    assert mine["writes_parked_until"] is not None
    [other] = (await bob.call("GET", "/integrations")).json()["items"]
    assert (other["units_today"], other["writes_parked_until"]) == (0, None)
    await sql.execute("update calendar_connections set writes_parked_until = now()")
    [mine] = (await ann.call("GET", "/integrations")).json()["items"]
    assert mine["writes_parked_until"] is None


async def test_nothing_of_somebody_else_is_seen_or_touched(person: People, sql: Sql):
    ann, bob = await person(), await person()
    connection_id, calendar_id = await connect_account(sql, ann)
    for path in ("/integrations", "/calendars", "/conflicts", "/notifications"):
        assert (await bob.call("GET", path)).json()["items"] == [], path
    attempts: list[tuple[str, str, Any]] = [
        ("DELETE", f"/integrations/{connection_id}", None),
        ("POST", f"/integrations/{connection_id}/sync", None),
        ("PATCH", f"/calendars/{calendar_id}", {"enabled": False}),
    ]
    for method, path, body in attempts:
        assert (await bob.call(method, path, json=body)).status_code == 404, path
    assert await sql.fetchval("select enabled from calendars where id = $1", calendar_id)
    assert not await sql.fetchval(
        "select count(*) from sync_queue where calendar_id = $1", calendar_id
    )


async def test_sync_now_asks_for_enabled_calendars_only(person: People, sql: Sql):
    ann = await person()
    connection_id, calendar_id = await connect_account(sql, ann)
    await add_calendar(sql, ann, connection_id, enabled=False, default_target=False)
    for path in (f"/integrations/{connection_id}/sync", "/sync"):
        answer = await ann.call("POST", path)
        assert answer.status_code == 202
        assert answer.json() == {"calendars": 1}
    rows = await sql.fetch("select calendar_id, kind from sync_queue where user_id = $1", ann.id)
    assert [(row["calendar_id"], row["kind"]) for row in rows] == [(calendar_id, "pull")]


async def test_sync_now_needs_a_working_connection(person: People, sql: Sql):
    ann = await person()
    connection_id, _ = await connect_account(sql, ann)
    await sql.execute(
        "update calendar_connections set status = 'reconnect_needed' where id = $1", connection_id
    )
    answer = await ann.call("POST", f"/integrations/{connection_id}/sync")
    assert answer.status_code == 409
    assert answer.json()["code"] == "reconnect_needed"


async def test_disconnect_ends_the_connection(person: People, sql: Sql):
    ann = await person()
    connection_id, _ = await connect_account(sql, ann)
    answer = await ann.call("DELETE", f"/integrations/{connection_id}")
    assert answer.status_code == 204
    [integration] = (await ann.call("GET", "/integrations")).json()["items"]
    assert integration["status"] == "disconnected"


async def test_settings_of_a_calendar_are_changed(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    path = f"/calendars/{calendar_id}"
    settings = {"direction": "pull", "mirror": "all", "conflict_policy": "manual"}
    answer = await ann.call("PATCH", path, json=settings)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in settings} == settings
    assert (await ann.call("PATCH", path, json={})).json()["direction"] == "pull"


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("direction", {"direction": "sideways"}),
        ("mirror", {"mirror": None}),
        ("enabled", {"enabled": "yes"}),
        ("name", {"name": "Mine"}),
        ("state", {"state": "healthy"}),
    ],
)
async def test_a_bad_setting_is_named(person: People, sql: Sql, field: str, body: dict[str, Any]):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    answer = await ann.call("PATCH", f"/calendars/{calendar_id}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_a_calendar_that_cannot_be_synced_cannot_be_enabled(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(
        sql, ann, enabled=False, unsyncable_reason="only free and busy can be seen"
    )
    answer = await ann.call("PATCH", f"/calendars/{calendar_id}", json={"enabled": True})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "enabled", "message": "only free and busy can be seen"}
    ]


async def test_another_calendar_becomes_the_default(person: People, sql: Sql):
    ann = await person()
    connection_id, first = await connect_account(sql, ann)
    second = await add_calendar(sql, ann, connection_id, default_target=False)
    answer = await ann.call("PATCH", f"/calendars/{second}", json={"default_target": True})
    assert answer.status_code == 200, answer.text
    assert not await sql.fetchval("select default_target from calendars where id = $1", first)


async def test_the_overall_state_is_the_most_urgent_one(person: People, sql: Sql):
    ann = await person()
    empty = (await ann.call("GET", "/sync-status")).json()
    assert empty["state"] == "disconnected"
    assert empty["queue"]["oldest_pending_seconds"] is None

    connection_id, _ = await connect_account(sql, ann)
    await add_calendar(
        sql, ann, connection_id, name="Second", state="importing", default_target=False
    )
    # One that is off has no say.
    await add_calendar(
        sql, ann, connection_id, state="action_required", enabled=False, default_target=False
    )
    await ann.create()
    overview = (await ann.call("GET", "/sync-status")).json()
    assert overview["state"] == "importing"
    assert [found["name"] for found in overview["calendars"]] == ["Primary", "Second"]
    assert overview["queue"]["pending"] == 1
    assert 0 <= overview["queue"]["oldest_pending_seconds"] < 60


async def test_queue_statistics_count_the_callers_rows(person: People, sql: Sql):
    ann, bob = await person(), await person()
    _, calendar_id = await connect_account(sql, ann)
    for status in ("pending", "failed", "failed", "completed", "processing"):
        await sql.execute(
            "insert into sync_queue (user_id, kind, event_id, calendar_id, status)"
            " values ($1, 'push', gen_random_uuid(), $2, $3)",
            ann.id,
            calendar_id,
            status,
        )
    statistics = (await ann.call("GET", "/sync/queue")).json()
    age = statistics.pop("oldest_pending_seconds")
    assert 0 <= age < 60
    assert statistics == {"pending": 1, "processing": 1, "completed": 1, "failed": 2}
    assert (await bob.call("GET", "/sync/queue")).json()["failed"] == 0


async def test_notifications_are_listed_newest_first_and_marked_read(person: People, sql: Sql):
    ann, bob = await person(), await person()
    for number in range(5):
        await sql.execute(
            "insert into sync_notifications (user_id, kind, cause, message, created_at)"
            " values ($1, 'conflict', $2, $2, now() - make_interval(mins => $3))",
            ann.id,
            f"message {number}",
            number,
        )
    messages: list[str] = []
    cursor = None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await ann.call("GET", "/notifications", params=query)).json()
        messages += [item["message"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert messages == [f"message {number}" for number in range(5)]

    first = (await ann.call("GET", "/notifications")).json()["items"][0]
    path = f"/notifications/{first['id']}/read"
    assert (await bob.call("POST", path)).status_code == 404
    read = (await ann.call("POST", path)).json()
    assert read["read_at"] is not None
    assert (await ann.call("POST", path)).json()["read_at"] == read["read_at"]
    unread = (await ann.call("GET", "/notifications", params={"unread": "true"})).json()["items"]
    assert len(unread) == 4


async def test_conflicts_show_both_versions_and_their_base(person: People, sql: Sql):
    ann = await person()
    _, calendar_id = await connect_account(sql, ann)
    for status in ("open", "resolved"):
        await sql.execute(
            "insert into sync_conflicts (user_id, event_id, calendar_id, fields, base, local,"
            " remote, policy, status) values ($1, $2, $3, '{title}', '{\"title\": \"a\"}',"
            ' \'{"title": "b"}\', \'{"title": "c"}\', \'manual\', $4)',
            ann.id,
            uuid.uuid4(),
            calendar_id,
            status,
        )
    assert len((await ann.call("GET", "/conflicts")).json()["items"]) == 2
    [conflict] = (await ann.call("GET", "/conflicts", params={"status": "open"})).json()["items"]
    assert conflict["fields"] == ["title"]
    assert [conflict[side]["title"] for side in ("base", "local", "remote")] == ["a", "b", "c"]
    bad = await ann.call("GET", "/conflicts", params={"status": "old"})
    assert bad.json()["errors"][0]["field"] == "status"
