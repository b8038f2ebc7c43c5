"""What goes over the wire about accounts and their calendars: connecting, settings, state."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from sync_service.api.schemas import ConflictPolicy, Failure, Input, Output, State

Direction = Literal["two_way", "pull", "push"]
Mirror = Literal["own", "all"]


class ConnectRequest(Input, frozen=True, kw_only=True):
    """How to connect an account."""

    return_to: str | None = None
    """Where the browser goes afterwards: a path, or a URL on a known origin."""
    preview: bool = False
    """Only count what would happen until the calendar is resumed."""


class ConnectTokens(Input, frozen=True, kw_only=True):
    """What Supabase Auth handed over after signing in with the provider."""

    provider_token: Annotated[str, Meta(min_length=1, max_length=4096)]
    provider_refresh_token: Annotated[str, Meta(min_length=1, max_length=4096)]
    """Given where the sign-in asked for `access_type=offline` and `prompt=consent`."""
    preview: bool = False
    """Only count what would happen until the calendar is resumed."""


class ConnectedAnswer(Output, frozen=True, kw_only=True):
    """The account is connected."""

    connection_id: UUID
    status: Literal["connected"] = "connected"


class ConnectAnswer(Output, frozen=True, kw_only=True):
    """Where the browser has to go to give its consent."""

    authorization_url: str


class Calendar(Output, frozen=True, kw_only=True):
    """One calendar of a connected account."""

    id: UUID
    connection_id: UUID
    provider: str
    external_id: str
    name: str
    time_zone: str | None
    color: str | None
    access_role: str
    is_primary: bool
    unsyncable_reason: str | None
    enabled: bool
    direction: Direction
    default_target: bool
    mirror: Mirror
    conflict_policy: ConflictPolicy
    state: State
    state_reason: str | None
    preview: dict[str, Any] | None
    full_sync_done: int
    full_sync_total: int | None
    last_synced_at: datetime | None
    last_error: Failure | None
    channel_expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


class CalendarSettings(Input, frozen=True, kw_only=True):
    """What to change of a calendar's settings."""

    enabled: bool | UnsetType = UNSET
    direction: Direction | UnsetType = UNSET
    default_target: bool | UnsetType = UNSET
    mirror: Mirror | UnsetType = UNSET
    conflict_policy: ConflictPolicy | UnsetType = UNSET


class ResumeRequest(Input, frozen=True, kw_only=True):
    """How to go on with a paused calendar."""

    approve_deletions: bool | None = None
    """True deletes here what paused it, false brings it back there, null asks again if need be."""


class CalendarPage(Output, frozen=True, kw_only=True):
    """All calendars of the caller."""

    items: list[Calendar]
    next_cursor: str | None


class Integration(Output, frozen=True, kw_only=True):
    """A connection to a provider account and the calendars seen through it."""

    id: UUID
    provider: str
    account_email: str | None
    scopes: list[str]
    status: Literal["active", "reconnect_needed", "disconnected"]
    preview: bool
    last_error: Failure | None
    writes_parked_until: datetime | None
    """The provider takes no changes of this account until then; they wait and nothing is lost."""
    units_today: int
    """What its calls cost today (UTC), in units of the provider's quota."""
    created_at: datetime
    updated_at: datetime
    calendars: list[Calendar]


class IntegrationPage(Output, frozen=True, kw_only=True):
    """All connections of the caller."""

    items: list[Integration]
    next_cursor: str | None
