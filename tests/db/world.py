"""Rows for database tests, and how the data API acts: as a role, with a user's claims."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from sync_service.store.pool import Connection


@asynccontextmanager
async def acting_as(
    connection: Connection, role: str, user_id: UUID | None = None
) -> AsyncGenerator[Connection]:
    """Act as the data API does for a request, in a transaction that is rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        claims = {"sub": str(user_id), "role": role} if user_id else {"role": role}
        await connection.execute(
            "select set_config('request.jwt.claims', $1, true)", json.dumps(claims)
        )
        await connection.execute(f"set local role {role}")
        yield connection
    finally:
        await transaction.rollback()


async def add_calendar(
    connection: Connection, user_id: UUID, *, name: str = "Work", **columns: Any
) -> UUID:
    """Connect an account with one calendar: on, two-way, the default target."""
    connection_id = await connection.fetchval(
        "insert into calendar_connections (user_id, provider, account_id)"
        " values ($1, 'google', $2) returning id",
        user_id,
        uuid4().hex,
    )
    row: dict[str, Any] = {
        "user_id": user_id,
        "connection_id": connection_id,
        "provider": "google",
        "external_id": f"{uuid4().hex}@example.com",
        "name": name,
        "access_role": "owner",
        "enabled": True,
        "default_target": True,
        "state": "healthy",
        **columns,
    }
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    return await connection.fetchval(
        f"insert into calendars ({names}) values ({places}) returning id", *row.values()
    )


async def add_event(connection: Connection, user_id: UUID, **columns: Any) -> UUID:
    """Insert an event of an hour."""
    row: dict[str, Any] = {"user_id": user_id, "title": "Planning", **columns}
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    return await connection.fetchval(
        f"insert into calendar_events ({names}, start_time, end_time) values ({places},"
        " '2026-12-01 09:00Z', '2026-12-01 10:00Z') returning id",
        *row.values(),
    )


async def add_mapping(connection: Connection, user_id: UUID, event: UUID, calendar: UUID) -> UUID:
    """Map an event as if it had been pushed."""
    return await connection.fetchval(
        "insert into event_mappings (user_id, event_id, calendar_id, external_id, status)"
        " values ($1, $2, $3, $4, 'synced') returning id",
        user_id,
        event,
        calendar,
        uuid4().hex,
    )


async def queue(connection: Connection) -> list[tuple[str, UUID | None, UUID, str, int, str]]:
    """Return (kind, event, calendar, status, generation, reason) of every row."""
    rows = await connection.fetch(
        "select kind, event_id, calendar_id, status, generation, reason from sync_queue order by id"
    )
    return [tuple(row.values()) for row in rows]  # pyright: ignore[reportReturnType]
