"""Free/busy queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sync_service.emulators.google.errors import (
    ApiError,
    bad_request,
    invalid,
    required,
    time_range_empty,
)
from sync_service.emulators.google.listing import list_events
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.state import Json, as_list, as_object
from sync_service.emulators.google.times import (
    known_zone,
    parse_moment,
    render_time,
    utc_text,
    zone,
)
from sync_service.emulators.google.world import Actor, World


def query_busy(world: World, actor: Actor, body: Json) -> Json:
    """When the given calendars are busy; trouble with one is reported inside the answer."""
    low, high = _bound(body, "timeMin"), _bound(body, "timeMax")
    zone_name = body.get("timeZone") or "UTC"
    if not isinstance(zone_name, str) or zone(zone_name) is None:
        raise invalid("Invalid time zone definition.", "timeZone")
    if low >= high:
        raise time_range_empty()
    longest = world.switches.free_busy_max_range_s
    first, last = parse_moment(low), parse_moment(high)
    if longest is not None and first and last and last - first > timedelta(seconds=longest):
        raise bad_request("The requested time range is too long.")
    items: list[Any] = as_list(body.get("items")) or []
    limit = body.get("calendarExpansionMax")
    limit = min(limit, 50) if isinstance(limit, int) else 50
    calendars: Json = {}
    for position, item in enumerate(items):
        name = str((as_object(item) or {}).get("id", ""))
        if position >= limit:
            calendars[name] = _failure("tooManyCalendarsRequested")
            continue
        try:
            calendars[name] = {"busy": _busy(world, actor, name, low, high, zone_name)}
        except ApiError:
            calendars[name] = _failure("notFound")
    return {
        "kind": "calendar#freeBusy",
        "timeMin": low.removesuffix("Z") + ".000Z",
        "timeMax": high.removesuffix("Z") + ".000Z",
        "calendars": calendars,
    }


def _busy(
    world: World, actor: Actor, calendar_id: str, low: str, high: str, zone_name: str
) -> list[Json]:
    spans: list[tuple[str, str]] = []
    page: str | None = None
    while True:
        pairs = [("timeMin", low), ("timeMax", high), ("singleEvents", "true")]
        pairs += [("maxResults", "2500"), ("timeZone", "UTC")]
        if page is not None:
            pairs.append(("pageToken", page))
        answer = list_events(world, actor, calendar_id, Query(pairs))
        for event in answer["items"]:
            if event.get("transparency") != "transparent":
                spans.append((_edge(event["start"]), _edge(event["end"])))
        page = answer.get("nextPageToken")
        if page is None:
            break
    merged: list[tuple[str, str]] = []
    for start, end in sorted((max(start, low), min(end, high)) for start, end in spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    in_zone = known_zone(zone_name)
    return [
        {
            "start": render_time({"dateTime": start}, in_zone)["dateTime"],
            "end": render_time({"dateTime": end}, in_zone)["dateTime"],
        }
        for start, end in merged
    ]


def _edge(time: Json) -> str:
    return time["dateTime"] if "dateTime" in time else f"{time['date']}T00:00:00Z"


def _bound(body: Json, name: str) -> str:
    text = body.get(name)
    if not isinstance(text, str) or not text:
        raise required("Required")
    moment = parse_moment(text)
    if moment is None or moment.tzinfo is None:
        raise bad_request()
    return utc_text(moment)


def _failure(reason: str) -> Json:
    return {"errors": [{"domain": "global", "reason": reason}], "busy": []}
