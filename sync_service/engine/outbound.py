"""A push: bring one calendar's copy of one event to what the event says now.

Whatever the queue row was made for, the event is read afresh, so the order of changes cannot be
wrong. The remote id is on record before the first call; every write is conditional or recognisable
when repeated; what the provider answers is settled like any remote version, and the row's end
commits together with it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from sync_service.core.event import Content
from sync_service.core.merge import with_landed
from sync_service.engine import moves, occurrences
from sync_service.engine.arrivals import Arrival
from sync_service.engine.hub import Hub
from sync_service.engine.sending import as_sent, wished
from sync_service.engine.settle import settle
from sync_service.engine.steps import Series, Step, View, next_step
from sync_service.errors import (
    ChangedMeanwhile,
    Gone,
    IdTaken,
    IdUnseen,
    Permanent,
    Retryable,
    Unmappable,
)
from sync_service.providers.base import Mark, RemoteEvent, Session
from sync_service.store import calendars, connections, events, mappings, queue, trail
from sync_service.store.calendars import Calendar
from sync_service.store.events import EventRow
from sync_service.store.mappings import Intent, Mapping
from sync_service.store.pool import Connection, transaction
from sync_service.store.queue import Task

MOVES_PER_MINUTE = 60
_ROUNDS = 6
_GLANCES = 3
"""How often an id that is taken and yet not found is tried again before another one is chosen: an
insert whose answer was lost may show late (contract of `events.insert`: reads may lag)."""


async def push(hub: Hub, task: Task) -> str:
    """Carry out *task*; answers what was done last (`nothing`, `created`, …).

    Raises the errors of the provider; the row is then still ours to postpone or give up.
    """
    assert task.event_id is not None  # noqa: S101  # the table's check says so
    for _ in range(_ROUNDS):
        view = await _view(hub, task)
        if view is None:
            await queue.complete(hub.pool, task)
            return "nothing"
        provider = hub.providers[view.calendar.provider]
        step = next_step(view, provider)
        if step.do in ("nothing", "forget"):
            await _finish(hub, task, view, forget=step.do == "forget")
            return "nothing"
        connection = await connections.read(hub.pool, view.calendar.connection_id)
        if connection is None:
            await queue.complete(hub.pool, task)
            return "nothing"
        session = hub.session(connection, bulk=task.bulk)
        try:
            if step.do == "look":
                await _look(hub, task, session, view)
                continue
            if step.do == "pair":
                if await occurrences.pair(hub, task, session, view):
                    continue
                await _finish(hub, task, view, forget=True)
                return "nothing"
            if step.do == "create" and _begun(view) and await _found(hub, task, session, view):
                continue
            return await _write(hub, task, session, view, step)
        except (ChangedMeanwhile, Gone):
            # A copy that an earlier try made and somebody deleted: what that try sent is the base.
            made = view.mapping is not None and view.mapping.status == "pending"
            await _look(hub, task, session, view, base=_begun(view) if made else None)
        except IdTaken as fault:
            if await _found(hub, task, session, view):
                continue
            if isinstance(fault, IdUnseen) and task.attempts <= _GLANCES:
                raise Retryable(
                    "The event may exist already but does not show yet; it is looked for again.",
                    code=fault.code,
                ) from fault
            await _choose_another_id(hub, view)
    raise Retryable("The event keeps changing on both sides.", code="event_busy")


async def _view(hub: Hub, task: Task) -> View | None:
    assert task.event_id is not None  # noqa: S101  # the table's check says so
    async with hub.pool.acquire() as connection:
        generation = await queue.generation(connection, task)
        calendar = await calendars.read(connection, task.calendar_id)
        if calendar is None or generation is None:
            return None
        event = await events.read(connection, task.event_id)
        mapping = await mappings.read_pair(connection, task.event_id, task.calendar_id)
        wanted = await _is_wanted(connection, calendar, event)
        series = None
        if event is not None and event.series_id is not None:
            master = await events.read(connection, event.series_id)
            if master is None:
                return View(generation, calendar, None, mapping, wanted=False)
            series = Series(
                master,
                await mappings.read_pair(connection, master.id, calendar.id),
                wanted=await _is_wanted(connection, calendar, master),
            )
            wanted = wanted and series.wanted
    return View(generation, calendar, event, mapping, wanted, series)


async def _is_wanted(connection: Connection, calendar: Calendar, event: EventRow | None) -> bool:
    return (
        calendar.direction != "pull"
        and event is not None
        and event.live
        and await calendars.belongs(
            connection, event.user_id, event.calendar_id, event.id, calendar.id
        )
    )


async def _write(hub: Hub, task: Task, session: Session, view: View, step: Step) -> str:
    match step.do:
        case "create":
            await _create(hub, task, session, view, step.units)
            return "created"
        case "update":
            await _update(hub, task, session, view, step.units)
            return "updated"
        case _:
            await _delete(hub, task, session, view)
            return "deleted"


async def _create(
    hub: Hub, task: Task, session: Session, view: View, units: frozenset[str]
) -> None:
    assert view.event is not None  # noqa: S101  # only wanted events are created
    provider = hub.providers[view.calendar.provider]
    mapping_id = uuid4()
    content = as_sent(view.event, units, None)
    mapping = await mappings.reserve(
        hub.pool,
        mapping_id=mapping_id,
        user_id=view.event.user_id,
        event_id=view.event.id,
        calendar_id=view.calendar.id,
        external_id=provider.new_external_id(mapping_id, 0),
        intent=content,
    )
    created = await session.create(
        view.calendar.ref,
        mapping.external_id,
        content,
        Mark(view.event.id, mapping.id),
        units=units,
        notify=wished(view.event, view.mapping),
        revive=view.mapping is not None and view.mapping.status == "deleted",
    )
    sent = content
    if created.existed:
        # It was made by a try before this one, with what was on record then.
        sent = _begun(view)
        if sent and view.mapping and view.mapping.intent and view.mapping.intent.content:
            sent = with_landed(sent, view.mapping.intent.content, created.event.content, units)
    await _record(hub, task, view, created.event, sent=sent, action="push.created")


async def _update(
    hub: Hub, task: Task, session: Session, view: View, units: frozenset[str]
) -> None:
    assert view.event is not None and view.mapping is not None  # noqa: S101  # see next_step
    content = as_sent(view.event, units, view.mapping.base)
    await _intend(hub, view.mapping, Intent(content))
    stored = await session.update(
        view.calendar.ref,
        view.mapping.external_id,
        etag=view.mapping.etag,
        content=content,
        units=units,
        data=view.mapping.data,
        notify=wished(view.event, view.mapping),
    )
    await _record(hub, task, view, stored, sent=content, action="push.updated", units=units)


async def _delete(hub: Hub, task: Task, session: Session, view: View) -> None:
    mapping = view.mapping
    assert mapping is not None  # noqa: S101  # see next_step
    await _intend(hub, mapping, Intent(None))
    await session.delete(
        view.calendar.ref,
        mapping.external_id,
        mapping.etag,
        notify=wished(view.event, mapping),
    )
    async with transaction(hub.pool) as connection:
        await mappings.lock(connection, [mapping.id])
        if await queue.holds_lease(connection, task):
            await mappings.settle_deleted(connection, [mapping.id])
            await trail.audit(connection, [_deed(view, task, "push.deleted")])
            await _note_told(connection, view)
            await queue.complete(connection, task)
            await events.announce(connection, task.user_id, [mapping.event_id])


async def _intend(hub: Hub, mapping: Mapping, intent: Intent) -> None:
    """Put a write on record; the guard against loops that nothing else stopped stands here."""
    if await mappings.intend(hub.pool, mapping.id, intent) > MOVES_PER_MINUTE:
        raise Permanent(
            f"This event was written more than {MOVES_PER_MINUTE} times within a minute, faster "
            "than people edit. It rests until it is changed again after a while.",
            code="moves_too_often",
        )


async def _record(
    hub: Hub,
    task: Task,
    view: View,
    stored: RemoteEvent,
    *,
    sent: Content | None,
    action: str,
    units: frozenset[str] = frozenset(),
) -> None:
    """Settle the provider's answer: what it stored is the new base, whatever it made of it."""
    provider = hub.providers[view.calendar.provider]
    async with transaction(hub.pool) as connection:
        arrival = Arrival(stored.external_id, stored, base=sent)
        if await settle(connection, provider, view.calendar, [arrival], task=task) is None:
            return
        await trail.audit(connection, [_deed(view, task, action, units)])
        await _note_told(connection, view)
        await queue.complete(connection, task)
        assert task.event_id is not None  # noqa: S101  # the table's check says so
        await events.announce(connection, task.user_id, [task.event_id])


