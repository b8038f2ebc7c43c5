"""Push channels: on record before they exist, stopped when they are no longer needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

_SQL = load("channels")


@dataclass(frozen=True)
class Target:
    """What a channel tells about: a calendar, or (without one) an account's calendar list."""

    connection_id: UUID
    calendar_id: UUID | None = None

    @property
    def columns(self) -> tuple[UUID | None, UUID | None]:
        """Return the calendar, and the connection where it is about its list."""
        return self.calendar_id, None if self.calendar_id else self.connection_id


async def register(pool: Pool, channel_id: str, target: Target, secret_hash: bytes) -> None:
    """Put a channel on record that the provider is about to be asked for."""
    await pool.execute(_SQL["register"], channel_id, *target.columns, secret_hash)


async def opened(
    connection: Connection,
    channel_id: str,
    target: Target,
    resource_id: str,
    expires_at: datetime | None,
    margin_s: float,
) -> None:
    """Record what the provider answered; it is renewed some *margin_s* seconds before its end."""
    await connection.execute(_SQL["opened"], channel_id, resource_id, expires_at, margin_s)
    if target.calendar_id is not None:
        await connection.execute(_SQL["show_expiry"], target.calendar_id)


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
    """Say whether the calendar needs no channel now; *margin_s* where its own is unknown."""
    return bool(await pool.fetchval(_SQL["healthy"], calendar_id, margin_s))


async def has_live(pool: Pool, connection_id: UUID, margin_s: float) -> bool:
    """Say whether an account's calendar list has a channel that need not be renewed yet."""
    return bool(await pool.fetchval(_SQL["has_live"], connection_id, margin_s))


async def failed(connection: Connection, calendar_id: UUID, pause_s: float) -> int:
    """Ask for no channel for a while; answers how many tries in a row have failed."""
    return int(await connection.fetchval(_SQL["failed"], calendar_id, pause_s) or 0)


async def suspect(connection: Connection, calendar_id: UUID, changed_at: datetime) -> int:
    """Count no longer on channels that did not tell of a change.

    Answers how many in a row that are now, 0 when none is to blame.
    """
    return int(await connection.fetchval(_SQL["suspect"], calendar_id, changed_at) or 0)


async def unneeded(pool: Pool, provider: str) -> list[UUID]:
    """Return the calendars of *provider* that have a channel too many."""
    return [row["id"] for row in await pool.fetch(_SQL["unneeded"], provider)]


async def stoppable(pool: Pool, target: Target, *, keep_newest: bool) -> list[tuple[str, str]]:
    """Return (channel id, resource id) of the target's channels that can be stopped."""
    rows = await pool.fetch(_SQL["stoppable"], *target.columns, keep_newest)
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
