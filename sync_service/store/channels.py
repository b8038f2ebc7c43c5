"""Push channels: on record before they exist, stopped when they are no longer needed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

_SQL = load("channels")


async def register(pool: Pool, channel_id: str, calendar_id: UUID, secret_hash: bytes) -> None:
    """Put a channel on record that the provider is about to be asked for."""
    await pool.execute(_SQL["register"], channel_id, calendar_id, secret_hash)


async def opened(
    connection: Connection,
    channel_id: str,
    calendar_id: UUID,
    resource_id: str,
    expires_at: datetime | None,
) -> None:
    """Record what the provider answered."""
    await connection.execute(_SQL["opened"], channel_id, resource_id, expires_at)
    await connection.execute(_SQL["show_expiry"], calendar_id)


async def distrust(connection: Connection, connection_id: UUID) -> None:
    """Have every channel of a connection replaced, because the provider may have ended it."""
    await connection.execute(_SQL["distrust"], connection_id)


async def forget(pool: Pool, channel_id: str) -> None:
    """Take a channel off record that the provider refused to open."""
    await pool.execute(_SQL["forget"], channel_id)


async def stopped(pool: Pool, channel_id: str) -> None:
    """Record that a channel was stopped; late messages of it are then ignored."""
    await pool.execute(_SQL["stopped"], channel_id)


async def healthy(pool: Pool, calendar_id: UUID, margin_s: float) -> bool:
    """Say whether the calendar has a channel that lasts longer than *margin_s* seconds."""
    return bool(await pool.fetchval(_SQL["healthy"], calendar_id, margin_s))


async def stoppable(pool: Pool, calendar_id: UUID, *, keep_newest: bool) -> list[tuple[str, str]]:
    """Return (channel id, resource id) of the calendar's channels that can be stopped."""
    rows = await pool.fetch(_SQL["stoppable"], calendar_id, keep_newest)
    return [(row["id"], row["resource_id"]) for row in rows]


async def due_calendars(pool: Pool, provider: str, margin_s: float) -> list[UUID]:
    """Return the calendars of *provider* that need a new channel."""
    return [row["id"] for row in await pool.fetch(_SQL["due_calendars"], provider, margin_s)]


async def purge(pool: Pool) -> None:
    """Forget channels that are long over."""
    await pool.execute(_SQL["purge"])


async def leave_to_poll(pool: Pool, calendar_id: UUID, seconds: float) -> None:
    """Ask for no channel of this calendar for *seconds*."""
    await pool.execute(_SQL["leave_to_poll"], calendar_id, seconds)
