"""What goes over the wire about the past of events, and why they are where they are."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta

from sync_service.api.schemas import Failure, Input, Output, SyncStatus


class RestoreRequest(Input, frozen=True, kw_only=True):
    """Which version of an event to put back; without one, the last before the latest change."""

    version: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None = None


class HistoryEntry(Output, frozen=True, kw_only=True):
    """Something that happened to an event.

    *source* is the side that it came from. *changed* names the fields it was about and *before*
    holds what they were; *version* is the event's version since. *detail* is what else is known.
    """

    at: datetime
    action: str
    source: str
    calendar_id: UUID | None
    version: int | None
    changed: list[str]
    before: dict[str, Any]
    detail: dict[str, Any]
    duration_ms: float | None


class Waiting(Output, frozen=True, kw_only=True):
    """Work for one calendar that is not completed; what failed can be retried by its *queue_id*."""

    queue_id: int
    status: Literal["pending", "processing", "failed"]
    reason: str | None
    since: datetime
    attempts: int
    next_try_at: datetime | None


class Standing(Output, frozen=True, kw_only=True):
    """How it stands between an event and one calendar.

    *status* is null where the calendar holds no copy and none is on its way.
    """

    calendar_id: UUID
    calendar_name: str
    provider: str
    status: SyncStatus | None
    external_id: str | None
    html_link: str | None
    last_synced_at: datetime | None
    error: Failure | None
    waiting: Waiting | None
    explanation: str


class History(Output, frozen=True, kw_only=True):
    """A page of what happened to an event, oldest first, and how it stands with each calendar now.

    *explanation* is one sentence for each calendar, a line each.
    """

    items: list[HistoryEntry]
    next_cursor: str | None
    sync: list[Standing]
    explanation: str


class AuditEntry(HistoryEntry, frozen=True, kw_only=True):
    """A line of the audit log."""

    id: int
    connection_id: UUID | None
    event_id: UUID | None


class AuditPage(Output, frozen=True, kw_only=True):
    """A page of the caller's audit log, newest first."""

    items: list[AuditEntry]
    next_cursor: str | None
