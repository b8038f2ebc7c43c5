"""The user's word on a conflict, at any later time.

A conflict names the parts of an event that went two ways and keeps every version. Overruling puts
the chosen values of *those parts* into the event as it is now, so whatever was edited since
survives, and the change travels to every calendar like any other. A parked event is released by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec

from sync_service.core.event import Content, from_json, take_units, to_json
from sync_service.errors import Gone, Rejected
from sync_service.store import events, mappings, queue, trail
from sync_service.store.events import EventRow, NewEvent
from sync_service.store.pool import Connection, Pool, transaction

Resolution = Literal["local", "remote", "merge"]
DELETED = "deleted"
"""The part that a conflict names when one side edited what the other deleted."""


@dataclass(frozen=True)
class Resolved:
    """What came of it; *deleted* says that the event is gone by the user's choice."""

    event_id: UUID
    deleted: bool


async def resolve(
    pool: Pool,
    conflict_id: UUID,
    resolution: Resolution,
    merged: Mapping[str, Any] | None = None,
) -> Resolved:
    """Settle a conflict; *merged* holds content fields (`core.event.Content`) for `merge`.

    May be said again: the last word counts. Raises `Gone` when there is no such conflict and
    `Rejected` for a merge without fields, or with ones that no event has.
    """
    async with transaction(pool, source="manual") as connection:
        conflict = await trail.lock_conflict(connection, conflict_id)
        if conflict is None:
            raise Gone("There is no such conflict.", code="conflict_not_found")
        locked = await events.lock(connection, [conflict.event_id])
        row = locked.get(conflict.event_id)
        content = _chosen(conflict, row, resolution, merged)
        await _release(connection, conflict)
        try:
            await _write(connection, conflict, row, content)
        except asyncpg.PostgresError as fault:
            if fault.sqlstate != "PT422":
                raise
            # The table itself refuses what no calendar can hold, naming the field.
            raise Rejected(str(fault), code="merge_invalid") from None
        await trail.close_conflict(connection, conflict_id, resolution)
        await trail.audit(
            connection,
            [
                trail.Deed(
                    user_id=conflict.user_id,
                    action="conflict.resolved",
                    source="manual",
                    calendar_id=conflict.calendar_id,
                    event_id=conflict.event_id,
                    detail={"resolution": resolution, "fields": list(conflict.fields)},
                )
            ],
        )
        await events.announce(connection, conflict.user_id, [conflict.event_id])
        return Resolved(conflict.event_id, deleted=content is None)


def _chosen(
    conflict: trail.Conflict,
    row: EventRow | None,
    resolution: Resolution,
    merged: Mapping[str, Any] | None,
) -> Content | None:
    """Return what the event becomes; None when the chosen side had deleted it."""
    current = row.content if row is not None and row.live else None
    if resolution == "merge":
        return _with_fields(current or _any_version(conflict), merged)
    stored = conflict.local if resolution == "local" else conflict.remote
    if stored is None:
        return None
    chosen = from_json(stored)
    if current is None or DELETED in conflict.fields:
        return current or chosen
    return take_units(current, chosen, frozenset(conflict.fields))


def _any_version(conflict: trail.Conflict) -> Content:
    stored = conflict.local or conflict.remote or conflict.base
    assert stored is not None  # noqa: S101  # a conflict has at least one side that exists
    return from_json(stored)


def _with_fields(content: Content, fields: Mapping[str, Any] | None) -> Content:
    if not fields:
        raise Rejected("A merge needs the event's fields as they should be.", code="merge_is_empty")
    unknown = set(fields) - set(Content.__struct_fields__)
    if unknown:
        raise Rejected(
            f"An event has no {', '.join(sorted(unknown))}.", code="merge_has_unknown_fields"
        )
    try:
        return msgspec.convert({**to_json(content), **fields}, Content)
    except msgspec.ValidationError as fault:
        raise Rejected(f"The merged event cannot be read: {fault}", code="merge_invalid") from None


async def _release(connection: Connection, conflict: trail.Conflict) -> None:
    """Free a parked event: what the provider held counts as seen, so the choice differs from it."""
    await mappings.release(connection, conflict.event_id, conflict.calendar_id, conflict.remote)
    await queue.enqueue_pushes(
        connection,
        [(conflict.user_id, conflict.event_id, conflict.calendar_id, "resolved")],
    )


async def _write(
    connection: Connection,
    conflict: trail.Conflict,
    row: EventRow | None,
    content: Content | None,
) -> None:
    if content is None:
        await events.delete(connection, [conflict.event_id])
    elif row is None:
        await events.insert(
            connection,
            [NewEvent(conflict.event_id, conflict.user_id, conflict.calendar_id, content)],
        )
    elif not row.live or content != row.content:
        await events.update(connection, {conflict.event_id: content})
