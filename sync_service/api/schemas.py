"""What goes over the wire: the shapes of requests and answers, and the limits of each field."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339, with an offset.")]
ShortText = Annotated[str, Meta(max_length=1000)]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s]+$", max_length=4096)]
Conference = Annotated[
    dict[str, Any],
    Meta(
        description='`{"url": …}`, or `{"create": "google_meet"}` to have one made: its `status` '
        "is `pending` until its `url` is there, or `failed`. Under `google` stands Google's own "
        "description; give it back as it is, or leave it out with a new `url`."
    ),
]
SyncStatus = Literal["pending", "synced", "conflict", "failed"]
QueueStatus = Literal["pending", "processing", "completed", "failed"]
ConflictPolicy = Literal["last_write_wins", "app_wins", "provider_wins", "manual"]
State = Literal[
    "connecting",
    "importing",
    "catching_up",
    "healthy",
    "delayed",
    "paused",
    "action_required",
    "disconnected",
]


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that callers send."""


class Attendee(Input, frozen=True, kw_only=True):
    """A guest of an event."""

    email: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
    name: Annotated[str, Meta(max_length=500)] | None = None
    response: Literal["needs_action", "declined", "tentative", "accepted"] = "needs_action"
    optional: bool = False
    organizer: bool = False


class Reminder(Input, frozen=True, kw_only=True):
    """One reminder; *minutes* count back from the start."""

    method: Literal["popup", "email"]
    minutes: Annotated[int, Meta(ge=0, le=40_320)]


class Reminders(Input, frozen=True, kw_only=True):
    """The calendar's default reminders, or the event's own."""

    use_default: bool = True
    overrides: Annotated[tuple[Reminder, ...], Meta(max_length=5)] = ()


class Attachment(Input, frozen=True, kw_only=True):
    """A file that the event points to."""

    url: Url
    title: ShortText | None = None
    mime_type: Annotated[str, Meta(max_length=255)] | None = None


class EventPatch(Input, frozen=True, kw_only=True):
    """What to change of an event: fields left out stay as they are, null empties a field."""

    calendar_id: UUID | UnsetType | None = UNSET
    title: ShortText | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=8000)] | UnsetType | None = UNSET
    location: ShortText | UnsetType | None = UNSET
    notes: Annotated[str, Meta(max_length=50000)] | UnsetType | None = UNSET
    start_time: Instant | UnsetType = UNSET
    end_time: Instant | UnsetType = UNSET
    all_day: bool | UnsetType = UNSET
    time_zone: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET
    recurrence: (
        Annotated[
            tuple[Annotated[str, Meta(max_length=4000)], ...], Meta(min_length=1, max_length=100)
        ]
        | UnsetType
        | None
    ) = UNSET
    status: Literal["confirmed", "tentative", "cancelled"] | UnsetType = UNSET
    visibility: Literal["default", "public", "private", "confidential"] | UnsetType = UNSET
    transparency: Literal["opaque", "transparent"] | UnsetType = UNSET
    attendees: Annotated[tuple[Attendee, ...], Meta(max_length=200)] | UnsetType = UNSET
    reminders: Reminders | UnsetType | None = UNSET
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=25)] | UnsetType = UNSET
    conference: Conference | UnsetType | None = UNSET
    color: Annotated[str, Meta(max_length=50)] | UnsetType | None = UNSET
    kind: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class EventCreate(EventPatch, frozen=True, kw_only=True):
    """A new event. All-day events start and end at UTC midnights, the end exclusive."""

    start_time: Instant  # pyright: ignore[reportGeneralTypeIssues]  # required here
    end_time: Instant  # pyright: ignore[reportGeneralTypeIssues]  # required here


class ConflictResolution(Input, frozen=True, kw_only=True):
    """The user's word: one side's version, or for `merge` the fields of *event* as given."""

    resolution: Literal["local", "remote", "merge"]
    event: EventPatch | None = None


class Output(msgspec.Struct, frozen=True):
    """Something that callers get."""


class Failure(Output, frozen=True, kw_only=True, omit_defaults=True):
    """Why something did not work. *code* is stable."""

    code: str
    detail: str
    scope: str | None = None
    retry_after_s: float | None = None


