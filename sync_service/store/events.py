"""The application's events as the machine reads and writes them, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from sync_service.core.event import Content
from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

_SQL = load("events")


@dataclass(frozen=True)
class EventRow:
    """A row of `calendar_events`: what it says and what the machine needs to know about it.

    *wishes* says whom to tell of the change that made a version, by version; only `read` fills it.
    One that stands for an occurrence of a series has *series_id* and *original_start*.
    """

    id: UUID
    user_id: UUID
    calendar_id: UUID | None
    content: Content
    version: int
    updated_at: datetime
    deleted_at: datetime | None
    ical_uid: str | None
    wishes: dict[str, str] = field(default_factory=dict[str, str])
    series_id: UUID | None = None
    original_start: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether the event exists for its user: not deleted, not called off."""
        return self.deleted_at is None and self.content.status != "cancelled"


@dataclass(frozen=True)
class NewEvent:
    """An event to insert; *calendar_id* becomes its home, *ical_uid* is the provider's for it.

    With *series_id* and *original_start* it is an occurrence, a cancelled one where *deleted*.
    """

    id: UUID
    user_id: UUID
    calendar_id: UUID | None
    content: Content
    ical_uid: str | None = None
    kind: str = "default"
    series_id: UUID | None = None
    original_start: datetime | None = None
    deleted: bool = False


def read_row(row: asyncpg.Record) -> EventRow:
    """Build an `EventRow` from a record of `select * from calendar_events`."""
    return EventRow(
        id=row["id"],
        user_id=row["user_id"],
        calendar_id=row["calendar_id"],
        content=_content(row),
        version=row["version"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        ical_uid=row["ical_uid"],
        wishes=row.get("wishes") or {},
        series_id=row["series_id"],
        original_start=row["original_start_time"],
    )


async def lock(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, EventRow]:
    """Lock the events *ids* until the transaction ends; answers those that exist."""
    rows = await connection.fetch(_SQL["read_for_update"], list(ids))
    return {row["id"]: read_row(row) for row in rows}


async def read(connection: Connection | Pool, event_id: UUID) -> EventRow | None:
    """Return the event, None when there is no such row."""
    row = await connection.fetchrow(_SQL["read"], event_id)
    return read_row(row) if row else None


async def insert(connection: Connection, events: Sequence[NewEvent]) -> dict[UUID, int]:
    """Insert *events*; answers their versions."""
    rows = [
        {
            "id": event.id,
            "user_id": event.user_id,
            "calendar_id": event.calendar_id,
            "ical_uid": event.ical_uid,
            "kind": event.kind,
            "series_id": event.series_id,
            "original_start_time": event.original_start,
            "deleted": event.deleted,
            **_columns(event.content),
        }
        for event in events
    ]
    return await _versions(connection, "insert", rows)


async def update(connection: Connection, contents: Mapping[UUID, Content]) -> dict[UUID, int]:
    """Set the whole content of each event; answers their versions."""
    rows = [{"id": event_id, **_columns(content)} for event_id, content in contents.items()]
    return await _versions(connection, "update", rows)


async def delete(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Mark events as deleted; answers the versions of those that were not yet."""
    if not ids:
        return {}
    rows = await connection.fetch(_SQL["delete"], ids)
    return {row["id"]: row["version"] for row in rows}


async def owned(connection: Connection, user_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of *ids* that are events of *user_id*."""
    rows = await connection.fetch(_SQL["owned"], user_id, ids) if ids else []
    return {row["id"] for row in rows}


async def enqueue_differences(
    connection: Connection, calendar_id: UUID, user_id: UUID, since: datetime
) -> int:
    """Queue what the calendar should hold (from *since* on) and does not, and the other way round.

    Answers how many pushes that made.
    """
    queued = await connection.fetchval(_SQL["enqueue_differences"], calendar_id, user_id, since)
    return int(queued or 0)


async def exceptions(
    connection: Connection, keys: Iterable[tuple[UUID, datetime]]
) -> dict[tuple[UUID, datetime], UUID]:
    """Return the rows that stand for these occurrences, each given as (series, original start)."""
    wanted = list(keys)
    if not wanted:
        return {}
    series, starts = (list(column) for column in zip(*wanted, strict=True))
    rows = await connection.fetch(_SQL["exceptions"], series, starts)
    return {(row["series_id"], row["original_start_time"]): row["id"] for row in rows}


async def follow_series(
    connection: Connection, calendar_id: UUID, series_ids: Sequence[UUID], *, known: set[UUID]
) -> None:
    """After these series changed in the calendar: look at what stands for their occurrences.

    Of *known* events the remote copy was read just now.
    """
    if series_ids:
        await connection.execute(_SQL["follow_series"], calendar_id, series_ids, list(known))


async def adoptable(
    connection: Connection | Pool,
    calendar_id: UUID,
    user_id: UUID,
    *,
    starts: Sequence[datetime],
    ical_uids: Sequence[str],
) -> list[EventRow]:
    """Return events that belong here and have no copy on record, by their start or iCalendar id."""
    if not starts:
        return []
    rows = await connection.fetch(
        _SQL["adoptable"], calendar_id, user_id, list(set(starts)), list(set(ical_uids))
    )
    return [read_row(row) for row in rows]


async def held_by(
    connection: Connection | Pool, calendar_id: UUID, user_id: UUID, since: datetime
) -> list[tuple[EventRow, str | None, str | None]]:
    """Return (event, remote id, mapping status) of what a calendar should hold from *since* on."""
    rows = await connection.fetch(_SQL["held_by"], calendar_id, user_id, since)
    return [(read_row(row), row["external_id"], row["mapping_status"]) for row in rows]


async def announce(connection: Connection, user_id: UUID, ids: Sequence[UUID]) -> None:
    """Wake those who wait for news of *ids*, once the transaction commits."""
    if ids:
        await connection.execute(_SQL["announce"], user_id, ids)


async def purge_wishes(pool: Pool) -> str:
    """Remove wishes to tell guests that nobody can be waiting for any more."""
    return await pool.execute(_SQL["purge_wishes"])


async def purge_tombstones(pool: Pool, older_than_days: int) -> str:
    """Remove events that were deleted longer than *older_than_days* ago."""
    return await pool.execute(_SQL["purge_tombstones"], older_than_days)


async def _versions(
    connection: Connection, statement: str, rows: list[dict[str, Any]]
) -> dict[UUID, int]:
    if not rows:
        return {}
    written = await connection.fetch(_SQL[statement], msgspec.to_builtins(rows))
    return {row["id"]: row["version"] for row in written}


def _content(row: asyncpg.Record) -> Content:
    fields = {
        "title": row["title"],
        "description": row["description"],
        "location": row["location"],
        "notes": row["notes"],
        "start": row["start_time"],
        "end": row["end_time"],
        "all_day": row["all_day"],
        "time_zone": row["time_zone"],
        "recurrence": row["recurrence"],
        "status": row["status"],
        "visibility": row["visibility"],
        "transparency": row["transparency"],
        "attendees": row["attendees"],
        "reminders": row["reminders"],
        "attachments": row["attachments"],
        "conference": row["conference"],
        "color": row["color"],
        "metadata": row["metadata"],
    }
    return msgspec.convert(fields, Content, strict=False)


def _columns(content: Content) -> dict[str, Any]:
    columns = {name: getattr(content, name) for name in content.__struct_fields__}
    columns["start_time"] = columns.pop("start")
    columns["end_time"] = columns.pop("end")
    return columns
