"""What arrives from a remote side, and what settling it adds up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sync_service.core.event import Content
from sync_service.providers.base import OccurrenceRef, RemoteEvent
from sync_service.store import trail
from sync_service.store.events import NewEvent
from sync_service.store.mappings import Agreement


@dataclass(frozen=True)
class Arrival:
    """A remote version: *remote* is None when it is deleted there.

    *base* replaces the mapping's base where we know better: the content that we just sent.
    *cancelled* names the occurrence where it is one that was cancelled.
    """

    external_id: str
    remote: RemoteEvent | None
    base: Content | None = None
    cancelled: OccurrenceRef | None = None

    @property
    def occurrence(self) -> OccurrenceRef | None:
        """Which occurrence of a series this is, if it is one."""
        return self.remote.occurrence if self.remote else self.cancelled


@dataclass(frozen=True)
class Feed:
    """The arrivals are a page of a feed, asked for at *asked_at* (the database's clock).

    What we learnt about an event since then is newer than the page. Events that are not mapped and
    ended before *since* are left out; *pass_id* is the full listing that the page belongs to.
    """

    asked_at: datetime
    since: datetime
    pass_id: UUID | None = None


@dataclass
class Settled:
    """What became of the arrivals, by event id."""

    created: list[UUID] = field(default_factory=list[UUID])
    updated: list[UUID] = field(default_factory=list[UUID])
    deleted: list[UUID] = field(default_factory=list[UUID])
    conflicts: int = 0

    @property
    def touched(self) -> list[UUID]:
        """Events whose row changed."""
        return [*self.created, *self.updated, *self.deleted]


@dataclass
class Writes:
    """What the decisions add up to, to be written in a few statements."""

    inserts: list[NewEvent] = field(default_factory=list[NewEvent])
    updates: dict[UUID, Content] = field(default_factory=dict[UUID, Content])
    deletes: list[UUID] = field(default_factory=list[UUID])
    agreements: list[Agreement] = field(default_factory=list[Agreement])
    tombstones: list[UUID] = field(default_factory=list[UUID])
    look_again: list[UUID] = field(default_factory=list[UUID])
    seen: list[UUID] = field(default_factory=list[UUID])
    parked: list[UUID] = field(default_factory=list[UUID])
    pushes: dict[UUID, str] = field(default_factory=dict[UUID, str])
    conflicts: list[trail.Conflict] = field(default_factory=list[trail.Conflict])
    series: list[UUID] = field(default_factory=list[UUID])
