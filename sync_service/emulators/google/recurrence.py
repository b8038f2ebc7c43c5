"""Recurrence rules (RFC 5545, 3.8.5): checking them and listing their occurrences.

Rules run on the wall clock of the series' own zone; each occurrence is then fixed as an instant.
The first occurrence is always the series' start, whether or not its rule names it, and it counts
towards COUNT (RFC 5545, 3.3.10).
"""

from __future__ import annotations

from collections.abc import Iterator
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
_LAST_YEAR = 2200


class Occurrence(NamedTuple):
    """One occurrence: the suffix of its id, and its start as date or UTC instant."""

    stamp: str
    start: str


def validate(lines: list[str], start: Json) -> None:
    """Refuse lines that cannot be expanded, and rules that repeat within a day."""
    try:
        _ruleset(tuple(lines), _anchor(start), _zone_of(start), days="date" in start)
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
    stored: Json = (
        {"date": start} if len(start) == 10 else {"dateTime": start, "timeZone": zone_name}
    )
    return tuple(islice(_each(stored, lines), limit))


def _each(start: Json, lines: tuple[str, ...]) -> Iterator[Occurrence]:
    """Every occurrence, one at a time."""
    in_zone, anchor = _zone_of(start), _anchor(start)
    seen: set[str] = set()
    for local in _ruleset(lines, anchor, in_zone, days="date" in start):
        if local.year > _LAST_YEAR:
            return
        if "date" in start:
            found = Occurrence(local.strftime("%Y%m%d"), local.date().isoformat())
        else:
            # The start itself may lie in the hour that a clock shows twice.
            moment = local.replace(tzinfo=in_zone)
            text = start["dateTime"] if local == anchor else utc_text(moment)
            found = Occurrence(text.replace("-", "").replace(":", ""), text)
        if found.stamp not in seen:
            seen.add(found.stamp)
            yield found


def split(start: Json, lines: list[str], at: Json) -> tuple[list[str], list[str]]:
    """The lines of a series before, and from one of its occurrences on.

    A counted rule goes on with what is left of its count; dates stay on their side.
    """
    in_zone = _zone_of(start)
    wall = _wall(at, in_zone)
    key = at["date"] if "date" in at else at["dateTime"]
    if "date" in at:
        until = (date.fromisoformat(key) - timedelta(days=1)).strftime("%Y%m%d")
    else:
        until = (from_utc_text(key) - timedelta(seconds=1)).strftime("%Y%m%dT%H%M%SZ")
    before: list[str] = []
    after: list[str] = []
    for line in lines:
        head, _, value = line.partition(":")
        name, *parameters = head.upper().split(";")
        if name == "RRULE":
            earlier, goes_on = _progress(start, line, key)
            if not goes_on:
                before.append(line)
                continue
            parts = [p for p in value.split(";") if p]
            kept = [p for p in parts if not p.upper().startswith(("COUNT=", "UNTIL="))]
            count = next((int(p[6:]) for p in parts if p.upper().startswith("COUNT=")), None)
            rest = parts if count is None else [*kept, f"COUNT={count - earlier}"]
            before.append("RRULE:" + ";".join([*kept, f"UNTIL={until}"]))
            after.append("RRULE:" + ";".join(rest))
        elif name == "EXRULE":
            before.append(line)
            after.append(line)
        else:
            source = _parameter_zone(head, parameters, in_zone)
            texts = [text.strip() for text in value.split(",")]
            early = [t for t in texts if _local(t, source, in_zone) < wall]
            late = [t for t in texts if t not in early]
            before += [f"{head}:{','.join(early)}"] if early else []
            after += [f"{head}:{','.join(late)}"] if late else []
    return before, after


def _progress(start: Json, line: str, key: str) -> tuple[int, bool]:
    """How many occurrences one rule has had before a moment, and whether any are left."""
    earlier = 0
    for occurrence in _each(start, (line,)):
        if occurrence.start >= key:
            return earlier, True
        earlier += 1
    return earlier, False


def _zone_of(start: Json) -> ZoneInfo:
    return known_zone(start.get("timeZone") or "UTC")


def _anchor(start: Json) -> datetime:
    return _wall(start, _zone_of(start))


def _wall(stored: Json, in_zone: ZoneInfo) -> datetime:
    """What a clock in this zone shows at a stored time."""
    if "date" in stored:
        return datetime.combine(date.fromisoformat(stored["date"]), time())
    return from_utc_text(stored["dateTime"]).astimezone(in_zone).replace(tzinfo=None, fold=0)


def _ruleset(
    lines: tuple[str, ...], anchor: datetime, in_zone: ZoneInfo, *, days: bool
) -> rruleset:
    rules = rruleset()
    rules.rdate(anchor)
    for line in lines:
        head, colon, value = line.partition(":")
        name, *parameters = head.upper().split(";")
        if not colon or name not in {"RRULE", "EXRULE", "RDATE", "EXDATE"}:
            raise ValueError(line)
        if name == "RRULE":
            rules.rrule(_rule(value, anchor, in_zone, counts_start=True))
        elif name == "EXRULE":
            rules.exrule(_rule(value, anchor, in_zone, counts_start=False))
        else:
            source = _parameter_zone(head, parameters, in_zone)
            add = rules.rdate if name == "RDATE" else rules.exdate
            for text in value.split(","):
                local = _local(text.strip(), source, in_zone)
                add(datetime.combine(local.date(), time()) if days else local)
    return rules


def _parameter_zone(head: str, parameters: list[str], in_zone: ZoneInfo) -> ZoneInfo:
    for parameter, original in zip(parameters, head.split(";")[1:], strict=True):
        if parameter.startswith("TZID="):
            return ZoneInfo(original[5:])
        if parameter not in {"VALUE=DATE", "VALUE=DATE-TIME"}:
            raise ValueError(head)
    return in_zone


def _rule(value: str, anchor: datetime, in_zone: ZoneInfo, *, counts_start: bool) -> rrule:
    parts: dict[str, str] = {}
    for part in value.strip().rstrip(";").split(";"):
        name, equals, content = part.partition("=")
        if not equals or name.upper() not in _PARTS or name.upper() in parts:
            raise ValueError(part)
        parts[name.upper()] = content
    if parts.get("FREQ", "").upper() not in _FREQUENCIES or ("UNTIL" in parts and "COUNT" in parts):
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
    if not parts.keys() & {"UNTIL", "COUNT"}:
        # Lest a rule that never comes true be searched for to the end of time.
        return parsed.replace(until=datetime(_LAST_YEAR, 12, 31))
    if counts_start and "COUNT" in parts and next(iter(parsed), None) != anchor:
        return parsed.replace(count=int(parts["COUNT"]) - 1)
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
