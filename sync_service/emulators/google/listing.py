"""Listing events: windows, filters, pages, and the change feed behind sync tokens.

The rules are those of the Calendar API guide "Synchronize resources efficiently" and of the
`events.list` reference. A page token carries the snapshot that the final sync token will name, so
a change made while paging shows up on a later page or in the next delta.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from sync_service.emulators.google import selection, series
from sync_service.emulators.google.errors import not_found
from sync_service.emulators.google.paging import Pager, dead, open_sync_token
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.render import (
    View,
    Viewer,
    collection_fields,
    occurrence_view,
    render,
    view_of,
)
from sync_service.emulators.google.selection import Selection
from sync_service.emulators.google.state import Calendar, Json, Record, Retired
from sync_service.emulators.google.times import duration, known_zone, shift
from sync_service.emulators.google.tokens import SyncToken, seal
from sync_service.emulators.google.world import Actor, World


def list_events(
    world: World, actor: Actor, calendar_id: str, query: Query, page_items: int | None = None
) -> Json:
    """One page of a full or incremental list."""
    calendar, role = world.readable(actor, calendar_id)
    wanted = selection.parse(world, calendar, role, query)
    collection = f"events:{calendar.id}"
    token = _sync_token(world, actor, calendar, wanted, collection)
    pager = Pager(world, actor, collection, query, default=250, cap=2500, page_items=page_items)
    if token is None:
        window = wanted.window
        views = (v for v in _all(world, calendar, wanted) if wanted.accepts(v))
    else:
        since = token.position - (1 if world.switches.edge_redelivery else 0)
        window = token.window
        narrowed = wanted.with_window(window)
        views = (v for v in _changed(world, calendar, wanted, since) if narrowed.accepts(v))
    rows = [(_key(world, wanted, view), view) for view in views]
    page = pager.cut(rows, backwards=world.switches.list_order == "reversed")
    viewer = Viewer(
        calendar,
        actor.email,
        role,
        known_zone(wanted.zone_name),
        world.switches,
        tombstone_details=wanted.show_deleted,
        max_attendees=wanted.max_attendees,
    )
    out = collection_fields(calendar, role, wanted.zone_name)
    out["defaultReminders"] = _default_reminders(world, actor, calendar)
    if page.next_token is not None:
        out["nextPageToken"] = page.next_token
    elif wanted.token_issued:
        kept = window if world.switches.window_on_incremental else (None, None)
        out["nextSyncToken"] = seal(
            SyncToken(
                collection,
                actor.sub,
                wanted.fingerprint,
                page.snapshot,
                world.serial(),
                world.clock.micros(),
                kept,
            )
        )
    out["items"] = [render(view, viewer) for view in page.rows]
    return out


def list_instances(
    world: World, actor: Actor, calendar_id: str, event_id: str, query: Query
) -> Json:
    """One page of the occurrences of a series."""
    calendar, role = world.readable(actor, calendar_id)
    master = calendar.events.get(event_id)
    if master is None or master.cancelled or world.forgotten(calendar, master):
        raise not_found()
    wanted = selection.parse(world, calendar, role, query, instances=True)
    pager = Pager(world, actor, f"instances:{calendar.id}:{event_id}", query, default=250, cap=2500)
    rows: list[tuple[list[str | int], View]] = []
    for view in _instances(world, calendar, master, wanted):
        if (wanted.show_deleted or not view.cancelled) and wanted.accepts(view):
            rows.append(([view.id], view))
    page = pager.cut(rows, backwards=False)
    viewer = Viewer(
        calendar,
        actor.email,
        role,
        known_zone(wanted.zone_name),
        world.switches,
        max_attendees=wanted.max_attendees,
    )
    out = collection_fields(calendar, role, wanted.zone_name)
    out["defaultReminders"] = _default_reminders(world, actor, calendar)
    if page.next_token is not None:
        out["nextPageToken"] = page.next_token
    out["items"] = [render(view, viewer) for view in page.rows]
    return out


def _sync_token(
    world: World, actor: Actor, calendar: Calendar, wanted: Selection, collection: str
) -> SyncToken | None:
    if wanted.sync_token is None:
        return None
    token = open_sync_token(world, wanted.sync_token, collection, actor, calendar.token_floor)
    if token.parameters != wanted.fingerprint:
        if world.switches.sync_token_parameters == "refuse":  # noqa: S105
            raise dead(world)
        token.parameters = wanted.fingerprint
    return token


def _all(world: World, calendar: Calendar, wanted: Selection) -> Iterator[View]:
    """Everything a full list shows, before filters."""
    horizon = world.horizon()
    deletions = wanted.show_deleted or wanted.updated_min is not None
    for record in list(calendar.events.values()):
        view = view_of(record, horizon)
        if view is None or world.forgotten(calendar, record):
            continue
        if view.cancelled:
            if _lists_cancelled(calendar, view, wanted, deletions=deletions):
                yield view
        elif wanted.single_events and view.is_master:
            yield from _untouched(world, calendar, view, wanted)
        else:
            yield view


def _changed(world: World, calendar: Calendar, wanted: Selection, since: int) -> Iterator[View]:
    """Everything that has changed after a position in the feed."""
    horizon = world.horizon()
    for record in reversed(list(calendar.events.values())):
        if record.feed <= since:
            break
        view = view_of(record, horizon)
        if view is None or view.feed <= since or world.forgotten(calendar, record):
            continue
        if not (wanted.single_events and view.is_master):
            yield view
            continue
        if not view.cancelled:
            yield from _untouched(world, calendar, view, wanted)
        for retired in record.retired:
            if retired.feed > since:
                yield _retired_view(view, retired)


def _untouched(world: World, calendar: Calendar, master: View, wanted: Selection) -> Iterator[View]:
    """The occurrences of a series that no exception stands in for."""
    horizon = world.horizon()
    for occurrence in series.occurrences_of(world, master.body):
        if not wanted.may_contain(occurrence, master):
            continue
        stored = calendar.events.get(f"{master.id}_{occurrence.stamp}")
        if stored is None or view_of(stored, horizon) is None:
            yield occurrence_view(master, occurrence)


def _instances(
    world: World, calendar: Calendar, master: Record, wanted: Selection
) -> Iterator[View]:
    horizon = world.horizon()
    view = view_of(master, horizon)
    if view is None:
        return
    if not view.is_master:
        yield view
        return
    for exception in series.exceptions_of(calendar, master.id):
        stored = view_of(exception, horizon)
        if stored is not None:
            yield stored
    yield from _untouched(world, calendar, view, wanted)


def _lists_cancelled(calendar: Calendar, view: View, wanted: Selection, *, deletions: bool) -> bool:
    """The matrix of showDeleted and singleEvents for one cancelled event."""
    master = None if view.master is None else calendar.events.get(view.master)
    if master is not None and not master.cancelled and "recurrence" in master.body:
        return deletions or not wanted.single_events
    if wanted.single_events and (view.is_master or view.master is not None):
        return False
    return deletions


def _retired_view(master: View, retired: Retired) -> View:
    body = {k: v for k, v in master.body.items() if k != "recurrence"}
    length = duration(master.body["start"], master.body["end"])
    start = retired.original
    end = shift(start, length) if ("date" in start) == ("date" in master.body["start"]) else start
    body |= {"status": "cancelled", "start": start, "end": end}
    return View(
        retired.id,
        body,
        retired.feed,
        retired.feed,
        retired.feed,
        master.created,
        master.id,
        retired.original,
        bare=True,
    )


def _key(world: World, wanted: Selection, view: View) -> list[str | int]:
    if wanted.order_by == "startTime":
        return [wanted.start_text(view), view.id]
    if wanted.order_by == "updated":
        return [view.updated, view.id]
    if world.switches.list_order == "shuffled":
        return [zlib.crc32(f"{world.state.seed}:{view.id}".encode()), view.id]
    return [view.id]


def _default_reminders(world: World, actor: Actor, calendar: Calendar) -> list[Json]:
    entry = world.account(actor).entries.get(calendar.id)
    return [] if entry is None else entry.default_reminders
