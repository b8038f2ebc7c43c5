"""Recurrence rules (RFC 5545, 3.8.5): checking them and listing their occurrences.

Rules run on the wall clock of the series' own zone; each occurrence is then fixed as an instant.
The first occurrence is always the series' start, whether or not its rule names it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from sync_service.emulators.google.errors import invalid
from sync_service.emulators.google.state import Json
from sync_service.emulators.google.times import from_utc_text, known_zone, utc_text

_PART_NAMES = """FREQ UNTIL COUNT INTERVAL BYSECOND BYMINUTE BYHOUR BYDAY BYMONTHDAY BYYEARDAY
BYWEEKNO BYMONTH BYSETPOS WKST"""
_PARTS = frozenset(_PART_NAMES.split())
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_YEARS = (1900, 2200)


class Occurrence(NamedTuple):
    """One occurrence: the suffix of its id, and its start as date or UTC instant."""

    stamp: str
    start: str


def validate(lines: list[str], start: Json) -> None:
    """Refuse lines that cannot be expanded, and rules that repeat within a day."""
    try:
        _ruleset(tuple(lines), _anchor(start), _zone_of(start))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise invalid("Invalid recurrence rule.") from None


def occurrences(start: Json, lines: list[str], limit: int) -> tuple[Occurrence, ...]:
    """The first *limit* occurrences of a series, in order."""
    key = start.get("date") or start["dateTime"]
    return _expand(key, start.get("timeZone"), tuple(lines), limit)


@lru_cache(maxsize=4096)
def _expand(
    start: str, zone_name: str | None, lines: tuple[str, ...], limit: int
) -> tuple[Occurrence, ...]:
    all_day = len(start) == 10
    stored: Json = {"date": start} if all_day else {"dateTime": start, "timeZone": zone_name}
    in_zone = _zone_of(stored)
    found: list[Occurrence] = []
    for local in islice(iter(_ruleset(lines, _anchor(stored), in_zone)), limit):
        if local.year > _YEARS[1]:
            break
        if all_day:
            found.append(Occurrence(local.strftime("%Y%m%d"), local.date().isoformat()))
            continue
        text = utc_text(local.replace(tzinfo=in_zone))
        found.append(Occurrence(text.replace("-", "").replace(":", ""), text))
    return tuple(found)


def split(start: Json, lines: list[str], at: Json) -> tuple[list[str], list[str]]:
    """The rules of a series before and from one of its occurrences on."""
    all_day = "date" in start
    key = at["date"] if all_day else at["dateTime"]
    earlier = sum(1 for o in occurrences(start, lines, 100_000) if o.start < key)
    if all_day:
        until = (date.fromisoformat(key) - timedelta(days=1)).strftime("%Y%m%d")
    else:
        until = (from_utc_text(key) - timedelta(seconds=1)).strftime("%Y%m%dT%H%M%SZ")
    before: list[str] = []
    after: list[str] = []
    for line in lines:
        if not line.upper().startswith("RRULE:"):
            before.append(line)
            after.append(line)
            continue
        parts = [p for p in line[6:].split(";") if p]
        kept = [p for p in parts if not p.upper().startswith(("COUNT=", "UNTIL="))]
        before.append("RRULE:" + ";".join([*kept, f"UNTIL={until}"]))
        count = next((int(p[6:]) for p in parts if p.upper().startswith("COUNT=")), None)
        rest = parts if count is None else [*kept, f"COUNT={max(1, count - earlier)}"]
        after.append("RRULE:" + ";".join(rest))
    return before, after


def _zone_of(start: Json) -> ZoneInfo:
    return known_zone(start.get("timeZone") or "UTC")


def _anchor(start: Json) -> datetime:
    if "date" in start:
        return datetime.combine(date.fromisoformat(start["date"]), time())
    return from_utc_text(start["dateTime"]).astimezone(_zone_of(start)).replace(tzinfo=None)


def _ruleset(lines: tuple[str, ...], anchor: datetime, in_zone: ZoneInfo) -> rruleset:
    rules = rruleset()
    rules.rdate(anchor)
    for line in lines:
        head, colon, value = line.partition(":")
        name, *parameters = head.upper().split(";")
        if not colon or name not in {"RRULE", "EXRULE", "RDATE", "EXDATE"}:
            raise ValueError(line)
        if name == "RRULE":
            rules.rrule(_rule(value, anchor, in_zone))
        elif name == "EXRULE":
            rules.exrule(_rule(value, anchor, in_zone))
        else:
            source = _parameter_zone(head, parameters, in_zone)
            add = rules.rdate if name == "RDATE" else rules.exdate
            for text in value.split(","):
                add(_local(text.strip(), source, in_zone))
    return rules


def _parameter_zone(head: str, parameters: list[str], in_zone: ZoneInfo) -> ZoneInfo:
    for parameter, original in zip(parameters, head.split(";")[1:], strict=True):
        if parameter.startswith("TZID="):
            return ZoneInfo(original[5:])
        if parameter not in {"VALUE=DATE", "VALUE=DATE-TIME"}:
            raise ValueError(head)
    return in_zone


def _rule(value: str, anchor: datetime, in_zone: ZoneInfo) -> rrule:
    parts: dict[str, str] = {}
    for part in value.strip().rstrip(";").split(";"):
        name, equals, content = part.partition("=")
        if not equals or name.upper() not in _PARTS or name.upper() in parts:
            raise ValueError(part)
        parts[name.upper()] = content
    if parts.get("FREQ") not in _FREQUENCIES or ("UNTIL" in parts and "COUNT" in parts):
        raise ValueError(value)
    if int(parts.get("COUNT", "1")) < 1 or int(parts.get("INTERVAL", "1")) < 1:
        raise ValueError(value)
    if "UNTIL" in parts:
        until = parts["UNTIL"]
        local = _local(until, in_zone, in_zone)
        if len(until) == 8 and anchor.time() != time():
            local = datetime.combine(local.date(), time(23, 59, 59))
        parts["UNTIL"] = local.strftime("%Y%m%dT%H%M%S")
    text = ";".join(f"{name}={content}" for name, content in parts.items())
    parsed = rrulestr(text, dtstart=anchor)
    if not isinstance(parsed, rrule):
        raise ValueError(value)
    return parsed


def _local(text: str, source: ZoneInfo, in_zone: ZoneInfo) -> datetime:
    """A RFC 5545 date or date-time on the series' wall clock."""
    if len(text) == 8:
        day = datetime.strptime(text, "%Y%m%d").date()
        return datetime.combine(day, time())
    if text.endswith("Z"):
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    else:
        moment = datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=source)
    return moment.astimezone(in_zone).replace(tzinfo=None)
