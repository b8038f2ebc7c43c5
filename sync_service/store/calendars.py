"""Connected calendars: their settings, their state, and our position in their feeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from sync_service.core.merge import Winner
from sync_service.errors import SyncError
from sync_service.providers.base import CalendarRef, RemoteCalendar
from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

_SQL = load("calendars")


@dataclass(frozen=True)
class Calendar:
    """A calendar at work: identity, settings and feed position.

    *unread* until it was read to the end once. *cursor* is None until a full sync has ended.
    *pass_id* is set while one is under way, *pass_page* being the next page of it. *deletions* is
    what the user said (`approved`, `refused`) about those that paused the calendar. *read_at* is
    the database's clock when this was read.
    """

    id: UUID
    user_id: UUID
    connection_id: UUID
    provider: str
    external_id: str
    name: str
    access_role: str
    time_zone: str | None
    direction: str
    mirror: str
    default_target: bool
    conflict_policy: str
    enabled: bool
    state: str
    account_id: str
    unread: bool
    deletions: str | None
    cursor: str | None
    cursor_key: str | None
    wants_full: bool | None
    pass_id: UUID | None
    pass_page: str | None
    pass_started_at: datetime | None
    read_at: datetime

    @property
    def ref(self) -> CalendarRef:
        """The calendar as the provider knows it."""
        return CalendarRef(self.external_id, self.access_role, self.time_zone)

    def prefers(self, local_at: datetime, remote_at: datetime | None) -> Winner:
        """Say who wins a conflict under the calendar's policy."""
        match self.conflict_policy:
            case "app_wins":
                return "local"
            case "provider_wins":
                return "remote"
            case _:
                return "local" if remote_at is None or local_at > remote_at else "remote"


async def read(connection: Connection | Pool, calendar_id: UUID) -> Calendar | None:
    """Return the calendar, None when it was removed."""
    row = await connection.fetchrow(_SQL["work"], calendar_id)
    return Calendar(**dict(row.items())) if row else None


async def belongs(
    connection: Connection | Pool,
    user_id: UUID,
    home: UUID | None,
    event_id: UUID,
    calendar_id: UUID,
) -> bool:
    """Say whether an event with this home should be in the calendar."""
    return bool(await connection.fetchval(_SQL["belongs"], user_id, home, event_id, calendar_id))


@dataclass(frozen=True)
class Listed:
    """What a reading of the calendar list did to a calendar.

    It *appeared*, *stopped* or *returned* though turned on, or its role changed; *reason* says why
    it cannot be synced.
    """

    id: UUID
    name: str
    enabled: bool
    appeared: bool
    returned: bool
    stopped: bool
    role_changed: bool
    reason: str | None


async def upsert(
    connection: Connection, connection_id: UUID, calendars: Sequence[RemoteCalendar]
) -> list[Listed]:
    """Record calendars that the account shows; answers what became of them."""
    rows = msgspec.to_builtins([asdict(calendar) for calendar in calendars])
    found = await connection.fetch(_SQL["upsert"], connection_id, rows)
    return [Listed(**dict(row.items())) for row in found]


async def remove(
    connection: Connection,
    connection_id: UUID,
    external_ids: Sequence[str],
    *,
    others: bool,
    reason: str,
) -> list[Listed]:
    """Stop these calendars (*others*: all but these), which the account no longer shows."""
    rows = await connection.fetch(_SQL["remove"], connection_id, list(external_ids), others, reason)
    return [Listed(**dict(row.items())) for row in rows]


async def restart(connection: Connection, ids: Sequence[UUID]) -> None:
    """Have everything in these calendars read again."""
    await connection.execute(_SQL["restart"], list(ids))


async def enable_remembered(connection: Connection, connection_id: UUID) -> None:
    """Turn on what was on when the account was disconnected."""
    await connection.execute(_SQL["enable_remembered"], connection_id)


async def enable_primary(connection: Connection, connection_id: UUID) -> None:
    """Turn the primary calendar on, unless a calendar of the connection is on already."""
    await connection.execute(_SQL["enable_primary"], connection_id)


