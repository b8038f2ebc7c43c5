"""One app user with a Google account, the real database between them, and a worker in hand.

Nothing runs by itself: `converge` drains the queue and polls until both sides are silent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
from pydantic import SecretStr

from jobs.drain import Drainer
from sync_service.emulators.google import ADA, CLIENT_ID, CLIENT_SECRET, Emulator, serving
from sync_service.engine import connections, work
from sync_service.engine.hub import Hub, open_hub
from sync_service.engine.verify import verify
from sync_service.settings import Settings
from sync_service.store import queue
from sync_service.store.pool import Pool, open_pool

WRITES = {"events.insert", "events.patch", "events.update", "events.delete", "events.move"}
START, END = "2026-12-01T10:00:00+01:00", "2026-12-01T11:00:00+01:00"


@dataclass
class World:
    """Both sides, and what moves between them."""

    hub: Hub
    google: Emulator
    user_id: UUID
    calendar_id: UUID

    @property
    def pool(self) -> Pool:
        return self.hub.pool

    # The app's side

    async def add(self, **columns: Any) -> UUID:
        """Insert an event of an hour in Berlin."""
        row = {
            "user_id": self.user_id,
            "title": "Planning",
            "time_zone": "Europe/Berlin",
            **columns,
        }
        names = ", ".join(row)
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        return await self.pool.fetchval(
            f"insert into calendar_events ({names}, start_time, end_time) values ({places},"
            " '2026-12-01 09:00Z', '2026-12-01 10:00Z') returning id",
            *row.values(),
        )

    async def edit(self, event_id: UUID, **columns: Any) -> None:
        """Change columns of an event."""
        names = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 2))
        await self.pool.execute(
            f"update calendar_events set {names} where id = $1", event_id, *columns.values()
        )

    async def remove(self, event_id: UUID) -> None:
        """Delete an event softly, as the API does."""
        await self.pool.execute(
            "update calendar_events set deleted_at = now() where id = $1", event_id
        )

    async def titles(self) -> list[str]:
        """Return the titles that the app shows, sorted."""
        rows = await self.pool.fetch(
            "select title from calendar_events where deleted_at is null order by title"
        )
        return [row["title"] for row in rows]

    async def row(self, event_id: UUID) -> dict[str, Any]:
        """Return the event's row."""
        row = await self.pool.fetchrow("select * from calendar_events where id = $1", event_id)
        assert row is not None
        return dict(row.items())

    async def mapping(self, event_id: UUID) -> dict[str, Any]:
        """Return the event's mapping."""
        row = await self.pool.fetchrow("select * from event_mappings where event_id = $1", event_id)
        assert row is not None
        return dict(row.items())

    async def only_event(self) -> UUID:
        """Return the id of the one event that there is."""
        rows = await self.pool.fetch("select id from calendar_events where deleted_at is null")
        assert len(rows) == 1
        return rows[0]["id"]

    async def conflicts(self) -> list[dict[str, Any]]:
        """Return every conflict row."""
        rows = await self.pool.fetch("select * from sync_conflicts order by created_at, id")
        return [dict(row.items()) for row in rows]

    # Google's side

    @property
    def ada(self) -> Any:
        """The person at Google's own interface."""
        return self.google.person(ADA)

    def add_there(self, summary: str = "From Google", **fields: Any) -> str:
        """Make an event on Google's side; answers its id."""
        body = {
            "summary": summary,
            "start": {"dateTime": START, "timeZone": "Europe/Berlin"},
            "end": {"dateTime": END, "timeZone": "Europe/Berlin"},
            **fields,
        }
        return self.ada.insert(body)["id"]

    def live(self) -> list[dict[str, Any]]:
        """Return what Google's calendar shows, by summary."""
        found = [event for event in self.google.events(ADA) if event["status"] != "cancelled"]
        return sorted(found, key=lambda event: event.get("summary", ""))

    def summaries(self) -> list[str]:
        """Return the summaries of `live`."""
        return [event.get("summary", "") for event in self.live()]

    def writes(self) -> int:
        """Return how many writes Google was asked for so far."""
        return sum(1 for call in self.google.calls if call.operation in WRITES)

    # Between them

    async def drain(self) -> None:
        """Do what is due now."""
        await Drainer(self.hub).drain()

    async def claim_one(self) -> queue.Task:
        """Claim the one row that is due."""
        [task] = await queue.claim_batch(self.pool, 10, 60)
        return task

    async def run(self, task: queue.Task) -> None:
        """Carry out a claimed row."""
        await work.run(self.hub, task)

    async def poll(self) -> None:
        """Pull the calendar now."""
        await queue.request_pulls(self.pool, [self.calendar_id], "test")
        await self.drain()

    async def hurry(self) -> None:
        """Let rows that wait for a later time run now."""
        await self.pool.execute(
            "update calendar_connections set rest_until = null, bulk_rest_until = null"
        )
        await queue.release_waiting(self.pool, [self.calendar_id])

    async def converge(self) -> None:
        """Drain and poll until nothing is left to do, then assert that both sides are equal."""
        for _ in range(20):
            await self.hurry()
            await self.poll()
            if not await self.pool.fetchval(
                "select count(*) from sync_queue where status in ('pending', 'processing')"
            ):
                break
        await self.assert_equal()

    async def assert_equal(self) -> None:
        """Assert that both sides hold the same events."""
        for report in await verify(self.hub):
            assert report.equal, [line for line in report.lines if line.verdict != "equal"]

    async def assert_silent(self) -> None:
        """Assert that further polls write nothing, neither there nor here."""
        before = (self.writes(), await self._traces())
        for _ in range(3):
            await self.poll()
        assert (self.writes(), await self._traces()) == before

    async def _traces(self) -> list[Any]:
        return [
            await self.pool.fetch(f"select xmin::text, id from {table} order by id")
            for table in ("calendar_events", "event_mappings", "sync_conflicts", "sync_audit")
        ]


