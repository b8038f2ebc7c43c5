"""Everything the emulated Google remembers, as plain serialisable records."""

from __future__ import annotations

from typing import Any, cast

import msgspec

Json = dict[str, Any]


def as_object(value: Any) -> Json | None:
    """The value, if it is a JSON object."""
    return cast(Json, value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """The value, if it is a JSON array."""
    return cast(list[Any], value) if isinstance(value, list) else None


class Version(msgspec.Struct):
    """What a record looked like before its latest change; read lag answers from it."""

    body: Json
    revision: int
    feed: int
    updated: int


class Retired(msgspec.Struct):
    """An occurrence that existed until its series was changed or shortened."""

    id: str
    original: Json
    feed: int


class Record(msgspec.Struct):
    """One event on one calendar: a single event, a series master or an exception.

    Attributes:
        body: The event in wire shape, times in UTC plus zone, default values absent.
        revision: Microseconds of the last change; the etag follows from it.
        feed: Position in the calendar's change feed.
        master: For exceptions, the id of the series.
        original: For exceptions, the start the occurrence would have by its rule.
        own: For exceptions, the fields that no longer follow the master.
        fallen: For exceptions deleted along with their series, the status they had before.
        bare: The tombstone carries nothing but its id (left behind by a move, withdrawn guest).
    """

    id: str
    body: Json
    revision: int
    feed: int
    updated: int
    created: int
    master: str | None = None
    original: Json | None = None
    own: list[str] = []
    fallen: str | None = None
    bare: bool = False
    retired: list[Retired] = []
    before: Version | None = None

    @property
    def cancelled(self) -> bool:
        """Whether this is a tombstone or a cancelled occurrence."""
        return self.body["status"] == "cancelled"


class Calendar(msgspec.Struct):
    """One calendar with its events and who may see it.

    Attributes:
        events: By id, in the order of their last change (the feed reads it from the end).
        purged: Ids and iCalUIDs whose tombstones are gone but which stay taken.
        token_floor: Sync tokens with a lower or equal serial number are dead.
    """

    id: str
    owner: str
    summary: str
    time_zone: str
    revision: int
    updated: int
    description: str | None = None
    location: str | None = None
    acl: dict[str, str] = {}
    public_role: str | None = None
    watchable: bool = True
    primary: bool = False
    token_floor: int = 0
    events: dict[str, Record] = {}
    purged: list[str] = []
    purged_uids: list[str] = []


class Entry(msgspec.Struct):
    """A calendar's place in one account's calendar list."""

    calendar_id: str
    revision: int
    feed: int
    color_id: str = "14"
    selected: bool = True
    hidden: bool = False
    deleted: bool = False
    summary_override: str | None = None
    default_reminders: list[Json] = []


class Account(msgspec.Struct):
    """A person's Google account."""

    sub: str
    email: str
    name: str
    uses_calendar: bool = True
    entries: dict[str, Entry] = {}
    settings: dict[str, str] = {}
    settings_changed: dict[str, int] = {}
    list_floor: int = 0
    created_events: int = 0
    locked_until: int = 0


class Client(msgspec.Struct):
    """A registered OAuth client."""

    id: str
    secret: str
    redirect_uris: list[str]
    project: str = "100000000001"
    testing: bool = False
    name: str = "Calsync (development)"


class Grant(msgspec.Struct):
    """What one account has allowed one client."""

    sub: str
    client_id: str
    scopes: list[str]


class Code(msgspec.Struct):
    """An authorization code waiting to be exchanged."""

    client_id: str
    sub: str
    redirect_uri: str
    scopes: list[str]
    expires: int
    offline: bool
    fresh_consent: bool
    challenge: str | None = None
    challenge_method: str = "plain"
    nonce: str | None = None
    used: bool = False


class Refresh(msgspec.Struct):
    """A refresh token."""

    client_id: str
    sub: str
    scopes: list[str]
    issued: int
    last_used: int
    expires: int | None = None


class Access(msgspec.Struct):
    """An access token."""

    client_id: str
    sub: str
    scopes: list[str]
    expires: int
    refresh: str | None = None


class Channel(msgspec.Struct):
    """A push subscription."""

    id: str
    kind: str
    calendar_id: str | None
    sub: str
    client_id: str
    address: str
    token: str | None
    expires: int
    resource_id: str
    resource_uri: str
    event_types: list[str] = []
    number: int = 0
    stopped: bool = False


class Timer(msgspec.Struct):
    """Server-side work that happens a little later, such as making a conference."""

    due: int
    calendar_id: str
    event_id: str
    request_id: str


class AutoConsent(msgspec.Struct, forbid_unknown_fields=True):
    """How the consent page answers itself, when it does.

    Attributes:
        account: Who is signed in; a *login_hint* in the request goes first.
        scopes: The subset to grant; None grants everything asked for.
    """

    enabled: bool = False
    account: str | None = None
    scopes: list[str] | None = None
    deny: bool = False


class State(msgspec.Struct):
    """The whole world."""

    seed: int
    draws: int = 0
    last_stamp: int = 0
    serial: int = 0
    accounts: dict[str, Account] = {}
    calendars: dict[str, Calendar] = {}
    clients: dict[str, Client] = {}
    grants: list[Grant] = []
    codes: dict[str, Code] = {}
    refreshes: dict[str, Refresh] = {}
    accesses: dict[str, Access] = {}
    channels: dict[str, Channel] = {}
    timers: list[Timer] = []
    auto_consent: AutoConsent = msgspec.field(default_factory=AutoConsent)
    signing_key: str | None = None

    def account_by_email(self, email: str) -> Account | None:
        """The account with this address, compared without case."""
        wanted = email.casefold()
        return next((a for a in self.accounts.values() if a.email.casefold() == wanted), None)


def dump(state: State) -> bytes:
    """The world as JSON."""
    return msgspec.json.encode(state)


def restore(data: bytes) -> State:
    """The world that `dump` wrote."""
    return msgspec.json.decode(data, type=State)
