"""What users own, read and written through the data API under their own token.

The policies that guard supabase-js guard this too; there is no other filter by user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import httpx
from postgrest import APIResponse, AsyncPostgrestClient, CountMethod

from sync_service.api.auth import Caller
from sync_service.settings import Settings

Row = dict[str, Any]

_TIMESTAMP_COLUMNS = frozenset({"start_time", "end_time", "original_start_time"})
_AT_ONCE = 500
"""Rows in one answer; a project's data API has a limit, by default 1000."""
_READS = frozenset({"GET", "HEAD"})


def open_http() -> httpx.AsyncClient:
    """Open the connections to the data API and to the project's key set."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(10, connect=3),
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=50),
    )


class UserData:
    """The tables as one caller sees them."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient, caller: Caller) -> None:
        self._tables = AsyncPostgrestClient(
            f"{settings.supabase_url}/rest/v1",
            headers={
                "apikey": settings.supabase_publishable_key,
                "Authorization": f"Bearer {caller.token}",
                "Accept": "application/json",
            },
            http_client=http,
            # Its own retries wait for seconds, longer than somebody who waits for an answer does.
            retry_enabled=False,
        )

    def table(self, name: str) -> Any:
        """Start a query on the table *name*; `rows` and `count` run it."""
        return self._tables.from_(name)

    def rpc(self, name: str, **parameters: Any) -> Any:
        """Start a call of the database function *name* as the caller; `rows` runs it."""
        return self._tables.rpc(name, parameters)

    async def rows(self, query: Any) -> list[Row]:
        """Run *query* and return its rows, timestamps parsed."""
        answer = await _execute(query)
        return [parse_row(cast("Row", row)) for row in answer.data]

    async def first(self, query: Any) -> Row | None:
        """Run *query* and return its first row, if any."""
        found = await self.rows(query)
        return found[0] if found else None

    async def count(self, query: Any) -> int:
        """Run *query*, made with `count=exact`, and return how many rows there are."""
        return (await _execute(query)).count or 0

    async def count_where(self, table: str, **equals: str) -> int:
        """Count the caller's rows of *table* with these values."""
        query = self.table(table).select("id", count=CountMethod.exact, head=True)
        for column, value in equals.items():
            query = query.eq(column, value)
        return await self.count(query)


async def every(user_data: UserData, query: Any) -> list[Row]:
    """Return all rows of *query*, which selects the id, however many one answer may hold."""
    found: list[Row] = []
    query = query.order("id").limit(_AT_ONCE)
    while rows := await user_data.rows(query.gt("id", found[-1]["id"]) if found else query):
        found += rows
        if len(rows) < _AT_ONCE:
            break
    return found


async def _execute(query: Any) -> APIResponse:
    try:
        return cast("APIResponse", await query.execute())
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        # A kept connection may have been closed by the other side: a read is asked once more.
        if query.request.http_method not in _READS:
            raise
        return cast("APIResponse", await query.execute())


def parse_row(row: Row) -> Row:
    """Return *row* with its timestamps, and those of embedded rows, as UTC datetimes."""
    parsed: Row = {}
    for name, value in row.items():
        timed = name in _TIMESTAMP_COLUMNS or name.endswith(("_at", "_until"))
        if isinstance(value, str) and timed:
            parsed[name] = parse_time(value)
        elif isinstance(value, list) and name in _EMBEDDED:
            parsed[name] = [parse_row(cast("Row", item)) for item in cast("list[Any]", value)]
        else:
            parsed[name] = value
    return parsed


_EMBEDDED = frozenset({"calendars"})


def parse_time(value: str) -> datetime:
    """Read a timestamp as hosted projects and Lite write it (`T` or a space, `+00` or more)."""
    return datetime.fromisoformat(value).astimezone(UTC)


def to_row(fields: Mapping[str, Any]) -> Row:
    """Return *fields* as JSON values for the data API."""
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in fields.items()
    }


def quoted(value: datetime | UUID | str) -> str:
    """Write *value* for use inside a logical filter, where commas and colons separate."""
    text = value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def listed(ids: Iterable[UUID | str]) -> list[str]:
    """Return *ids* as the strings that an `in` filter takes."""
    return [str(item) for item in ids]
