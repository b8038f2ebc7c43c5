"""Mappings: which remote event an event is, and the base on which both sides last agreed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from sync_service.core.event import Content, from_json, to_json
from sync_service.errors import SyncError
from sync_service.providers.base import OccurrenceRef
from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

_SQL = load("mappings")


@dataclass(frozen=True)
class Doomed:
    """An event that a pass would delete; a *fresh* one was made while the pass was open."""

    mapping_id: UUID
    event_id: UUID
    user_id: UUID
    title: str
    start_time: datetime
    series_id: UUID | None
    fresh: bool


@dataclass(frozen=True)
class Intent:
    """A write about to be sent: this content, or (None) a deletion."""

    content: Content | None


@dataclass(frozen=True)
class Mapping:
    """A row of `event_mappings`; when *stale*, the remote copy is read before it is written.

    *intent* is a write that was begun and never accounted for. *unlisted* says that a full listing
    ended while the copy was being made. *data* is what the provider keeps of the version under
    *etag*. Wishes to tell guests are done up to *told_version* of the event.
    ended while the copy was being made. *occurrence* tells which one of a series the copy is.
    """

    id: UUID
    user_id: UUID
    event_id: UUID
    calendar_id: UUID
    external_id: str
    etag: str | None
    external_updated_at: datetime | None
    base: Content | None
    event_version: int | None
    status: str
    stale: bool
    intent: Intent | None
    last_synced_at: datetime | None
    read_only: str | None
    unlisted: bool = False
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    told_version: int | None = None
    occurrence: OccurrenceRef | None = None


@dataclass(frozen=True)
class Agreement:
    """What a mapping records once both sides were compared: the base is what the remote holds."""

    id: UUID
    user_id: UUID
    event_id: UUID
    calendar_id: UUID
    external_id: str
    ical_uid: str | None
    html_link: str | None
    etag: str | None
    external_updated_at: datetime | None
    base: dict[str, Any] | None
    fingerprint: str | None
    event_version: int | None
    sync_source: str
    status: str
    stale: bool = False
    seen_pass: UUID | None = None
    provider_data: dict[str, Any] = field(default_factory=dict[str, Any])


def read_row(row: asyncpg.Record) -> Mapping:
    """Build a `Mapping` from a record of `select * from event_mappings`."""
    return Mapping(
        id=row["id"],
        user_id=row["user_id"],
        event_id=row["event_id"],
        calendar_id=row["calendar_id"],
        external_id=row["external_id"],
        etag=row["etag"],
        external_updated_at=row["external_updated_at"],
        base=from_json(row["base"]) if row["base"] is not None else None,
        event_version=row["event_version"],
        status=row["status"],
        stale=row["stale"],
        intent=_read_intent(row["intent"]),
        last_synced_at=row["last_synced_at"],
        read_only=row["provider_data"].get("read_only"),
        unlisted=row["status"] == "pending" and row["seen_pass"] is not None,
        data=row["provider_data"],
        told_version=row["told_version"],
        occurrence=_read_occurrence(row["provider_data"].get("occurrence")),
    )


async def find(
    connection: Connection | Pool, calendar_id: UUID, external_ids: Sequence[str]
) -> list[tuple[UUID, UUID, str]]:
    """Return (mapping id, event id, remote id) of the remote ids that are mapped."""
    rows = await connection.fetch(_SQL["find"], calendar_id, external_ids)
    return [(row["id"], row["event_id"], row["external_id"]) for row in rows]


async def lock(connection: Connection, ids: Iterable[UUID]) -> list[Mapping]:
    """Lock mappings until the transaction ends; lock their events first."""
    return [read_row(row) for row in await connection.fetch(_SQL["read_for_update"], list(ids))]


async def read_pair(
    connection: Connection | Pool, event_id: UUID, calendar_id: UUID
) -> Mapping | None:
    """Return the mapping of an event in a calendar."""
    row = await connection.fetchrow(_SQL["read_pair"], event_id, calendar_id)
    return read_row(row) if row else None


async def lock_pair(connection: Connection, event_id: UUID, calendar_id: UUID) -> None:
    """Lock the mapping of an event in a calendar; a queue row is locked after it, never before."""
    await connection.execute(_SQL["lock_pair"], event_id, calendar_id)


async def taken_events(
    connection: Connection, calendar_id: UUID, event_ids: Sequence[UUID]
) -> set[UUID]:
    """Return those of *event_ids* that have a mapping in the calendar."""
    rows = await connection.fetch(_SQL["taken_events"], calendar_id, event_ids)
    return {row["event_id"] for row in rows}


async def in_flight(
    connection: Connection, calendar_id: UUID, event_ids: Sequence[UUID]
) -> set[UUID]:
    """Return those of *event_ids* that are being pushed to the calendar at this moment."""
    rows = await connection.fetch(_SQL["in_flight"], calendar_id, event_ids)
    return {row["event_id"] for row in rows}


async def reserve(
    pool: Pool,
    *,
    mapping_id: UUID,
    user_id: UUID,
    event_id: UUID,
    calendar_id: UUID,
    external_id: str,
    intent: Content,
) -> Mapping:
    """Put a coming create on record, id and content; answers the row that stands."""
    row = await pool.fetchrow(
        _SQL["reserve"], mapping_id, user_id, event_id, calendar_id, external_id, to_json(intent)
    )
    assert row is not None  # noqa: S101  # insert … on conflict do update always returns
    return read_row(row)


async def intend(pool: Pool, mapping_id: UUID, intent: Intent) -> int:
    """Put a coming write on record, so that it is known as ours should its answer be lost.

    Answers how many writes of this copy were begun within the last minute, this one included.
    """
    stored = {"content": to_json(intent.content) if intent.content else None}
    return int(await pool.fetchval(_SQL["intend"], mapping_id, stored) or 0)


async def rename(pool: Pool, mapping_id: UUID, external_id: str) -> None:
    """Choose another remote id, because the one on record is taken."""
    await pool.execute(_SQL["rename"], mapping_id, external_id)


async def agree(connection: Connection, agreements: Sequence[Agreement]) -> None:
    """Record what both sides were found to hold."""
    if agreements:
        rows = [asdict(agreement) for agreement in agreements]
        await connection.execute(_SQL["upsert"], msgspec.to_builtins(rows))


async def look_again(connection: Connection, ids: Sequence[UUID]) -> None:
    """Make the next push of these mappings read the remote copy first."""
    if ids:
        await connection.execute(_SQL["look_again"], ids)


async def mark_unlisted(connection: Connection, calendar_id: UUID, pass_id: UUID) -> None:
    """Have copies that are being made read once more: the full listing *pass_id* had them not."""
    await connection.execute(_SQL["mark_unlisted"], calendar_id, pass_id)


async def mark_seen(connection: Connection, ids: Sequence[UUID], pass_id: UUID) -> None:
    """Note that the full listing *pass_id* contained these."""
    if ids:
        await connection.execute(_SQL["mark_seen"], ids, pass_id)


async def settle_deleted(connection: Connection, ids: Sequence[UUID]) -> None:
    """Keep the mappings as tombstones: the event is gone on both sides."""
    if ids:
        await connection.execute(_SQL["settle_deleted"], ids)


async def settle_series_deleted(
    connection: Connection, calendar_id: UUID, series_ids: Sequence[UUID]
) -> None:
    """The same for what stands for occurrences of series that are gone."""
    if series_ids:
        await connection.execute(_SQL["settle_series_deleted"], calendar_id, series_ids)


async def forget(connection: Connection, mapping_id: UUID) -> None:
    """Remove a mapping whose remote event is not the one that its event stands for any more."""
    await connection.execute(_SQL["forget"], mapping_id)


async def settle_version(connection: Connection, mapping_id: UUID, version: int) -> None:
    """Record that version *version* of the event says what the remote copy says."""
    await connection.execute(_SQL["settle_version"], mapping_id, version)


async def note_told(
    connection: Connection, event_id: UUID, calendar_id: UUID, version: int
) -> None:
    """Record that the wishes to tell guests are done up to *version* of the event."""
    await connection.execute(_SQL["note_told"], event_id, calendar_id, version)


async def note_failure(
    connection: Connection, event_id: UUID, calendar_id: UUID, error: SyncError
) -> None:
    """Show *error* on the event's sync state."""
    await connection.execute(_SQL["note_failure"], event_id, calendar_id, error.as_json())


