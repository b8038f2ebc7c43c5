"""From stored events to the JSON a particular viewer gets."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sync_service.emulators.google.recurrence import Occurrence
from sync_service.emulators.google.state import Calendar, Json, Record
from sync_service.emulators.google.switches import Switches
from sync_service.emulators.google.times import duration, millis, render_time, shift
from sync_service.emulators.google.world import etag

_MASKED = frozenset({"reader", "writerWithoutPrivateAccess"})
_PLAIN = (
    "summary",
    "description",
    "location",
    "colorId",
    "recurrence",
    "transparency",
    "visibility",
    "iCalUID",
    "sequence",
    "attendeesOmitted",
    "extendedProperties",
    "conferenceData",
    "anyoneCanAddSelf",
    "guestsCanInviteOthers",
    "guestsCanModify",
    "guestsCanSeeOtherGuests",
    "privateCopy",
    "reminders",
    "attachments",
    "gadget",
    "endTimeUnspecified",
    "eventLabelId",
    "outOfOfficeProperties",
    "focusTimeProperties",
    "workingLocationProperties",
    "birthdayProperties",
    "eventType",
)
_MASK_KEEPS = frozenset(
    {"recurrence", "transparency", "visibility", "iCalUID", "sequence", "eventType"}
)


@dataclass(frozen=True, slots=True)
class View:
    """An event as it can be read now: a record, its earlier version, or a computed occurrence."""

    id: str
    body: Json
    revision: int
    feed: int
    updated: int
    created: int
    master: str | None
    original: Json | None
    bare: bool = False

    @property
    def cancelled(self) -> bool:
        """Whether this is a tombstone or a cancelled occurrence."""
        return self.body["status"] == "cancelled"

    @property
    def is_master(self) -> bool:
        """Whether this is a recurring series."""
        return "recurrence" in self.body and self.master is None


def view_of(record: Record, horizon: int | None = None) -> View | None:
    """A record as readers see it; under read lag perhaps its former self, or nothing yet."""
    if horizon is not None and record.revision > horizon:
        before = record.before
        if before is None or before.revision > horizon:
            return None
        return View(
            record.id,
            before.body,
            before.revision,
            before.feed,
            before.updated,
            record.created,
            record.master,
            record.original,
        )
    return View(
        record.id,
        record.body,
        record.revision,
        record.feed,
        record.updated,
        record.created,
        record.master,
        record.original,
        record.bare,
    )


def occurrence_view(master: View, occurrence: Occurrence) -> View:
    """An occurrence nobody has touched: the master's content at its own time."""
    start: Json
    if "date" in master.body["start"]:
        start = {"date": occurrence.start}
    else:
        start = {**master.body["start"], "dateTime": occurrence.start}
    body = dict(master.body)
    del body["recurrence"]
    body["start"] = start
    length = duration(master.body["start"], master.body["end"])
    body["end"] = shift(start, length)
    if "timeZone" in master.body["end"]:
        body["end"]["timeZone"] = master.body["end"]["timeZone"]
    return View(
        f"{master.id}_{occurrence.stamp}",
        body,
        master.revision,
        master.feed,
        master.updated,
        master.created,
        master.id,
        start,
    )


@dataclass(frozen=True, slots=True)
class Viewer:
    """For whom, and how, an event is written out.

    Attributes:
        role: The viewer's role on the calendar.
        zone: The response's time zone.
        tombstone_details: Whether deleted events show what they were.
    """

    calendar: Calendar
    email: str
    role: str
    zone: ZoneInfo
    switches: Switches
    tombstone_details: bool = True
    max_attendees: int | None = None


