"""How it stands between an event and each calendar that holds it, will hold it, or should."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sync_service.api.history_schemas import Standing, Waiting
from sync_service.api.schemas import Failure, SyncState
from sync_service.api.sync_states import failure, to_state
from sync_service.api.user_data import Row, UserData
from sync_service.core import explain
from sync_service.core.explain import CalendarFacts, CopyFacts, EventFacts, Fault, WorkFacts


@dataclass(frozen=True)
class Standings:
    """One for each calendar, and all of it in words."""

    calendars: list[Standing]
    explanation: str


async def read(
    data: UserData, event_id: UUID, event: Row | None, window_start: datetime
) -> Standings:
    """Return how it stands; *event* is the row, None when it was removed.

    The queue is read before the mappings, as `sync_states` does and for the same reason.
    """
    unfinished = data.table("sync_queue").select("*,calendars(provider)").neq("status", "completed")
    queued = await data.rows(unfinished.or_(f"event_id.eq.{event_id},kind.eq.pull"))
    work = {row["calendar_id"]: row for row in queued if row["kind"] == "push"}
    reading = {row["calendar_id"] for row in queued if row["kind"] == "pull"}
    mappings = data.table("event_mappings").select("*,calendars(provider)").eq("event_id", event_id)
    calendars = data.table("calendars").select(
        "*,calendar_connections!calendars_connection_id_fkey(status,account_email)"
    )
    mapped, known = await asyncio.gather(
        data.rows(mappings), data.rows(calendars.order("name").order("id"))
    )
    copies = {row["calendar_id"]: row for row in mapped}
    facts = _event_facts(event)
    found: list[Standing] = []
    for calendar in known:
        copy, task = copies.get(calendar["id"]), work.get(calendar["id"])
        belongs = event is not None and not facts.gone and _belongs(event, calendar)
        left = copy is not None and copy["status"] == "deleted" and not facts.gone
        if task is None and not belongs and (copy is None or left):
            continue
        said = explain.explain(
            facts,
            _calendar_facts(calendar, belongs=belongs, reading=calendar["id"] in reading),
            _copy_facts(copy),
            _work_facts(task),
            now=datetime.now(UTC),
            window_start=window_start,
        )
        shown = None if left and task is None else copy
        state = to_state(calendar["id"], shown, task) if shown or task else None
        found.append(_standing(calendar, state, task, said))
    lines = [standing.explanation for standing in found] or [_nowhere(facts, known)]
    return Standings(found, "\n".join(lines))


def _belongs(event: Row, calendar: Row) -> bool:
    home = event["calendar_id"]
    if home is None and calendar["default_target"]:
        return True
    return calendar["id"] == home or (calendar["mirror"] == "all" and calendar["enabled"])


def _nowhere(event: EventFacts, calendars: Sequence[Row]) -> str:
    if event.gone:
        return explain.GONE_HERE
    connected = any(_connection(calendar)["status"] != "disconnected" for calendar in calendars)
    return explain.NO_TARGET if connected else explain.NO_ACCOUNT


def _connection(calendar: Row) -> Row:
    return calendar["calendar_connections"]


def _event_facts(row: Row | None) -> EventFacts:
    if row is None:
        return EventFacts(gone=True)
    return EventFacts(
        gone=row["deleted_at"] is not None or row["status"] == "cancelled",
        ends_at=row["end_time"],
        repeats=bool(row["recurrence"]),
    )


def _calendar_facts(row: Row, *, belongs: bool, reading: bool) -> CalendarFacts:
    return CalendarFacts(
        name=row["name"],
        belongs=belongs,
        reading=reading,
        account=_connection(row)["account_email"],
        connection=_connection(row)["status"],
        enabled=row["enabled"],
        direction=row["direction"],
        state=row["state"],
        state_reason=row["state_reason"],
        unsyncable_reason=row["unsyncable_reason"],
    )


def _copy_facts(row: Row | None) -> CopyFacts | None:
    if row is None:
        return None
    return CopyFacts(row["status"], row["last_synced_at"], _fault(failure(row["last_error"])))


def _work_facts(row: Row | None) -> WorkFacts | None:
    if row is None:
        return None
    return WorkFacts(
        status=row["status"],
        since=row["created_at"],
        next_try_at=row["run_at"],
        reason=row["reason"],
        attempts=row["attempts"],
        fault=_fault(failure(row["last_error"])),
    )


def _fault(found: Failure | None) -> Fault | None:
    return Fault(found.code, found.detail) if found else None


def _standing(calendar: Row, state: SyncState | None, task: Row | None, said: str) -> Standing:
    return Standing(
        calendar_id=UUID(calendar["id"]),
        calendar_name=calendar["name"],
        provider=calendar["provider"],
        status=state.status if state else None,
        external_id=state.external_id if state else None,
        html_link=state.html_link if state else None,
        last_synced_at=state.last_synced_at if state else None,
        error=state.error if state else None,
        waiting=_waiting(task) if task else None,
        explanation=said,
    )


def _waiting(task: Row) -> Waiting:
    return Waiting(
        queue_id=task["id"],
        status=task["status"],
        reason=task["reason"],
        since=task["created_at"],
        attempts=task["attempts"],
        next_try_at=task["run_at"] if task["status"] == "pending" else None,
    )
