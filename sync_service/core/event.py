"""What an event says, apart from where it is stored and who holds copies of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

Status = Literal["confirmed", "tentative", "cancelled"]
Visibility = Literal["default", "public", "private", "confidential"]
Transparency = Literal["opaque", "transparent"]


class Attendee(msgspec.Struct, frozen=True, kw_only=True):
    """A guest. *response* is one of needs_action, declined, tentative, accepted."""

    email: str
    name: str | None = None
    response: str = "needs_action"
    optional: bool = False
    organizer: bool = False


class Reminder(msgspec.Struct, frozen=True, kw_only=True):
    """One reminder: *method* is popup or email, *minutes* count back from the start."""

    method: str
    minutes: int


class Reminders(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar's default reminders, or the event's own."""

    use_default: bool = True
    overrides: tuple[Reminder, ...] = ()


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a person can change about an event.

    *start* and *end* are UTC instants, the end exclusive; for all-day events both are UTC midnights
    standing for dates, and *time_zone* is None. *time_zone* is an IANA name.
    """

    title: str = ""
    description: str | None = None
    location: str | None = None
    notes: str | None = None
    start: datetime
    end: datetime
    all_day: bool = False
    time_zone: str | None = None
    recurrence: tuple[str, ...] | None = None
    status: Status = "confirmed"
    visibility: Visibility = "default"
    transparency: Transparency = "opaque"
    attendees: tuple[Attendee, ...] = ()
    reminders: Reminders | None = None
    attachments: tuple[dict[str, Any], ...] = ()
    conference: dict[str, Any] | None = None
    color: str | None = None
    metadata: dict[str, Any] = {}


UNITS: dict[str, tuple[str, ...]] = {
    "title": ("title",),
    "description": ("description",),
    "location": ("location",),
    "notes": ("notes",),
    "time": ("start", "end", "all_day", "time_zone"),
    "recurrence": ("recurrence",),
    "status": ("status",),
    "visibility": ("visibility",),
    "transparency": ("transparency",),
    "attendees": ("attendees",),
    "reminders": ("reminders",),
    "attachments": ("attachments",),
    "conference": ("conference",),
    "color": ("color",),
    "metadata": ("metadata",),
}
"""The parts that change together: a merge takes each whole from one side, or merges inside it."""


def to_json(content: Content) -> dict[str, Any]:
    """Return *content* as plain JSON values, defaults left out; `from_json` reads it back."""
    return msgspec.to_builtins(content)


def from_json(stored: dict[str, Any]) -> Content:
    """Read what `to_json` wrote. Unknown keys are passed over."""
    return msgspec.convert(stored, Content)


def take_units(target: Content, source: Content, units: frozenset[str]) -> Content:
    """Return *target* with *units* as they are in *source*."""
    fields = {name: getattr(source, name) for unit in units for name in UNITS[unit]}
    return msgspec.structs.replace(target, **fields)
