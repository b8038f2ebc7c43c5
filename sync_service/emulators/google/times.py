"""Event times: reading what clients send, keeping instants in UTC, rendering in a zone.

Stored times have the wire's shape: `{"date": …}` for all-day values, else `{"dateTime": …Z,
"timeZone": …}`; only the offset is chosen when rendering.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sync_service.emulators.google.errors import ApiError, invalid, required
from sync_service.emulators.google.state import Json, as_object

_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?P<fraction>\.\d+)?(?P<offset>[Zz]|[+-]\d{2}:\d{2})?"
)
_YEARS = range(1000, 9000)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The IANA zone of this name, or None (Windows names and offsets are not zones)."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+)*", name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def known_zone(name: str) -> ZoneInfo:
    """The zone of a name that was checked when it was stored."""
    found = zone(name)
    return ZoneInfo("UTC") if found is None else found


def parse_moment(text: str) -> datetime | None:
    """An RFC 3339 date-time without its fraction; naive when it has no offset."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    plain = text[: match.start("fraction")] if match["fraction"] else text[:19]
    try:
        moment = datetime.fromisoformat(plain + (match["offset"] or "").upper())
    except ValueError:
        return None
    return moment if moment.year in _YEARS else None


def parse_day(text: str) -> date | None:
    """A calendar date."""
    if not _DAY.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in _YEARS else None


def utc_text(moment: datetime) -> str:
    """An instant the way it is stored."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_utc_text(text: str) -> datetime:
    """A stored instant."""
    return datetime.fromisoformat(text)


def millis(micros: int) -> str:
    """`created` and `updated`: UTC with milliseconds."""
    return (
        datetime.fromtimestamp(micros // 1000 / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{micros // 1000 % 1000:03d}Z"
    )


def normalise_time(value: Any, which: str, default_zone: str | None) -> Json:
    """Check a `start` or `end` and bring it into stored shape."""
    if value is None:
        raise required(f"Missing {which} time.")
    fields = as_object(value)
    if fields is None:
        raise invalid(f"Invalid value for: {which}")
    day, moment, zone_name = fields.get("date"), fields.get("dateTime"), fields.get("timeZone")
    for part in (day, moment, zone_name):
        if part is not None and not isinstance(part, str):
            raise invalid(f"Invalid value for: {which}")
    if zone_name and zone(zone_name) is None:
        raise invalid(f"Invalid time zone definition for {which} time.")
    if day is not None and moment is not None:
        raise invalid(f"Invalid {which} time.")
    if day is not None:
        if parse_day(day) is None:
            raise invalid(f"Invalid {which} time.")
        return {"date": day}
    if moment is None:
        raise required(f"Missing {which} time.")
    return _normalise_moment(moment, zone_name, which, default_zone)


def _normalise_moment(
    text: str, zone_name: str | None, which: str, default_zone: str | None
) -> Json:
    parsed = parse_moment(text)
    if parsed is None:
        raise invalid(f"Invalid {which} time.")
    if parsed.tzinfo is None:
        if not zone_name:
            raise required(f"Missing time zone definition for {which} time.")
        parsed = parsed.replace(tzinfo=known_zone(zone_name))
    stored: Json = {"dateTime": utc_text(parsed)}
    if kept := zone_name or default_zone:
        stored["timeZone"] = kept
    return stored


def check_order(start: Json, end: Json, *, allow_equal: bool, error: ApiError) -> None:
    """Refuse mixed kinds and empty ranges."""
    if ("date" in start) != ("date" in end):
        raise invalid("Start and end times must either both be date or both be dateTime.")
    kind = "date" if "date" in start else "dateTime"
    if start[kind] > end[kind] or (start[kind] == end[kind] and not allow_equal):
        raise error


def instant(stored: Json, day_zone: ZoneInfo) -> datetime:
    """The instant a stored time stands for; a date begins at midnight in *day_zone*."""
    if "date" in stored:
        day = date.fromisoformat(stored["date"])
        return datetime(day.year, day.month, day.day, tzinfo=day_zone).astimezone(UTC)
    return from_utc_text(stored["dateTime"])


def render_time(stored: Json, in_zone: ZoneInfo) -> Json:
    """A stored time in the response's zone; `timeZone` stays the event's own."""
    if "date" in stored:
        return dict(stored)
    text = from_utc_text(stored["dateTime"]).astimezone(in_zone).isoformat()
    if text.endswith("+00:00"):
        text = text.removesuffix("+00:00") + "Z"
    rendered: Json = {"dateTime": text}
    if "timeZone" in stored:
        rendered["timeZone"] = stored["timeZone"]
    return rendered


def shift(stored: Json, by: timedelta) -> Json:
    """A stored time moved by a duration."""
    if "date" in stored:
        return {"date": (date.fromisoformat(stored["date"]) + by).isoformat()}
    return {**stored, "dateTime": utc_text(from_utc_text(stored["dateTime"]) + by)}


def duration(start: Json, end: Json) -> timedelta:
    """How long an event lasts."""
    if "date" in start:
        return date.fromisoformat(end["date"]) - date.fromisoformat(start["date"])
    return from_utc_text(end["dateTime"]) - from_utc_text(start["dateTime"])
