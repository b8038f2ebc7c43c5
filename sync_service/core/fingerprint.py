"""When two events are equal: a canonical form that survives what providers do to an event.

Providers rewrite offsets, drop defaults, trim white space and reorder lists (Calendar API guide,
'Events'; RFC 5545 §3.3.10 gives RRULE parts no order), so equality is asked of this form alone, and
only of the units that a provider can hold.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import msgspec

from sync_service.core.event import Attendee, Content, Reminders

Canonical = dict[str, Any]

_NAMES = "a|b|blockquote|body|br|code|div|em|font|h[1-6]|hr|html|i|li|ol|p|pre|s|span|strong|u|ul"
_TAG = re.compile(rf"</?(?:{_NAMES})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li|h[1-6]|blockquote|pre)>", re.IGNORECASE)
_FENCE = re.compile(r"-::~[:~]+::-.*?-::~[:~]+::-\n?", re.DOTALL)


def canonical(content: Content, units: frozenset[str]) -> Canonical:
    """Return the comparable value of each of *units*; plain JSON."""
    return {unit: _FORMS[unit](content) for unit in sorted(units)}


def fingerprint(content: Content, units: frozenset[str]) -> str:
    """Return a short hash of the canonical form: equal content, equal hash, on every machine."""
    encoded = msgspec.json.encode(canonical(content, units), order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:32]


def changed_units(before: Content, after: Content, units: frozenset[str]) -> frozenset[str]:
    """Return those of *units* in which the two differ."""
    return frozenset(unit for unit in units if _FORMS[unit](before) != _FORMS[unit](after))


def span(content: Content) -> tuple[datetime, datetime]:
    """Return start and end to the whole second, the end after the start.

    No provider takes an event without length, though some hold them: a timed one becomes a minute
    long, an all-day one a day.
    """
    start = content.start.astimezone(UTC).replace(microsecond=0)
    end = content.end.astimezone(UTC).replace(microsecond=0)
    if end <= start:
        end = start + (timedelta(days=1) if content.all_day else timedelta(minutes=1))
    return start, end


def text(value: str | None) -> str:
    """Return *value* with line ends as LF and the outer white space gone; nothing is ''."""
    return (value or "").replace("\r\n", "\n").replace("\r", "\n").strip()


def description(value: str | None) -> str:
    """Return a description as plain text.

    Google's own editor rewrites HTML on a whim and strips the fenced block with which it announces
    a video call, so neither markup nor the block says that a person changed something.
    """
    plain = without_fence(value)
    if _TAG.search(plain) or "&" in plain:
        plain = _BREAK.sub("\n", plain)
        plain = html.unescape(_TAG.sub("", plain)).replace("\xa0", " ")
    return text("\n".join(line.rstrip() for line in plain.splitlines()))


def without_fence(value: str | None) -> str:
    """Return *value* without the fenced block that a conference leaves in a description."""
    return _FENCE.sub("", text(value))


def json_text(value: Any) -> str:
    """Return *value* as JSON in which equal values read alike: 1 and 1.0 do, 1 and true do not."""
    return msgspec.json.encode(_whole(value), order="deterministic").decode()


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return {key: _whole(each) for key, each in pairs.items()}
    if isinstance(value, list):
        return [_whole(each) for each in cast("list[Any]", value)]
    return value


def conference_state(content: Content) -> Literal["none", "wanted", "failed", "there"]:
    """Say how far the event's conference is: asked for, not made, or there with its address."""
    conference = content.conference or {}
    if conference.get("url"):
        return "there"
    if not conference.get("create"):
        return "none"
    return "failed" if conference.get("status") == "failed" else "wanted"


def recurrence_line(line: str) -> str:
    """Return a recurrence line with its parts in a fixed order and upper case."""
    name, _, value = line.strip().partition(":")
    head, *parameters = name.upper().split(";")
    if head in ("RRULE", "EXRULE"):
        parts = sorted(part for part in value.upper().split(";") if part)
        return f"{head}:{';'.join(parts)}"
    # TZID keeps its case: zone names have one (RFC 5545 §3.2.19).
    given = [part for part in name.split(";")[1:] if part] if parameters else []
    return f"{';'.join([head, *sorted(given)])}:{','.join(sorted(value.split(',')))}"


def _time(content: Content) -> Any:
    start, end = span(content)
    if content.all_day:
        return {"start": start.date().isoformat(), "end": end.date().isoformat()}
    return {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "zone": content.time_zone or "UTC",
    }


def _recurrence(content: Content) -> Any:
    return sorted(recurrence_line(line) for line in content.recurrence or ())


def _attendee(guest: Attendee) -> dict[str, Any]:
    return {
        "email": guest.email.strip().casefold(),
        "response": guest.response,
        "optional": guest.optional,
    }


def _attendees(content: Content) -> Any:
    return sorted(
        (_attendee(guest) for guest in content.attendees), key=lambda guest: guest["email"]
    )


def _reminders(content: Content) -> Any:
    reminders = content.reminders or Reminders()
    if reminders.use_default:
        return "default"
    return sorted([reminder.method, reminder.minutes] for reminder in reminders.overrides)


def _attachments(content: Content) -> Any:
    return sorted(
        [text(str(file.get(part) or "")) for part in ("url", "title", "mime_type")]
        for file in content.attachments
    )


def _conference(content: Content) -> Any:
    """A conference is its address; before it has one, the wish for it and what came of that."""
    conference = content.conference or {}
    state = conference_state(content)
    return [state, str(conference.get("url" if state == "there" else "create") or "")]


def _metadata(content: Content) -> Any:
    return {key: json_text(value) for key, value in content.metadata.items()}


_FORMS: dict[str, Callable[[Content], Any]] = {
    "title": lambda content: text(content.title),
    "description": lambda content: description(content.description),
    "location": lambda content: text(content.location),
    "notes": lambda content: text(content.notes),
    "time": _time,
    "recurrence": _recurrence,
    "status": lambda content: content.status,
    "visibility": lambda content: content.visibility,
    "transparency": lambda content: content.transparency,
    "attendees": _attendees,
    "reminders": _reminders,
    "attachments": _attachments,
    "conference": _conference,
    "color": lambda content: content.color or "",
    "metadata": _metadata,
}
