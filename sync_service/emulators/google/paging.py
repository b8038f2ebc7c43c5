"""Cutting a listing into pages, and the checks that its tokens undergo."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Generic, TypeVar

from sync_service.emulators.google.clock import MICROS
from sync_service.emulators.google.errors import ApiError, full_sync_required, invalid
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.tokens import PageToken, SyncToken, open_page, open_sync, seal
from sync_service.emulators.google.world import Actor, World

T = TypeVar("T")
_TRANSPORT_ONLY = """pageToken maxResults alt fields key oauth_token prettyPrint quotaUser userIp
alwaysIncludeEmail access_token"""
_NOT_IDENTITY = frozenset(_TRANSPORT_ONLY.split())


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a listing.

    Attributes:
        snapshot: The position that the whole listing stands for.
        next_token: Where it goes on, if it does.
    """

    rows: list[T]
    snapshot: int
    next_token: str | None


class Pager:
    """Reads the paging parameters of one request and cuts its page."""

    def __init__(
        self,
        world: World,
        actor: Actor,
        collection: str,
        query: Query,
        *,
        default: int,
        cap: int,
        page_items: int | None = None,
    ) -> None:
        self._world = world
        self._actor = actor
        self._collection = collection
        self._size = min(query.number("maxResults") or default, cap)
        self._limit = world.switches.page_items if page_items is None else page_items
        kept = sorted(pair for pair in query.pairs if pair[0] not in _NOT_IDENTITY)
        self._parameters = hashlib.sha256(repr(kept).encode()).hexdigest()[:16]
        text = query.text("pageToken")
        self._token = None if text is None else self._open(text)
        if self._token is not None:
            self._snapshot = self._token.snapshot
        else:
            horizon = world.horizon()
            last = world.state.last_stamp
            self._snapshot = last if horizon is None else min(last, horizon)

    def cut(self, rows: list[tuple[list[str | int], T]], *, backwards: bool) -> Page[T]:
        """The page of these rows that the request asks for."""
        rows = sorted(rows, key=_key, reverse=backwards)
        token = self._token
        after = None if token is None else token.after
        if after is not None:
            rows = [r for r in rows if (r[0] < after if backwards else r[0] > after)]
        size = self._size
        if token is None and self._world.switches.empty_first_page:
            size = 0
        elif self._limit is not None:
            size = min(size, self._limit)
        taken = rows[:size]
        empty_by_order = token is None and size == 0
        if len(taken) == len(rows) and not empty_by_order:
            return Page([value for _, value in taken], self._snapshot, None)
        follow = PageToken(
            self._collection,
            self._actor.sub,
            self._parameters,
            self._snapshot,
            self._world.clock.micros(),
            taken[-1][0] if taken else after,
        )
        return Page([value for _, value in taken], self._snapshot, seal(follow))

    def _open(self, text: str) -> PageToken:
        token = open_page(text)
        lifetime = self._world.switches.page_token_lifetime_s * MICROS
        if (
            token is None
            or token.collection != self._collection
            or token.sub != self._actor.sub
            or token.parameters != self._parameters
            or self._world.clock.micros() - token.issued > lifetime
        ):
            raise invalid("Invalid page token value.", "pageToken")
        return token


def _key(row: tuple[list[str | int], T]) -> list[str | int]:
    return row[0]


def open_sync_token(
    world: World, text: str, collection: str, actor: Actor, floor: int
) -> SyncToken:
    """A sync token that may be used here, or the refusal."""
    token = open_sync(text)
    if token is None or token.collection != collection or token.sub != actor.sub:
        raise dead(world)
    lifetime = world.switches.sync_token_lifetime_s
    age = world.clock.micros() - token.issued
    if token.serial <= floor or (lifetime is not None and age > lifetime * MICROS):
        raise full_sync_required()
    return token


def dead(world: World) -> ApiError:
    """The refusal of a sync token that was never good here."""
    if world.switches.malformed_sync_token == "400":  # noqa: S105
        return invalid("Invalid sync token value.", "syncToken")
    return full_sync_required()