async def enabled_of_connection(connection: Connection | Pool, connection_id: UUID) -> list[UUID]:
    """Return the calendars of a connection that are synced."""
    return [
        row["id"] for row in await connection.fetch(_SQL["enabled_of_connection"], connection_id)
    ]


async def set_state(
    connection: Connection | Pool,
    calendar_id: UUID,
    state: str,
    *,
    reason: str | None = None,
    error: SyncError | None = None,
) -> None:
    """Show *state* to the user, with the reason and the error behind it."""
    await connection.execute(
        _SQL["set_state"], calendar_id, state, reason, error.as_json() if error else None
    )


async def need_reconnect(connection: Connection, connection_id: UUID, error: SyncError) -> None:
    """Show every calendar of a connection as waiting for its user."""
    await connection.execute(_SQL["need_reconnect"], connection_id, error.as_json())


async def note_role(
    connection: Connection, calendar_id: UUID, access_role: str, time_zone: str | None
) -> None:
    """Keep the role and the zone as the provider last told them."""
    await connection.execute(_SQL["note_role"], calendar_id, access_role, time_zone)


async def ensure_feed(connection: Connection | Pool, calendar_id: UUID) -> None:
    """Make sure that the calendar has a feed row."""
    await connection.execute(_SQL["ensure_feed"], calendar_id)


async def lock_feed(connection: Connection, calendar_id: UUID) -> None:
    """Hold the calendar and its feed until the transaction ends, in the order users lock them."""
    await connection.execute(_SQL["lock_calendar"], calendar_id)
    await connection.execute(_SQL["lock_feed"], calendar_id)


async def start_pass(connection: Connection, calendar_id: UUID) -> None:
    """Begin a full sync."""
    await connection.execute(_SQL["start_pass"], calendar_id)
    await connection.execute(_SQL["count_progress"], calendar_id, 0, True)


async def save_pass_page(connection: Connection, calendar_id: UUID, page: str, done: int) -> None:
    """Record the next page of the full sync under way, and *done* more events."""
    await connection.execute(_SQL["save_pass_page"], calendar_id, page)
    await connection.execute(_SQL["count_progress"], calendar_id, done, False)


async def save_cursor(
    connection: Connection, calendar_id: UUID, cursor: str, cursor_key: str
) -> None:
    """Record where the next pull starts; ends a full sync."""
    await connection.execute(_SQL["save_cursor"], calendar_id, cursor, cursor_key)


async def want_full(pool: Pool, every_days: int) -> None:
    """Have the next pull list everything where that was not done for *every_days* days."""
    await pool.execute(_SQL["want_full"], every_days)


async def drop_cursor(connection: Connection | Pool, calendar_id: UUID) -> None:
    """Ask for a full sync from the start."""
    await connection.execute(_SQL["drop_cursor"], calendar_id)


async def note_synced(
    connection: Connection, calendar_id: UUID, *, done: int | None = None
) -> None:
    """Show the calendar as healthy; *done* events were the last of a full sync."""
    if done is not None:
        await connection.execute(_SQL["count_progress"], calendar_id, done, False)
    await connection.execute(_SQL["note_synced"], calendar_id, done is not None)


async def disconnect(connection: Connection, connection_id: UUID) -> None:
    """Turn off every calendar of a connection; events and mappings stay."""
    await connection.execute(_SQL["disconnect"], connection_id)


async def synced(pool: Pool) -> list[UUID]:
    """Return every calendar that is on, of connections that work."""
    return [row["id"] for row in await pool.fetch(_SQL["synced"])]


async def pause(
    connection: Connection, calendar_id: UUID, reason: str, preview: dict[str, Any]
) -> None:
    """Do nothing more in the calendar until its user resumes it; *preview* shows what would be."""
    await connection.execute(_SQL["pause"], calendar_id, reason, preview)


async def resume(connection: Connection, calendar_id: UUID, deletions: str | None) -> bool:
    """Go on with a paused calendar; False when it was not paused."""
    if await connection.fetchval(_SQL["resume"], calendar_id) is None:
        return False
    await connection.execute(_SQL["decide_deletions"], calendar_id, deletions)
    return True
