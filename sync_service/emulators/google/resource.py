"""What an event may contain: checking request bodies and bringing them into stored shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sync_service.emulators.google import recurrence
from sync_service.emulators.google.errors import invalid, required, time_range_empty
from sync_service.emulators.google.state import Json, as_list, as_object
from sync_service.emulators.google.switches import Switches
from sync_service.emulators.google.times import check_order, normalise_time

EVENT_TYPES = frozenset(
    {"birthday", "default", "focusTime", "fromGmail", "outOfOffice", "workingLocation"}
)
GUEST_FLAGS = {
    "guestsCanInviteOthers": True,
    "guestsCanModify": False,
    "guestsCanSeeOtherGuests": True,
}
_WRITABLE_NAMES = """summary description location start end recurrence status transparency
visibility colorId attendees attendeesOmitted reminders extendedProperties sequence
guestsCanInviteOthers guestsCanModify guestsCanSeeOtherGuests anyoneCanAddSelf privateCopy
attachments conferenceData source eventType focusTimeProperties outOfOfficeProperties
workingLocationProperties birthdayProperties eventLabelId gadget"""
WRITABLE = frozenset(_WRITABLE_NAMES.split())
_TEXTS = ("summary", "description", "location")
_BOOLS = {**GUEST_FLAGS, "anyoneCanAddSelf": False, "privateCopy": False}
_ENUMS = {
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
}
_STATUSES = frozenset({"confirmed", "tentative", "cancelled"})
_RESPONSES = frozenset({"needsAction", "declined", "tentative", "accepted"})
_OBJECTS = (
    "focusTimeProperties",
    "outOfOfficeProperties",
    "workingLocationProperties",
    "birthdayProperties",
    "gadget",
)
_FENCE = re.compile(r"\s*-::~:~::.*?::-\s*(?:.*?-::~:~::.*?::-)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The query parameters of a write that decide which fields it touches.

    Attributes:
        interface: The person writes in Google's own interface, which may make zero-length events.
    """

    conference: bool = False
    attachments: bool = False
    labels: bool = False
    max_attendees: int | None = None
    interface: bool = False

    def protected(self) -> set[str]:
        """The fields that this write cannot touch."""
        names: set[str] = set()
        if not self.conference:
            names.add("conferenceData")
        if not self.attachments:
            names.add("attachments")
        names.add("colorId" if self.labels else "eventLabelId")
        return names


def normalise(fields: Json, zone_name: str, switches: Switches, options: WriteOptions) -> Json:
    """The stored form of the writable fields in *fields*; defaults and empty values are absent."""
    out: Json = {"status": _choice(fields, "status", _STATUSES) or "confirmed"}
    for name in _TEXTS:
        if text := _text(fields, name):
            out[name] = text
    for name, default in _BOOLS.items():
        value = fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise invalid(f"Invalid value for: {name}")
        if value is not None and value != default:
            out[name] = value
    for name, values in _ENUMS.items():
        value = _choice(fields, name, values)
        if value is not None and value != values[0]:
            out[name] = value
    lines = _recurrence(fields)
    _times(out, fields, zone_name, switches, options, recurring=bool(lines))
    if lines:
        recurrence.validate(lines, out["start"])
        out["recurrence"] = lines
    if color := _text(fields, "colorId"):
        if switches.unknown_color == "refuse" and color not in {str(n) for n in range(1, 12)}:
            raise invalid("Invalid value for: colorId")
        out["colorId"] = color
    if label := _text(fields, "eventLabelId"):
        out["eventLabelId"] = label
    out["eventType"] = _choice(fields, "eventType", EVENT_TYPES) or "default"
    for name in _OBJECTS:
        if value := _object(fields, name):
            out[name] = value
    out["reminders"] = _reminders(fields)
    if properties := _properties(fields):
        out["extendedProperties"] = properties
    if people := _attendees(fields):
        out["attendees"] = people
    if source := _source(fields):
        out["source"] = source
    if attachments := _attachments(fields):
        out["attachments"] = attachments
    if conference := _conference(fields):
        out["conferenceData"] = conference
    elif switches.strip_conference_fence and "description" in out:
        out["description"] = _FENCE.sub("", out["description"]).strip() or None
        if out["description"] is None:
            del out["description"]
    sequence = fields.get("sequence")
    if sequence is not None and (isinstance(sequence, bool) or not isinstance(sequence, int)):
        raise invalid("Invalid value for: sequence")
    out["sequence"] = sequence or 0
    return out


def merge(existing: Json, patch: Json) -> Json:
    """JSON merge (RFC 7396): null removes, objects merge, arrays are replaced."""
    merged = dict(existing)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif (nested := as_object(value)) is not None:
            merged[name] = merge(as_object(merged.get(name)) or {}, nested)
        else:
            merged[name] = value
    return merged


