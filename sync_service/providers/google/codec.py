"""A Google event resource, there and back.

Rules from the Calendar API reference, 'Events': a default value is absent, all-day ends are
exclusive, the offset of a `dateTime` is that of the response's zone while `timeZone` is the event's
own, and a cancelled item may hold nothing but its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, TypeVar, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from sync_service.core.event import (
    Attendee,
    Content,
    Reminder,
    Reminders,
    Status,
    Transparency,
    Visibility,
)
from sync_service.core.fingerprint import span, without_fence
from sync_service.errors import Unmappable
from sync_service.providers.base import Mark, RemoteEvent

UNITS = frozenset(
    {
        "title",
        "description",
        "location",
        "time",
        "recurrence",
        "status",
        "visibility",
        "transparency",
        "attendees",
        "reminders",
        "color",
    }
)
"""The parts of an event that a Google calendar holds for us."""

_EVENT_KEY, _MAPPING_KEY = "calsyncEvent", "calsyncMapping"
_RESPONSES = {
    "needsAction": "needs_action",
    "declined": "declined",
    "tentative": "tentative",
    "accepted": "accepted",
}
_TO_RESPONSES = {ours: theirs for theirs, ours in _RESPONSES.items()}

Resource = Mapping[str, Any]
T = TypeVar("T", Status, Visibility, Transparency)


def read_event(item: Resource, calendar_zone: str | None) -> RemoteEvent:
    """Translate a live event. Raises `Unmappable` for one without a readable time."""
    start, all_day, zone = _read_time(item, "start", calendar_zone)
    end, _, _ = _read_time(item, "end", calendar_zone)
    content = Content(
        title=_text(item, "summary") or "",
        description=_text(item, "description"),
        location=_text(item, "location"),
        start=start,
        end=end,
        all_day=all_day,
        time_zone=None if all_day else zone,
        recurrence=tuple(str(line) for line in item.get("recurrence") or ()) or None,
        status=_one_of(item, "status", ("confirmed", "tentative"), "confirmed"),
        visibility=_one_of(item, "visibility", ("public", "private", "confidential"), "default"),
        transparency=_one_of(item, "transparency", ("transparent",), "opaque"),
        attendees=tuple(_read_attendee(guest) for guest in item.get("attendees") or ()),
        reminders=_read_reminders(item.get("reminders")),
        color=_text(item, "colorId"),
    )
    return RemoteEvent(
        external_id=str(item["id"]),
        content=content,
        etag=_text(item, "etag"),
        modified_at=_instant(_text(item, "updated")),
        ical_uid=_text(item, "iCalUID"),
        html_link=_text(item, "htmlLink"),
        mark=read_mark(item),
        read_only=_read_only(item),
    )


def read_mark(item: Resource) -> Mark | None:
    """Return our private note on an event, if it bears one that can be read."""
    properties = cast("Resource", item.get("extendedProperties") or {})
    private = cast("Resource", properties.get("private") or {})
    try:
        return Mark(UUID(str(private[_EVENT_KEY])), UUID(str(private[_MAPPING_KEY])))
    except (KeyError, ValueError):
        return None


def write_event(content: Content, units: frozenset[str]) -> dict[str, Any]:
    """Return the body that sets *units*; a cleared value is an explicit null, as PATCH needs."""
    body: dict[str, Any] = {}
    for unit in units & UNITS:
        match unit:
            case "title":
                body["summary"] = content.title
            case "description":
                # Google strips the fence itself where the event has no conference.
                body["description"] = without_fence(content.description) or None
            case "time":
                body["start"], body["end"] = _write_times(content)
            case "recurrence":
                body["recurrence"] = list(content.recurrence or ())
            case "attendees":
                body["attendees"] = [_write_attendee(guest) for guest in content.attendees]
            case "reminders":
                body["reminders"] = _write_reminders(content.reminders)
            case "color":
                body["colorId"] = content.color
            case _:
                body[unit] = getattr(content, unit)
    return body


def write_mark(mark: Mark) -> dict[str, Any]:
    """Return the part of a body that leaves our private note."""
    note = {_EVENT_KEY: str(mark.event_id), _MAPPING_KEY: str(mark.mapping_id)}
    return {"extendedProperties": {"private": note}}


def _write_times(content: Content) -> tuple[dict[str, Any], dict[str, Any]]:
    start, end = span(content)
    if content.all_day:
        return (
            {"date": start.date().isoformat(), "dateTime": None, "timeZone": None},
            {"date": end.date().isoformat(), "dateTime": None, "timeZone": None},
        )
    name = content.time_zone or "UTC"
    zone = ZoneInfo(name)
    return (
        {"dateTime": start.astimezone(zone).isoformat(), "timeZone": name, "date": None},
        {"dateTime": end.astimezone(zone).isoformat(), "timeZone": name, "date": None},
    )


def _read_time(
    item: Resource, key: str, calendar_zone: str | None
) -> tuple[datetime, bool, str | None]:
    value = cast("Resource", item.get(key) or {})
    try:
        if "date" in value:
            day = date.fromisoformat(str(value["date"]))
            return datetime.combine(day, time(), UTC), True, None
        moment = datetime.fromisoformat(str(value["dateTime"]))
    except (KeyError, ValueError) as fault:
        raise Unmappable(f"The {key} of the Google event cannot be read.") from fault
    zone = str(value.get("timeZone") or calendar_zone or "UTC")
    if not _is_zone(zone):
        zone = "UTC"
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    try:
        return moment.astimezone(UTC), False, zone
    except OverflowError as fault:
        raise Unmappable(f"The {key} of the Google event is beyond all calendars.") from fault


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        return False
    return True


def _read_attendee(guest: Resource) -> Attendee:
    return Attendee(
        email=_text(guest, "email") or "",
        name=_text(guest, "displayName"),
        response=_RESPONSES.get(str(guest.get("responseStatus")), "needs_action"),
        optional=bool(guest.get("optional", False)),
        organizer=bool(guest.get("organizer", False)),
    )


def _write_attendee(guest: Attendee) -> dict[str, Any]:
    body: dict[str, Any] = {
        "email": guest.email,
        "responseStatus": _TO_RESPONSES.get(guest.response, "needsAction"),
    }
    if guest.name:
        body["displayName"] = guest.name
    if guest.optional:
        body["optional"] = True
    return body


def _read_reminders(value: Resource | None) -> Reminders | None:
    if not value or value.get("useDefault", True):
        return None
    overrides = tuple(
        Reminder(method=str(entry.get("method", "popup")), minutes=int(entry.get("minutes", 0)))
        for entry in cast("list[Resource]", value.get("overrides") or [])
    )
    return Reminders(use_default=False, overrides=overrides)


def _write_reminders(reminders: Reminders | None) -> dict[str, Any]:
    if reminders is None or reminders.use_default:
        return {"useDefault": True, "overrides": []}
    return {
        "useDefault": False,
        "overrides": [
            {"method": reminder.method, "minutes": reminder.minutes}
            for reminder in reminders.overrides
        ],
    }


def _read_only(item: Resource) -> str | None:
    kind = str(item.get("eventType") or "default")
    if kind != "default":
        return f"Google keeps events of the type {kind} to itself."
    organizer = cast("Resource", item.get("organizer") or {})
    if organizer and not organizer.get("self", False) and item.get("attendees"):
        return "Only its organizer can change this event."
    if item.get("locked"):
        return "Google has locked this event."
    return None


def _one_of(item: Resource, key: str, known: tuple[T, ...], default: T) -> T:
    value = item.get(key)
    return next((name for name in known if name == value), default)


def _text(item: Resource, key: str) -> str | None:
    value = item.get(key)
    # Postgres holds no NUL.
    return str(value).replace("\0", "") if value is not None else None


def _instant(value: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if value else None
    except ValueError:
        return None
