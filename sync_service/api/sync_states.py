"""How far events have come to the calendars that hold them, or will."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sync_service.api.live import Live
from sync_service.api.schemas import Event, Failure, SyncState, SyncStatus
from sync_service.api.user_data import Row, UserData, listed

_AT_ONCE = 150
"""Ids in one query: they are written into its URL, which hosts limit to some 8 kB."""

_QUEUED = "event_id,calendar_id,status,last_error,calendars(provider)"
_MAPPED = (
    "event_id,calendar_id,external_id,html_link,status,last_synced_at,last_error,"
    "calendars(provider)"
)
_SETTLED = frozenset({"synced", "failed", "conflict"})


async def describe(data: UserData, rows: Sequence[Row]) -> list[Event]:
    """Return *rows* of `calendar_events` as answers, each with its `sync`."""
    parts = [rows[at : at + _AT_ONCE] for at in range(0, len(rows), _AT_ONCE)]
    states: dict[str, list[SyncState]] = {}
    for found in await asyncio.gather(*(_load(data, part) for part in parts)):
        states.update(found)
    return [_event(row, states.get(row["id"], [])) for row in rows]


async def describe_once_settled(
    data: UserData, row: Row, live: Live, seconds: float | None
) -> Event:
    """Return *row* as an answer as soon as no calendar is pending, or after *seconds*."""
    if not seconds:
        return (await describe(data, [row]))[0]
    deadline = time.monotonic() + seconds
    event_id = UUID(row["id"])
    with live.watch(event_id) as waiter:
        while True:
            states = (await _load(data, [row])).get(row["id"], [])
            left = deadline - time.monotonic()
            if left <= 0 or all(state.status in _SETTLED for state in states):
                return _event(row, states)
            await waiter.wait(left)


async def _load(data: UserData, rows: Sequence[Row]) -> dict[str, list[SyncState]]:
    """Read the states of *rows* by event.

    The queue is read before the mappings: a push that ends in between is then still seen as
    pending, never as neither waiting nor done.
    """
    deleted = {row["id"] for row in rows if row["deleted_at"] is not None}
    ids = listed(row["id"] for row in rows)
    if not ids:
        return {}
    unfinished = data.table("sync_queue").select(_QUEUED).in_("event_id", ids).eq("kind", "push")
    queued = {_key(row): row for row in await data.rows(unfinished.neq("status", "completed"))}
    mappings = data.table("event_mappings").select(_MAPPED).in_("event_id", ids)
    mapped = {_key(row): row for row in await data.rows(mappings)}
    found: dict[str, list[SyncState]] = {}
    for event_id, calendar_id in sorted(queued.keys() | mapped.keys()):
        key = (event_id, calendar_id)
        mapping, task = mapped.get(key), queued.get(key)
        # What was moved out of a calendar is not there any more; what was deleted is synced.
        gone = mapping is not None and mapping["status"] == "deleted"
        if not gone or task is not None or event_id in deleted:
            found.setdefault(event_id, []).append(to_state(calendar_id, mapping, task))
    return found


def _key(row: Row) -> tuple[str, str]:
    return row["event_id"], row["calendar_id"]


def to_state(calendar_id: str, mapping: Row | None, task: Row | None) -> SyncState:
    """Return the state of an event in a calendar from its mapping and its queue row, one at least.

    Both come with their calendar's provider.
    """
    known = mapping or {}
    error = known.get("last_error")
    status: SyncStatus
    if task is not None:
        status = "failed" if task["status"] == "failed" else "pending"
        error = task["last_error"] or error
    elif known["status"] == "deleted":
        status, error = "synced", None
    else:
        status = known["status"]
    return SyncState(
        calendar_id=UUID(calendar_id),
        provider=(mapping or task or {})["calendars"]["provider"],
        status=status,
        external_id=known.get("external_id"),
        html_link=known.get("html_link"),
        last_synced_at=known.get("last_synced_at"),
        error=failure(error),
    )


def failure(stored: Any) -> Failure | None:
    """Return a `last_error` column as an answer."""
    if not stored:
        return None
    return Failure(
        code=str(stored.get("code", "unknown")),
        detail=str(stored.get("detail", "")),
        scope=stored.get("scope"),
        retry_after_s=stored.get("retry_after_s"),
    )


def _event(row: Row, sync: list[SyncState]) -> Event:
    # Made without checks: what came through other doors is shown as it is.
    fields = {name: row[name] for name in Event.__struct_fields__ if name != "sync"}
    return Event(**fields, sync=sync)
