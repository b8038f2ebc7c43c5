"""Everything on a schedule: the sweep, the fallback poll, channels, what was left half done."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import structlog

from jobs.drain import Drainer
from sync_service import telemetry
from sync_service.engine import calendar_list, channels, connections
from sync_service.engine.hub import Hub
from sync_service.errors import SyncError
from sync_service.store import calendars, events, job_leases, queue, trail, usage
from sync_service.store import channels as channel_rows
from sync_service.store import connections as connection_rows

_log = structlog.get_logger(__name__)
_JOB_S = 90.0
"""A process that dies in a scheduled job holds it up no longer than this; arq ends it earlier."""

_LIST_EVERYTHING_DAYS = 7
"""What enters the window by time alone, or fell between two stools, is found by a full listing."""

Context = dict[str, Any]


def hub_of(ctx: Context) -> Hub:
    """Return the hub that the worker opened at its start."""
    return cast("Hub", ctx["hub"])


async def drain(ctx: Context) -> None:
    """Look for work now."""
    cast("Drainer", ctx["drainer"]).wake()


async def sweep(ctx: Context) -> None:
    """Free rows whose worker died, and look for work that nobody rang for."""
    hub = hub_of(ctx)
    released = await queue.release_expired(hub.pool)
    if released:
        _log.warning("leases_lapsed", rows=released)
    cast("Drainer", ctx["drainer"]).wake()
    totals = await queue.totals(hub.pool)
    for status in ("pending", "processing", "failed"):
        telemetry.queue_rows.labels(status).set(totals[status])
    telemetry.queue_oldest.set(totals["oldest_pending_seconds"] or 0)
    await hub.meter.write()
    await hub.meter.survey()


async def open_connection(ctx: Context, connection_id: str) -> None:
    """List a connection's calendars and start syncing."""
    await connections.open_connection(hub_of(ctx), UUID(connection_id))


async def poll(ctx: Context) -> None:
    """Ask for a pull of every calendar that has not been read for the poll interval."""
    hub = hub_of(ctx)
    intervals = {"google": hub.settings.google_poll_seconds}
    async with _alone(hub, "poll") as mine:
        if mine:
            await calendars.want_full(hub.pool, _LIST_EVERYTHING_DAYS)
            for provider, seconds in intervals.items():
                await queue.request_due_pulls(hub.pool, provider, seconds)


async def read_lists(ctx: Context) -> None:
    """Read the calendar lists that are due."""
    await calendar_list.read_due(hub_of(ctx))


async def renew_channels(ctx: Context) -> None:
    """Replace channels before they end."""
    hub = hub_of(ctx)
    async with _alone(hub, "renew") as mine:
        if mine:
            await channels.renew_due(hub)


async def mend(ctx: Context) -> None:
    """Finish what a dead process left half done, and refresh tokens ahead of their end."""
    hub = hub_of(ctx)
    async with _alone(hub, "mend") as mine:
        if not mine:
            return
        for connection_id in await connection_rows.without_calendars(hub.pool):
            await _attempt("open", connections.try_to_open(hub, connection_id))
        for connection_id in await connection_rows.half_disconnected(hub.pool):
            await _attempt("disconnect", connections.finish_disconnect(hub, connection_id))
        for connection_id in await connection_rows.expiring_tokens(hub.pool, 360.0):
            await _attempt("refresh", connections.keep_fresh(hub, connection_id))
        await queue.revive_failed(hub.pool)
        await connection_rows.end_parks(hub.pool)


async def clean(ctx: Context) -> None:
    """Remove what is kept for a limited time only."""
    hub = hub_of(ctx)
    async with _alone(hub, "clean") as mine:
        if not mine:
            return
        settings = hub.settings
        await queue.delete_completed(hub.pool, settings.retain_queue_days)
        await trail.purge_audit(hub.pool, settings.retain_audit_days)
        await events.purge_tombstones(hub.pool, settings.retain_tombstones_days)
        await events.purge_wishes(hub.pool)
        await connection_rows.purge_states(hub.pool)
        await channel_rows.purge(hub.pool)
        await usage.purge(hub.pool, settings.retain_audit_days)


async def _attempt(what: str, doing: Any) -> None:
    try:
        await doing
    except SyncError as fault:
        _log.warning("upkeep_failed", what=what, error=str(fault))
    except Exception:
        # One account's trouble is not the others'.
        telemetry.unexpected_errors.labels("upkeep").inc()
        _log.exception("upkeep_failed", what=what)


@asynccontextmanager
async def _alone(hub: Hub, job: str) -> AsyncGenerator[bool]:
    """Say whether this process alone does *job* now: schedules may fire in several workers."""
    token = await job_leases.take(hub.pool, job, _JOB_S)
    try:
        yield token is not None
    finally:
        if token is not None:
            await job_leases.give_back(hub.pool, job, token)
