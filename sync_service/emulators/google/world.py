"""The world and the laws every operation obeys: one clock, unrepeated stamps, access, change."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from sync_service.emulators.google.clock import MICROS, Clock
from sync_service.emulators.google.errors import not_found, required_access_level
from sync_service.emulators.google.state import (
    Account,
    Calendar,
    Json,
    Record,
    State,
    Timer,
    Version,
)
from sync_service.emulators.google.switches import Switches

ROLES = ("none", "freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner")
_SCOPE = "https://www.googleapis.com/auth/"
_FREE_BUSY_ONLY = frozenset({_SCOPE + "calendar.events.freebusy"})
_OWNED_ONLY = frozenset(
    {_SCOPE + "calendar.events.owned", _SCOPE + "calendar.events.owned.readonly"}
)
_PUBLIC_ONLY = frozenset({_SCOPE + "calendar.events.public.readonly"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person through an OAuth client, or in Google's own user interface.

    Attributes:
        scopes: What the token allows; None for the person in Google's own interface.
    """

    sub: str
    email: str
    client_id: str | None = None
    scopes: frozenset[str] | None = None


def rank(role: str) -> int:
    """A role's place in the order of access."""
    return ROLES.index(role)


class World:
    """The state with its clock, its switches and the list of what has just changed."""

    def __init__(self, state: State, clock: Clock, switches: Switches) -> None:
        self.state = state
        self.clock = clock
        self.switches = switches
        self.changed_events: dict[str, set[str]] = {}
        self.changed_lists: set[str] = set()
        self.changed_settings: set[str] = set()
        self.lag_s = 0.0
        self.on_timer: Callable[[Timer], None] | None = None

    # Time, identity, chance

    def stamp(self) -> int:
        """A moment in microseconds, later than every moment handed out before."""
        self.state.last_stamp = max(self.clock.micros(), self.state.last_stamp + 1)
        return self.state.last_stamp

    def serial(self) -> int:
        """The next number of a sequence that never repeats."""
        self.state.serial += 1
        return self.state.serial

    def random(self, purpose: str) -> Random:
        """A fresh source of seeded randomness."""
        self.state.draws += 1
        return Random(f"{self.state.seed}:{self.state.draws}:{purpose}")  # noqa: S311

    def token(self, purpose: str, size: int = 32) -> str:
        """An unguessable-looking text, reproducible from the seed."""
        raw = self.random(purpose).randbytes(size)
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def event_id(self) -> str:
        """A server-made event id: 26 characters of base32hex."""
        raw = self.random("event").randbytes(16)
        return base64.b32hexencode(raw).decode().lower().rstrip("=")[:26]

    # Access

    def account(self, actor: Actor) -> Account:
        """The actor's account."""
        return self.state.accounts[actor.sub]

    def role(self, actor: Actor, calendar: Calendar) -> str:
        """The actor's effective role, capped by what the token's scopes can see."""
        granted = calendar.acl.get(actor.email.casefold(), calendar.public_role or "none")
        if actor.scopes is None:
            return granted
        useful = {s for s in actor.scopes if s.startswith(_SCOPE + "calendar.events")}
        if not useful or _SCOPE + "calendar" in actor.scopes:
            return granted
        if useful <= _FREE_BUSY_ONLY:
            return min(granted, "freeBusyReader", key=rank)
        if useful <= _OWNED_ONLY and granted != "owner":
            return "none"
        if useful <= _PUBLIC_ONLY:
            return calendar.public_role or "none"
        return granted

    def readable(self, actor: Actor, calendar_id: str) -> tuple[Calendar, str]:
        """A calendar that the actor can at least see as busy time."""
        key = actor.email if calendar_id == "primary" else calendar_id
        calendar = self.state.calendars.get(key) or self.state.calendars.get(key.casefold())
        if calendar is None:
            raise not_found()
        role = self.role(actor, calendar)
        if role == "none":
            raise not_found()
        return calendar, role

    def writable(self, actor: Actor, calendar_id: str) -> tuple[Calendar, str]:
        """A calendar that the actor may change events on."""
        calendar, role = self.readable(actor, calendar_id)
        if rank(role) < rank("writerWithoutPrivateAccess"):
            raise required_access_level()
        return calendar, role

    # Change

    def create(
        self,
        calendar: Calendar,
        event_id: str,
        body: Json,
        *,
        master: str | None = None,
        original: Json | None = None,
        own: list[str] | None = None,
    ) -> Record:
        """Put a new event on a calendar."""
        now = self.stamp()
        record = Record(
            id=event_id,
            body=body,
            revision=now,
            feed=now,
            updated=now,
            created=now,
            master=master,
            original=original,
            own=own or [],
        )
        calendar.events.pop(event_id, None)
        calendar.events[event_id] = record
        self._mark(calendar, body, now)
        return record

    def change(self, calendar: Calendar, record: Record, body: Json) -> None:
        """Give an event a new body, hence a new etag and a new place in the feed.

        Reminders are per user: a change of nothing else leaves `updated` alone.
        """
        old = record.body
        record.before = Version(old, record.revision, record.feed, record.updated)
        reminders_only = differing_keys(old, body) == {"reminders"}
        now = self.stamp()
        record.body = body
        record.revision = now
        if not reminders_only:
            record.updated = now
        if not reminders_only or self.switches.reminders_in_feed:
            record.feed = now
            calendar.events[record.id] = calendar.events.pop(record.id)
            self._mark(calendar, body, now)

    def _mark(self, calendar: Calendar, body: Json, now: int) -> None:
        calendar.revision = now
        calendar.updated = now
        kinds = self.changed_events.setdefault(calendar.id, set())
        kinds.add(body.get("eventType", "default"))

    def list_changed(self, account: Account) -> None:
        """Note that an account's calendar list has changed."""
        self.changed_lists.add(account.sub)

    def later(self, seconds: float, calendar_id: str, event_id: str, request_id: str) -> None:
        """Leave work for later."""
        due = self.clock.micros() + round(seconds * MICROS)
        timer = Timer(due, calendar_id, event_id, request_id)
        self.state.timers.append(timer)
        if self.on_timer is not None:
            self.on_timer(timer)

    # Reading

    def forgotten(self, calendar: Calendar, record: Record) -> bool:
        """Whether a tombstone is past its retention.

        A cancelled occurrence lasts as long as its series.
        """
        if not record.cancelled:
            return False
        since = record.revision
        parent = None if record.master is None else calendar.events.get(record.master)
        if parent is not None:
            if not parent.cancelled:
                return False
            since = max(since, parent.revision)
        return self.clock.micros() - since > self.switches.tombstone_retention_s * MICROS

    def horizon(self) -> int | None:
        """Under read lag, the moment up to which changes are visible."""
        lag = max(self.lag_s, self.switches.read_lag_s)
        return self.clock.micros() - round(lag * MICROS) if lag > 0 else None


def etag(revision: int) -> str:
    """An etag, quotes included: twice the modification time in microseconds."""
    return f'"{revision * 2}"'


def differing_keys(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    """The top-level fields in which two bodies differ."""
    return {k for k in old.keys() | new.keys() if old.get(k) != new.get(k)}
