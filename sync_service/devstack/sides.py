"""The two sides of a running stack, as people use them: the app's doors and Google's own page.

The app is reached through all three doors that a customer has: the HTTP API, the data API through
the `supabase` client, and plain SQL.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import asyncpg
import httpx
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from sync_service.devstack.stackfile import StackFile

ADA = "ada@example.com"
EMAIL = "demo@example.com"
_PATIENCE_S = 20.0


class Arrivals:
    """Remembers when the database announced each event: the instant its change was committed."""

    def __init__(self) -> None:
        self._heard: list[tuple[UUID, datetime]] = []
        self._news = asyncio.Event()

    def hear(self, _: object, __: int, ___: str, payload: object) -> None:
        """Take a notification of the channel `calsync_events`."""
        event_id = UUID(str(json.loads(str(payload))["event_id"]))
        self._heard.append((event_id, datetime.now(UTC)))
        self._news.set()

    async def after(self, since: datetime, event_id: UUID | None) -> tuple[UUID, datetime]:
        """Return the first news after *since* of *event_id*, or of any event."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                for heard, at in self._heard:
                    if at > since and event_id in (None, heard):
                        return heard, at
                self._news.clear()
                await self._news.wait()


@dataclass
class App:
    """The application's side: its user, and the doors to their events."""

    user_id: UUID
    token: str
    http: httpx.AsyncClient
    supabase: AsyncClient
    sql: asyncpg.Connection[asyncpg.Record]
    arrivals: Arrivals

    async def call(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        """Call the HTTP API as the user; answers the decoded body."""
        answer = await self.http.request(method, f"/api/calendar/{path}", **parts)
        answer.raise_for_status()
        return cast("dict[str, Any]", answer.json()) if answer.content else {}

    async def changed_at(self, event_id: UUID) -> datetime:
        """Return when the event was last changed, by the database's clock."""
        return await self.sql.fetchval(
            "select updated_at from calendar_events where id = $1", event_id
        )

    async def title(self, event_id: UUID) -> str | None:
        """Return the event's title, None once it is deleted."""
        return await self.sql.fetchval(
            "select title from calendar_events where id = $1 and deleted_at is null", event_id
        )


@dataclass
class Google:
    """Google's side: what Ada sees, and what Google was asked for."""

    http: httpx.AsyncClient

    async def insert(self, event: dict[str, Any]) -> dict[str, Any]:
        """Add an event on Google's own page."""
        return await self._do("POST", f"people/{ADA}/events", {"event": event})

    async def patch(self, event_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Edit an event on Google's own page."""
        return await self._do("PATCH", f"people/{ADA}/events/{event_id}", {"changes": changes})

    async def delete(self, event_id: str) -> None:
        """Delete an event on Google's own page."""
        await self._do("DELETE", f"people/{ADA}/events/{event_id}")

    async def events(self) -> list[dict[str, Any]]:
        """Return what Ada's calendar shows."""
        found = await self._do("GET", f"calendars/{ADA}/events")
        return [event for event in found["items"] if event["status"] != "cancelled"]

    async def writes(self) -> list[dict[str, Any]]:
        """Return the log of the API requests that changed something, or tried to."""
        return (await self._do("GET", "calls?write=True"))["items"]

    async def write_after(self, since: datetime, event_id: str) -> datetime:
        """Return when the first write to *event_id* after *since* reached Google."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                for call in await self.writes():
                    at = datetime.fromtimestamp(call["at"], UTC)
                    # The request of an insert names no event yet.
                    if call["event"] in (event_id, None) and call["status"] < 300 and at >= since:
                        return at
                await asyncio.sleep(0.002)

    async def consent_by_itself(self, *, enabled: bool) -> None:
        """Let the consent page answer itself, as a person would who clicks through it."""
        await self._do("PUT", "auto-consent", {"enabled": enabled, "account": ADA})

    async def _do(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        answer = await self.http.request(method, f"/_emulator/{path}", json=body)
        answer.raise_for_status()
        return cast("dict[str, Any]", answer.json())


@asynccontextmanager
async def open_sides(stack: StackFile, email: str = EMAIL) -> AsyncGenerator[tuple[App, Google]]:
    """Sign a new user up and open every door of both sides."""
    assert stack.google_url is not None  # noqa: S101  # the demo runs on the emulator
    async with (
        httpx.AsyncClient(base_url=stack.google_url, trust_env=False) as google,
        httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=30) as api,
        httpx.AsyncClient(trust_env=False) as data,
    ):
        user_id, token = await _sign_up(stack, email)
        api.headers["authorization"] = f"Bearer {token}"
        client = await acreate_client(
            stack.supabase_url,
            stack.publishable_key,
            AsyncClientOptions(headers={"Authorization": f"Bearer {token}"}, httpx_client=data),
        )
        arrivals = Arrivals()
        sql = await asyncpg.connect(stack.database_url)
        try:
            await sql.add_listener("calsync_events", arrivals.hear)
            yield App(user_id, token, api, client, sql, arrivals), Google(google)
        finally:
            await sql.close()


async def connect(app: App, google: Google) -> str:
    """Connect Ada's Google account as a browser would; answers the name of the calendar."""
    await google.consent_by_itself(enabled=True)
    answer = await app.call("POST", "connect/google")
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False, timeout=30) as browser:
        (await browser.get(answer["authorization_url"])).raise_for_status()
    await google.consent_by_itself(enabled=False)
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            calendars = (await app.call("GET", "calendars"))["items"]
            for calendar in calendars:
                if calendar["enabled"] and calendar["state"] == "healthy":
                    return str(calendar["name"])
            await asyncio.sleep(0.02)


async def _sign_up(stack: StackFile, email: str) -> tuple[UUID, str]:
    # Plain HTTP: the development server's time stamps are not those that the client expects.
    credentials = {"email": email, "password": secrets.token_urlsafe(16)}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(
            f"{stack.supabase_url}/auth/v1/signup",
            headers={"apikey": stack.publishable_key},
            json=credentials,
        )
        answer.raise_for_status()
    session = answer.json()
    return UUID(session["user"]["id"]), str(session["access_token"])
