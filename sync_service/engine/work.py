"""One claimed row, from start to end: carry it out, and decide what its failure means."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import asyncpg
import structlog

from sync_service import telemetry
from sync_service.core.backoff import delay_s
from sync_service.engine.hub import Hub
from sync_service.engine.inbound import pull
from sync_service.engine.outbound import push
from sync_service.engine.reconnect import need_reconnect
from sync_service.errors import (
    BudgetSpent,
    Disposition,
    Retryable,
    StoreUnavailable,
    SyncError,
    WritesLocked,
)
from sync_service.store import calendars, connections, mappings, queue, trail
from sync_service.store.calendars import Calendar
from sync_service.store.connections import ConnectionRow
from sync_service.store.pool import transaction
from sync_service.store.queue import Task

_log = structlog.get_logger(__name__)
_STORE_FAULTS = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
)
_CALENDAR_RETRY_S = 900.0
_PARKED = (
    "The provider takes no more changes of this account for some hours, after too many of them. "
    "They wait here and are sent by themselves; changes made there still arrive."
)


async def run(hub: Hub, task: Task) -> None:
    """Carry out *task* and account for it; raises nothing but cancellation.

    What cannot even be recorded is left to the lease, which lapses and makes the row pending.
    """
    started = time.monotonic()
    try:
        try:
            outcome = await (push(hub, task) if task.kind == "push" else pull(hub, task))
        except SyncError as fault:
            outcome = fault.disposition.value
            await _account_for(hub, task, fault)
        except _STORE_FAULTS as fault:
            outcome = "store"
            _log.warning("store_unavailable", task_id=task.id, error=type(fault).__name__)
            await _account_for(hub, task, StoreUnavailable())
        except Exception:
            outcome = "unexpected"
            telemetry.unexpected_errors.labels("work").inc()
            _log.exception("unexpected_error", task_id=task.id, kind=task.kind)
            await _account_for(
                hub, task, Retryable("Something unexpected happened.", code="unexpected")
            )
    except _STORE_FAULTS as fault:
        outcome = "unrecorded"
        _log.warning("outcome_not_recorded", task_id=task.id, error=type(fault).__name__)
    _measure(task, outcome, time.monotonic() - started)


async def _account_for(hub: Hub, task: Task, fault: SyncError) -> None:
    """The one place where a failure becomes a fate for the row, the calendar, the connection."""
    _log.info(
        "task_failed",
        task_id=task.id,
        kind=task.kind,
        calendar_id=str(task.calendar_id),
        event_id=str(task.event_id) if task.event_id else None,
        attempt=task.attempts,
        error=str(fault),
    )
    match fault.disposition:
        case Disposition.SNOOZE:
            await _snooze(hub, task, fault)
        case Disposition.PAUSE:
            await _pause(hub, task, fault)
        case Disposition.GIVE_UP | Disposition.STOP:
            await _give_up(hub, task, fault)
        case _:
            if task.kind == "push" and task.attempts >= hub.settings.push_max_attempts:
                await _give_up(hub, task, fault)
            else:
                if task.kind == "pull":
                    await calendars.set_state(
                        hub.pool, task.calendar_id, "delayed", reason=fault.detail, error=fault
                    )
                delay = delay_s(task.attempts, retry_after_s=fault.retry_after_s)
                await queue.postpone(hub.pool, task, delay, fault, counts=True)


async def _snooze(hub: Hub, task: Task, fault: SyncError) -> None:
    """Put off what was to be done too fast, and with it everything that would meet the same."""
    calendar = await calendars.read(hub.pool, task.calendar_id)
    connection = calendar and await connections.read(hub.pool, calendar.connection_id)
    delay = delay_s(task.snoozes + 1, retry_after_s=fault.retry_after_s, cap_s=64.0)
    if calendar is not None and connection is not None:
        telemetry.throttled.labels(calendar.provider, fault.code).inc()
        match fault:
            case BudgetSpent():
                await connections.rest(hub.pool, connection.id, delay, bulk_only=task.bulk)
            case WritesLocked():
                await _park_writes(hub, connection, fault)
                delay = 0.0
            case _:
                await _slow_down(hub, task, calendar, connection, fault, delay)
    await queue.postpone(hub.pool, task, delay, fault, counts=False)


async def _slow_down(
    hub: Hub,
    task: Task,
    calendar: Calendar,
    connection: ConnectionRow,
    fault: SyncError,
    delay: float,
) -> None:
    account = hub.account(connection)
    if fault.retry_after_s is not None:
        await hub.limiter.close(account.budget, fault.retry_after_s)
    if task.kind == "push":
        await hub.limiter.slow(account.pace(calendar.external_id))
    await connections.rest(hub.pool, connection.id, delay, bulk_only=False)
    await calendars.set_state(hub.pool, calendar.id, "delayed", reason=fault.detail, error=fault)


async def _park_writes(hub: Hub, connection: ConnectionRow, fault: SyncError) -> None:
    """Stop the account's writes for hours; reading goes on, and its users are told once."""
    async with transaction(hub.pool) as store:
        for parked, user_id, until in await connections.park_writes(
            store, connection.id, fault.retry_after_s or 0.0
        ):
            _log.warning("writes_parked", connection_id=str(parked), until=until.isoformat())
            await connections.show_park(store, parked, _PARKED, fault)
            await trail.notify(
                store,
                user_id=user_id,
                kind="writes_parked",
                cause=f"writes_parked:{parked}",
                message=_PARKED,
                connection_id=parked,
            )


