"""Each account's list of calendars, kept current: what appears, goes, comes back, or changes.

It has a position and a channel of its own. Names, zones and rights change without a word there, so
the whole list is read once a day. Nothing is ever deleted because a calendar went: it stops, says
why, and goes on when it is back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from uuid import UUID

import structlog

from sync_service import telemetry
from sync_service.engine import channels, reconnect
from sync_service.engine.hub import Hub
from sync_service.errors import (
    MissingScope,
    ProviderUnavailable,
    PushUnsupported,
    ReauthRequired,
    ResyncRequired,
    SyncError,
)
from sync_service.providers.base import CalendarList, Session
from sync_service.store import calendar_lists, calendars, connections, queue, trail
from sync_service.store import channels as channel_rows
from sync_service.store.calendar_lists import ListClaim
from sync_service.store.calendars import Listed
from sync_service.store.channels import Target
from sync_service.store.connections import ConnectionRow
from sync_service.store.pool import Connection, transaction

NOT_LISTED = "It is no longer in the account's list of calendars."
_DAY_S = 86_400.0
_FAILED_S = 600.0
_BATCH = 20
_log = structlog.get_logger(__name__)


async def read_due(hub: Hub) -> int:
    """Read every list that is due; answers how many were read."""
    done = 0
    while claims := await calendar_lists.claim_due(hub.pool, _BATCH):
        for claim in claims:
            try:
                done += await _read(hub, claim)
            except Exception:
                # One account's trouble is not the others'; the claim lapses, then it is tried anew.
                telemetry.unexpected_errors.labels("calendar_list").inc()
                _log.exception("calendar_list_failed", connection_id=str(claim.connection_id))
    return done


async def read_whole(hub: Hub, connection: ConnectionRow) -> CalendarList:
    """Return everything that the account shows."""
    return await _listing(hub.session(connection), None)


async def take_over(
    store: Connection, connection: ConnectionRow, listing: CalendarList, *, first: bool = False
) -> None:
    """Write what a list says, with what follows from it for each calendar.

    On a *first* reading every calendar is new, which is no news.
    """
    listed = await calendars.upsert(store, connection.id, listing.calendars)
    if listing.complete:
        ids = [calendar.external_id for calendar in listing.calendars]
        listed += await calendars.remove(store, connection.id, ids, others=True, reason=NOT_LISTED)
    elif listing.removed:
        listed += await calendars.remove(
            store, connection.id, listing.removed, others=False, reason=NOT_LISTED
        )
    returned = [calendar.id for calendar in listed if calendar.returned]
    await calendars.restart(store, returned)
    again = [calendar.id for calendar in listed if calendar.returned or calendar.role_changed]
    await queue.request_pulls(store, again, "calendar_list")
    await queue.release_waiting(store, again)
    await _tell(store, connection, [each for each in listed if not (first and each.appeared)])


async def save(
    hub: Hub, store: Connection, connection_id: UUID, listing: CalendarList, *, answered: int
) -> None:
    """Record the position after *listing*; the next readings do not come at one time for all."""
    whole = listing.complete or listing.cursor is None
    await calendar_lists.save(
        store,
        connection_id,
        listing.cursor,
        answered=answered,
        complete=whole,
        next_s=(hub.settings.google_poll_seconds if listing.cursor else _DAY_S) * _spread(),
        full_s=_DAY_S * _spread(),
    )


async def _read(hub: Hub, claim: ListClaim) -> bool:
    connection = await connections.read(hub.pool, claim.connection_id)
    if connection is None or connection.status != "active":
        return False
    session = hub.session(connection)
    try:
        if claim.may_watch:
            await _ensure_channel(hub, session, connection)
        listing = await _listing(session, None if claim.wants_full else claim.cursor)
    except ReauthRequired as fault:
        await calendar_lists.rest(hub.pool, claim, _FAILED_S)
        await reconnect.show(hub.pool, connection, fault)
        return False
    except SyncError as fault:
        _log.warning("calendar_list_not_read", error=str(fault))
        await calendar_lists.rest(hub.pool, claim, fault.retry_after_s or _FAILED_S)
        return False
    async with transaction(hub.pool) as store:
        if not await calendar_lists.hold(store, claim):
            return False
        await take_over(store, connection, listing)
        await save(hub, store, connection.id, listing, answered=claim.asked)
        await connections.note_error(store, connection.id, limit_of(listing))
    return True


def limit_of(listing: CalendarList) -> SyncError | None:
    """Return what the connection shows when its list could not be read."""
    if not listing.limited:
        return None
    return MissingScope(
        "Only the primary calendar can be synced: the list of calendars was not shared. Connect "
        "again and tick every box to see the others.",
        code="calendar_list_not_granted",
    )


async def _listing(session: Session, cursor: str | None) -> CalendarList:
    try:
        listing = await session.list_calendars(cursor=cursor)
    except ResyncRequired:
        listing = await session.list_calendars()
    if listing.complete and not listing.calendars:
        raise ProviderUnavailable("The list of calendars came back empty, which it never is.")
    return listing


async def _ensure_channel(hub: Hub, session: Session, connection: ConnectionRow) -> None:
    if not hub.providers[connection.provider].capabilities("owner").push_channels:
        return
    margin_s = hub.settings.channel_renew_margin_seconds
    if await channel_rows.has_live(hub.pool, connection.id, margin_s):
        return
    try:
        await channels.open_channel(hub, session, Target(connection.id), connection.provider, None)
    except (PushUnsupported, MissingScope):
        await calendar_lists.leave_to_poll(hub.pool, connection.id, 7 * _DAY_S)
    except ReauthRequired:
        raise
    except SyncError as fault:
        _log.warning("list_channel_not_opened", error=str(fault))
        await calendar_lists.leave_to_poll(hub.pool, connection.id, 3600.0)


async def _tell(store: Connection, connection: ConnectionRow, listed: Sequence[Listed]) -> None:
    """Leave a trace of what became of calendars, and tell of those that stopped."""
    deeds: list[trail.Deed] = []
    for calendar in listed:
        if calendar.stopped:
            action = "calendar.stopped"
        elif calendar.returned:
            action = "calendar.returned"
        elif calendar.appeared:
            action = "calendar.appeared"
        else:
            continue
        deeds.append(
            trail.Deed(
                user_id=connection.user_id,
                action=action,
                source=connection.provider,
                connection_id=connection.id,
                calendar_id=calendar.id,
                detail={"name": calendar.name, "reason": calendar.reason},
            )
        )
        if calendar.stopped:
            await trail.notify(
                store,
                user_id=connection.user_id,
                kind="calendar_unavailable",
                cause=f"calendar:{calendar.id}:calendar_unavailable",
                message=f"“{calendar.name}” is not synced any more: {calendar.reason}",
                connection_id=connection.id,
                calendar_id=calendar.id,
            )
    await trail.audit(store, deeds)


def _spread() -> float:
    return random.uniform(0.75, 1.0)  # noqa: S311  # spreads load, guards nothing
