"""A Google event resource, there and back.

Rules from the Calendar API reference, 'Events': a default value is absent, unknown fields and
values may turn up anywhere, and a cancelled item may hold nothing but its id. What an event holds
besides the units that we know is never named in a write, so it stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import UUID

from sync_service.core.event import (
    Content,
    Reminder,
    Reminders,
    Status,
    Transparency,
    Visibility,
)
from sync_service.core.fingerprint import without_fence
from sync_service.providers.base import Mark, OccurrenceRef, RemoteEvent
from sync_service.providers.google import conference, guests, properties, times
from sync_service.providers.google.values import (
    Resource,
    list_in,
    object_in,
    objects_in,
    storable,
    text_in,
)

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
        "attachments",
        "conference",
        "color",
        "metadata",
    }
)
"""The parts of an event that a Google calendar holds for us."""

_EVENT_KEY, _MAPPING_KEY = "calsyncEvent", "calsyncMapping"
_COLORS = frozenset(str(number) for number in range(1, 12))
_MAX_REMINDERS, _MAX_MINUTES, _MAX_ATTACHMENTS = 5, 40_320, 25
_METHODS = frozenset({"popup", "email"})
_FILE_PARTS = {"url": "fileUrl", "title": "title", "mime_type": "mimeType"}

T = TypeVar("T", Status, Visibility, Transparency)


def read_event(item: Resource, calendar_zone: str | None) -> RemoteEvent:
    """Translate a live event. Raises `Unmappable` for one without a readable time."""
    when = times.read_times(item, calendar_zone)
    private = object_in(object_in(item, "extendedProperties"), "private")
    content = Content(
        title=text_in(item, "summary") or "",
        description=text_in(item, "description"),
        location=text_in(item, "location"),
        start=when.start,
        end=when.end,
        all_day=when.all_day,
        time_zone=when.zone,
        recurrence=tuple(storable(str(line)) for line in list_in(item, "recurrence")) or None,
        status=_one_of(item, "status", ("confirmed", "tentative"), "confirmed"),
        visibility=_one_of(item, "visibility", ("public", "private", "confidential"), "default"),
        transparency=_one_of(item, "transparency", ("transparent",), "opaque"),
        attendees=guests.read_attendees(item),
        reminders=_read_reminders(item),
        attachments=tuple(_read_attachment(entry) for entry in _files(item)),
        conference=storable(conference.read_conference(item)),
        color=text_in(item, "colorId"),
        metadata=properties.read_metadata(private),
    )
    return RemoteEvent(
        external_id=str(item["id"]),
        content=content,
        etag=text_in(item, "etag"),
        modified_at=_instant(text_in(item, "updated")),
        ical_uid=text_in(item, "iCalUID"),
        html_link=text_in(item, "htmlLink"),
        mark=read_mark(item),
        kind=text_in(item, "eventType") or "default",
        read_only=_read_only(item),
        data=storable(_note(item, private)),
        occurrence=read_occurrence(item),
    )


def read_occurrence(item: Resource) -> OccurrenceRef | None:
    """Return which occurrence of a series an item is; a cancelled one says that much, too."""
    series = text_in(item, "recurringEventId")
    return OccurrenceRef(series, times.read_original_start(item)) if series else None


def read_mark(item: Resource) -> Mark | None:
    """Return our private note on an event, if it bears one that can be read."""
    private = object_in(object_in(item, "extendedProperties"), "private")
    try:
        return Mark(UUID(str(private[_EVENT_KEY])), UUID(str(private[_MAPPING_KEY])))
    except (KeyError, ValueError):
        return None


def write_event(
    content: Content, units: frozenset[str], data: Resource | None = None, *, seed: str = ""
) -> dict[str, Any]:
    """Return the body that sets *units*; a cleared value is an explicit null, as PATCH needs.

    *data* is what `read_event` noted of the event as it stands, nothing for a new one. *seed* tells
    one wish for a conference from another.
    """
    known = data or {}
    body: dict[str, Any] = {}
    for unit in units & UNITS:
        match unit:
            case "title":
                body["summary"] = content.title
            case "description":
                # Google strips the fence itself where the event has no conference.
                body["description"] = without_fence(content.description) or None
            case "time":
                body["start"], body["end"] = times.write_times(content)
            case "recurrence":
                body["recurrence"] = list(content.recurrence or ())
            case "attendees":
                body |= guests.write_attendees(content, known)
            case "reminders":
                body["reminders"] = _write_reminders(content.reminders)
            case "attachments":
                body["attachments"] = [
                    _write_attachment(file, known) for file in content.attachments
                ]
            case "conference":
                body["conferenceData"] = conference.write_conference(content.conference, seed)
            case "color":
                body["colorId"] = content.color or None
            case "metadata":
                held = properties.write_metadata(content.metadata, known.get("properties", ()))
                if held:
                    body["extendedProperties"] = {"private": held}
            case _:
                body[unit] = getattr(content, unit)
    return body


def with_mark(body: dict[str, Any], mark: Mark) -> dict[str, Any]:
    """Return *body* with our private note added."""
    note = {_EVENT_KEY: str(mark.event_id), _MAPPING_KEY: str(mark.mapping_id)}
    private = object_in(object_in(body, "extendedProperties"), "private")
    return {**body, "extendedProperties": {"private": {**private, **note}}}


def merge_patch(resource: Resource, body: Resource) -> dict[str, Any]:
    """Return *resource* as PATCH would leave it: null removes, objects merge (RFC 7396)."""
    merged = dict(resource)
    for name, value in body.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            merged[name] = merge_patch(object_in(merged, name), cast("Resource", value))
        else:
            merged[name] = value
    return merged


def revive(item: Resource, content: Content, units: frozenset[str], mark: Mark) -> dict[str, Any]:
    """Return the whole resource with which the deleted *item* lives again as *content*.

    PUT resets what it does not name, so the body starts from all that is known of the event.
    """
    private = object_in(object_in(item, "extendedProperties"), "private")
    body = write_event(content, units, _note(item, private), seed=f"{item.get('etag')}")
    return merge_patch(item, {"status": "confirmed", **with_mark(body, mark)})


def refusals(
    content: Content, units: frozenset[str], base: Content | None, data: Resource
) -> dict[str, str]:
    """Return those of *units* that Google would not hold as *content* has them, each with why.

    *base* is the event as Google has it, and *data* what was noted of it.
    """
    reasons: dict[str, str | None] = {
        "time": times.refused_time(content),
        "attendees": guests.refused_guests(content, base, data),
        "reminders": _refused_reminders(content.reminders),
        "attachments": f"Google holds no more than {_MAX_ATTACHMENTS} attachments."
        if len(content.attachments) > _MAX_ATTACHMENTS
        else None,
        "conference": conference.refused_conference(content.conference),
        "color": "Its color is none of Google's, which are 1 to 11."
        if content.color and content.color not in _COLORS
        else None,
        "metadata": properties.refused_metadata(content.metadata, data.get("others", (0, 0))),
    }
    if data.get("replies_only") == "organizer":
        reasons |= dict.fromkeys(
            units - guests.OWN_UNITS, "Only its organizer can change this event."
        )
    return {unit: why for unit, why in reasons.items() if why and unit in units}


def _note(item: Resource, private: Resource) -> dict[str, Any]:
    """Return what has to be known of an event to change it without losing anything."""
    data = guests.note_guests(item)
    files = {
        str(file["fileUrl"]): {
            name: value
            for name, value in file.items()
            if name != "fileId" and name not in _FILE_PARTS.values()
        }
        for file in _files(item)
    }
    if any(files.values()):
        data["files"] = {url: kept for url, kept in files.items() if kept}
    if present := properties.present_names(private):
        data["properties"] = present
    others = properties.size_of_others(object_in(item, "extendedProperties"))
    if others[0]:
        data["others"] = others
    return data


def _files(item: Resource) -> list[Resource]:
    return [file for file in objects_in(item, "attachments") if file.get("fileUrl")]


def _read_attachment(file: Resource) -> dict[str, Any]:
    return {
        ours: value
        for ours, theirs in _FILE_PARTS.items()
        if (value := text_in(file, theirs)) is not None
    }


def _write_attachment(file: Resource, data: Resource) -> dict[str, Any]:
    kept = object_in(object_in(data, "files"), str(file.get("url")))
    named = {theirs: file[ours] for ours, theirs in _FILE_PARTS.items() if file.get(ours)}
    return {**kept, **named}


def _read_reminders(item: Resource) -> Reminders | None:
    value = object_in(item, "reminders")
    entries = objects_in(value, "overrides")
    if value.get("useDefault", not entries) or not value:
        return None
    overrides: list[Reminder] = []
    for reminder in entries:
        minutes = reminder.get("minutes", 0)
        if isinstance(minutes, int) and 0 <= minutes < 2**31:
            overrides.append(
                Reminder(method=text_in(reminder, "method") or "popup", minutes=minutes)
            )
    return Reminders(use_default=False, overrides=tuple(overrides))


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


def _refused_reminders(reminders: Reminders | None) -> str | None:
    if reminders is None or reminders.use_default:
        return None
    if len(reminders.overrides) > _MAX_REMINDERS:
        return f"Google holds no more than {_MAX_REMINDERS} reminders of an event."
    if any(not 0 <= each.minutes <= _MAX_MINUTES for each in reminders.overrides):
        return f"A reminder must lie 0 to {_MAX_MINUTES} minutes (four weeks) before the start."
    if any(each.method not in _METHODS for each in reminders.overrides):
        return "A reminder must be a popup or an email."
    return None


def _read_only(item: Resource) -> str | None:
    kind = str(item.get("eventType") or "default")
    if kind != "default":
        return f"Google keeps events of the type {kind} to itself."
    if item.get("locked") is True:
        return "Google has locked this event."
    return None


def _one_of(item: Resource, key: str, known: tuple[T, ...], default: T) -> T:
    value = item.get(key)
    return next((name for name in known if name == value), default)


def _instant(value: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if value else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
