"""Push channels: opened before a calendar is first read, renewed with overlap, stopped when done.

A channel is on record before the provider is asked, and its secret rests only as a hash. Losing one
delays changes until the next poll and loses nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID, uuid4

import structlog

from sync_service.engine.hub import Hub
from sync_service.errors import PushUnsupported, ReauthRequired, SyncError
from sync_service.providers.base import Session
from sync_service.store import calendars, channels, connections, queue
from sync_service.store.calendars import Calendar
from sync_service.store.pool import transaction

_UNSUPPORTED_S = 7 * 86_400.0
_FAILED_S = 600.0
_log = structlog.get_logger(__name__)


async def ensure(hub: Hub, session: Session, calendar: Calendar) -> None:
    """Open a channel unless the calendar has one with time left.

    A provider that has none for this calendar, or fails to open one now, leaves it to the poll.
    """
    capabilities = hub.providers[calendar.provider].capabilities(calendar.access_role)
    if not capabilities.push_channels:
        return
    if await channels.healthy(hub.pool, calendar.id, _margin_s(hub)):
        return
    try:
        await open_channel(hub, session, calendar)
    except PushUnsupported:
        await channels.leave_to_poll(hub.pool, calendar.id, _UNSUPPORTED_S)
    except ReauthRequired:
        raise
    except SyncError as fault:
        await channels.leave_to_poll(hub.pool, calendar.id, _FAILED_S)
        _log.warning("channel_not_opened", calendar_id=str(calendar.id), error=str(fault))


async def open_channel(hub: Hub, session: Session, calendar: Calendar) -> None:
    """Open a new channel and stop the ones that it replaces."""
    channel_id, secret = str(uuid4()), secrets.token_urlsafe(32)
    await channels.register(
        hub.pool, channel_id, calendar.id, hashlib.sha256(secret.encode()).digest()
    )
    try:
        channel = await session.open_channel(
            calendar.ref,
            channel_id=channel_id,
            secret=secret,
            address=f"{hub.settings.public_url}/api/calendar/webhooks/{calendar.provider}",
            ttl_s=hub.settings.channel_ttl_seconds,
        )
    except PushUnsupported:
        await channels.forget(hub.pool, channel_id)
        raise
    async with transaction(hub.pool) as connection:
        await channels.opened(
            connection, channel_id, calendar.id, channel.resource_id, channel.expires_at
        )
    await stop(hub, session, calendar.id, keep_newest=True)


async def stop(hub: Hub, session: Session, calendar_id: UUID, *, keep_newest: bool) -> None:
    """Stop the channels of a calendar; each counts as stopped even if the provider fails to."""
    for channel_id, resource_id in await channels.stoppable(
        hub.pool, calendar_id, keep_newest=keep_newest
    ):
        try:
            await session.close_channel(channel_id, resource_id)
        except SyncError as fault:
            _log.warning("channel_not_stopped", channel_id=channel_id, error=str(fault))
        await channels.stopped(hub.pool, channel_id)


async def renew_due(hub: Hub) -> int:
    """Replace every channel that ends within the margin; answers how many were opened.

    Each replaced calendar is pulled: what happened in between was announced to nobody.
    """
    renewed = 0
    for name in hub.providers:
        for calendar_id in await channels.due_calendars(hub.pool, name, _margin_s(hub)):
            calendar = await calendars.read(hub.pool, calendar_id)
            connection = calendar and await connections.read(hub.pool, calendar.connection_id)
            if calendar is None or connection is None:
                continue
            try:
                await open_channel(hub, hub.session(connection), calendar)
            except PushUnsupported:
                await channels.leave_to_poll(hub.pool, calendar_id, _UNSUPPORTED_S)
                continue
            except SyncError as fault:
                _log.warning("channel_not_renewed", calendar_id=str(calendar_id), error=str(fault))
                await channels.leave_to_poll(hub.pool, calendar_id, _FAILED_S)
                continue
            await queue.request_pulls(hub.pool, [calendar_id], "renewed")
            renewed += 1
    return renewed


def _margin_s(hub: Hub) -> float:
    """Return how long before its end a channel counts as ending: never more than half its life."""
    return min(hub.settings.channel_renew_margin_seconds, hub.settings.channel_ttl_seconds / 2)
