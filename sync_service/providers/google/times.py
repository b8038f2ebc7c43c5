"""When an event is: Google's `start` and `end`, there and back.

Rules from the Calendar API reference, 'Events': all-day values are dates with an exclusive end and
have no zone; the offset of a `dateTime` is that of the response's zone, while `timeZone` is the
event's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sync_service.core.event import Content
from sync_service.core.fingerprint import span
from sync_service.errors import Unmappable
from sync_service.providers.google.values import Resource, object_in
from sync_service.providers.google.zones import is_zone, zone_name

_YEARS = range(1000, 9000)
"""Room on both sides for an offset or a day more, so that no calculation can overflow."""


@dataclass(frozen=True)
class Times:
    """UTC instants and the event's zone; all-day events have dates as UTC midnights, no zone."""

    start: datetime
    end: datetime
    all_day: bool
    zone: str | None


def read_times(item: Resource, calendar_zone: str | None) -> Times:
    """Read when an event is. Raises `Unmappable` when that cannot be read.

    A span without length stays as it is, as far as our table takes it; others that no calendar can
    hold get the length with which they would be written.
    """
    start, all_day, zone = _read_time(item, "start", calendar_zone)
    end, _, _ = _read_time(item, "end", calendar_zone)
    if end < start or (all_day and end == start):
        end = start + (timedelta(days=1) if all_day else timedelta(minutes=1))
    return Times(start, end, all_day, None if all_day else zone)


def write_times(content: Content) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return `start` and `end`, naming what the other kind of time would leave behind as null."""
    start, end = span(content)
    if content.all_day:
        return (
            {"date": start.date().isoformat(), "dateTime": None, "timeZone": None},
            {"date": end.date().isoformat(), "dateTime": None, "timeZone": None},
        )
    name = content.time_zone or "UTC"
    zone = ZoneInfo(name)
    return (
        {"dateTime": _local(start, zone), "timeZone": name, "date": None},
        {"dateTime": _local(end, zone), "timeZone": name, "date": None},
    )


def read_original_start(item: Resource) -> datetime:
    """Return when the series would have the occurrence start. Raises `Unmappable`."""
    start, _, _ = _read_time(item, "originalStartTime", None)
    return start


def write_original_start(start: datetime, *, all_day: bool) -> str:
    """Return what `events.instances` takes as `originalStart`."""
    start = start.astimezone(UTC)
    return start.date().isoformat() if all_day else start.isoformat()


def refused_time(content: Content) -> str | None:
    """Say why Google cannot hold the event's time, None when it can."""
    if content.time_zone and not is_zone(content.time_zone):
        return "Its time zone is not an IANA time zone."
    return None


def _local(moment: datetime, zone: ZoneInfo) -> str:
    """Write *moment* with the zone's offset then, which settles hours that a clock shows twice."""
    local = moment.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    # RFC 3339 has no seconds in offsets; the mean times of a century ago have.
    return (local if offset.total_seconds() % 60 == 0 else moment.astimezone(UTC)).isoformat()


def _read_time(item: Resource, key: str, calendar_zone: str | None) -> tuple[datetime, bool, str]:
    value = object_in(item, key)
    zone = zone_name(value.get("timeZone"), calendar_zone)
    try:
        if value.get("date") is not None:
            day = date.fromisoformat(str(value["date"]))
            moment = datetime.combine(day, time(), UTC)
        else:
            moment = datetime.fromisoformat(str(value["dateTime"]))
    except (KeyError, ValueError) as fault:
        raise Unmappable(f"The {key} of the Google event cannot be read.") from fault
    if moment.year not in _YEARS:
        raise Unmappable(f"The {key} of the Google event is beyond all calendars.")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return moment.astimezone(UTC), value.get("date") is not None, zone
