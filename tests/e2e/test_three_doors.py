"""The whole stack as `calsync dev` starts it: every door, both directions, then silence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from sync_service.devstack.sides import App, Google, open_sides
from sync_service.devstack.stackfile import StackFile
from tests.e2e.harness import add, connected, idle, summaries, until

START = datetime(2027, 3, 1, 9, tzinfo=UTC)
TIMES = {"start_time": START.isoformat(), "end_time": (START + timedelta(hours=1)).isoformat()}


@pytest.fixture
async def sides(stack: StackFile) -> AsyncIterator[tuple[App, Google]]:
    async with httpx.AsyncClient(base_url=str(stack.google_url), trust_env=False) as http:
        await http.post("/_emulator/reset")
    async with connected(stack) as sides:
        yield sides


async def create(app: App, door: str, title: str) -> UUID:
    """Create an event through *door*."""
    if door == "api":
        return UUID((await app.call("POST", "events", json={"title": title, **TIMES}))["id"])
    if door == "data":
        table: Any = app.supabase.table("calendar_events")
        answer = await table.insert({"title": title, **TIMES}).execute()
        return UUID(answer.data[0]["id"])
    return await add(app, title)


async def rename(app: App, door: str, event: UUID, title: str) -> None:
    """Rename an event through *door*."""
    if door == "api":
        await app.call("PATCH", f"events/{event}", json={"title": title})
    elif door == "data":
        table: Any = app.supabase.table("calendar_events")
        await table.update({"title": title}).eq("id", str(event)).execute()
    else:
        await app.sql.execute("update calendar_events set title = $2 where id = $1", event, title)


async def delete(app: App, door: str, event: UUID) -> None:
    """Delete an event through *door*."""
    if door == "api":
        await app.call("DELETE", f"events/{event}")
    elif door == "data":
        table: Any = app.supabase.table("calendar_events")
        await table.delete().eq("id", str(event)).execute()
    else:
        await app.sql.execute("delete from calendar_events where id = $1", event)


@pytest.mark.parametrize("door", ["api", "data", "sql"])
async def test_changes_through_every_door_arrive_on_google(
    sides: tuple[App, Google], door: str
) -> None:
    app, google = sides
    event = await create(app, door, "One")
    await until(lambda: _shows(google, ["One"]))
    await rename(app, door, event, "Two")
    await until(lambda: _shows(google, ["Two"]))
    await delete(app, door, event)
    await until(lambda: _shows(google, []))


async def test_changes_on_google_arrive_here_and_then_there_is_silence(
    sides: tuple[App, Google],
) -> None:
    app, google = sides
    ours = await create(app, "api", "Ours")
    stored = await google.insert(
        {
            "summary": "Theirs",
            "start": {"dateTime": TIMES["start_time"], "timeZone": "UTC"},
            "end": {"dateTime": TIMES["end_time"], "timeZone": "UTC"},
        }
    )
    await until(lambda: _app_shows(app, ["Ours", "Theirs"]))
    await google.patch(stored["id"], {"summary": "Theirs, edited"})
    await until(lambda: _app_shows(app, ["Ours", "Theirs, edited"]))
    await rename(app, "api", ours, "Ours, edited")
    await until(lambda: _shows(google, ["Ours, edited", "Theirs, edited"]))
    await google.delete(stored["id"])
    await until(lambda: _app_shows(app, ["Ours, edited"]))
    await idle(app)
    writes = len(await google.writes())
    for _ in range(5):
        await app.call("POST", "sync")
        await idle(app)
    assert len(await google.writes()) == writes


async def test_prefer_wait_answers_once_google_has_it(sides: tuple[App, Google]) -> None:
    app, google = sides
    answer = await app.call(
        "POST", "events", json={"title": "Waited for", **TIMES}, headers={"prefer": "wait=10"}
    )
    [state] = answer["sync"]
    assert (state["provider"], state["status"]) == ("google", "synced")
    assert state["html_link"].startswith("https://www.google.com/calendar/")
    assert await summaries(google) == ["Waited for"]


async def test_others_see_nothing_of_it(stack: StackFile, sides: tuple[App, Google]) -> None:
    app, _ = sides
    event = await create(app, "api", "Private")
    await idle(app)
    async with open_sides(stack, f"{uuid4().hex[:12]}@example.com") as (other, _):
        for table in (
            "calendar_events",
            "calendar_connections",
            "calendars",
            "event_mappings",
            "sync_queue",
            "sync_audit",
        ):
            rows: Any = await other.supabase.table(table).select("*").execute()
            assert rows.data == [], table
        assert (await other.http.get(f"/api/calendar/events/{event}")).status_code == 404
        assert (
            await other.http.patch(f"/api/calendar/events/{event}", json={"title": "Mine"})
        ).status_code == 404
        answer = await other.http.get(
            f"{stack.supabase_url}/rest/v1/connection_tokens",
            headers={"apikey": stack.publishable_key, "accept-profile": "private"},
        )
        assert answer.status_code in (401, 403, 404, 406)
    assert await app.title(event) == "Private"


async def _shows(google: Google, expected: list[str]) -> bool:
    return await summaries(google) == expected


async def _app_shows(app: App, expected: list[str]) -> bool:
    rows = await app.sql.fetch(
        "select title from calendar_events where user_id = $1 and deleted_at is null order by title",
        app.user_id,
    )
    return [row["title"] for row in rows] == expected