def _times(
    out: Json,
    fields: Json,
    zone_name: str,
    switches: Switches,
    options: WriteOptions,
    *,
    recurring: bool,
) -> None:
    fill = zone_name if switches.fill_time_zone and not recurring else None
    for which in ("start", "end"):
        out[which] = normalise_time(fields.get(which), which, fill)
        if recurring and "dateTime" in out[which] and "timeZone" not in out[which]:
            raise required(f"Missing time zone definition for {which} time.")
    equal = options.interface or switches.equal_times == "accept"
    check_order(out["start"], out["end"], allow_equal=equal, error=time_range_empty())


def _text(fields: Json, name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"Invalid value for: {name}")
    return value


def _choice(fields: Json, name: str, values: frozenset[str] | tuple[str, ...]) -> str | None:
    value = _text(fields, name)
    if value is not None and value not in values:
        raise invalid(f"Invalid value for: {name}")
    return value


def _object(fields: Json, name: str) -> Json | None:
    value = fields.get(name)
    found = as_object(value)
    if value is not None and found is None:
        raise invalid(f"Invalid value for: {name}")
    return found


def _items(fields: Json, name: str) -> list[Any]:
    value = fields.get(name)
    found = [] if value is None else as_list(value)
    if found is None:
        raise invalid(f"Invalid value for: {name}")
    return found


def _objects(fields: Json, name: str) -> list[Json]:
    items = _items(fields, name)
    if not all(isinstance(item, dict) for item in items):
        raise invalid(f"Invalid value for: {name}")
    return items


def _recurrence(fields: Json) -> list[str]:
    lines = _items(fields, "recurrence")
    if not all(isinstance(line, str) for line in lines):
        raise invalid("Invalid value for: recurrence")
    return lines


def _reminders(fields: Json) -> Json:
    given = _object(fields, "reminders")
    if given is None:
        return {"useDefault": True}
    overrides = _objects(given, "overrides")
    use_default = bool(given.get("useDefault", False))
    if use_default and overrides:
        raise invalid("Cannot specify both default reminders and overrides at the same time.")
    if len(overrides) > 5:
        raise invalid("Invalid value for: reminders")
    kept: list[Json] = []
    for override in overrides:
        minutes = override.get("minutes")
        if (
            override.get("method") not in ("email", "popup")
            or isinstance(minutes, bool)
            or not isinstance(minutes, int)
            or not 0 <= minutes <= 40320
        ):
            raise invalid("Invalid value for: reminders")
        kept.append({"method": override["method"], "minutes": minutes})
    return {"useDefault": use_default, **({"overrides": kept} if kept else {})}


def _properties(fields: Json) -> Json:
    """Long keys are dropped and long values cut, both silently."""
    given = _object(fields, "extendedProperties") or {}
    out: Json = {}
    count = size = 0
    for side in ("private", "shared"):
        kept: dict[str, str] = {}
        for key, value in (_object(given, side) or {}).items():
            if not isinstance(value, str):
                raise invalid(f"Invalid value for: extendedProperties.{side}")
            if len(key) <= 44:
                kept[key] = value[:1024]
        count += len(kept)
        size += sum(len(key) + len(value) for key, value in kept.items())
        if kept:
            out[side] = kept
    if count > 300 or size > 32 * 1024:
        raise invalid("Extended properties exceed the size limit.")
    return out


def _attendees(fields: Json) -> list[Json]:
    people: list[Json] = []
    for given in _objects(fields, "attendees"):
        email = given.get("email")
        if not email:
            raise required("Missing attendee email.")
        if not isinstance(email, str) or "@" not in email:
            raise invalid("Invalid attendee email.")
        person: Json = {"email": email}
        for name in ("displayName", "comment"):
            if text := _text(given, name):
                person[name] = text
        for name in ("optional", "resource"):
            if given.get(name) is True:
                person[name] = True
        if given.get("additionalGuests"):
            person["additionalGuests"] = given["additionalGuests"]
        person["responseStatus"] = _choice(given, "responseStatus", _RESPONSES) or "needsAction"
        people.append(person)
    return people


def _conference(fields: Json) -> Json | None:
    conference = _object(fields, "conferenceData")
    if conference is None:
        return None
    asked = _object(conference, "createRequest")
    if asked is not None and not _text(asked, "requestId"):
        raise required("Missing conference request id.")
    for point in _objects(conference, "entryPoints"):
        _text(point, "uri")
    return conference


def _source(fields: Json) -> Json | None:
    source = _object(fields, "source")
    if source and not str(source.get("url", "")).startswith(("http://", "https://")):
        raise invalid("Invalid value for: source")
    return source


def _attachments(fields: Json) -> list[Json]:
    given = _objects(fields, "attachments")
    if len(given) > 25:
        raise invalid("Too many attachments.")
    kept: list[Json] = []
    for attachment in given:
        if not attachment.get("fileUrl"):
            raise required("Missing attachment fileUrl.")
        kept.append({k: v for k, v in attachment.items() if k != "fileId"})
    return kept
