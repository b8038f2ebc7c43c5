"""Reads both sides of a calendar and says, event by event, whether they are equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from sync_service.core.fingerprint import changed_units
from sync_service.engine.hub import Hub
from sync_service.engine.sending import held_units
from sync_service.errors import Misconfigured
from sync_service.providers.listing import everything
from sync_service.store import calendars, connections, events
from sync_service.store.calendars import Calendar

Verdict = Literal["equal", "differs", "missing_there", "missing_here"]


@dataclass(frozen=True)
class Line:
    """One event: *detail* names the units that differ, or why it is missing."""

    title: str
    start: datetime
    verdict: Verdict
    event_id: UUID | None = None
    external_id: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Report:
    """The comparison of one calendar."""

    calendar_id: UUID
    name: str
    provider: str
    lines: Sequence[Line]

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same."""
        return all(line.verdict == "equal" for line in self.lines)


async def verify(hub: Hub, calendar_id: UUID | None = None) -> list[Report]:
    """Compare every calendar that is synced, or the one asked for.

    Raises `Misconfigured` when the calendar asked for is not synced, and the provider's errors.
    """
    found = await calendars.synced(hub.pool)
    wanted = [each for each in found if calendar_id is None or each == calendar_id]
    if calendar_id is not None and not wanted:
        raise Misconfigured(
            f"No calendar {calendar_id} is being synced.", code="calendar_not_synced"
        )
    reports: list[Report] = []
    for each in wanted:
        calendar = await calendars.read(hub.pool, each)
        if calendar is not None:
            reports.append(await _compare(hub, calendar))
    return reports


async def _compare(hub: Hub, calendar: Calendar) -> Report:
    since = datetime.now(UTC) - timedelta(days=hub.settings.sync_window_past_days)
    connection = await connections.read(hub.pool, calendar.connection_id)
    assert connection is not None  # noqa: S101  # a calendar has its connection
    session = hub.session(connection)
    remote = await everything(session, calendar.ref, since)
    local = await events.held_by(hub.pool, calendar.id, calendar.user_id, since)
    capabilities = hub.providers[calendar.provider].capabilities(calendar.access_role)
    lines: list[Line] = []
    for event, external_id, status in local:
        there = remote.pop(external_id, None) if external_id else None
        if there is None and external_id and event.series_id:
            # A listing leaves out an occurrence that is like its series.
            there = await session.get(calendar.ref, external_id)
        verdict: Verdict = "missing_there"
        detail = status or "not sent yet"
        if there is not None:
            units = held_units(calendar, capabilities, event.calendar_id)
            different = changed_units(event.content, there.content, units)
            verdict = "differs" if different else "equal"
            detail = ", ".join(sorted(different))
        elif event.content.end <= since and not event.content.recurrence:
            continue
        lines.append(
            Line(
                title=event.content.title,
                start=event.content.start,
                verdict=verdict,
                event_id=event.id,
                external_id=external_id,
                detail=detail,
            )
        )
    lines += [
        Line(
            title=there.content.title,
            start=there.content.start,
            verdict="missing_here",
            external_id=there.external_id,
        )
        for there in remote.values()
    ]
    return Report(
        calendar.id, calendar.name, calendar.provider, sorted(lines, key=lambda line: line.start)
    )
