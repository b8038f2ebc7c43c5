"""Push channels: opened before a calendar is first read, renewed with overlap, stopped when done.

A channel is on record before the provider is asked, and its secret rests only as a hash. Losing one
delays changes until the next poll and loses nothing; a poll that finds what a channel should have
told has it replaced.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog

from sync_service.engine.hub import Hub
from sync_service.errors import (
    MissingScope,
    Permanent,
    PushUnsupported,
    ReauthRequired,
    SyncError,
)
from sync_service.providers.base import CalendarRef, Session
from sync_service.store import calendars, channels, connections, queue, trail
from sync_service.store.calendars import Calendar
from sync_service.store.channels import Target
from sync_service.store.pool import Connection, transaction

TRIES = 3
"""Failed tries, or channels that told nothing, in a row; then the calendar is only polled."""
GRACE = timedelta(minutes=3)
"""How late a notice may be: Calendar API guide, 'Push notifications': not 100 % reliable."""
_UNSUPPORTED_S = 7 * 86_400.0
_FAILED_S = 600.0
_log = structlog.get_logger(__name__)


def target_of(calendar: Calendar) -> Target:
    """Return what a channel of *calendar* is about."""
    return Target(calendar.connection_id, calendar.id)


async def ensure(hub: Hub, session: Session, calendar: Calendar) -> None:
    """Open a channel unless the calendar has one with time left.

    A provider that has none for this calendar, or fails to open one now, leaves it to the poll.
    """
    capabilities = hub.providers[calendar.provider].capabilities(calendar.access_role)
    if not capabilities.push_channels:
        return
    if not await channels.healthy(hub.pool, calendar.id, _margin_s(hub)):
        await _try_to_open(hub, session, calendar)


async def _try_to_open(hub: Hub, session: Session, calendar: Calendar) -> bool:
    try:
        await open_channel(hub, session, target_of(calendar), calendar.provider, calendar.ref)
    except PushUnsupported:
        await channels.leave_to_poll(hub.pool, calendar.id, _UNSUPPORTED_S)
    except ReauthRequired:
        raise
    except SyncError as fault:
        _log.warning("channel_not_opened", calendar_id=str(calendar.id), error=str(fault))
        async with transaction(hub.pool) as connection:
            if await channels.failed(connection, calendar.id, _FAILED_S) == TRIES:
                await _give_up(connection, calendar, "channel.failed", fault.as_json())
    else:
        return True
    return False


async def open_channel(
    hub: Hub, session: Session, target: Target, provider: str, ref: CalendarRef | None
) -> None:
    """Open a new channel and stop the ones that it replaces; *ref* is None for a calendar list."""
    channel_id, secret = str(uuid4()), secrets.token_urlsafe(32)
    await channels.register(hub.pool, channel_id, target, hashlib.sha256(secret.encode()).digest())
    try:
        channel = await session.open_channel(
            ref,
            channel_id=channel_id,
            secret=secret,
            address=f"{hub.settings.public_url}/api/calendar/webhooks/{provider}",
            ttl_s=hub.settings.channel_ttl_seconds,
        )
    except (PushUnsupported, Permanent, MissingScope):
        # Refused for good, so it does not exist; every other failure may have opened it.
        await channels.forget(hub.pool, channel_id)
        raise
    async with transaction(hub.pool) as connection:
        await channels.opened(
            connection,
            channel_id,
            target,
            channel.resource_id,
            channel.expires_at,
            hub.settings.channel_renew_margin_seconds,
        )
    await stop(hub, session, target, keep_newest=True)


async def stop(hub: Hub, session: Session, target: Target, *, keep_newest: bool) -> None:
    """Stop the channels of a target.

    One that the provider fails to stop is tried again by `renew_due`, unless all are to go: then
    the grant goes next, and the channels with it.
    """
    for channel_id, resource_id in await channels.stoppable(
        hub.pool, target, keep_newest=keep_newest
    ):
        try:
            await session.close_channel(channel_id, resource_id)
        except SyncError as fault:
            _log.warning("channel_not_stopped", channel_id=channel_id, error=str(fault))
            if keep_newest:
                continue
        await channels.stopped(hub.pool, channel_id)


async def renew_due(hub: Hub) -> int:
    """Replace every channel that ends soon and stop those too many; answers how many were opened.

    Each replaced calendar is pulled: what happened in between was announced to nobody.
    """
    renewed = 0
    for name in hub.providers:
        for calendar_id in await channels.due_calendars(hub.pool, name, _margin_s(hub)):
            found = await _at_work(hub, calendar_id)
            if found is None:
                continue
            try:
                opened = await _try_to_open(hub, *found)
            except ReauthRequired as fault:
                _log.warning("channel_not_renewed", calendar_id=str(calendar_id), error=str(fault))
                await channels.leave_to_poll(hub.pool, calendar_id, _FAILED_S)
                continue
            if opened:
                await queue.request_pulls(hub.pool, [calendar_id], "renewed")
                renewed += 1
        for calendar_id in await channels.unneeded(hub.pool, name):
            found = await _at_work(hub, calendar_id)
            if found is not None:
                session, calendar = found
                await stop(hub, session, target_of(calendar), keep_newest=calendar.enabled)
    return renewed


async def _at_work(hub: Hub, calendar_id: UUID) -> tuple[Session, Calendar] | None:
    calendar = await calendars.read(hub.pool, calendar_id)
    connection = calendar and await connections.read(hub.pool, calendar.connection_id)
    return None if calendar is None or connection is None else (hub.session(connection), calendar)


async def doubt_silence(
    connection: Connection, calendar: Calendar, changed: Sequence[datetime]
) -> None:
    """Have a channel replaced that lived when these changes were made and told of none of them.

    *changed* are the times at which the provider says that what a pull brought was changed. Only
    what is older than the grace counts; of our own writes a channel tells as well.
    """
    old = [moment for moment in changed if moment <= calendar.read_at - GRACE]
    if not old:
        return
    silences = await channels.suspect(connection, calendar.id, max(old))
    if silences == 0:
        return
    detail = {"changed_at": max(old).isoformat(), "in_a_row": silences}
    if silences == TRIES:
        await _give_up(connection, calendar, "channel.silent", detail)
    else:
        await trail.audit(connection, [_deed(calendar, "channel.silent", detail)])


async def _give_up(
    connection: Connection, calendar: Calendar, action: str, detail: dict[str, Any]
) -> None:
    """Say, once, that changes of the calendar arrive by polling for now."""
    await trail.audit(connection, [_deed(calendar, action, detail)])
    await trail.notify(
        connection,
        user_id=calendar.user_id,
        kind="push_unavailable",
        cause=f"channel:{calendar.id}",
        message=f"Changes of “{calendar.name}” are not announced at the moment; it is looked at "
        "every few minutes instead.",
        connection_id=calendar.connection_id,
        calendar_id=calendar.id,
    )


def _deed(calendar: Calendar, action: str, detail: dict[str, Any]) -> trail.Deed:
    return trail.Deed(
        user_id=calendar.user_id,
        action=action,
        source=calendar.provider,
        connection_id=calendar.connection_id,
        calendar_id=calendar.id,
        detail=detail,
    )


def _margin_s(hub: Hub) -> float:
    """Return how long before its end a channel counts as ending: never more than half its life."""
    return min(hub.settings.channel_renew_margin_seconds, hub.settings.channel_ttl_seconds / 2)
