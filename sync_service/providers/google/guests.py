"""Who comes: Google's `attendees`, there and back.

Rules from the Calendar API reference, 'Events': a write replaces the whole list; with
`attendeesOmitted` it names only the answers that change. Each guest's calendar holds a copy of its
own, whose shared parts are its organiser's to change.
"""

from __future__ import annotations

from typing import Any

from sync_service.core.event import Attendee, Content
from sync_service.providers.google.values import Resource, object_in, objects_in, text_in

OWN_UNITS = frozenset({"attendees", "reminders", "color", "transparency", "metadata"})
"""What a guest may change on their own copy; of the attendees, only their own answer."""

_RESPONSES = {
    "needsAction": "needs_action",
    "declined": "declined",
    "tentative": "tentative",
    "accepted": "accepted",
}
_TO_RESPONSES = {ours: theirs for theirs, ours in _RESPONSES.items()}
_TRANSLATED = frozenset({"email", "displayName", "responseStatus", "optional"})
_GOOGLES_OWN = frozenset({"id", "self", "organizer", "asyncOperation"})


def read_attendees(item: Resource) -> tuple[Attendee, ...]:
    """Return the guests that have an address."""
    return tuple(
        Attendee(
            email=text_in(guest, "email") or "",
            name=text_in(guest, "displayName"),
            response=_RESPONSES.get(str(guest.get("responseStatus")), "needs_action"),
            optional=guest.get("optional") is True,
            organizer=guest.get("organizer") is True,
        )
        for guest in _guests(item)
    )


def note_guests(item: Resource) -> dict[str, Any]:
    """Return what has to be known of a list to write it again (the `data` of a remote event).

    *guests* holds what we do not translate, by address; *self* is the account's own address;
    *replies_only* says that nothing but its own answer may be written, and why.
    """
    data: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for guest in _guests(item):
        address = str(guest["email"]).casefold()
        extra = {
            name: value
            for name, value in guest.items()
            if name not in _TRANSLATED and name not in _GOOGLES_OWN
        }
        if extra:
            kept[address] = extra
        if guest.get("self") is True:
            data["self"] = str(guest["email"])
    if kept:
        data["guests"] = kept
    organizer = object_in(item, "organizer")
    if organizer and organizer.get("self") is not True:
        data["replies_only"] = "organizer"
    elif item.get("attendeesOmitted") is True:
        data["replies_only"] = "omitted"
    return data


def write_attendees(content: Content, data: Resource) -> dict[str, Any]:
    """Return the part of a body that sets the guests, or just the account's own answer."""
    if not data.get("replies_only"):
        return {"attendees": [_write(guest, data) for guest in content.attendees]}
    own = _own(content, data)
    return {"attendeesOmitted": True, "attendees": [_write(own, data)] if own else []}


def refused_guests(content: Content, base: Content | None, data: Resource) -> str | None:
    """Say why these guests cannot be written, None when they can."""
    why = data.get("replies_only")
    if not why:
        return None
    if base and _own(content, data) and _others(content, data) == _others(base, data):
        return None
    if why == "omitted":
        return "Google shows only some of its guests, so the list cannot be changed from here."
    return "Only its organizer can change the guests, beyond your own answer."


def _guests(item: Resource) -> list[Resource]:
    return [guest for guest in objects_in(item, "attendees") if guest.get("email")]


def _write(guest: Attendee, data: Resource) -> dict[str, Any]:
    kept = object_in(object_in(data, "guests"), guest.email.casefold())
    body: dict[str, Any] = {
        **kept,
        "email": guest.email,
        "responseStatus": _TO_RESPONSES.get(guest.response, "needsAction"),
    }
    if guest.name:
        body["displayName"] = guest.name
    if guest.optional:
        body["optional"] = True
    return body


def _is_own(guest: Attendee, data: Resource) -> bool:
    return guest.email.strip().casefold() == str(data.get("self", "")).casefold()


def _own(content: Content, data: Resource) -> Attendee | None:
    return next((guest for guest in content.attendees if _is_own(guest, data)), None)


def _others(content: Content, data: Resource) -> list[tuple[str, str, bool]]:
    return sorted(
        (guest.email.strip().casefold(), guest.response, guest.optional)
        for guest in content.attendees
        if not _is_own(guest, data)
    )
