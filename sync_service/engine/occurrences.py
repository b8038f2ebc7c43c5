"""What sets single occurrences of a series apart from events of their own.

Their series has to be known before them, whatever the order in which a feed names the two; and
their remote copies need not be made: a series has all of its occurrences, one has only to be found.
"""

from __future__ import annotations

from collections.abc import Sequence

from sync_service.engine.arrivals import Arrival
from sync_service.engine.hub import Hub
from sync_service.engine.sending import wished
from sync_service.engine.settle import settle
from sync_service.engine.steps import View, place_of
from sync_service.errors import Unmappable
from sync_service.providers.base import RemoteEvent, RemovedEvent, Session
from sync_service.store import events, mappings, queue
from sync_service.store.calendars import Calendar
from sync_service.store.pool import transaction
from sync_service.store.queue import Task

_READS_PER_LEASE = 20


async def missing_series(
    hub: Hub, task: Task, session: Session, calendar: Calendar, arrivals: Sequence[Arrival]
) -> list[Arrival]:
    """Read the series of occurrences among *arrivals* that neither came with them nor are known."""
    wanted = {arrival.occurrence.series for arrival in arrivals if arrival.occurrence}
    wanted -= {arrival.external_id for arrival in arrivals}
    if not wanted:
        return []
    known = await mappings.find(hub.pool, calendar.id, list(wanted))
    found: list[Arrival] = []
    for number, external_id in enumerate(sorted(wanted - {each for _, _, each in known}), 1):
        try:
            remote = await session.get(calendar.ref, external_id)
        except Unmappable:
            continue
        if remote is not None:
            found.append(Arrival(external_id, remote))
        if number % _READS_PER_LEASE == 0:
            await queue.extend_lease(hub.pool, task, hub.settings.lease_seconds)
    return found


async def pair(hub: Hub, task: Task, session: Session, view: View) -> bool:
    """Find the remote copy of the occurrence that the event stands for, and settle the two.

    One that does not take place there but shall is made to. Answers False where there is nothing to
    be found: a cancelled occurrence never was there. Raises `Unmappable` when the series has no
    occurrence at that time.
    """
    event, series = view.event, view.series
    assert event is not None and series is not None  # noqa: S101  # see next_step
    place = place_of(view, series)
    assert place is not None  # noqa: S101  # see next_step
    reference = view.calendar.ref
    remote = await session.occurrence(
        reference, place.series, place.original_start, all_day=series.event.content.all_day
    )
    if remote is None:
        if view.wanted:
            raise Unmappable(
                f"The series does not take place at {place.original_start.isoformat()}.",
                code="no_such_occurrence",
            )
        return False
    known = view.mapping is not None and view.mapping.occurrence == place
    if isinstance(remote, RemovedEvent) and known and view.wanted:
        remote = await session.revive_occurrence(
            reference, remote.external_id, notify=wished(event, view.mapping)
        )
    found = remote if isinstance(remote, RemoteEvent) else None
    arrival = Arrival(remote.external_id, found, cancelled=None if found else place)
    provider = hub.providers[view.calendar.provider]
    async with transaction(hub.pool) as connection:
        if view.mapping is not None and not known:
            # It stood for another occurrence; events are locked before mappings.
            await events.lock(connection, [event.id, series.event.id])
            await mappings.forget(connection, view.mapping.id)
        await settle(
            connection, provider, view.calendar, [arrival], task=task, looked=view.generation
        )
    return True