async def unseen(connection: Connection, calendar_id: UUID, since: datetime) -> list[Doomed]:
    """Return what the complete listing of the open pass should have held and did not."""
    rows = await connection.fetch(_SQL["unseen"], calendar_id, since)
    return [Doomed(**dict(row.items())) for row in rows]


async def doomed(
    connection: Connection, calendar_id: UUID, external_ids: Sequence[str]
) -> list[Doomed]:
    """Return the events that would be deleted here if *external_ids* were gone for good."""
    rows = await connection.fetch(_SQL["doomed"], calendar_id, external_ids)
    return [Doomed(**dict(row.items())) for row in rows]


async def bring_back(connection: Connection, ids: Sequence[UUID]) -> None:
    """Have these made anew at the provider if they are gone there."""
    if ids:
        await connection.execute(_SQL["bring_back"], ids)


async def count_live(connection: Connection, calendar_id: UUID) -> int:
    """Return how many events the calendar is known to hold."""
    return int(await connection.fetchval(_SQL["count_live"], calendar_id) or 0)


async def release(
    connection: Connection, event_id: UUID, calendar_id: UUID, remote: dict[str, Any] | None
) -> None:
    """Let a parked event move again, from the *remote* version that its conflict kept."""
    await connection.execute(_SQL["release"], event_id, calendar_id, remote)


async def park(connection: Connection, ids: Sequence[UUID]) -> None:
    """Leave these alone on both sides until the user settles their conflict."""
    if ids:
        await connection.execute(_SQL["park"], ids)


def _read_occurrence(stored: dict[str, str] | None) -> OccurrenceRef | None:
    if stored is None:
        return None
    return OccurrenceRef(stored["series"], datetime.fromisoformat(stored["original_start"]))


def _read_intent(stored: dict[str, Any] | None) -> Intent | None:
    if stored is None:
        return None
    return Intent(from_json(stored["content"]) if stored["content"] else None)