def pointing_to(settings: Settings, google_url: str) -> Settings:
    """Return *settings* with Google at *google_url*."""
    return settings.model_copy(
        update={
            "google_client_id": CLIENT_ID,
            "google_client_secret": SecretStr(CLIENT_SECRET),
            "google_api_base_url": google_url,
            "google_auth_url": f"{google_url}/o/oauth2/v2/auth",
            "google_token_url": f"{google_url}/token",
            "google_revoke_url": f"{google_url}/revoke",
            "google_userinfo_url": f"{google_url}/oauth2/v3/userinfo",
            "google_tokeninfo_url": f"{google_url}/tokeninfo",
            "google_certs_url": f"{google_url}/oauth2/v3/certs",
            "google_redirect_uri": f"{settings.public_url}/auth/google/callback",
        }
    )


async def consent(hub: Hub, user_id: UUID, *, preview: bool = False) -> connections.Finished:
    """Connect *user_id* as a browser would: to the consent page and back."""
    url = await connections.start(
        hub, provider="google", user_id=user_id, return_to=None, preview=preview
    )
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url)
    assert answer.status_code in (302, 303), answer.text
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    return await connections.finish(
        hub,
        provider="google",
        state=back["state"][0],
        code=back.get("code", [None])[0],
        error=back.get("error", [None])[0],
    )


@asynccontextmanager
async def open_world(
    settings: Settings, user_id: UUID, *, connect: bool = True, **emulator: Any
) -> AsyncGenerator[World]:
    """Open a world with Ada's primary calendar connected and read once."""
    google = Emulator(redirect_uris=[f"{settings.public_url}/auth/google/callback"], **emulator)
    google.auto_consent(ADA)
    async with serving(google) as url:
        configured = pointing_to(settings, url)
        pool = await open_pool(configured, max_size=20)
        try:
            async with open_hub(configured, pool) as hub:
                world = World(hub, google, user_id, UUID(int=0))
                if connect:
                    finished = await consent(hub, user_id)
                    assert finished.status == "connected", finished
                    world.calendar_id = await pool.fetchval(
                        "select id from calendars where enabled"
                    )
                    await world.drain()
                yield world
        finally:
            await pool.close()
