"""What is put on record about a remote event: its mapping, the agreement on it, a conflict."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from sync_service.core.event import Content, to_json
from sync_service.core.fingerprint import fingerprint
from sync_service.core.plan import Clash
from sync_service.providers.base import OccurrenceRef, RemoteEvent
from sync_service.store import trail
from sync_service.store.calendars import Calendar
from sync_service.store.mappings import Agreement, Mapping


def new_mapping(
    calendar: Calendar,
    event_id: UUID,
    external_id: str,
    *,
    base: Content | None = None,
    occurrence: OccurrenceRef | None = None,
) -> Mapping:
    """Return the mapping of a remote event that we meet for the first time."""
    return Mapping(
        id=uuid4(),
        user_id=calendar.user_id,
        event_id=event_id,
        calendar_id=calendar.id,
        external_id=external_id,
        etag=None,
        external_updated_at=None,
        base=base,
        event_version=None,
        status="pending",
        stale=False,
        intent=None,
        last_synced_at=None,
        read_only=None,
        occurrence=occurrence,
    )


def agreement(
    calendar: Calendar,
    mapping: Mapping,
    remote: RemoteEvent,
    units: frozenset[str],
    *,
    version: int | None,
    stale: bool,
    pass_id: UUID | None,
) -> Agreement:
    """Return what both sides agree on once *remote* was settled: the base is what it says."""
    return Agreement(
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
        fingerprint=fingerprint(remote.content, units),
        event_version=version,
        sync_source=calendar.provider if mapping.base is None else "app",
        status="synced",
        stale=stale,
        seen_pass=pass_id,
        provider_data=remote.data | _provider_data(remote.read_only, remote.occurrence),
    )


def agreement_gone(calendar: Calendar, mapping: Mapping) -> Agreement:
    """Return the record that an occurrence does not take place, though no copy of it was known."""
    return Agreement(
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
        sync_source=calendar.provider,
        status="deleted",
        provider_data=_provider_data(None, mapping.occurrence),
    )


def conflict(
    calendar: Calendar,
    mapping: Mapping,
    clash: Clash,
    base: Content | None,
    ours: Content | None,
    remote: Content | None,
) -> trail.Conflict:
    """Return the row that keeps the three versions of a clash; a parked one has no winner yet."""
    return trail.Conflict(
        user_id=mapping.user_id,
        event_id=mapping.event_id,
        calendar_id=mapping.calendar_id,
        fields=clash.units,
        base=to_json(base) if base else None,
        local=to_json(ours) if ours else None,
        remote=to_json(remote) if remote else None,
        policy=calendar.conflict_policy,
        winner=None if calendar.conflict_policy == "manual" else clash.winner,
    )


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
