"""How far events have come to the calendars that hold them, or will."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sync_service.api.live import Live
from sync_service.api.schemas import Event, Failure, SyncState
from sync_service.api.user_data import Row, UserData, listed

_AT_ONCE = 75
"""Ids in one query: they are written twice into its URL, which hosts limit to some 8 kB."""

_COLUMNS = (
    "id,provider,"
    "event_mappings(event_id,external_id,html_link,status,last_synced_at,last_error),"
    "sync_queue(event_id,status,last_error)"
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
    """Read the states of *rows* by event, in one statement.

    One statement sees one moment: read apart, a push that ends in between would be seen neither
    waiting nor done.
    """
    deleted = {row["id"] for row in rows if row["deleted_at"] is not None}
    ids = listed(row["id"] for row in rows)
    if not ids:
        return {}
    query = (
        data.table("calendars")
        .select(_COLUMNS)
        .in_("event_mappings.event_id", ids)
        .in_("sync_queue.event_id", ids)
        .eq("sync_queue.kind", "push")
        .neq("sync_queue.status", "completed")
        .order("id")
    )
    found: dict[str, list[SyncState]] = {}
    for calendar in await data.rows(query):
        waiting = {entry["event_id"]: entry for entry in calendar["sync_queue"]}
        mapped = {entry["event_id"]: entry for entry in calendar["event_mappings"]}
        for event_id in waiting.keys() | mapped.keys():
            mapping, task = mapped.get(event_id), waiting.get(event_id)
            # What was moved out of a calendar is not there any more; what was deleted is synced.
            gone = mapping is not None and mapping["status"] == "deleted"
            if gone and task is None and event_id not in deleted:
                continue
            found.setdefault(event_id, []).append(_state(calendar, mapping, task))
    return found


def _state(
    calendar: Mapping[str, Any], mapping: Mapping[str, Any] | None, task: Mapping[str, Any] | None
) -> SyncState:
    error = mapping["last_error"] if mapping else None
    if task is not None:
        status = "failed" if task["status"] == "failed" else "pending"
        error = task["last_error"] or error
    elif mapping is None or mapping["status"] == "deleted":
        status, error = "synced", None
    else:
        status = mapping["status"]
    return SyncState(
        calendar_id=calendar["id"],
        provider=calendar["provider"],
        status=status,
        external_id=mapping["external_id"] if mapping else None,
        html_link=mapping["html_link"] if mapping else None,
        last_synced_at=mapping["last_synced_at"] if mapping else None,
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
