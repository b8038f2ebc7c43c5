"""What the engine knows of a provider: a capability sheet, a few calls, a few kinds of failure.

Every call may raise the errors of `sync_service.errors` and nothing else; providers translate HTTP
answers at the wire. Ids, cursors, page tokens and etags are opaque strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from sync_service.core.event import Content
from sync_service.errors import MissingScope

Notify = Literal["none", "external_only", "all"]
"""Which guests the provider tells of a change: nobody unless somebody asked for it."""


@dataclass(frozen=True)
class Capabilities:
    """What one connected calendar can do; engine code branches on these and on nothing else."""

    units: frozenset[str]
    """The parts of an event that it holds (`core.event.UNITS`)."""
    conditional_writes: bool
    """A write can be refused when the remote copy changed since it was read."""
    chosen_ids: bool
    """A create takes our id, so a repeated create is recognised."""
    absence_is_deletion: bool
    """What a complete listing leaves out no longer exists."""
    push_channels: bool
    """Changes can be announced to us."""
    writable: bool
    """The account may change what it holds."""
    occurrences: bool
    """One occurrence of a series can differ from the others, or be cancelled."""


@dataclass(frozen=True)
class Mark:
    """Our private note on a remote event: which event and mapping made it."""

    event_id: UUID
    mapping_id: UUID


@dataclass(frozen=True)
class OccurrenceRef:
    """One occurrence: the remote id of its *series*, and when that would have it start (UTC)."""

    series: str
    original_start: datetime


@dataclass(frozen=True)
class RemoteEvent:
    """A remote event as it stands, translated; *occurrence* is set for one of a series.

    *modified_at* comes from the provider's clock. *kind* is the provider's word for events of this
    sort, `default` for most. *read_only* gives the reason why nobody but the provider may change
    it. *data* is the provider's own, kept beside the mapping and given back.
    """

    external_id: str
    content: Content
    etag: str | None = None
    modified_at: datetime | None = None
    ical_uid: str | None = None
    html_link: str | None = None
    mark: Mark | None = None
    kind: str = "default"
    read_only: str | None = None
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    occurrence: OccurrenceRef | None = None


@dataclass(frozen=True)
class Created:
    """The answer to a create; *existed* says that an earlier try had made it: read, not written."""

    event: RemoteEvent
    existed: bool


@dataclass(frozen=True)
class RemovedEvent:
    """A remote event that is no longer there, or an *occurrence* that was cancelled."""

    external_id: str
    occurrence: OccurrenceRef | None = None


Change = RemoteEvent | RemovedEvent


@dataclass(frozen=True)
class ChangePage:
    """One page of a feed or of a full listing.

    Either *next_page* is set (more follows) or *cursor* (where the next pull starts). *skipped*
    counts items that the translator could not express, each with its reason in *skip_reasons*.
    """

    changes: Sequence[Change]
    next_page: str | None
    cursor: str | None
    time_zone: str | None = None
    access_role: str | None = None
    skip_reasons: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class RemoteCalendar:
    """A calendar that an account shows. *unsyncable_reason* says why it cannot be synced."""

    external_id: str
    name: str
    access_role: str
    writable: bool
    is_primary: bool = False
    time_zone: str | None = None
    color: str | None = None
    unsyncable_reason: str | None = None


@dataclass(frozen=True)
class CalendarList:
    """What an account's calendar list says: everything (*complete*), or what changed in it.

    *removed* are calendars that are no longer in it; *cursor* is where the next reading starts,
    None where only the whole list can be read. It is *limited* where the user did not let us
    see all of it.
    """

    calendars: Sequence[RemoteCalendar]
    removed: Sequence[str] = ()
    cursor: str | None = None
    complete: bool = True
    limited: bool = False


@dataclass(frozen=True)
class CalendarRef:
    """The remote calendar that a call is about."""

    external_id: str
    access_role: str = "owner"
    time_zone: str | None = None


@dataclass(frozen=True)
class Channel:
    """An open push subscription. *resource_id* is needed to stop it."""

    resource_id: str
    expires_at: datetime | None


@dataclass(frozen=True)
class Grant:
    """What an account gave us: tokens, what they allow, and whose they are.

    *account_id* is the provider's stable subject, never an address.
    """

    account_id: str
    account_email: str | None
    scopes: frozenset[str]
    tokens: Tokens


@dataclass(frozen=True)
class Tokens:
    """An access token, the refresh token if one was given, and when the first one ends."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    scopes: frozenset[str] | None = None
    """What they allow, where the provider said so with them."""


class Account(Protocol):
    """What a provider session needs from the engine: a token, and leave to call."""

    @property
    def address(self) -> str | None:
        """The account's address as of its last connect, where the provider told it."""
        ...

    async def access_token(self, *, rejected: str | None = None) -> str:
        """Return a valid access token; *rejected* is one that the provider just refused."""
        ...

    async def admit(self, weight: int, *, writes_to: str | None = None) -> None:
        """Take *weight* units from the account's budget; raises `BudgetSpent` when it is spent.

        *writes_to* names the remote calendar that a write is for: they keep a pace.
        """
        ...


