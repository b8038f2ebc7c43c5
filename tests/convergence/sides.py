"""One language for both sides: what an event shows, field by field, as plain strings.

Every event bears a tag that nobody ever edits; it begins its title. Every edit writes a value that
was never there before, so a value found later says who wrote it and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

BASE = datetime(2031, 3, 3, tzinfo=UTC)
ZONE = "Europe/Berlin"
FIELDS = ("title", "description", "location", "time", "transparency")
REPEATABLE = {"", "opaque", "transparent"}
"""Values that may be written more than once."""

Shown = dict[str, str]


def tag_of(shown: Shown) -> str:
    """Return the tag of the event that shows this."""
    return shown["title"].partition(" ")[0]


def of_row(row: Mapping[str, Any]) -> Shown:
    """Read a row of `calendar_events`."""
    return {
        "title": row["title"],
        "description": row["description"] or "",
        "location": row["location"] or "",
        "time": _time(row["start_time"], row["end_time"], row["all_day"]),
        "transparency": row["transparency"],
    }


def of_content(stored: Mapping[str, Any]) -> Shown:
    """Read a version kept in `sync_conflicts`."""
    return {
        "title": stored.get("title", ""),
        "description": stored.get("description") or "",
        "location": stored.get("location") or "",
        "time": _time(
            datetime.fromisoformat(stored["start"]),
            datetime.fromisoformat(stored["end"]),
            stored.get("all_day", False),
        ),
        "transparency": stored.get("transparency", "opaque"),
    }


def of_google(body: Mapping[str, Any]) -> Shown:
    """Read an event resource."""
    return {
        "title": body.get("summary", ""),
        "description": body.get("description", ""),
        "location": body.get("location", ""),
        "time": _google_time(body),
        "transparency": body.get("transparency", "opaque"),
    }


def guests_of_row(row: Mapping[str, Any]) -> set[str]:
    """Return the addresses of a row's guests."""
    return {guest["email"] for guest in row["attendees"]}


def guests_of_google(body: Mapping[str, Any]) -> set[str]:
    """Return the addresses of a resource's guests."""
    return {guest["email"] for guest in body.get("attendees", ())}


def to_columns(field: str, value: str) -> dict[str, Any]:
    """Return the columns that say *value*."""
    if field != "time":
        return {field: value if value or field == "title" else None}
    start, end, all_day = _span(value)
    return {
        "start_time": start,
        "end_time": end,
        "all_day": all_day,
        "time_zone": None if all_day else ZONE,
    }


def to_google(field: str, value: str) -> dict[str, Any]:
    """Return the part of a resource that says *value*."""
    if field != "time":
        return {"summary" if field == "title" else field: value}
    start, end, all_day = _span(value)
    if all_day:
        nothing = {"dateTime": None, "timeZone": None}
        return {
            "start": {"date": start.date().isoformat(), **nothing},
            "end": {"date": end.date().isoformat(), **nothing},
        }
    return {
        key: {"dateTime": moment.isoformat(), "timeZone": ZONE, "date": None}
        for key, moment in (("start", start), ("end", end))
    }


def _span(value: str) -> tuple[datetime, datetime, bool]:
    number = int(value[1:])
    if value[0] == "D":
        start = BASE + timedelta(days=number)
        return start, start + timedelta(days=1), True
    start = BASE + timedelta(hours=number)
    return start, start + timedelta(hours=1), False


def _time(start: datetime, end: datetime, all_day: bool) -> str:
    step = timedelta(days=1) if all_day else timedelta(hours=1)
    number, rest = divmod(start - BASE, step)
    if rest or end - start != step:
        return f"{start.isoformat()} to {end.isoformat()}"
    return f"{'D' if all_day else 'T'}{number}"


def _google_time(body: Mapping[str, Any]) -> str:
    start, end = body["start"], body["end"]
    if "date" in start:
        days = [date.fromisoformat(value["date"]) for value in (start, end)]
        moments = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days]
        return _time(moments[0], moments[1], True)
    return _time(
        datetime.fromisoformat(start["dateTime"]), datetime.fromisoformat(end["dateTime"]), False
    )
