"""What the user can look up afterwards: the audit log, conflicts, notifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

_SQL = load("trail")


@dataclass(frozen=True)
class Deed:
    """Something that was done: *action* such as `push.created`, *source* the side it came from."""

    user_id: UUID
    action: str
    source: str
    connection_id: UUID | None = None
    calendar_id: UUID | None = None
    event_id: UUID | None = None
    detail: dict[str, Any] = field(default_factory=dict[str, Any])
    duration_ms: float | None = None


@dataclass(frozen=True)
class Conflict:
    """One event changed two ways: every version, and who won for now."""

    user_id: UUID
    event_id: UUID
    calendar_id: UUID
    fields: Sequence[str]
    base: dict[str, Any] | None
    local: dict[str, Any] | None
    remote: dict[str, Any] | None
    policy: str
    winner: str | None


async def audit(connection: Connection | Pool, deeds: Sequence[Deed]) -> None:
    """Write *deeds* to the audit log."""
    if deeds:
        rows = msgspec.to_builtins([asdict(deed) for deed in deeds])
        await connection.execute(_SQL["audit"], rows)


async def record_conflicts(connection: Connection, conflicts: Sequence[Conflict]) -> None:
    """Keep every version of events that changed two ways, and tell their users."""
    if not conflicts:
        return
    rows = msgspec.to_builtins([asdict(conflict) for conflict in conflicts])
    await connection.execute(_SQL["conflicts"], rows)
    for conflict in conflicts:
        await notify(
            connection,
            user_id=conflict.user_id,
            kind="conflict",
            cause=f"conflict:{conflict.event_id}",
            message="An event was changed on two sides at once; both versions were kept.",
            calendar_id=conflict.calendar_id,
            event_id=conflict.event_id,
        )


async def lock_conflict(connection: Connection, conflict_id: UUID) -> Conflict | None:
    """Return the conflict, held until the transaction ends; None when there is none."""
    row = await connection.fetchrow(_SQL["lock_conflict"], conflict_id)
    return Conflict(**dict(row.items())) if row else None


async def close_conflict(connection: Connection, conflict_id: UUID, resolution: str) -> None:
    """Record the user's word."""
    await connection.execute(_SQL["close_conflict"], conflict_id, resolution)


async def notify(
    connection: Connection | Pool,
    *,
    user_id: UUID,
    kind: str,
    cause: str,
    message: str,
    connection_id: UUID | None = None,
    calendar_id: UUID | None = None,
    event_id: UUID | None = None,
) -> None:
    """Tell the user; an unread notice of the same *cause* is counted up instead of repeated."""
    await connection.execute(
        _SQL["notify"], user_id, kind, cause, message, connection_id, calendar_id, event_id
    )


async def purge_audit(pool: Pool, older_than_days: int) -> str:
    """Remove audit rows older than *older_than_days*."""
    return await pool.execute(_SQL["purge_audit"], older_than_days)
