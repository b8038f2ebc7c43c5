"""An account whose grant is dead: what is shown, and what its user is told, once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sync_service.errors import Disposition, MissingScope, SyncError
from sync_service.store import calendars, connections, trail
from sync_service.store.connections import ConnectionRow
from sync_service.store.pool import Connection, Pool, transaction


async def show(pool: Pool, connection: ConnectionRow, fault: SyncError) -> None:
    """Show *fault* on the connection; where only its user can mend it, tell them."""
    async with transaction(pool) as store:
        if fault.disposition is Disposition.PAUSE and fault.scope == "connection":
            await need_reconnect(store, connection.id, fault, since=connection.updated_at)
        else:
            await connections.note_error(store, connection.id, fault)


async def need_reconnect(
    store: Connection, connection_id: UUID, fault: SyncError, *, since: datetime
) -> None:
    """Tell the user once that the account must be connected again.

    What was met by work begun *since* then counts for nothing if the account was connected anew or
    let go meanwhile.
    """
    if not await connections.need_reconnect(store, connection_id, fault, since):
        return
    connection = await connections.read(store, connection_id)
    assert connection is not None  # noqa: S101  # it was just written
    await calendars.need_reconnect(store, connection_id, fault)
    await trail.notify(
        store,
        user_id=connection.user_id,
        kind="reconnect_needed",
        cause=f"reconnect:{connection_id}",
        message=(
            f"{fault.detail} Nothing is lost meanwhile."
            if isinstance(fault, MissingScope)
            else "The calendar account must be connected again; nothing is lost meanwhile."
        ),
        connection_id=connection_id,
    )
    await trail.audit(
        store,
        [
            trail.Deed(
                user_id=connection.user_id,
                action="connection.reconnect_needed",
                source=connection.provider,
                connection_id=connection_id,
                detail=fault.as_json(),
            )
        ],
    )
