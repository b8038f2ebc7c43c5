"""Series, their occurrences and exceptions."""

from __future__ import annotations

from collections.abc import Set

from sync_service.emulators.google.clock import MICROS
from sync_service.emulators.google.recurrence import Occurrence, occurrences
from sync_service.emulators.google.render import View, occurrence_view, view_of
from sync_service.emulators.google.state import Calendar, Json, Record, Retired
from sync_service.emulators.google.times import from_utc_text
from sync_service.emulators.google.world import World, differing_keys

_NOT_INHERITED = frozenset(
    {"start", "end", "recurrence", "iCalUID", "creator", "organizer", "sequence"}
)


def occurrences_of(world: World, body: Json) -> tuple[Occurrence, ...]:
    """All occurrences that a series' body describes."""
    return occurrences(body["start"], body["recurrence"], world.switches.max_instances)


def exceptions_of(calendar: Calendar, master_id: str) -> list[Record]:
    """The exceptions stored for a series."""
    return [r for r in calendar.events.values() if r.master == master_id]


def find_occurrence(world: World, master: Record, event_id: str) -> View | None:
    """The untouched occurrence with this id, if the rule yields it."""
    master_view = view_of(master)
    if master_view is None or master.cancelled or not master_view.is_master:
        return None
    stamp = event_id[len(master.id) + 1 :]
    for occurrence in occurrences_of(world, master.body):
        if occurrence.stamp == stamp:
            return occurrence_view(master_view, occurrence)
    return None


def master_of(calendar: Calendar, event_id: str) -> Record | None:
    """The series that an occurrence id belongs to by its spelling."""
    master_id, underscore, _ = event_id.rpartition("_")
    return calendar.events.get(master_id) if underscore else None


def follow_master(world: World, calendar: Calendar, master: Record, old: Json) -> None:
    """Bring occurrences and exceptions in line after a series has changed or come back.

    Exceptions whose original start still occurs are kept, the others cancelled; edits of the
    master flow into the fields an exception has not made its own; what was deleted with the series
    comes back with it. All three are switches.
    """
    if "recurrence" not in old:
        return
    reviving = old["status"] == "cancelled" and not master.cancelled
    timing = {"start", "recurrence"} & differing_keys(old, master.body)
    left: dict[str, Occurrence] = {}
    if "recurrence" in master.body:
        left = {o.stamp: o for o in occurrences_of(world, master.body)}
    if timing or reviving:
        _retire(world, calendar, master, old, left.keys())
    for exception in exceptions_of(calendar, master.id):
        occurrence = left.get(exception.id[len(master.id) + 1 :])
        body = exception.body
        if timing and occurrence is None:
            if world.switches.orphaned_exceptions == "cancel":
                body = {**body, "status": "cancelled"}
        elif world.switches.master_edits_flow:
            body = _inherited(exception, master, old, occurrence)
        if reviving:
            if exception.fallen and world.switches.exceptions_revive and occurrence is not None:
                body = {**body, "status": exception.fallen}
            exception.fallen = None
        if exception.cancelled and body["status"] == "cancelled":
            # Nobody sees it; it is what the occurrence would come back as.
            exception.body = body
        elif body != exception.body:
            world.change(calendar, exception, body)


def _inherited(exception: Record, master: Record, old: Json, occurrence: Occurrence | None) -> Json:
    """An exception's body after an edit of its series."""
    changed = differing_keys(old, master.body)
    flowing = changed - set(exception.own) - _NOT_INHERITED
    if exception.cancelled or "cancelled" in (old["status"], master.body["status"]):
        flowing.discard("status")
    body = {k: v for k, v in exception.body.items() if k not in flowing}
    body |= {k: master.body[k] for k in flowing if k in master.body}
    view = view_of(master)
    own_time = {"start", "end"} & set(exception.own)
    if changed & {"start", "end"} and not own_time and occurrence is not None and view is not None:
        by_rule = occurrence_view(view, occurrence).body
        body |= {"start": by_rule["start"], "end": by_rule["end"]}
    return body


def cancel_series(world: World, calendar: Calendar, master: Record, old: Json) -> None:
    """After a series was cancelled: its exceptions go with it."""
    for exception in exceptions_of(calendar, master.id):
        if not exception.cancelled:
            exception.fallen = exception.body["status"]
            world.change(calendar, exception, {**exception.body, "status": "cancelled"})
    if "recurrence" in old:
        _retire(world, calendar, master, old, set())


def _retire(
    world: World, calendar: Calendar, master: Record, old: Json, remaining: Set[str]
) -> None:
    """Remember occurrences that ceased to exist; expanded feeds report the nearer ones."""
    now = world.clock.micros()
    reach = world.switches.cancelled_instances_horizon_s * MICROS
    gone: list[Retired] = []
    for occurrence in occurrences_of(world, old):
        text = occurrence.start if len(occurrence.start) > 10 else occurrence.start + "T00:00:00Z"
        at = from_utc_text(text).timestamp() * MICROS
        event_id = f"{master.id}_{occurrence.stamp}"
        if occurrence.stamp in remaining or event_id in calendar.events or abs(at - now) > reach:
            continue
        original: Json = (
            {"date": occurrence.start}
            if "date" in old["start"]
            else {**old["start"], "dateTime": occurrence.start}
        )
        gone.append(Retired(event_id, original, master.feed))
    ids = {r.id for r in gone}
    kept = [
        r for r in master.retired if r.id not in ids and r.id[len(master.id) + 1 :] not in remaining
    ]
    master.retired = kept + gone
