"""Brings remote versions of events together with ours, in the caller's transaction.

Pages of a feed, answers to our own writes and single reads all end here: lock the events, then
their mappings; let `core.plan` decide on three versions; write everything in a few set-based
statements. The base afterwards is what the remote side holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from sync_service.core import plan as planning
from sync_service.core.event import Content
from sync_service.core.merge import equal, with_landed
from sync_service.core.occurrence import plain
from sync_service.core.plan import Plan
from sync_service.engine import holdings
from sync_service.engine.arrivals import Arrival, Feed, Settled, Writes
from sync_service.engine.holdings import Holdings
from sync_service.engine.records import agreement, agreement_gone, conflict, new_mapping
from sync_service.engine.sending import held_units
from sync_service.engine.writing import write
from sync_service.providers.base import Capabilities, OccurrenceRef, Provider, RemoteEvent
from sync_service.store import queue
from sync_service.store.calendars import Calendar
from sync_service.store.events import EventRow, NewEvent
from sync_service.store.mappings import Mapping
from sync_service.store.pool import Connection, mark_origin
from sync_service.store.queue import Task

_ID_ATTEMPTS = 4


async def settle(
    connection: Connection,
    provider: Provider,
    calendar: Calendar,
    arrivals: Sequence[Arrival],
    *,
    task: Task,
    feed: Feed | None = None,
    looked: int | None = None,
) -> Settled | None:
    """Settle *arrivals* of *calendar*; the transaction's changes are marked as coming from it.

    *looked* says that they were read one by one just now, under the lease of their push, and which
    generation its row had before: what was asked for since may know something newer. Nothing is
    written, and None answered, when *task* is no longer ours. Its row is locked after the events,
    in the order in which a user's own write locks them.
    """
    await mark_origin(connection, calendar.id, calendar.provider)
    held = await holdings.lock(connection, calendar, arrivals, feed)
    generation = await queue.held_generation(connection, task)
    if generation is None:
        return None
    late = looked is not None and generation > looked
    settlement = _Settlement(provider, calendar, feed, held, looked=looked is not None, late=late)
    # A series is settled before its occurrences, in whatever order they came.
    for arrival in sorted(arrivals, key=lambda arrival: arrival.occurrence is not None):
        settlement.decide(arrival)
    return await write(connection, calendar, settlement.writes, feed.pass_id if feed else None)


class _Settlement:
    """One call of `settle`: what is held, and what is decided on it."""

    def __init__(
        self,
        provider: Provider,
        calendar: Calendar,
        feed: Feed | None,
        held: Holdings,
        *,
        looked: bool,
        late: bool,
    ) -> None:
        self._provider = provider
        self._calendar = calendar
        self._capabilities: Capabilities = provider.capabilities(calendar.access_role)
        self._feed = feed
        self._looked = looked
        self._late = late
        self._held = held
        self._agreed: dict[str, tuple[UUID, Content]] = {}
        self.writes = Writes()

    def decide(self, arrival: Arrival) -> None:
        """Decide what follows from one arrival."""
        mapping = self._held.mappings.get(arrival.external_id)
        if mapping is None:
            if arrival.occurrence is not None:
                self._meet_occurrence(arrival, arrival.occurrence)
            elif arrival.remote is not None:
                self._meet(arrival.remote)
            return
        local = self._held.events.get(mapping.event_id)
        if local and arrival.occurrence and not self._stands_for(local, arrival.occurrence):
            return
        if self._feed:
            if self._feed.pass_id is not None:
                if arrival.remote is None:
                    return  # The end of the pass asks about everything that it did not see alive.
                self.writes.seen.append(mapping.id)
            if self._is_old_news(mapping, local, arrival.remote):
                return
        if self._late and mapping.stale:
            self.writes.look_again.append(mapping.id)
        self._compare(mapping, local, arrival)

    def _is_old_news(
        self, mapping: Mapping, local: EventRow | None, remote: RemoteEvent | None
    ) -> bool:
        """Pass over echoes and stale copies; have doubtful ones read once more."""
        assert self._feed is not None  # noqa: S101  # only pages of a feed can be old
        if mapping.status == "conflict":
            return True
        if remote is None and mapping.status == "deleted":
            return True
        # A whole listing knows better than our tombstone; a page of changes may have been late.
        if remote is not None and (mapping.status != "deleted" or self._feed.pass_id is None):
            if remote.etag is not None and remote.etag == mapping.etag:
                return True
            if (
                remote.modified_at is not None
                and mapping.external_updated_at is not None
                and remote.modified_at < mapping.external_updated_at
            ):
                return True
        pushing = mapping.event_id in self._held.pushing
        if (
            pushing
            and remote is not None
            and local is not None
            and local.live
            and equal(local.content, remote.content, self._units(local))
        ):
            return True
        newer = mapping.last_synced_at is not None and mapping.last_synced_at >= self._feed.asked_at
        if pushing or newer:
            self.writes.look_again.append(mapping.id)
            self.writes.pushes[mapping.event_id] = "look_again"
            return True
        return False

    def _meet(self, remote: RemoteEvent) -> None:
        """A remote event that we do not know: our own with its mapping lost, or a new one."""
        if self._calendar.direction == "push":
            return
        known = self._made_by_us(remote) or self._twin(remote)
        if known is not None:
            self._held.taken.add(known.id)
            mapping = new_mapping(self._calendar, known.id, remote.external_id)
            self._compare(mapping, known, Arrival(remote.external_id, remote))
            return
        content = remote.content
        if self._feed and content.end <= self._feed.since and not content.recurrence:
            return
        event_id = uuid4()
        mapping = new_mapping(self._calendar, event_id, remote.external_id)
        self.writes.inserts.append(
            NewEvent(
                event_id,
                self._calendar.user_id,
                self._calendar.id,
                content,
                remote.ical_uid,
                remote.kind,
            )
        )
        self._agree(mapping, remote, version=1)

    def _meet_occurrence(self, arrival: Arrival, place: OccurrenceRef) -> None:
        """An occurrence that differs, or does not take place, and that we do not know yet."""
        if self._calendar.direction == "push" and not self._looked:
            return
        series = self._series_of(place)
        if series is None:
            return
        series_id, content = series
        usual = plain(content, place.original_start)
        event_id = self._held.exceptions.get((series_id, place.original_start))
        if event_id is not None:
            if event_id not in self._held.taken:
                # What both sides started from is the occurrence as the series has it.
                mapping = new_mapping(
                    self._calendar, event_id, arrival.external_id, base=usual, occurrence=place
                )
                self._compare(mapping, self._held.events.get(event_id), arrival)
            return
        event_id = uuid4()
        mapping = new_mapping(
            self._calendar, event_id, arrival.external_id, base=usual, occurrence=place
        )
        remote = arrival.remote
        self.writes.inserts.append(
            NewEvent(
                event_id,
                self._calendar.user_id,
                self._calendar.id,
                remote.content if remote else usual,
                series_id=series_id,
                original_start=place.original_start,
                deleted=remote is None,
            )
        )
        if remote is None:
            self.writes.agreements.append(agreement_gone(self._calendar, mapping))
        else:
            self._agree(mapping, remote, version=1)

    def _series_of(self, place: OccurrenceRef) -> tuple[UUID, Content] | None:
        """Return the event that is the series, and what the remote side says of it."""
        if place.series in self._agreed:
            return self._agreed[place.series]
        mapping = self._held.mappings.get(place.series)
        if mapping is None or mapping.status == "deleted":
            return None
        event = self._held.events.get(mapping.event_id)
        content = mapping.base or (event.content if event else None)
        return (mapping.event_id, content) if event and content else None

    def _stands_for(self, local: EventRow, place: OccurrenceRef) -> bool:
        """Whether a row is still about this occurrence; a series that was split took it along."""
        series = self._series_of(place)
        return local.original_start == place.original_start and (
            series is None or series[0] == local.series_id
        )

    def _made_by_us(self, remote: RemoteEvent) -> EventRow | None:
        """Return the event that our note names, where the remote id is one that we would choose.

        A mapping's id is never taken from the note: whoever reads a calendar can forge one.
        """
        mark = remote.mark
        if mark is None or mark.event_id in self._held.taken:
            return None
        ids = (
            self._provider.new_external_id(mark.mapping_id, attempt)
            for attempt in range(_ID_ATTEMPTS)
        )
        return self._held.events.get(mark.event_id) if remote.external_id in ids else None

    def _twin(self, remote: RemoteEvent) -> EventRow | None:
        """Return the event of ours that this is: by its iCalendar id, or as both say the same."""
        free = [
            event
            for event in (self._held.events[event_id] for event_id in self._held.candidates)
            if event.live and event.id not in self._held.taken
        ]
        by_uid = (event for event in free if remote.ical_uid and event.ical_uid == remote.ical_uid)
        alike = (
            event for event in free if equal(event.content, remote.content, self._units(event))
        )
        return next(by_uid, None) or next(alike, None)

    def _compare(self, mapping: Mapping, local: EventRow | None, arrival: Arrival) -> None:
        remote = arrival.remote
        ours = local.content if local is not None and local.live else None
        base = arrival.base or mapping.base
        units = self._units(local)
        intent = None if arrival.base else mapping.intent
        gone_by_us = remote is None and intent is not None and intent.content is None
        if mapping.status == "deleted" and ours is None and arrival.base is None:
            base = None  # Both sides agreed that it is gone: what is there now is the only version.
        if remote and intent and intent.content:
            base = with_landed(base, intent.content, remote.content, units)
        decided = planning.plan(
            base,
            ours,
            remote.content if remote else None,
            units,
            prefer=self._calendar.prefers(
                local.updated_at if local else self._calendar.read_at,
                remote.modified_at if remote else None,
            ),
        )
        if mapping.status == "deleted" and ours is None:
            decided = Plan(decided.local, decided.push)
        if gone_by_us:
            # Our own deletion arrived; an event that lives again here is made anew there.
            decided = Plan("keep", push=ours is not None)
        decided = self._within_direction(decided, ours, remote, units)
        if decided.clash is not None:
            self.writes.conflicts.append(
                conflict(
                    self._calendar,
                    mapping,
                    decided.clash,
                    base,
                    ours,
                    remote.content if remote else None,
                )
            )
            if self._calendar.conflict_policy == "manual":
                self.writes.parked.append(mapping.id)
                return
        self._apply(mapping, local, decided, remote)

    def _within_direction(
        self,
        decided: Plan,
        ours: Content | None,
        remote: RemoteEvent | None,
        units: frozenset[str],
    ) -> Plan:
        if self._calendar.direction == "push":
            same = (
                ours is None
                if remote is None
                else ours is not None and equal(ours, remote.content, units)
            )
            return Plan("keep", push=not same)
        if self._calendar.direction == "pull":
            return Plan(decided.local, push=False, clash=decided.clash)
        return decided

    def _apply(
        self, mapping: Mapping, local: EventRow | None, decided: Plan, remote: RemoteEvent | None
    ) -> None:
        writes = self.writes
        event_id = mapping.event_id
        if isinstance(decided.local, Content):
            if local is None:
                writes.inserts.append(
                    NewEvent(event_id, mapping.user_id, self._calendar.id, decided.local)
                )
            else:
                writes.updates[event_id] = decided.local
        elif decided.local == "delete":
            writes.deletes.append(event_id)
        if remote is None and mapping.external_id in self._held.mappings:
            writes.tombstones.append(mapping.id)
        elif remote is None:
            self.writes.agreements.append(agreement_gone(self._calendar, mapping))
        else:
            self._agree(mapping, remote, version=local.version if local else None)
        if decided.push and not self._looked:
            # Whoever looked goes on to push by itself; asking anew would undo its giving up.
            writes.pushes[event_id] = "merged"

    def _agree(self, mapping: Mapping, remote: RemoteEvent, *, version: int | None) -> None:
        unlisted = mapping.unlisted and not self._feed and not self._looked
        if unlisted:
            self.writes.pushes[mapping.event_id] = "look_again"
        self._agreed[mapping.external_id] = (mapping.event_id, remote.content)
        units = self._capabilities.units
        if remote.content.recurrence and mapping.event_id in self._held.events:
            changed = mapping.base is None or not equal(mapping.base, remote.content, units)
            if changed or mapping.status != "synced":
                self.writes.series.append(mapping.event_id)
        self.writes.agreements.append(
            agreement(
                self._calendar,
                mapping,
                remote,
                units,
                version=version,
                stale=unlisted or (mapping.stale and not self._looked),
                pass_id=self._feed.pass_id if self._feed else None,
            )
        )

    def _units(self, event: EventRow | None) -> frozenset[str]:
        home = event.calendar_id if event else self._calendar.id
        return held_units(self._calendar, self._capabilities, home)
