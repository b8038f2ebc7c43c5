"""Guests: every invited emulated account has its own copy of an event on its primary calendar."""

from __future__ import annotations

from sync_service.emulators.google import series
from sync_service.emulators.google.state import Calendar, Json, Record
from sync_service.emulators.google.world import World

_LOCAL = frozenset({"reminders", "colorId", "transparency", "eventLabelId"})


def is_organizer_copy(calendar: Calendar, body: Json) -> bool:
    """Whether the event is organised from this calendar."""
    return body["organizer"]["email"] == calendar.id


def invited(body: Json) -> set[str]:
    """The addresses of all guests, in lower case."""
    return {person["email"].casefold() for person in body.get("attendees", [])}


def propagate(world: World, calendar: Calendar, record: Record, old: Json | None) -> None:
    """Carry the organizer's change to the guests' calendars; withdraw it from the uninvited."""
    if not is_organizer_copy(calendar, record.body):
        return
    now_invited = set[str]() if record.cancelled else invited(record.body)
    for email in sorted(invited(record.body) | (invited(old) if old else set[str]())):
        theirs = _calendar_of(world, email)
        if theirs is None or theirs.id == calendar.id:
            continue
        if email in now_invited:
            _deliver(world, calendar, theirs, record, email)
        else:
            _withdraw(world, theirs, record)


def _deliver(
    world: World, calendar: Calendar, theirs: Calendar, record: Record, email: str
) -> None:
    copy = theirs.events.get(record.id)
    if copy is None:
        _give(world, theirs, record, record.body["status"])
        for exception in series.exceptions_of(calendar, record.id):
            if exception.cancelled or email not in invited(exception.body):
                _withdraw(world, theirs, exception)
            else:
                _deliver(world, calendar, theirs, exception, email)
        return
    if copy.cancelled and _response(record.body, email) == "declined":
        return
    before = copy.body
    private = before.get("extendedProperties", {}).get("private")
    body = _with_private(_shared(record.body) | _local(before), private)
    if body == before:
        return
    copy.bare = False
    copy.own = sorted({*copy.own, *record.own})
    world.change(theirs, copy, body)
    series.follow_master(world, theirs, copy, before)


def _withdraw(world: World, theirs: Calendar, record: Record) -> None:
    copy = theirs.events.get(record.id)
    if copy is None:
        parent = None if record.master is None else theirs.events.get(record.master)
        if parent is not None and not parent.cancelled:
            _give(world, theirs, record, "cancelled")
    elif not copy.cancelled:
        before = copy.body
        copy.bare = record.master is None
        world.change(theirs, copy, {**before, "status": "cancelled"})
        series.cancel_series(world, theirs, copy, before)


def _give(world: World, theirs: Calendar, record: Record, status: str) -> None:
    """Put a copy on a guest's calendar."""
    body = _shared(record.body) | {"reminders": {"useDefault": True}, "status": status}
    world.create(
        theirs,
        record.id,
        body,
        master=record.master,
        original=record.original,
        own=list(record.own),
    )


def answer(world: World, calendar: Calendar, record: Record, reply: Json) -> None:
    """Carry a guest's own reply to the organizer's copy, and from there to all others."""
    organizer = world.state.calendars.get(record.body["organizer"]["email"])
    if organizer is None:
        return
    theirs = organizer.events.get(record.id)
    if theirs is None and record.master is not None and record.master in organizer.events:
        parent = organizer.events[record.master]
        body = {k: v for k, v in parent.body.items() if k != "recurrence"}
        body |= {"start": record.body["start"], "end": record.body["end"]}
        theirs = world.create(
            organizer,
            record.id,
            body,
            master=record.master,
            original=record.original,
            own=["attendees"],
        )
    if theirs is None or theirs.cancelled:
        return
    old = theirs.body
    world.change(organizer, theirs, {**old, "attendees": replied(old, reply)})
    series.follow_master(world, organizer, theirs, old)
    propagate(world, organizer, theirs, old)


def replied(body: Json, reply: Json) -> list[Json]:
    """The guest list with one guest's entry replaced."""
    email = reply["email"].casefold()
    return [
        {**person, **reply} if person["email"].casefold() == email else person
        for person in body.get("attendees", [])
    ]


def own_entry(calendar: Calendar, body: Json) -> Json | None:
    """The entry of the calendar's owner in the guest list."""
    mine = calendar.id.casefold()
    people: list[Json] = body.get("attendees", [])
    return next((person for person in people if person["email"].casefold() == mine), None)


def _response(body: Json, email: str) -> str | None:
    people: list[Json] = body.get("attendees", [])
    return next((p["responseStatus"] for p in people if p["email"].casefold() == email), None)


def _calendar_of(world: World, email: str) -> Calendar | None:
    account = world.state.account_by_email(email)
    return None if account is None else world.state.calendars.get(account.email)


def _shared(body: Json) -> Json:
    out = {k: v for k, v in body.items() if k not in _LOCAL and k != "extendedProperties"}
    if shared := body.get("extendedProperties", {}).get("shared"):
        out["extendedProperties"] = {"shared": shared}
    return out


def _local(body: Json) -> Json:
    """What a guest's copy keeps for itself; the shared properties arrive with the rest."""
    return {k: v for k, v in body.items() if k in _LOCAL}


def _with_private(body: Json, private: Json | None) -> Json:
    """A copy's body with its own private properties put back."""
    if not private:
        return body
    properties = {**body.get("extendedProperties", {}), "private": private}
    return {**body, "extendedProperties": properties}