async def _look(
    hub: Hub, task: Task, session: Session, view: View, *, base: Content | None = None
) -> None:
    """Read the remote copy and settle it; the next round sees the outcome.

    *base* is what is known to have been sent, where that is not on record any more.
    """
    mapping = view.mapping or (
        await mappings.read_pair(hub.pool, task.event_id, task.calendar_id)
        if task.event_id
        else None
    )
    if mapping is None:
        return
    remote = await session.get(view.calendar.ref, mapping.external_id)
    if remote is None:
        await moves.look_elsewhere(hub, task, session, view.calendar, mapping.external_id)
    await _settle_look(hub, task, view, Arrival(mapping.external_id, remote, base=base))


async def _settle_look(hub: Hub, task: Task, view: View, arrival: Arrival) -> None:
    provider = hub.providers[view.calendar.provider]
    async with transaction(hub.pool) as connection:
        await settle(
            connection, provider, view.calendar, [arrival], task=task, looked=view.generation
        )


def _begun(view: View) -> Content | None:
    """Return the content of the first create that was begun and never accounted for."""
    mapping = view.mapping
    if mapping is None:
        return None
    if mapping.status == "pending":
        return mapping.base
    return mapping.intent.content if mapping.intent else None


async def _found(hub: Hub, task: Task, session: Session, view: View) -> bool:
    """Settle a copy that exists although it is still to be made.

    An earlier try made it and died, or it was deleted and somebody brought it back.
    """
    mapping = view.mapping
    if mapping is None:
        return False
    remote = await session.get(view.calendar.ref, mapping.external_id)
    ours = remote is not None and remote.mark == Mark(mapping.event_id, mapping.id)
    if remote is None or not (ours or mapping.status == "deleted"):
        return False
    await _settle_look(hub, task, view, Arrival(mapping.external_id, remote))
    return True


