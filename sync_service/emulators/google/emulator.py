"""The emulated Google as one object: a state machine without sockets, threads or waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sync_service.emulators.google import channels, conference, oauth, seed, state
from sync_service.emulators.google.channels import Message
from sync_service.emulators.google.clock import Clock
from sync_service.emulators.google.faults import Fault, Faults
from sync_service.emulators.google.limits import Limits
from sync_service.emulators.google.person import Person
from sync_service.emulators.google.render import Viewer, render, view_of
from sync_service.emulators.google.state import (
    Account,
    AutoConsent,
    Calendar,
    Client,
    Entry,
    Json,
    State,
)
from sync_service.emulators.google.switches import Switches
from sync_service.emulators.google.times import known_zone
from sync_service.emulators.google.world import ROLES, World

_LOG_LENGTH = 50_000


class LogEntry(msgspec.Struct):
    """One API request.

    Attributes:
        at: Emulated time in seconds.
        units: Quota units charged.
        write: Whether the method changes events.
    """

    at: float
    account: str | None
    method: str
    path: str
    query: str
    operation: str
    calendar: str | None
    event: str | None
    status: int
    units: int
    write: bool
    reason: str | None = None


class Emulator:
    """A whole Google, in memory.

    Args:
        seed: All chance and all generated ids follow from it.
        clock: Emulated time; by default real time with an adjustable offset.
        world: `demo` for two people with calendars and a registered client, `blank` for nobody.
        redirect_uris: Registered for the development client, beside its own.
        switches: Behaviour where the public documentation leaves a choice.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        clock: Clock | None = None,
        world: str = "demo",
        redirect_uris: Sequence[str] = (),
        switches: Switches | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.faults = Faults()
        self.limits = Limits()
        self.calls: deque[LogEntry] = deque(maxlen=_LOG_LENGTH)
        self.on_message: Callable[[Message], None] | None = None
        self.on_timer: Callable[[float], None] | None = None
        self._seed = seed
        self._kind = world
        self._redirect_uris = tuple(redirect_uris)
        self.world = World(State(seed=seed), self.clock, switches or Switches())
        self.reset()

    # The world

    def reset(self) -> None:
        """Back to the beginning: the seed world, no faults, empty logs. Switches stay."""
        self._adopt(seed.blank(self._seed))
        if self._kind == "demo":
            seed.demo(self.world)
            uris = self.world.state.clients[seed.CLIENT_ID].redirect_uris
            uris += [uri for uri in self._redirect_uris if uri not in uris]
        self.world.changed_lists.clear()
        self.faults = Faults()
        self.limits = Limits()
        self.calls.clear()

    def dump(self) -> bytes:
        """Everything that is remembered, as JSON."""
        return state.dump(self.world.state)

    def restore(self, data: bytes) -> None:
        """Put back what `dump` returned."""
        self._adopt(state.restore(data))

    @property
    def switches(self) -> Switches:
        """The current behaviour."""
        return self.world.switches

    def configure(self, **changes: Any) -> Switches:
        """Change switches by name; unknown names and wrong types are refused."""
        merged = {**msgspec.to_builtins(self.world.switches), **changes}
        self.world.switches = msgspec.convert(merged, Switches)
        return self.world.switches

    def commit(self) -> None:
        """Hand out the push messages for everything that has changed."""
        for message in channels.announce(self.world):
            self.send(message)

    def send(self, message: Message) -> None:
        """Hand out one push message."""
        if self.on_message is not None:
            self.on_message(message)

    def tick(self) -> None:
        """Do the server-side work that has come due."""
        if conference.finish_due(self.world):
            self.commit()

    # People and calendars

    def person(self, email: str) -> Person:
        """Someone at Google's own interface."""
        return Person(self.world, self.account(email), self.commit)

    def account(self, email: str) -> Account:
        """The account with this address."""
        account = self.world.state.account_by_email(email)
        if account is None:
            raise KeyError(email)
        return account

    def create_account(
        self, email: str, name: str | None = None, time_zone: str = "UTC", sub: str | None = None
    ) -> Account:
        """A new person with a primary calendar."""
        account = seed.add_account(self.world, email, name or email, time_zone, sub)
        self.commit()
        return account

    def create_calendar(
        self,
        owner: str,
        summary: str,
        *,
        calendar_id: str | None = None,
        time_zone: str = "UTC",
        watchable: bool = True,
        role: str = "owner",
    ) -> Calendar:
        """A new secondary calendar in someone's list."""
        calendar = seed.add_calendar(
            self.world,
            self.account(owner),
            calendar_id,
            summary,
            time_zone,
            watchable=watchable,
            role=role,
        )
        self.commit()
        return calendar

    def delete_calendar(self, calendar_id: str) -> None:
        """Delete a calendar for everyone."""
        del self.world.state.calendars[calendar_id]
        for account in self.world.state.accounts.values():
            self._drop_entry(account, calendar_id)
        self.commit()

    def share(self, calendar_id: str, email: str, role: str, *, listed: bool = True) -> None:
        """Set someone's role on a calendar ("none" withdraws it); sync tokens die of it."""
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r}")
        calendar = self.world.state.calendars[calendar_id]
        calendar.acl[email.casefold()] = role
        calendar.token_floor = self.world.serial()
        account = self.world.state.account_by_email(email)
        if account is not None and role == "none":
            self._drop_entry(account, calendar_id)
        elif account is not None and listed:
            entry = account.entries.get(calendar_id)
            if entry is None or entry.deleted:
                now = self.world.stamp()
                account.entries[calendar_id] = Entry(calendar_id, now, now)
                self.world.list_changed(account)
        self.commit()

    def calendar(self, calendar_id: str) -> Calendar:
        """A calendar by id."""
        return self.world.state.calendars[calendar_id]

    def events(self, calendar_id: str) -> list[Json]:
        """The true content of a calendar: every stored event, exceptions and tombstones too."""
        calendar = self.world.state.calendars[calendar_id]
        viewer = Viewer(
            calendar,
            calendar.owner,
            "owner",
            known_zone(calendar.time_zone),
            Switches(tombstone_fields="full"),
        )
        views = [view_of(record) for record in calendar.events.values()]
        return [render(view, viewer) for view in views if view is not None]

    def expire_sync_tokens(self, calendar_id: str | None = None) -> None:
        """Kill every sync token issued so far, of one calendar or of everything."""
        floor = self.world.serial()
        for calendar in self.world.state.calendars.values():
            if calendar_id in (None, calendar.id):
                calendar.token_floor = floor
        if calendar_id is None:
            for account in self.world.state.accounts.values():
                account.list_floor = floor

    def purge_tombstones(self, calendar_id: str) -> int:
        """Forget deleted events; their ids and iCalUIDs stay taken."""
        calendar = self.world.state.calendars[calendar_id]
        live = {r.id for r in calendar.events.values() if not r.cancelled}
        gone = [
            record
            for record in calendar.events.values()
            if record.cancelled and (record.master is None or record.master not in live)
        ]
        for record in gone:
            del calendar.events[record.id]
            calendar.purged.append(record.id)
            calendar.purged_uids.append(record.body["iCalUID"])
        return len(gone)

    # OAuth

    def register_client(
        self,
        client_id: str = seed.CLIENT_ID,
        secret: str = seed.CLIENT_SECRET,
        redirect_uris: Sequence[str] = seed.REDIRECT_URIS,
        *,
        testing: bool = False,
        project: str = "100000000001",
    ) -> Client:
        """Register, or replace, an OAuth client."""
        client = seed.add_client(self.world, client_id, secret, tuple(redirect_uris))
        client.testing = testing
        client.project = project
        return client

    def auto_consent(
        self,
        account: str | None = None,
        *,
        enabled: bool = True,
        scopes: Sequence[str] | None = None,
        deny: bool = False,
    ) -> None:
        """Let the consent page answer itself."""
        chosen = None if scopes is None else list(scopes)
        self.world.state.auto_consent = AutoConsent(enabled, account, chosen, deny)

    def issue_tokens(
        self, email: str, scopes: Sequence[str], client_id: str = seed.CLIENT_ID
    ) -> tuple[str, str]:
        """An access and a refresh token without any ceremony; scopes in full or after the slash."""
        client = self.world.state.clients[client_id]
        full = [
            scope
            if "/" in scope or scope in {"openid", "email", "profile"}
            else f"https://www.googleapis.com/auth/{scope}"
            for scope in scopes
        ]
        return oauth.mint(self.world, self.account(email), client, full)

    def add_fault(self, kind: str, **matters: Any) -> Fault:
        """Arm a fault; the names are those of `Fault`."""
        fault = msgspec.convert({"kind": kind, **matters}, Fault)
        if fault.kind == "pages" and "count" not in matters:
            fault.count = len(fault.sizes)
        return self.faults.add(fault)

    def _adopt(self, new: State) -> None:
        self.world = World(new, self.clock, self.world.switches)
        self.world.on_timer = lambda timer: self._timer_set(timer.due)

    def _timer_set(self, due: int) -> None:
        if self.on_timer is not None:
            self.on_timer(due / 1_000_000)

    def _drop_entry(self, account: Account, calendar_id: str) -> None:
        entry = account.entries.get(calendar_id)
        if entry is not None and not entry.deleted:
            entry.deleted = True
            entry.revision = entry.feed = self.world.stamp()
            self.world.list_changed(account)
