"""The events of a window, in pages: as they are stored, or series as their occurrences."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from sync_service.api import sync_states
from sync_service.api.requests import after, from_cursor, to_cursor
from sync_service.api.schemas import Event, EventPage, ListedEvent
from sync_service.api.series_plans import series_of
from sync_service.api.user_data import Row, UserData, every, quoted
from sync_service.core.recurrence import Occurrence, expand


@dataclass(frozen=True)
class Window:
    """What is asked for: [*start*, *end*), and *home* as a filter for the data API, if any."""

    start: datetime
    end: datetime
    home: str | None


class _Item(NamedTuple):
    """A row as it is, or one occurrence of it. Ordered by start and key."""

    start: datetime
    key: str
    row: Row
    occurrence: Occurrence | None


async def stored(user_data: UserData, window: Window, cursor: str | None, limit: int) -> EventPage:
    """Return a page of the rows that touch the window; of series, those that may occur in it."""
    place = from_cursor(cursor) if cursor is not None else None
    found: list[_Item] = []
    while len(found) <= limit:
        rows = await user_data.rows(_touching(user_data, window, place, limit, masters=True))
        found += [_whole(row) for row in rows if _may_occur(row, window)]
        if len(rows) <= limit:
            break
        place = (rows[-1]["start_time"], UUID(rows[-1]["id"]))
    return await _page(user_data, found, limit)


async def expanded(
    user_data: UserData, window: Window, cursor: str | None, limit: int
) -> EventPage:
    """Return a page of single events, exceptions, and what else of the series occurs."""
    place = from_cursor(cursor) if cursor is not None else None
    rows = await user_data.rows(_touching(user_data, window, place, limit, masters=False))
    masters = await _masters(user_data, window)
    replaced = await _replaced(user_data, window, masters)
    streams: list[Iterator[_Item]] = [
        _occurrences(master, window, place, replaced.get(master["id"], ())) for master in masters
    ]
    singles = sorted((_whole(row) for row in rows), key=_order)
    merged = heapq.merge(singles, *streams, key=_order)
    return await _page(user_data, list(islice(merged, limit + 1)), limit)


def _touching(
    user_data: UserData,
    window: Window,
    place: tuple[datetime, UUID] | None,
    limit: int,
    *,
    masters: bool,
) -> Any:
    start = quoted(window.start)
    series = ",recurrence.not.is.null" if masters else ""
    wanted = [f"end_time.gt.{start},start_time.gte.{start}{series}"]
    if window.home is not None:
        wanted.append(window.home)
    if place is not None:
        wanted.append(after("start_time", to_cursor(place[0], str(place[1]))))
    query = _live(user_data, window, wanted)
    if not masters:
        query = query.is_("recurrence", None)
    return query.order("start_time").order("id").limit(limit + 1)


def _live(user_data: UserData, window: Window, wanted: Sequence[str]) -> Any:
    query = user_data.table("calendar_events").select("*").is_("deleted_at", None)
    query = query.lt("start_time", window.end.isoformat())
    return query.or_("and(" + ",".join(f"or({part})" for part in wanted) + ")")


async def _masters(user_data: UserData, window: Window) -> list[Row]:
    wanted = ["recurrence.not.is.null", *([window.home] if window.home else [])]
    return await every(user_data, _live(user_data, window, wanted))


async def _replaced(
    user_data: UserData, window: Window, masters: Sequence[Row]
) -> dict[str, list[datetime]]:
    """Return, by series, the original starts around the window that have exceptions."""
    if not masters:
        return {}
    longest: timedelta = max(row["end_time"] - row["start_time"] for row in masters)
    query = user_data.table("calendar_events").select("id,series_id,original_start_time")
    query = query.lt("original_start_time", window.end.isoformat())
    earliest: datetime = max(window.start, min(row["start_time"] for row in masters)) - longest
    found: dict[str, list[datetime]] = {}
    for row in await every(user_data, query.gte("original_start_time", earliest.isoformat())):
        found.setdefault(row["series_id"], []).append(row["original_start_time"])
    return found


def _occurrences(
    master: Row,
    window: Window,
    place: tuple[datetime, UUID] | None,
    replaced: Sequence[datetime],
) -> Iterator[_Item]:
    series = series_of(master)
    begin = window.start
    if place is not None:
        # Nothing that starts before the place is still to come.
        begin = max(begin, place[0])
    for one in expand(series, begin, window.end, replaced=replaced):
        # The start names an occurrence for ever, and so the key the place in a list.
        key = str(uuid5(UUID(master["id"]), one.start.isoformat()))
        item = _Item(one.start, key, master, one)
        if place is None or _order(item) > (place[0], str(place[1])):
            yield item


def _may_occur(row: Row, window: Window) -> bool:
    if not row["recurrence"]:
        return True
    return any(True for _ in expand(series_of(row), window.start, window.end))


def _whole(row: Row) -> _Item:
    return _Item(row["start_time"], row["id"], row, None)


def _order(item: _Item) -> tuple[datetime, str]:
    return item.start, item.key


async def _page(user_data: UserData, found: Sequence[_Item], limit: int) -> EventPage:
    page = found[:limit]
    rows = {item.row["id"]: item.row for item in page}
    described = await sync_states.describe(user_data, list(rows.values()))
    events = {str(event.id): event for event in described}
    return EventPage(
        items=[_listed(events[item.row["id"]], item.occurrence) for item in page],
        next_cursor=to_cursor(page[-1].start, page[-1].key) if len(found) > limit else None,
    )


def _listed(event: Event, occurrence: Occurrence | None) -> ListedEvent:
    if occurrence is None:
        return event
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    fields |= {"id": None, "series_id": event.id, "original_start_time": occurrence.start}
    fields |= {"start_time": occurrence.start, "end_time": occurrence.end, "recurrence": None}
    return ListedEvent(**fields)
