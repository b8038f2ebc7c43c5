"""Events that come from elsewhere or go elsewhere: import, quick add, move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sync_service.emulators.google import guests, series
from sync_service.emulators.google.errors import (
    bad_request,
    duplicate,
    forbidden,
    invalid,
    not_found,
    required,
)
from sync_service.emulators.google.events import (
    check_write,
    fresh_body,
    insert,
    locate,
    organizer_of,
    stored,
)
from sync_service.emulators.google.render import View
from sync_service.emulators.google.resource import WriteOptions
from sync_service.emulators.google.state import Calendar, Json, Record, as_object
from sync_service.emulators.google.world import Actor, World


def import_event(
    world: World, actor: Actor, calendar_id: str, fields: Json, options: WriteOptions
) -> View:
    """Add a private copy of an event that lives elsewhere, identified by its iCalUID."""
    calendar, _ = world.writable(actor, calendar_id)
    uid = fields.get("iCalUID")
    if not isinstance(uid, str) or not uid:
        raise required("Required")
    if fields.get("eventType", "default") != "default":
        raise invalid("Invalid value for: eventType")
    body = fresh_body(world, actor, calendar, fields, options)
    body["iCalUID"] = uid
    given = as_object(fields.get("organizer")) or {}
    if isinstance(given.get("email"), str):
        body["organizer"] = {k: given[k] for k in ("email", "displayName") if k in given}
    same = next(
        (r for r in calendar.events.values() if r.body["iCalUID"] == uid and r.master is None),
        None,
    )
    if same is None:
        event_id = world.event_id()
        return stored(world.create(calendar, event_id, body))
    if world.switches.repeated_import == "duplicate":
        raise duplicate()
    body["creator"] = same.body["creator"]
    body["sequence"] = max(body["sequence"], same.body["sequence"])
    same.bare = False
    world.change(calendar, same, body)
    return stored(same)


def quick_add(world: World, actor: Actor, calendar_id: str, text: str) -> View:
    """Make an hour-long event that starts at the next full hour."""
    now = datetime.fromtimestamp(world.clock.seconds(), UTC)
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    fields: Json = {
        "summary": text,
        "start": {"dateTime": start.isoformat()},
        "end": {"dateTime": (start + timedelta(hours=1)).isoformat()},
    }
    return insert(world, actor, calendar_id, fields, WriteOptions())


def move(world: World, actor: Actor, calendar_id: str, event_id: str, destination_id: str) -> View:
    """Change the calendar that organises an event; the id stays, a tombstone is left behind."""
    calendar, role = world.writable(actor, calendar_id)
    destination, _ = world.writable(actor, destination_id)
    target = locate(world, calendar, event_id)
    check_write(actor, target, role, None)
    record = target.record
    if record is None or record.master is not None:
        raise bad_request("Cannot move an instance of a recurring event.")
    if record.cancelled:
        raise not_found()
    if record.body["eventType"] != "default":
        raise bad_request("Only default events can be moved.")
    if not guests.is_organizer_copy(calendar, record.body):
        raise forbidden()
    if destination.id == calendar.id:
        raise bad_request("The source and destination calendars must differ.")
    there = destination.events.get(event_id)
    if there is not None and not there.cancelled:
        raise duplicate()
    old = record.body
    moved = _relocate(world, record, destination)
    for exception in series.exceptions_of(calendar, event_id):
        guests.propagate(
            world, destination, _relocate(world, exception, destination), exception.body
        )
        exception.bare = True
        world.change(calendar, exception, {**exception.body, "status": "cancelled"})
    record.bare = True
    world.change(calendar, record, {**old, "status": "cancelled"})
    series.cancel_series(world, calendar, record, old)
    guests.propagate(world, destination, moved, old)
    return stored(moved)


def _relocate(world: World, record: Record, destination: Calendar) -> Record:
    body = {**record.body, "organizer": organizer_of(destination)}
    created = record.created
    moved = world.create(
        destination,
        record.id,
        body,
        master=record.master,
        original=record.original,
        own=list(record.own),
    )
    moved.created = created
    return moved
