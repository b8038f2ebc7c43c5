"""Reading and writing single events: insert, get, update, patch, delete, move, import."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sync_service.emulators.google import conference, guests, series
from sync_service.emulators.google.errors import (
    ApiError,
    condition_not_met,
    duplicate,
    forbidden,
    gone,
    invalid,
    not_found,
    required_access_level,
)
from sync_service.emulators.google.limits import count_creation
from sync_service.emulators.google.render import View, view_of
from sync_service.emulators.google.resource import (
    GUEST_FLAGS,
    WRITABLE,
    WriteOptions,
    merge,
    normalise,
)
from sync_service.emulators.google.state import Calendar, Json, Record
from sync_service.emulators.google.world import Actor, World, differing_keys, etag

_CLIENT_ID = re.compile(r"[a-v0-9]{5,1024}")
_PRIVATE = frozenset({"private", "confidential"})
_KEPT_BY_SERVER = frozenset({"iCalUID", "creator", "organizer", "eventType"})
_OWN_COPY = frozenset(
    {"reminders", "colorId", "transparency", "attendees", "extendedProperties", "eventLabelId"}
)


@dataclass(slots=True)
class Target:
    """The event that a call names.

    Attributes:
        record: The stored event; None for an occurrence nobody has touched.
        view: What it looks like now.
        parent: For such an occurrence, its series.
    """

    calendar: Calendar
    record: Record | None
    view: View
    parent: Record | None = None


def locate(world: World, calendar: Calendar, event_id: str) -> Target:
    """Find an event, an exception or an untouched occurrence by id."""
    record = calendar.events.get(event_id)
    if record is not None:
        view = None if world.forgotten(calendar, record) else view_of(record)
        if view is None:
            raise not_found()
        return Target(calendar, record, view)
    parent = series.master_of(calendar, event_id)
    if parent is not None:
        view = series.find_occurrence(world, parent, event_id)
        if view is not None:
            return Target(calendar, None, view, parent)
    raise not_found()


def get(world: World, calendar: Calendar, event_id: str) -> View:
    """The event as it is visible now, under read lag perhaps an earlier one."""
    target = locate(world, calendar, event_id)
    horizon = world.horizon()
    if horizon is None or target.record is None:
        return target.view
    view = view_of(target.record, horizon)
    if view is None:
        raise not_found()
    return view


def insert(
    world: World, actor: Actor, calendar_id: str, fields: Json, options: WriteOptions
) -> View:
    """Make a new event."""
    calendar, _ = world.writable(actor, calendar_id)
    event_id = fields.get("id")
    if event_id is not None and (
        not isinstance(event_id, str) or not _CLIENT_ID.fullmatch(event_id)
    ):
        raise invalid("Invalid resource id value.")
    if fields.get("eventType") == "fromGmail":
        raise invalid("Invalid value for: eventType")
    uid = fields.get("iCalUID")
    if uid is not None and not isinstance(uid, str):
        raise invalid("Invalid value for: iCalUID")
    if event_id is not None and (event_id in calendar.events or event_id in calendar.purged):
        raise duplicate()
    if uid is not None and _uid_taken(calendar, uid):
        raise duplicate()
    event_id = event_id or world.event_id()
    body = fresh_body(world, actor, calendar, fields, options)
    body["iCalUID"] = uid or f"{event_id}@google.com"
    return store_new(world, actor, calendar, event_id, body)


def update(
    world: World,
    actor: Actor,
    calendar_id: str,
    event_id: str,
    fields: Json,
    options: WriteOptions,
    if_match: str | None = None,
) -> View:
    """Replace an event: writable fields that are missing go back to their defaults."""
    calendar, role = world.writable(actor, calendar_id)
    target = locate(world, calendar, event_id)
    check_write(actor, target, role, if_match)
    new = {k: v for k, v in fields.items() if k in WRITABLE and v is not None}
    for name in options.protected():
        new.pop(name, None)
        if name in target.view.body:
            new[name] = target.view.body[name]
    flags = {name: fields.get(name, default) for name, default in GUEST_FLAGS.items()}
    return _write(world, actor, target, new, flags, options, fields)


def patch(
    world: World,
    actor: Actor,
    calendar_id: str,
    event_id: str,
    fields: Json,
    options: WriteOptions,
    if_match: str | None = None,
) -> View:
    """Change the named fields of an event."""
    calendar, role = world.writable(actor, calendar_id)
    target = locate(world, calendar, event_id)
    check_write(actor, target, role, if_match)
    wanted = {k: v for k, v in fields.items() if k in WRITABLE and k not in options.protected()}
    new = merge({k: v for k, v in target.view.body.items() if k in WRITABLE}, wanted)
    flags = {name: fields[name] for name in GUEST_FLAGS if name in fields}
    return _write(world, actor, target, new, flags, options, fields)


def delete(
    world: World, actor: Actor, calendar_id: str, event_id: str, if_match: str | None = None
) -> None:
    """Delete an event, a whole series, or one occurrence."""
    calendar, role = world.writable(actor, calendar_id)
    target = locate(world, calendar, event_id)
    if target.view.cancelled:
        raise gone()
    check_write(actor, target, role, if_match)
    _cancel(world, target)


def organizer_of(calendar: Calendar) -> Json:
    """The organizer of events made on this calendar."""
    if calendar.primary:
        return {"email": calendar.id}
    return {"email": calendar.id, "displayName": calendar.summary}


def stored(record: Record) -> View:
    """What was just stored."""
    view = view_of(record)
    if view is None:
        raise not_found()
    return view


def _uid_taken(calendar: Calendar, uid: Any) -> bool:
    return uid in calendar.purged_uids or any(
        r.body["iCalUID"] == uid for r in calendar.events.values()
    )


def fresh_body(
    world: World, actor: Actor, calendar: Calendar, fields: Json, options: WriteOptions
) -> Json:
    """The body of a new event on a calendar."""
    wanted = {k: v for k, v in fields.items() if k in WRITABLE and k not in options.protected()}
    body = normalise(wanted, calendar.time_zone, world.switches, options)
    body["creator"] = {"email": actor.email}
    body["organizer"] = organizer_of(calendar)
    return body


def store_new(world: World, actor: Actor, calendar: Calendar, event_id: str, body: Json) -> View:
    """Put a new event on a calendar, and on its guests'."""
    count_creation(world, world.account(actor))
    body = conference.request(world, calendar.id, event_id, body, None)
    record = world.create(calendar, event_id, body)
    guests.propagate(world, calendar, record, None)
    return stored(record)