async def _pause(hub: Hub, task: Task, fault: SyncError) -> None:
    """Stop what cannot work until somebody acts; the row waits, and the user is told once."""
    async with transaction(hub.pool) as connection:
        calendar = await calendars.read(connection, task.calendar_id)
        if calendar is not None and fault.scope == "connection":
            await need_reconnect(connection, calendar.connection_id, fault, since=task.claimed_at)
        elif calendar is not None:
            await calendars.set_state(
                connection, calendar.id, "action_required", reason=fault.detail, error=fault
            )
            await trail.notify(
                connection,
                user_id=calendar.user_id,
                kind="calendar_unavailable",
                cause=f"calendar:{calendar.id}:{fault.code}",
                message=f"“{calendar.name}” cannot be synced: {fault.detail}",
                connection_id=calendar.connection_id,
                calendar_id=calendar.id,
            )
    await queue.postpone(hub.pool, task, _CALENDAR_RETRY_S, fault, counts=False)


async def _give_up(hub: Hub, task: Task, fault: SyncError) -> None:
    async with transaction(hub.pool) as connection:
        if task.event_id is not None:
            await mappings.lock_pair(connection, task.event_id, task.calendar_id)
        if not await queue.give_up(connection, task, fault):
            return
        if task.event_id is None:
            await calendars.set_state(
                connection, task.calendar_id, "delayed", reason=fault.detail, error=fault
            )
            return
        await mappings.note_failure(connection, task.event_id, task.calendar_id, fault)
        await trail.notify(
            connection,
            user_id=task.user_id,
            kind="event_not_synced",
            cause=f"event:{task.event_id}:{task.calendar_id}",
            message=f"An event could not be synced: {fault.detail}",
            calendar_id=task.calendar_id,
            event_id=task.event_id,
        )
        await trail.audit(
            connection,
            [
                trail.Deed(
                    user_id=task.user_id,
                    action="push.failed",
                    source="app",
                    calendar_id=task.calendar_id,
                    event_id=task.event_id,
                    detail=fault.as_json(),
                )
            ],
        )


def _measure(task: Task, outcome: str, seconds: float) -> None:
    waited = (datetime.now(UTC) - task.asked_at).total_seconds()
    if task.kind == "push":
        telemetry.pushes.labels("all", outcome).inc()
        if outcome in ("created", "updated", "deleted"):
            telemetry.push_latency.labels("all").observe(max(seconds, waited))
    else:
        telemetry.pulls.labels("all", outcome).inc()
        if outcome == "pulled":
            telemetry.pull_latency.labels("all").observe(max(seconds, waited))
