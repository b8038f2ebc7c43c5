"""Recurrence lines (RFC 5545 §3.8.5): reading them, and saying what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, cast
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

Name = Literal["RRULE", "EXRULE", "RDATE", "EXDATE"]

_LINE = re.compile(r"(?P<name>[A-Z-]+)(?P<head>(?:;[A-Z-]+=[^:;]+)*):(?P<value>\S+)")
_VALUE = re.compile(r"(?P<date>\d{8})(?:T(?P<time>\d{6})(?P<utc>Z?))?")
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_DAY = re.compile(r"(?P<nth>[+-]?\d{1,2})?(?:MO|TU|WE|TH|FR|SA|SU)")
_NUMBERS: dict[str, tuple[int, int]] = {
    "INTERVAL": (1, 9999),
    "COUNT": (1, 99_999),
    "BYSECOND": (0, 59),
    "BYMINUTE": (0, 59),
    "BYHOUR": (0, 23),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYMONTH": (1, 12),
    "BYSETPOS": (-366, 366),
}


class Unreadable(ValueError):
    """A line that cannot be used; its text says why, to follow the name of the line."""


@dataclass(frozen=True)
class Stamp:
    """A date or a date with time, as lines write them. *zone* is None for floating ones."""

    local: datetime
    is_date: bool
    zone: ZoneInfo | None


@dataclass(frozen=True)
class Rule:
    """An RRULE or EXRULE. *parts* are upper case, in the order in which they were written."""

    name: Name
    parts: Mapping[str, str]

    @property
    def interval(self) -> int:
        """How many periods lie between two that count."""
        return int(self.parts.get("INTERVAL", "1"))

    @property
    def count(self) -> int | None:
        """How often the rule occurs, None when it does not say so."""
        return int(self.parts["COUNT"]) if "COUNT" in self.parts else None

    @property
    def until(self) -> Stamp | None:
        """After which the rule no longer occurs."""
        return read_stamp(self.parts["UNTIL"], None) if "UNTIL" in self.parts else None

    def with_parts(self, **parts: str | int | None) -> Rule:
        """Return the rule with *parts* set; None takes one away."""
        merged = {**self.parts, **parts}
        return replace(self, parts={k: str(v) for k, v in merged.items() if v is not None})

    def __str__(self) -> str:
        return f"{self.name}:" + ";".join(f"{name}={value}" for name, value in self.parts.items())


@dataclass(frozen=True)
class Dates:
    """An RDATE or EXDATE. *head* holds its parameters as they were written."""

    name: Name
    head: str
    values: tuple[str, ...]

    def stamps(self) -> Iterator[Stamp]:
        """Return what is listed."""
        zone = _zone_of(self.head)
        return (read_stamp(value, zone) for value in self.values)

    def __str__(self) -> str:
        return f"{self.name}{self.head}:{','.join(self.values)}"


def read(line: str) -> Rule | Dates:
    """Read a recurrence line; raises `Unreadable`."""
    found = _LINE.fullmatch(line)
    if found is None or found["name"] not in ("RRULE", "EXRULE", "RDATE", "EXDATE"):
        raise Unreadable("must be an RRULE, EXRULE, RDATE or EXDATE line of RFC 5545")
    name = cast("Name", found["name"])
    if name in ("RRULE", "EXRULE"):
        rule = Rule(name, _parts(found["value"]))
        _check(rule)
        return rule
    dates = Dates(name, found["head"], tuple(found["value"].split(",")))
    for _ in dates.stamps():
        pass
    return dates


def faults(lines: Sequence[str]) -> Iterator[tuple[int | None, str]]:
    """Say what is wrong with *lines*: the number of the line, None for all together, and why."""
    repeats = False
    for number, line in enumerate(lines):
        try:
            repeats = read(line).name in ("RRULE", "RDATE") or repeats
        except Unreadable as fault:
            repeats = True
            yield number, str(fault)
    if not repeats:
        yield None, "needs an RRULE or an RDATE"


def read_stamp(text: str, zone: ZoneInfo | None) -> Stamp:
    """Read a date or a date with time, which is in *zone* unless it ends in Z.

    Raises `Unreadable`. Periods, which only RDATE may have, are not offered by any calendar.
    """
    found = _VALUE.fullmatch(text)
    if found is None:
        raise Unreadable("must list dates such as 20260131 or 20260131T090000Z")
    try:
        local = datetime.strptime(found["date"] + (found["time"] or "000000"), "%Y%m%d%H%M%S")
    except ValueError:
        raise Unreadable(f"has no such date: {text}") from None
    if not 1900 <= local.year <= 2199:
        raise Unreadable(f"has a date outside the years 1900 to 2199: {text}")
    is_date = found["time"] is None
    return Stamp(local, is_date, ZoneInfo("UTC") if found["utc"] else None if is_date else zone)


def write_stamp(at: datetime, *, all_day: bool) -> str:
    """Write an instant: as a date for all-day series, else in UTC."""
    return at.astimezone(UTC).strftime("%Y%m%d" if all_day else "%Y%m%dT%H%M%SZ")


def _parts(value: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in value.upper().rstrip(";").split(";"):
        name, _, content = part.partition("=")
        if name in parts:
            raise Unreadable(f"has {name} twice")
        parts[name] = content
    return parts


def _check(rule: Rule) -> None:
    parts = rule.parts
    if parts.get("FREQ") not in _FREQUENCIES:
        raise Unreadable(f"needs a FREQ, one of {', '.join(_FREQUENCIES)}")
    for name, content in parts.items():
        if name in _NUMBERS:
            _check_numbers(name, content)
        elif name == "BYDAY":
            _check_days(parts["FREQ"], content)
        elif name == "WKST" and not (_DAY.fullmatch(content) and content.isalpha()):
            raise Unreadable("needs a day such as MO as WKST")
        elif name not in ("FREQ", "UNTIL", "WKST"):
            raise Unreadable(f"has a part that RFC 5545 does not know: {name or '(empty)'}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise Unreadable("must not have both UNTIL and COUNT")
    if "BYSETPOS" in parts and not any(
        name.startswith("BY") and name != "BYSETPOS" for name in parts
    ):
        raise Unreadable("needs another BY part for BYSETPOS to choose from")
    try:
        _ = rule.until
    except Unreadable:
        raise Unreadable("has an UNTIL that is neither a date nor a date with time") from None
    try:
        rrulestr(str(rule.with_parts(UNTIL=None)).partition(":")[2], dtstart=datetime(2000, 1, 1))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
        raise Unreadable("is not a recurrence rule of RFC 5545") from None


def _check_numbers(name: str, content: str) -> None:
    least, most = _NUMBERS[name]
    single = name in ("INTERVAL", "COUNT")
    for text in [content] if single else content.split(","):
        sane = re.fullmatch(r"[+-]?\d{1,5}" if least < 0 else r"\d{1,5}", text)
        if not sane or not least <= int(text) <= most or (least < 0 and int(text) == 0):
            limits = f"1 to {most}, or counted from the end" if least < 0 else f"{least} to {most}"
            raise Unreadable(f"needs {name} to be {limits}")


def _check_days(frequency: str, content: str) -> None:
    for text in content.split(","):
        day = _DAY.fullmatch(text)
        if day is None or (day["nth"] and not 1 <= abs(int(day["nth"])) <= 53):
            raise Unreadable("needs BYDAY to list days such as MO or 2TU")
        if day["nth"] and frequency in ("DAILY", "WEEKLY"):
            raise Unreadable(f"must not number the days of BYDAY when FREQ is {frequency}")


def _zone_of(head: str) -> ZoneInfo | None:
    zone: ZoneInfo | None = None
    for parameter in head.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name == "TZID":
            try:
                zone = ZoneInfo(value.strip('"'))
            except (ValueError, OSError, KeyError):
                raise Unreadable(f"has a TZID that is not an IANA time zone: {value}") from None
        elif (name, value) not in (("VALUE", "DATE"), ("VALUE", "DATE-TIME")):
            raise Unreadable(f"has a parameter that is not taken: {parameter}")
    return zone