def check_write(actor: Actor, target: Target, role: str, if_match: str | None) -> None:
    """Refuse writes on private events, and stale ones."""
    private = target.view.body.get("visibility") in _PRIVATE
    if private and role == "writerWithoutPrivateAccess":
        raise required_access_level()
    if if_match not in (None, "*", etag(target.view.revision)):
        raise condition_not_met()


def _write(
    world: World,
    actor: Actor,
    target: Target,
    wanted: Json,
    flags: dict[str, Any],
    options: WriteOptions,
    request: Json,
) -> View:
    """The common path of update and patch: check, keep what is the server's, store, carry on."""
    calendar, old = target.calendar, target.view.body
    organizing = guests.is_organizer_copy(calendar, old)
    if not organizing and any(
        value is not None and value != old.get(name, GUEST_FLAGS[name])
        for name, value in flags.items()
    ):
        raise ApiError(
            403,
            "forbiddenForNonOrganizer",
            "Shared properties can only be changed by the organizer of the event.",
            domain="calendar",
        )
    if wanted.get("status") == "cancelled" and not target.view.cancelled:
        return _cancel(world, target)
    if target.view.master is not None and wanted.get("recurrence"):
        raise invalid("Recurrence cannot be set on an instance of a recurring event.")
    if wanted.get("eventType", old["eventType"]) != old["eventType"]:
        raise invalid("Event type cannot be changed.")
    _merge_own_reply(wanted, old)
    body = normalise(wanted, calendar.time_zone, world.switches, options)
    body |= {name: old[name] for name in _KEPT_BY_SERVER}
    _set_sequence(body, old, request, organizing=organizing)
    if target.view.cancelled and body["status"] != "cancelled":
        _may_revive(world, target, organizing=organizing)
    body = conference.request(world, calendar.id, target.view.id, body, old)
    if not organizing:
        body = _guest_edit(world, calendar, body, old)
    return _apply(world, target, body)


def _merge_own_reply(wanted: Json, old: Json) -> None:
    """With attendeesOmitted, the request names only the guests whose answers it changes."""
    if wanted.pop("attendeesOmitted", False) is not True or "attendees" not in wanted:
        return
    replies: list[Json] = wanted["attendees"]
    merged = {**old}
    for reply in replies:
        if isinstance(reply.get("email"), str):
            merged["attendees"] = guests.replied(merged, reply)
    wanted["attendees"] = merged.get("attendees", [])