class SyncState(Output, frozen=True, kw_only=True):
    """How far an event has come to one calendar."""

    calendar_id: UUID
    provider: str
    status: SyncStatus
    external_id: str | None
    html_link: str | None
    last_synced_at: datetime | None
    error: Failure | None


class ListedEvent(Output, frozen=True, kw_only=True):
    """An event, or an occurrence as its series says: that has no *id* and the series' `version`."""

    id: UUID | None
    calendar_id: UUID | None
    title: str
    description: str | None
    location: str | None
    notes: str | None
    start_time: datetime
    end_time: datetime
    all_day: bool
    time_zone: str | None
    recurrence: list[str] | None
    series_id: UUID | None
    original_start_time: datetime | None
    status: str
    visibility: str
    transparency: str
    attendees: list[Attendee]
    reminders: Reminders | None
    attachments: list[Attachment]
    conference: dict[str, Any] | None
    color: str | None
    kind: str
    metadata: dict[str, Any]
    sync_source: str
    version: int
    deleted_at: datetime | None
    created_at: datetime
    updated_at: datetime
    sync: list[SyncState]


class Event(ListedEvent, frozen=True, kw_only=True):
    """An event and its state in every calendar that holds or will hold it."""

    id: UUID


class EventPage(Output, frozen=True, kw_only=True):
    """A page of events in the order of their start."""

    items: Sequence[ListedEvent]
    next_cursor: str | None


class SyncRequested(Output, frozen=True, kw_only=True):
    """How many calendars will be read now."""

    calendars: int


class QueueItem(Output, frozen=True, kw_only=True):
    """One piece of work. *event_id* is set for pushes; a pull is for its whole calendar."""

    id: int
    kind: Literal["push", "pull"]
    event_id: UUID | None
    calendar_id: UUID
    status: QueueStatus
    reason: str | None
    attempts: int
    next_try_at: datetime | None
    last_error: Failure | None
    created_at: datetime
    updated_at: datetime


class QueueStatistics(Output, frozen=True, kw_only=True):
    """The caller's part of the queue. *completed* counts what is still kept.

    *items* and *next_cursor* are there when a status was asked for.
    """

    pending: int
    processing: int
    completed: int
    failed: int
    oldest_pending_seconds: float | None
    items: list[QueueItem] | UnsetType = UNSET
    next_cursor: str | UnsetType | None = UNSET


class CalendarStatus(Output, frozen=True, kw_only=True):
    """One calendar in the overall state."""

    calendar_id: UUID
    name: str
    provider: str
    state: State
    state_reason: str | None
    full_sync_done: int
    full_sync_total: int | None
    last_synced_at: datetime | None
    last_error: Failure | None


class SyncOverview(Output, frozen=True, kw_only=True):
    """The most urgent state of all enabled calendars, and each one's own."""

    state: State
    calendars: list[CalendarStatus]
    queue: QueueStatistics
    open_conflicts: int
    unread_notifications: int


class Notification(Output, frozen=True, kw_only=True):
    """Something that the user should know."""

    id: UUID
    kind: str
    message: str
    connection_id: UUID | None
    calendar_id: UUID | None
    event_id: UUID | None
    occurrences: int
    read_at: datetime | None
    created_at: datetime
    updated_at: datetime


class NotificationPage(Output, frozen=True, kw_only=True):
    """A page of notifications, newest first."""

    items: list[Notification]
    next_cursor: str | None


class Conflict(Output, frozen=True, kw_only=True):
    """One event changed differently on both sides, with both versions and their common base."""

    id: UUID
    event_id: UUID
    calendar_id: UUID
    fields: list[str]
    base: dict[str, Any] | None
    local: dict[str, Any] | None
    remote: dict[str, Any] | None
    policy: str
    winner: str | None
    status: Literal["open", "resolved"]
    resolution: Literal["local", "remote", "merge"] | None
    created_at: datetime
    resolved_at: datetime | None


class ConflictPage(Output, frozen=True, kw_only=True):
    """A page of conflicts, newest first."""

    items: list[Conflict]
    next_cursor: str | None


class ResolvedConflict(Output, frozen=True, kw_only=True):
    """A settled conflict and its event as it is now; null when no event is left."""

    conflict: Conflict
    event: Event | None
