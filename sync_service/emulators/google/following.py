""" "This and following": cutting a series in two, the way Google's own interface does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sync_service.emulators.google import events, guests, recurrence, series
from sync_service.emulators.google.errors import bad_request, duplicate
from sync_service.emulators.google.render import View, occurrence_view
from sync_service.emulators.google.resource import WRITABLE, WriteOptions, merge
from sync_service.emulators.google.state import Calendar, Json, Record
from sync_service.emulators.google.times import duration, shift
from sync_service.emulators.google.world import Actor, World


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a series is cut.

    Attributes:
        at: The original start of the first occurrence after the cut.
        stamp: That occurrence's place in ids.
        later: The exceptions after that occurrence, as they were before.
    """

    calendar: Calendar
    parent: Record
    at: Json
    stamp: str
    before: list[str]
    after: list[str]
    later: list[tuple[Record, Json]]


def split(
    world: World,
    actor: Actor,
    calendar_id: str,
    event_id: str,
    fields: Json,
    options: WriteOptions,
    *,
    new_first: bool = False,
) -> Iterator[View]:
    """Edit "this and following": end the series before an occurrence, begin another there.

    The two halves happen one at a time, each when it is asked for. The exceptions behind the cut
    go on in the new series, under new ids, where it still has their original start. On the first
    occurrence this is an edit of the series, in one step.
    """
    cut = _cut(world, actor, calendar_id, event_id)
    if cut is None:
        master_id = event_id.rpartition("_")[0]
        yield events.patch(world, actor, calendar_id, master_id, fields, options)
        return
    new_id = f"{cut.parent.id.partition('_')[0]}_R{cut.stamp.removesuffix('Z')}"
    there = cut.calendar.events.get(new_id)
    if there is not None and not there.cancelled:
        raise duplicate()
    body = events.fresh_body(world, actor, cut.calendar, merge(_rest(cut), fields), options)
    body["iCalUID"] = f"{new_id}@google.com"
    if new_first:
        yield _begin(world, actor, cut, new_id, body)
    yield _shorten(world, actor, cut, options)
    if not new_first:
        yield _begin(world, actor, cut, new_id, body)


def delete(
    world: World, actor: Actor, calendar_id: str, event_id: str, options: WriteOptions
) -> None:
    """Delete "this and following"; on the first occurrence, the series."""
    cut = _cut(world, actor, calendar_id, event_id)
    if cut is None:
        events.delete(world, actor, calendar_id, event_id.rpartition("_")[0])
    else:
        _shorten(world, actor, cut, options)


def _cut(world: World, actor: Actor, calendar_id: str, event_id: str) -> _Cut | None:
    """The cut before an occurrence; None before the first."""
    calendar, _ = world.writable(actor, calendar_id)
    target = events.locate(world, calendar, event_id)
    parent = None if target.view.master is None else calendar.events.get(target.view.master)
    if parent is None or "recurrence" not in parent.body:
        raise bad_request("Only an occurrence of a series can be split off.")
    stamp = event_id[len(parent.id) + 1 :]
    found = series.occurrences_of(world, parent.body)
    here = next((o for o in found if o.stamp == stamp), None)
    if here is None:
        raise bad_request("Only an occurrence of a series can be split off.")
    if here == found[0]:
        return None
    start = parent.body["start"]
    at = {"date": here.start} if "date" in start else {**start, "dateTime": here.start}
    before, after = recurrence.split(start, parent.body["recurrence"], at)
    behind = {o.stamp for o in found if o.start > here.start}
    later = [
        (exception, exception.body)
        for exception in series.exceptions_of(calendar, parent.id)
        if exception.id[len(parent.id) + 1 :] in behind
    ]
    return _Cut(calendar, parent, at, stamp, before, after, later)


def _shorten(world: World, actor: Actor, cut: _Cut, options: WriteOptions) -> View:
    fields: Json = {"recurrence": cut.before}
    return events.patch(world, actor, cut.calendar.id, cut.parent.id, fields, options)


def _rest(cut: _Cut) -> Json:
    """The series from the cut on, as a request body."""
    old = cut.parent.body
    rest: Json = {k: v for k, v in old.items() if k in WRITABLE and k != "recurrence"}
    end = shift(cut.at, duration(old["start"], old["end"]))
    if "timeZone" in old["end"]:
        end["timeZone"] = old["end"]["timeZone"]
    rest |= {"start": cut.at, "end": end}
    return rest | ({"recurrence": cut.after} if cut.after else {})


def _begin(world: World, actor: Actor, cut: _Cut, new_id: str, body: Json) -> View:
    view = events.store_new(world, actor, cut.calendar, new_id, body)
    if view.is_master:
        _carry(world, cut, view)
    return view


def _carry(world: World, cut: _Cut, master: View) -> None:
    left = {o.stamp: o for o in series.occurrences_of(world, master.body)}
    for exception, was in cut.later:
        occurrence = left.get(exception.id[len(cut.parent.id) + 1 :])
        if occurrence is None:
            continue
        by_rule = occurrence_view(master, occurrence)
        body = {k: v for k, v in by_rule.body.items() if k not in exception.own}
        body |= {k: was[k] for k in exception.own if k in was}
        body["status"] = was["status"]
        record = world.create(
            cut.calendar,
            by_rule.id,
            body,
            master=master.id,
            original=by_rule.original,
            own=list(exception.own),
        )
        guests.propagate(world, cut.calendar, record, by_rule.body)
