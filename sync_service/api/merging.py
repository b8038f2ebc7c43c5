"""A merged event as somebody sends it, checked and put into the engine's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from sync_service.api.problems import FieldError, Problem, invalid
from sync_service.api.schemas import ConflictResolution, EventPatch
from sync_service.api.trail_entries import API_NAMES
from sync_service.api.user_data import Row
from sync_service.api.validation import check_whole, fields_of
from sync_service.core.event import Content, from_json

_ENGINE_NAMES = {ours: theirs for theirs, ours in API_NAMES.items()}
_SETTLED_TOGETHER = ("start_time", "end_time", "all_day", "time_zone", "recurrence")


def merged_content(asked: ConflictResolution, conflict: Row, event: Row | None) -> dict[str, Any]:
    """Return the content fields that *asked* sets, empty unless it merges.

    *event* is the row as it is now. Raises `Problem` (422) that names every faulty field.
    """
    if asked.resolution != "merge":
        if asked.event is not None:
            raise invalid(FieldError("event", "goes with the resolution merge"))
        return {}
    if asked.event is None:
        raise invalid(FieldError("event", "is required for a merge"))
    try:
        given = _checked(asked.event, _current(conflict, event))
    except Problem as fault:
        named = (FieldError(f"event.{each.field}", each.message) for each in fault.errors)
        raise invalid(*named) from None
    if not given:
        raise invalid(FieldError("event", "must set a field"))
    return {_ENGINE_NAMES.get(name, name): _plain(value) for name, value in given.items()}


def _checked(patch: EventPatch, current: Mapping[str, Any]) -> dict[str, Any]:
    not_content = [name for name in ("calendar_id", "kind") if getattr(patch, name) is not UNSET]
    if not_content:
        text = "is no part of a conflict; change the event itself"
        raise invalid(*(FieldError(name, text) for name in not_content))
    given = fields_of(patch)
    if not given.keys().isdisjoint(_SETTLED_TOGETHER):
        check_whole({**current, **given})
    return given


def _current(conflict: Row, event: Row | None) -> Mapping[str, Any]:
    """Return the parts that are checked together, of what the engine merges into."""
    if event is not None and event["deleted_at"] is None and event["status"] != "cancelled":
        return {name: event[name] for name in (*_SETTLED_TOGETHER, "series_id")}
    stored = conflict["local"] or conflict["remote"] or conflict["base"]
    content: Content = from_json(stored)
    return {name: getattr(content, _ENGINE_NAMES.get(name, name)) for name in _SETTLED_TOGETHER}


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