def _set_sequence(body: Json, old: Json, request: Json, *, organizing: bool) -> None:
    given = request.get("sequence")
    if isinstance(given, int) and given < old["sequence"]:
        raise invalid(
            "Invalid sequence value. The specified sequence number is below the current sequence "
            "number of the resource."
        )
    body["sequence"] = max(old["sequence"], given if isinstance(given, int) else 0)
    moved = {"start", "end", "recurrence"} & differing_keys(old, body)
    if organizing and moved and body["sequence"] == old["sequence"]:
        body["sequence"] += 1


def _may_revive(world: World, target: Target, *, organizing: bool) -> None:
    record = target.record
    if record is None or record.bare or not organizing or not world.switches.revive_tombstones:
        raise forbidden()
    if record.master is not None:
        parent = target.calendar.events.get(record.master)
        if parent is None or series.find_occurrence(world, parent, record.id) is None:
            raise forbidden()


def _guest_edit(world: World, calendar: Calendar, body: Json, old: Json) -> Json:
    shared = differing_keys(old, body) - _OWN_COPY
    if shared and not old.get("guestsCanModify") and world.switches.guest_edits == "refuse":
        raise forbidden()
    return body


def _apply(world: World, target: Target, body: Json) -> View:
    calendar, old, record = target.calendar, target.view.body, target.record
    if body == old and world.switches.noop_writes == "ignore":
        return target.view
    if record is None:
        record = _except(world, target, body)
    else:
        if record.master is not None:
            record.own = sorted({*record.own, *differing_keys(old, body)})
            body = _series_visibility(world, calendar, record.master, body)
        world.change(calendar, record, body)
        series.follow_master(world, calendar, record, old)
    if guests.is_organizer_copy(calendar, record.body):
        guests.propagate(world, calendar, record, old)
    else:
        _tell_organizer(world, calendar, record, old)
    return stored(record)


def _except(world: World, target: Target, body: Json) -> Record:
    """Make an occurrence an event of its own."""
    if target.parent is None:
        raise not_found()
    own = sorted(differing_keys(target.view.body, body))
    body = _series_visibility(world, target.calendar, target.parent.id, body)
    return world.create(
        target.calendar,
        target.view.id,
        body,
        master=target.parent.id,
        original=target.view.original,
        own=own,
    )


def _series_visibility(world: World, calendar: Calendar, master_id: str, body: Json) -> Json:
    """Tightening one occurrence tightens the series; loosening one is ignored."""
    master = calendar.events.get(master_id)
    if master is None or master.body.get("visibility") == body.get("visibility"):
        return body
    if body.get("visibility") in _PRIVATE:
        old = master.body
        world.change(calendar, master, {**old, "visibility": body["visibility"]})
        series.follow_master(world, calendar, master, old)
        return body
    if master.body.get("visibility") in _PRIVATE:
        return {**body, "visibility": master.body["visibility"]}
    return body


def _tell_organizer(world: World, calendar: Calendar, record: Record, old: Json) -> None:
    mine = guests.own_entry(calendar, record.body)
    if mine is not None and mine != guests.own_entry(calendar, old):
        guests.answer(world, calendar, record, mine)
    organizer = world.state.calendars.get(old["organizer"]["email"])
    if organizer is None or not old.get("guestsCanModify") or record.id not in organizer.events:
        return
    theirs = organizer.events[record.id]
    shared = differing_keys(old, record.body) - _OWN_COPY
    if shared and not theirs.cancelled:
        before = theirs.body
        body = {k: v for k, v in before.items() if k not in shared}
        body |= {k: record.body[k] for k in shared if k in record.body}
        world.change(organizer, theirs, body)
        series.follow_master(world, organizer, theirs, before)
        guests.propagate(world, organizer, theirs, before)


def _cancel(world: World, target: Target) -> View:
    calendar, old, record = target.calendar, target.view.body, target.record
    body = {**old, "status": "cancelled"}
    organizing = guests.is_organizer_copy(calendar, old)
    if record is None:
        record = _except(world, target, body)
    else:
        record.bare = record.bare or (not organizing and record.master is None)
        world.change(calendar, record, body)
        if record.master is None:
            series.cancel_series(world, calendar, record, old)
    mine = guests.own_entry(calendar, old)
    if organizing:
        guests.propagate(world, calendar, record, old)
    elif mine is not None:
        guests.answer(world, calendar, record, {**mine, "responseStatus": "declined"})
    return stored(record)
