"""A thin client for the Google emulator's tests."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from sync_service.emulators.google import ADA, App, Emulator

Json = dict[str, Any]
ALL_SCOPES = ("calendar", "openid", "email")


def timed(start: str, end: str, zone: str = "Europe/Berlin", **more: Any) -> Json:
    """A timed event."""
    return {
        "start": {"dateTime": start, "timeZone": zone},
        "end": {"dateTime": end, "timeZone": zone},
        **more,
    }


def meeting(day: int = 24, hour: int = 10, **more: Any) -> Json:
    """An hour-long event in November 2026, Berlin time."""
    return timed(
        f"2026-11-{day:02}T{hour:02}:00:00", f"2026-11-{day:02}T{hour + 1:02}:00:00", **more
    )


def weekly(count: int = 4, **more: Any) -> Json:
    """A weekly series of meetings."""
    return meeting(recurrence=[f"RRULE:FREQ=WEEKLY;COUNT={count}"], **more)


class Google:
    """Calls the emulator as one person after another.

    Attributes:
        http: The client that all requests go through.
    """

    def __init__(self, emulator: Emulator, app: App, http: httpx.AsyncClient) -> None:
        self.emulator = emulator
        self.app = app
        self.http = http
        self._tokens: dict[tuple[str, tuple[str, ...]], str] = {}

    def token(self, email: str = ADA, scopes: tuple[str, ...] = ALL_SCOPES) -> str:
        """An access token."""
        key = (email, scopes)
        if key not in self._tokens:
            self._tokens[key] = self.emulator.issue_tokens(email, scopes)[0]
        return self._tokens[key]

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: str = ADA,
        scopes: tuple[str, ...] = ALL_SCOPES,
        headers: dict[str, str] | None = None,
        query: Json | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Call a method of the Calendar API."""
        return await self.http.request(
            method,
            f"/calendar/v3/{path}",
            json=body,
            params={**(query or {}), **more} or None,
            headers={"Authorization": f"Bearer {self.token(who, scopes)}", **(headers or {})},
        )

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Json:
        """Call a method that must succeed."""
        answer = await self.call(method, path, body, **more)
        assert answer.status_code in {200, 204}, answer.text
        return answer.json() if answer.content else {}

    async def insert(self, body: Json, calendar: str = "primary", **more: Any) -> Json:
        """Insert an event."""
        return await self.ok("POST", f"calendars/{quote(calendar, safe='')}/events", body, **more)

    async def list(self, calendar: str = "primary", **query: Any) -> Json:
        """One page of events."""
        return await self.ok("GET", f"calendars/{quote(calendar, safe='')}/events", **query)

    async def items(self, calendar: str = "primary", **query: Any) -> list[Json]:
        """The events of one page."""
        return (await self.list(calendar, **query))["items"]

    async def sync_token(self, calendar: str = "primary", **query: Any) -> str:
        """Where the feed stands."""
        return (await self.list(calendar, **query))["nextSyncToken"]


def event(event_id: str, calendar: str = "primary") -> str:
    """The path of an event."""
    return f"calendars/{quote(calendar, safe='')}/events/{quote(event_id, safe='')}"


def reason(answer: httpx.Response) -> tuple[int, str]:
    """The status and reason of a refusal."""
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def ids(items: list[Json]) -> list[str]:
    """The ids of events, sorted."""
    return sorted(item["id"] for item in items)