async def _choose_another_id(hub: Hub, view: View) -> None:
    assert view.event is not None  # noqa: S101  # only a create can meet a taken id
    mapping = await mappings.read_pair(hub.pool, view.event.id, view.calendar.id)
    if mapping is None:
        return
    provider = hub.providers[view.calendar.provider]
    tried = [provider.new_external_id(mapping.id, attempt) for attempt in range(_ROUNDS)]
    following = tried.index(mapping.external_id) + 1 if mapping.external_id in tried else 0
    if following >= _ROUNDS:
        raise Unmappable("Every id that could be chosen is taken.", code="ids_exhausted")
    await mappings.rename(hub.pool, mapping.id, tried[following])


async def _finish(hub: Hub, task: Task, view: View, *, forget: bool) -> None:
    async with transaction(hub.pool) as connection:
        mapping, event = view.mapping, view.event
        if mapping and forget:
            await mappings.lock(connection, [mapping.id])
            if not await queue.holds_lease(connection, task):
                return
            await mappings.settle_deleted(connection, [mapping.id])
        if mapping and event and view.wanted and mapping.status in ("synced", "failed"):
            await mappings.settle_version(connection, mapping.id, event.version)
        await _note_told(connection, view)
        await queue.complete(connection, task)
        if task.event_id:
            await events.announce(connection, task.user_id, [task.event_id])


async def _note_told(connection: Connection, view: View) -> None:
    """The wishes to tell guests went along with this push; later ones do not repeat them."""
    if view.event is not None and wished(view.event, view.mapping) != "none":
        await mappings.note_told(connection, view.event.id, view.calendar.id, view.event.version)


def _deed(view: View, task: Task, action: str, units: frozenset[str] = frozenset()) -> trail.Deed:
    return trail.Deed(
        user_id=task.user_id,
        action=action,
        source="app",
        connection_id=view.calendar.connection_id,
        calendar_id=view.calendar.id,
        event_id=task.event_id,
        detail={"units": sorted(units), "attempt": task.attempts},
        duration_ms=(datetime.now(UTC) - task.asked_at).total_seconds() * 1000,
    )
