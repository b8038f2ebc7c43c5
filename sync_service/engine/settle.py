"""Brings remote versions of events together with ours, in the caller's transaction.

Pages of a feed, answers to our own writes and single reads all end here: lock the events, then
their mappings; let `core.plan` decide on three versions; write everything in a few set-based
statements. The base afterwards is what the remote side holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sync_service.core import plan as planning
from sync_service.core.event import Content, to_json
from sync_service.core.fingerprint import fingerprint
from sync_service.core.merge import equal, with_landed
from sync_service.core.occurrence import plain
from sync_service.core.plan import Plan
from sync_service.engine.arrivals import Arrival, Feed, Settled, Writes
from sync_service.engine.sending import held_units
from sync_service.providers.base import Capabilities, OccurrenceRef, Provider, RemoteEvent
from sync_service.store import events, mappings, queue, trail
from sync_service.store.calendars import Calendar
from sync_service.store.events import EventRow, NewEvent
from sync_service.store.mappings import Agreement, Mapping
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
    settlement = _Settlement(provider, calendar, feed, looked=looked is not None)
    await settlement.load(connection, arrivals)
    generation = await queue.held_generation(connection, task)
    if generation is None:
        return None
    settlement.late = looked is not None and generation > looked
    # A series is settled before its occurrences, in whatever order they came.
    for arrival in sorted(arrivals, key=lambda arrival: arrival.occurrence is not None):
        settlement.decide(arrival)
    return await settlement.write(connection)


class _Settlement:
    """One call of `settle`: what was locked, what is decided, what is written."""

    def __init__(
        self, provider: Provider, calendar: Calendar, feed: Feed | None, *, looked: bool
    ) -> None:
        self._provider = provider
        self._calendar = calendar
        self._capabilities: Capabilities = provider.capabilities(calendar.access_role)
        self._feed = feed
        self._looked = looked
        self.late = False
        self._events: dict[UUID, EventRow] = {}
        self._mappings: dict[str, Mapping] = {}
        self._pushing: set[UUID] = set()
        self._taken: set[UUID] = set()
        self._exceptions: dict[tuple[UUID, datetime], UUID] = {}
        self._agreed: dict[str, tuple[UUID, Content]] = {}
        self._candidates: list[UUID] = []
        self._writes = Writes()

    async def load(self, connection: Connection, arrivals: Sequence[Arrival]) -> None:
        """Lock what the arrivals are about: events first, then mappings, each by id."""
        calendar_id = self._calendar.id
        places = [arrival.occurrence for arrival in arrivals if arrival.occurrence]
        pairs = await mappings.find(
            connection,
            calendar_id,
            [
                *(arrival.external_id for arrival in arrivals),
                *{place.series for place in places},
            ],
        )
        events_of = {external_id: event_id for _, event_id, external_id in pairs}
        self._exceptions = await events.exceptions(
            connection,
            [
                (events_of[place.series], place.original_start)
                for place in places
                if place.series in events_of
            ],
        )
        marked = await events.owned(
            connection,
            self._calendar.user_id,
            [
                arrival.remote.mark.event_id
                for arrival in arrivals
                if arrival.remote and arrival.remote.mark
            ],
        )
        known = {external_id for _, _, external_id in pairs}
        unknown = [
            arrival.remote
            for arrival in arrivals
            if arrival.remote and arrival.external_id not in known
        ]
        candidates = await events.adoptable(
            connection,
            calendar_id,
            self._calendar.user_id,
            starts=[remote.content.start for remote in unknown],
            ical_uids=[remote.ical_uid for remote in unknown if remote.ical_uid],
        )
        event_ids = {event_id for _, event_id, _ in pairs} | marked
        event_ids |= {event.id for event in candidates} | {*self._exceptions.values()}
        self._events = await events.lock(connection, event_ids)
        self._candidates = [event.id for event in candidates if event.id in self._events]
        locked = await mappings.lock(connection, [mapping_id for mapping_id, _, _ in pairs])
        self._mappings = {mapping.external_id: mapping for mapping in locked}
        self._taken = await mappings.taken_events(connection, calendar_id, list(event_ids))
        if self._feed:
            self._pushing = await mappings.in_flight(connection, calendar_id, list(event_ids))

    def decide(self, arrival: Arrival) -> None:
        """Decide what follows from one arrival."""
        mapping = self._mappings.get(arrival.external_id)
        if mapping is None:
            if arrival.occurrence is not None:
                self._meet_occurrence(arrival, arrival.occurrence)
            elif arrival.remote is not None:
                self._meet(arrival.remote)
            return
        local = self._events.get(mapping.event_id)
        if local and arrival.occurrence and not self._stands_for(local, arrival.occurrence):
            return
        if self._feed:
            if self._feed.pass_id is not None and arrival.remote is None:
                return  # The end of the pass asks about everything that it did not see alive.
            if self._feed.pass_id is not None and arrival.remote is not None:
                self._writes.seen.append(mapping.id)
            if self._is_old_news(mapping, local, arrival.remote):
                return
        if self.late and mapping.stale:
            self._writes.look_again.append(mapping.id)
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
        pushing = mapping.event_id in self._pushing
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
            self._writes.look_again.append(mapping.id)
            self._writes.pushes[mapping.event_id] = "look_again"
            return True
        return False

    def _meet(self, remote: RemoteEvent) -> None:
        """A remote event that we do not know: our own with its mapping lost, or a new one.

        A mapping's id is never taken from the note: whoever reads a calendar can forge one.
        """
        if self._calendar.direction == "push":
            return
        mark = remote.mark
        if mark is not None and mark.event_id in self._events and mark.event_id not in self._taken:
            ids = (
                self._provider.new_external_id(mark.mapping_id, attempt)
                for attempt in range(_ID_ATTEMPTS)
            )
            if remote.external_id in ids:
                self._taken.add(mark.event_id)
                mapping = self._new_mapping(uuid4(), mark.event_id, remote.external_id)
                self._compare(
                    mapping, self._events[mark.event_id], Arrival(remote.external_id, remote)
                )
                return
        content = remote.content
        twin = self._twin(remote)
        if twin is not None:
            self._taken.add(twin.id)
            mapping = self._new_mapping(uuid4(), twin.id, remote.external_id)
            self._compare(mapping, twin, Arrival(remote.external_id, remote))
            return
        if self._feed and content.end <= self._feed.since and not content.recurrence:
            return
        event_id = uuid4()
        mapping = self._new_mapping(uuid4(), event_id, remote.external_id)
        self._writes.inserts.append(
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
        event_id = self._exceptions.get((series_id, place.original_start))
        if event_id is not None:
            if event_id not in self._taken:
                mapping = replace(
                    # What both sides started from is the occurrence as the series has it.
                    self._new_mapping(uuid4(), event_id, arrival.external_id),
                    base=usual,
                    occurrence=place,
                )
                self._compare(mapping, self._events.get(event_id), arrival)
            return
        event_id = uuid4()
        mapping = self._new_mapping(uuid4(), event_id, arrival.external_id)
        mapping = replace(mapping, base=usual, occurrence=place)
        remote = arrival.remote
        self._writes.inserts.append(
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
            self._agree_gone(mapping)
        else:
            self._agree(mapping, remote, version=1)

    def _series_of(self, place: OccurrenceRef) -> tuple[UUID, Content] | None:
        """Return the event that is the series, and what the remote side says of it."""
        if place.series in self._agreed:
            return self._agreed[place.series]
        mapping = self._mappings.get(place.series)
        if mapping is None or mapping.status == "deleted":
            return None
        event = self._events.get(mapping.event_id)
        content = mapping.base or (event.content if event else None)
        return (mapping.event_id, content) if event and content else None

    def _stands_for(self, local: EventRow, place: OccurrenceRef) -> bool:
        """Whether a row is still about this occurrence; a series that was split took it along."""
        series = self._series_of(place)
        return local.original_start == place.original_start and (
            series is None or series[0] == local.series_id
        )

    def _twin(self, remote: RemoteEvent) -> EventRow | None:
        """Return the event of ours that this is: by its iCalendar id, or as both say the same."""
        free = [
            event
            for event in (self._events[event_id] for event_id in self._candidates)
            if event.live and event.id not in self._taken
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
            self._record(mapping, decided, base, ours, remote)
            if self._calendar.conflict_policy == "manual":
                self._writes.parked.append(mapping.id)
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
        writes = self._writes
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
        if remote is None and mapping.external_id in self._mappings:
            writes.tombstones.append(mapping.id)
        elif remote is None:
            self._agree_gone(mapping)
        else:
            self._agree(mapping, remote, version=local.version if local else None)
        if decided.push and not self._looked:
            # Whoever looked goes on to push by itself; asking anew would undo its giving up.
            writes.pushes[event_id] = "merged"

    def _agree(self, mapping: Mapping, remote: RemoteEvent, *, version: int | None) -> None:
        pass_id = self._feed.pass_id if self._feed else None
        unlisted = mapping.unlisted and not self._feed and not self._looked
        if unlisted:
            self._writes.pushes[mapping.event_id] = "look_again"
        self._agreed[mapping.external_id] = (mapping.event_id, remote.content)
        print_now = fingerprint(remote.content, self._capabilities.units)
        if remote.content.recurrence and mapping.event_id in self._events:
            was = mapping.base and fingerprint(mapping.base, self._capabilities.units)
            if mapping.status != "synced" or was != print_now:
                self._writes.series.append(mapping.event_id)
        self._writes.agreements.append(
            Agreement(
                id=mapping.id,
                user_id=mapping.user_id,
                event_id=mapping.event_id,
                calendar_id=mapping.calendar_id,
                external_id=mapping.external_id,
                ical_uid=remote.ical_uid,
                html_link=remote.html_link,
                etag=remote.etag,
                external_updated_at=remote.modified_at,
                base=to_json(remote.content),
                fingerprint=print_now,
                event_version=version,
                sync_source=self._calendar.provider if mapping.base is None else "app",
                status="synced",
                stale=unlisted or (mapping.stale and not self._looked),
                seen_pass=pass_id,
                provider_data=remote.data | _provider_data(remote.read_only, remote.occurrence),
            )
        )

    def _agree_gone(self, mapping: Mapping) -> None:
        """Keep in mind that an occurrence does not take place, though no copy of it was known."""
        self._writes.agreements.append(
            Agreement(
                id=mapping.id,
                user_id=mapping.user_id,
                event_id=mapping.event_id,
                calendar_id=mapping.calendar_id,
                external_id=mapping.external_id,
                ical_uid=None,
                html_link=None,
                etag=None,
                external_updated_at=None,
                base=to_json(mapping.base) if mapping.base else None,
                fingerprint=None,
                event_version=None,
                sync_source=self._calendar.provider,
                status="deleted",
                provider_data=_provider_data(None, mapping.occurrence),
            )
        )

    def _record(
        self,
        mapping: Mapping,
        decided: Plan,
        base: Content | None,
        ours: Content | None,
        remote: RemoteEvent | None,
    ) -> None:
        assert decided.clash is not None  # noqa: S101  # callers asked
        self._writes.conflicts.append(
            trail.Conflict(
                user_id=mapping.user_id,
                event_id=mapping.event_id,
                calendar_id=mapping.calendar_id,
                fields=decided.clash.units,
                base=to_json(base) if base else None,
                local=to_json(ours) if ours else None,
                remote=to_json(remote.content) if remote else None,
                policy=self._calendar.conflict_policy,
                winner=None if self._calendar.conflict_policy == "manual" else decided.clash.winner,
            )
        )

    def _new_mapping(self, mapping_id: UUID, event_id: UUID, external_id: str) -> Mapping:
        return Mapping(
            id=mapping_id,
            user_id=self._calendar.user_id,
            event_id=event_id,
            calendar_id=self._calendar.id,
            external_id=external_id,
            etag=None,
            external_updated_at=None,
            base=None,
            event_version=None,
            status="pending",
            stale=False,
            intent=None,
            last_synced_at=None,
            read_only=None,
        )

    def _units(self, event: EventRow | None) -> frozenset[str]:
        home = event.calendar_id if event else self._calendar.id
        return held_units(self._calendar, self._capabilities, home)

    async def write(self, connection: Connection) -> Settled:
        """Write everything that was decided."""
        writes = self._writes
        versions = await events.insert(connection, writes.inserts)
        versions |= await events.update(connection, writes.updates)
        versions |= await events.delete(connection, writes.deletes)
        await mappings.agree(
            connection,
            [
                replace(
                    agreement,
                    event_version=versions.get(agreement.event_id, agreement.event_version),
                )
                for agreement in writes.agreements
            ],
        )
        await mappings.settle_deleted(connection, writes.tombstones)
        await mappings.settle_series_deleted(connection, self._calendar.id, writes.deletes)
        await events.follow_series(
            connection,
            self._calendar.id,
            writes.series,
            known={agreement.event_id for agreement in writes.agreements},
        )
        await mappings.look_again(connection, writes.look_again)
        await mappings.park(connection, writes.parked)
        if self._feed and self._feed.pass_id:
            await mappings.mark_seen(connection, writes.seen, self._feed.pass_id)
        await trail.record_conflicts(connection, writes.conflicts)
        calendar = self._calendar
        await queue.enqueue_pushes(
            connection,
            [
                (calendar.user_id, event_id, calendar.id, reason)
                for event_id, reason in writes.pushes.items()
            ],
        )
        settled = Settled(
            created=[event.id for event in writes.inserts],
            updated=list(writes.updates),
            deleted=writes.deletes,
            conflicts=len(writes.conflicts),
        )
        await events.announce(connection, calendar.user_id, settled.touched)
        return settled


def _provider_data(read_only: str | None, occurrence: OccurrenceRef | None) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if read_only:
        data["read_only"] = read_only
    if occurrence:
        data["occurrence"] = {
            "series": occurrence.series,
            "original_start": occurrence.original_start.isoformat(),
        }
    return data
