"""Writes what was decided on arrivals: a few statements, however many events there are."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sync_service.engine.arrivals import Settled, Writes
from sync_service.store import events, mappings, queue, trail
from sync_service.store.calendars import Calendar
from sync_service.store.pool import Connection


async def write(
    connection: Connection, calendar: Calendar, writes: Writes, pass_id: UUID | None
) -> Settled:
    """Write everything that was decided; *pass_id* is the full listing that it came from."""
    versions = await events.insert(connection, writes.inserts)
    versions |= await events.update(connection, writes.updates)
    versions |= await events.delete(connection, writes.deletes)
    await mappings.agree(
        connection,
        [
            replace(
                agreement,
                event_version=versions.get(agreement.event_id, agreement.event_version),
            )
            for agreement in writes.agreements
        ],
    )
    await mappings.settle_deleted(connection, writes.tombstones)
    await mappings.settle_series_deleted(connection, calendar.id, writes.deletes)
    await events.follow_series(
        connection,
        calendar.id,
        writes.series,
        known={agreement.event_id for agreement in writes.agreements},
    )
    await mappings.look_again(connection, writes.look_again)
    await mappings.park(connection, writes.parked)
    if pass_id:
        await mappings.mark_seen(connection, writes.seen, pass_id)
    await trail.record_conflicts(connection, writes.conflicts)
    await queue.enqueue_pushes(
        connection,
        [
            (calendar.user_id, event_id, calendar.id, reason)
            for event_id, reason in writes.pushes.items()
        ],
    )
    settled = Settled(
        created=[event.id for event in writes.inserts],
        updated=list(writes.updates),
        deleted=writes.deletes,
        conflicts=len(writes.conflicts),
    )
    await events.announce(connection, calendar.user_id, settled.touched)
    return settled
