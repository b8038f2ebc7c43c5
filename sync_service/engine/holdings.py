"""What we hold of the events that arrivals are about: locked before anything is decided on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sync_service.engine.arrivals import Arrival, Feed
from sync_service.store import events, mappings
from sync_service.store.calendars import Calendar
from sync_service.store.events import EventRow
from sync_service.store.mappings import Mapping
from sync_service.store.pool import Connection


@dataclass
class Holdings:
    """Locked rows, and what hangs on them.

    *mappings* go by remote id. *candidates* may be the same events as ones that are not mapped,
    *taken* have a copy in the calendar, *pushing* are being written there by a worker just now.
    *exceptions* are the rows of occurrences by (series, original start).
    """

    events: dict[UUID, EventRow] = field(default_factory=dict[UUID, EventRow])
    mappings: dict[str, Mapping] = field(default_factory=dict[str, Mapping])
    candidates: list[UUID] = field(default_factory=list[UUID])
    taken: set[UUID] = field(default_factory=set[UUID])
    pushing: set[UUID] = field(default_factory=set[UUID])
    exceptions: dict[tuple[UUID, datetime], UUID] = field(
        default_factory=dict[tuple[UUID, datetime], UUID]
    )


async def lock(
    connection: Connection, calendar: Calendar, arrivals: Sequence[Arrival], feed: Feed | None
) -> Holdings:
    """Lock what the arrivals are about: events first, then mappings, each by id."""
    places = [arrival.occurrence for arrival in arrivals if arrival.occurrence]
    pairs = await mappings.find(
        connection,
        calendar.id,
        [*(arrival.external_id for arrival in arrivals), *{place.series for place in places}],
    )
    events_of = {external_id: event_id for _, event_id, external_id in pairs}
    exceptions = await events.exceptions(
        connection,
        [
            (events_of[place.series], place.original_start)
            for place in places
            if place.series in events_of
        ],
    )
    marked = await events.owned(
        connection,
        calendar.user_id,
        [
            arrival.remote.mark.event_id
            for arrival in arrivals
            if arrival.remote and arrival.remote.mark
        ],
    )
    unknown = [
        arrival.remote
        for arrival in arrivals
        if arrival.remote and arrival.external_id not in events_of
    ]
    candidates = await events.adoptable(
        connection,
        calendar.id,
        calendar.user_id,
        starts=[remote.content.start for remote in unknown],
        ical_uids=[remote.ical_uid for remote in unknown if remote.ical_uid],
    )
    event_ids = {event_id for _, event_id, _ in pairs} | marked
    event_ids |= {event.id for event in candidates} | {*exceptions.values()}
    held = await events.lock(connection, event_ids)
    locked = await mappings.lock(connection, [mapping_id for mapping_id, _, _ in pairs])
    return Holdings(
        events=held,
        mappings={mapping.external_id: mapping for mapping in locked},
        candidates=[event.id for event in candidates if event.id in held],
        taken=await mappings.taken_events(connection, calendar.id, list(event_ids)),
        pushing=await mappings.in_flight(connection, calendar.id, list(event_ids))
        if feed
        else set(),
        exceptions=exceptions,
    )
