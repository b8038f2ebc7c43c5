"""An event that its user moved to another calendar at the provider is moved here, not made anew.

A feed tells of it as a deletion in one calendar and something new in another, in either order.
Before a page is settled, what could be one half of a move is looked for on the other side; where it
is one, the mapping moves along with the event, and both pages find it where it is now.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync_service.engine.hub import Hub
from sync_service.errors import ContainerGone, Forbidden, Retryable, Unmappable
from sync_service.providers.base import ChangePage, RemoteEvent, RemovedEvent, Session
from sync_service.store import moves, queue, trail
from sync_service.store.calendars import Calendar
from sync_service.store.moves import Suspect
from sync_service.store.pool import mark_origin, transaction
from sync_service.store.queue import Task

_LOOKS = 25
"""How many remote copies the deletions of a page are worth. A move that is not looked for arrives
as a deletion first; the event comes back, the same row, with the page that shows it elsewhere."""
_ARRIVALS = 200
"""How many arrivals of one page are looked for where they were known, which few are."""


@dataclass(frozen=True)
class _Move:
    suspect: Suspect
    remote: RemoteEvent


async def follow(
    hub: Hub, task: Task, session: Session, calendar: Calendar, changes: ChangePage
) -> None:
    """Move the events whose moves *changes*, a page of *calendar*, tells one half of.

    Raises `Retryable` while one of them is being pushed.
    """
    arrived = {
        change.external_id: change for change in changes.changes if isinstance(change, RemoteEvent)
    }
    removed = [change.external_id for change in changes.changes if isinstance(change, RemovedEvent)]
    found: list[_Move] = []
    if arrived:
        came = await moves.came_from(hub.pool, calendar.id, list(arrived))
        found += await _still_there(session, came, arrived)
    if removed:
        went = await moves.may_have_gone_to(hub.pool, calendar.id, removed, _LOOKS)
        found += await _there_instead(session, went)
    for move in found:
        await _carry_out(hub, task, calendar, move)


async def look_elsewhere(
    hub: Hub, task: Task, session: Session, calendar: Calendar, external_id: str
) -> None:
    """Move an event that a push found gone from *calendar*, should it be in another one."""
    went = await moves.may_have_gone_to(hub.pool, calendar.id, [external_id], _LOOKS)
    for move in await _there_instead(session, went):
        await _carry_out(hub, task, calendar, move)


async def _still_there(
    session: Session, came: list[Suspect], arrived: dict[str, RemoteEvent]
) -> list[_Move]:
    """Return those that are no longer where we know them to be."""
    found: list[_Move] = []
    looks = 0
    for suspect in came:
        remote = arrived[suspect.external_id]
        if remote.ical_uid is None or remote.ical_uid != suspect.ical_uid:
            continue
        looks += not suspect.deleted
        if suspect.deleted or (
            looks <= _ARRIVALS and await _read(session, suspect, suspect.source_ref) is None
        ):
            found.append(_Move(suspect, remote))
    return found


async def _there_instead(session: Session, went: list[Suspect]) -> list[_Move]:
    """Return those that are found in another calendar of the account."""
    found: dict[str, _Move] = {}
    for suspect in went:
        if suspect.external_id in found:
            continue
        remote = await _read(session, suspect, suspect.target_ref)
        if isinstance(remote, RemoteEvent) and remote.ical_uid == suspect.ical_uid:
            found[suspect.external_id] = _Move(suspect, remote)
    return list(found.values())


async def _read(session: Session, suspect: Suspect, ref: str) -> RemoteEvent | bool | None:
    """Return the copy, None when there is none, True when that cannot be said."""
    try:
        return await session.get(suspect.ref(ref), suspect.external_id)
    except (ContainerGone, Forbidden, Unmappable):
        return True


async def _carry_out(hub: Hub, task: Task, calendar: Calendar, move: _Move) -> None:
    suspect = move.suspect
    async with transaction(hub.pool) as connection:
        await mark_origin(connection, suspect.target_id, calendar.provider)
        busy = await moves.lock(connection, suspect, task.id)
        if busy is None:
            return
        if busy:
            raise Retryable("An event is being pushed while it moves.", code="event_busy")
        if not await queue.holds_lease(connection, task):
            return
        await moves.carry_out(connection, suspect)
        await trail.audit(
            connection,
            [
                trail.Deed(
                    user_id=calendar.user_id,
                    action="event.moved",
                    source=calendar.provider,
                    connection_id=calendar.connection_id,
                    calendar_id=suspect.target_id,
                    event_id=suspect.event_id,
                    detail={"from": str(suspect.source_id)},
                )
            ],
        )
        # What was edited here meanwhile goes to where the event is now.
        await queue.enqueue_pushes(
            connection, [(calendar.user_id, suspect.event_id, suspect.target_id, "moved")]
        )
        await queue.request_pulls(connection, [suspect.other_than(calendar.id)], "moved")
