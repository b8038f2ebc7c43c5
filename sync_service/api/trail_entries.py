"""Rows of the audit log as answers, in the vocabulary of events."""

from __future__ import annotations

from typing import Any, cast

from sync_service.api.history_schemas import AuditEntry, HistoryEntry
from sync_service.api.schemas import Event
from sync_service.api.user_data import Row
from sync_service.core.event import UNITS

API_NAMES = {"start": "start_time", "end": "end_time"}
"""What the API calls the fields of `core.event.Content` that it does not call the same."""

_EVENT_FIELDS = frozenset(Event.__struct_fields__) - {"sync"}
_SHOWN_APART = frozenset({"version", "before", "units", "fields"})


def to_history(row: Row) -> HistoryEntry:
    """Return a row of `sync_audit` as part of an event's history."""
    return HistoryEntry(**_fields(row))


def to_audit(row: Row) -> AuditEntry:
    """Return a row of `sync_audit` as part of the log."""
    return AuditEntry(
        id=row["id"],
        connection_id=row["connection_id"],
        event_id=row["event_id"],
        **_fields(row),
    )


def _fields(row: Row) -> dict[str, Any]:
    detail = cast("dict[str, Any]", row["detail"])
    before = cast("dict[str, Any]", detail.get("before") or {})
    # A row that was removed left all of it; the others what they had replaced.
    removed = "id" in before
    parts = cast("list[str]", detail.get("units") or detail.get("fields") or [])
    return {
        "at": row["created_at"],
        "action": row["action"],
        "source": row["source"],
        "calendar_id": row["calendar_id"],
        "version": detail.get("version"),
        "changed": [] if removed else sorted(before) or _names(parts),
        "before": {name: value for name, value in before.items() if name in _EVENT_FIELDS},
        "detail": {name: value for name, value in detail.items() if name not in _SHOWN_APART},
        "duration_ms": row["duration_ms"],
    }


def _names(parts: list[str]) -> list[str]:
    """Return the fields of the *parts* that a push or a conflict was about."""
    fields = [field for part in parts for field in UNITS.get(part, (part,))]
    return sorted(API_NAMES.get(field, field) for field in fields)