def render(view: View, viewer: Viewer) -> Json:
    """The event resource."""
    out: Json = {
        "kind": "calendar#event",
        "etag": etag(view.revision),
        "id": view.id,
        "status": view.body["status"],
    }
    if view.cancelled and not _shows_details(view, viewer):
        if viewer.switches.tombstone_fields != "minimal" or _series_lives(view, viewer):
            _add_origin(out, view, viewer)
        return out
    body = view.body
    if viewer.role == "freeBusyReader":
        out["start"] = render_time(body["start"], viewer.zone)
        out["end"] = render_time(body["end"], viewer.zone)
        _add_origin(out, view, viewer)
        out["visibility"] = "private"
        if "transparency" in body:
            out["transparency"] = body["transparency"]
        out["iCalUID"] = body["iCalUID"]
        out["eventType"] = body["eventType"]
        return out
    masked = (
        viewer.role in _MASKED
        and body.get("visibility") in {"private", "confidential"}
        and body["creator"]["email"] != viewer.email
    )
    out["htmlLink"] = _html_link(view.id, viewer.calendar.id)
    out["created"] = millis(view.created // 1_000_000 * 1_000_000)
    out["updated"] = millis(view.updated)
    for name in ("creator", "organizer"):
        out[name] = _person(body[name], viewer.calendar.id)
    out["start"] = render_time(body["start"], viewer.zone)
    out["end"] = render_time(body["end"], viewer.zone)
    for name in _PLAIN:
        if name in body and (not masked or name in _MASK_KEEPS):
            out[name] = body[name]
    _add_origin(out, view, viewer)
    if masked:
        return out
    if "source" in body and body["creator"]["email"] == viewer.email:
        out["source"] = body["source"]
    if "attendees" in body:
        _add_attendees(out, body, viewer)
    if link := _video_link(body):
        out["hangoutLink"] = link
    return out


def _shows_details(view: View, viewer: Viewer) -> bool:
    choice = viewer.switches.tombstone_fields
    if view.bare or choice == "minimal":
        return False
    return choice == "full" or viewer.tombstone_details


def _series_lives(view: View, viewer: Viewer) -> bool:
    series = None if view.master is None else viewer.calendar.events.get(view.master)
    return series is not None and not series.cancelled


def _add_origin(out: Json, view: View, viewer: Viewer) -> None:
    if view.master is not None and view.original is not None:
        out["recurringEventId"] = view.master
        out["originalStartTime"] = render_time(view.original, viewer.zone)


def _person(stored: Json, calendar_id: str) -> Json:
    return {**stored, "self": True} if stored["email"] == calendar_id else stored


def _add_attendees(out: Json, body: Json, viewer: Viewer) -> None:
    mine = viewer.calendar.id.casefold()
    organizer = body["organizer"]["email"].casefold()
    people: list[Json] = []
    for stored in body["attendees"]:
        email = stored["email"].casefold()
        person: Json = dict(stored)
        if email == organizer:
            person["organizer"] = True
        if email == mine:
            person["self"] = True
        people.append(person)
    if viewer.max_attendees is not None and len(people) > viewer.max_attendees:
        people = [person for person in people if person.get("self")]
        out["attendeesOmitted"] = True
    if people:
        out["attendees"] = people


def _video_link(body: Json) -> str | None:
    points: list[Json] = body.get("conferenceData", {}).get("entryPoints", [])
    return next((p["uri"] for p in points if p.get("entryPointType") == "video"), None)


def _html_link(event_id: str, calendar_id: str) -> str:
    short = calendar_id
    for suffix, mark in (("@gmail.com", "@m"), ("@group.calendar.google.com", "@g")):
        if short.endswith(suffix):
            short = short.removesuffix(suffix) + mark
    eid = base64.urlsafe_b64encode(f"{event_id} {short}".encode()).decode().rstrip("=")
    return f"https://www.google.com/calendar/event?eid={eid}"


def collection_fields(calendar: Calendar, role: str, zone_name: str) -> dict[str, Any]:
    """The head of an event list."""
    head: dict[str, Any] = {
        "kind": "calendar#events",
        "etag": f'"p{calendar.revision * 2}"',
        "summary": calendar.summary,
    }
    if calendar.description:
        head["description"] = calendar.description
    head["updated"] = millis(calendar.updated)
    head["timeZone"] = zone_name
    head["accessRole"] = role
    return head