class Session(Protocol):
    """Calls on behalf of one connected account."""

    async def list_calendars(self, *, cursor: str | None = None) -> CalendarList:
        """Return every calendar that the account shows, or what changed after *cursor*.

        Raises `ResyncRequired` for a dead cursor.
        """
        ...

    async def changes(
        self,
        calendar: CalendarRef,
        *,
        cursor: str | None,
        page: str | None,
        since: datetime,
        until: datetime | None = None,
    ) -> ChangePage:
        """Return a page of what changed after *cursor*, or of everything from *since* on.

        With *until* it is no more than what begins before: such a listing is not complete.

        Raises `ResyncRequired` for a dead cursor or page.
        """
        ...

    async def get(self, calendar: CalendarRef, external_id: str) -> RemoteEvent | None:
        """Return the event as it is now; None when it is deleted or never was."""
        ...

    async def occurrence(
        self, calendar: CalendarRef, series: str, original_start: datetime, *, all_day: bool
    ) -> RemoteEvent | RemovedEvent | None:
        """Return one occurrence as it is now; None when the series has none at that time."""
        ...

    async def revive_occurrence(
        self, calendar: CalendarRef, external_id: str, *, notify: Notify
    ) -> RemoteEvent:
        """Make a cancelled occurrence take place again, as it was; answers what it is then."""
        ...

    async def create(
        self,
        calendar: CalendarRef,
        external_id: str,
        content: Content,
        mark: Mark,
        *,
        units: frozenset[str],
        revive: bool,
        notify: Notify,
    ) -> Created:
        """Make the event, *units* of *content*, under our id.

        One that this mark made before is returned as it stands. One that was made and deleted since
        is revived or, without *revive*, raises `Gone`. Raises `IdTaken` when the id belongs to
        something else.
        """
        ...

    async def update(
        self,
        calendar: CalendarRef,
        external_id: str,
        *,
        etag: str | None,
        content: Content,
        units: frozenset[str],
        data: Mapping[str, Any],
        notify: Notify,
    ) -> RemoteEvent:
        """Send *units* of *content*; raises `ChangedMeanwhile` unless *etag* still stands.

        *data* is what the provider kept of that version.
        """
        ...

    async def delete(
        self, calendar: CalendarRef, external_id: str, etag: str | None, *, notify: Notify
    ) -> None:
        """Delete the event; gone already is success. Raises `ChangedMeanwhile`."""
        ...

    async def open_channel(
        self,
        calendar: CalendarRef | None,
        *,
        channel_id: str,
        secret: str,
        address: str,
        ttl_s: int,
    ) -> Channel:
        """Subscribe *address* to changes of a calendar, or (None) of the calendar list.

        Raises `PushUnsupported` where there is none.
        """
        ...

    async def close_channel(self, channel_id: str, resource_id: str) -> None:
        """End a subscription; one that is unknown or over counts as ended."""
        ...


class Provider(Protocol):
    """One provider: how to connect an account, and sessions on connected ones."""

    name: str

    def capabilities(self, access_role: str) -> Capabilities:
        """Return what a calendar can do for somebody with *access_role*."""
        ...

    def refusals(
        self,
        content: Content,
        units: frozenset[str],
        *,
        base: Content | None,
        data: Mapping[str, Any],
    ) -> dict[str, str]:
        """Return those of *units* that a calendar would not take as they are, each with why.

        *base* is the event as the provider has it (None: not at all), *data* what it kept of that.
        """
        ...

    def new_external_id(self, mapping_id: UUID, attempt: int) -> str:
        """Derive the id of a new remote event; *attempt* salts it when one was taken."""
        ...

    def authorization_url(self, *, state: str, code_challenge: str, login_hint: str | None) -> str:
        """Return the consent page to send the user to."""
        ...

    async def exchange(self, *, code: str, code_verifier: str) -> Grant:
        """Turn a code into a grant."""
        ...

    async def recognise(self, tokens: Tokens) -> Grant:
        """Return whose *tokens* are that a sign-in elsewhere gave, made fresh.

        Raises `Rejected` unless both tokens are of our client and of one account.
        """
        ...

    def shortfall(self, scopes: frozenset[str]) -> MissingScope | None:
        """Say in plain words what is missing of *scopes* without which nothing works, if any is."""
        ...

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Return fresh tokens; raises `ReauthRequired` when the grant is dead."""
        ...

    async def revoke(self, tokens: Tokens) -> None:
        """Give the grant back; an unknown one counts as given back."""
        ...

    def session(self, account: Account) -> Session:
        """Return a session that calls on behalf of *account*."""
        ...
