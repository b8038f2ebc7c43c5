"""When a series occurs.

Rules run on the wall clock of the series' own zone; each occurrence is then fixed as an instant. A
local time that a zone skips is read with the offset before the gap, one that it has twice is the
first (RFC 5545 §3.3.5). All-day series run on dates and meet no zone. The first occurrence is the
series' start, whether or not its rules name it (Calendar API behaviour); EXDATE can take it away.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from sync_service.core.recurrence_lines import Dates, Rule, Stamp, Unreadable, read

_FAR = datetime(2200, 1, 1, tzinfo=UTC)
_MOST = 100_000
"""Results of one rule that are looked at. More than a daily series has in two hundred years."""
_SKEW = timedelta(days=2)
"""More than a wall clock can be away from UTC, or be put forward or back."""
_SECOND = timedelta(seconds=1)


class Occurrence(NamedTuple):
    """An occurrence that is as its series says. *start* is what names it for ever."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Series:
    """What says when a series occurs. *start* and *end* are UTC, *lines* its recurrence."""

    start: datetime
    end: datetime
    all_day: bool
    time_zone: str | None
    lines: tuple[str, ...]

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone on whose wall clock the series runs."""
        with suppress(ValueError, OSError, KeyError):
            return ZoneInfo(self.time_zone or "UTC") if not self.all_day else ZoneInfo("UTC")
        return ZoneInfo("UTC")

    @cached_property
    def anchor(self) -> datetime:
        """The start on the wall clock, to the second."""
        return self.local(self.start).replace(microsecond=0)

    @cached_property
    def items(self) -> tuple[Rule | Dates, ...]:
        """The lines that can be read. What else a provider holds is carried, not understood."""
        found: list[Rule | Dates] = []
        for line in self.lines:
            with suppress(Unreadable):
                found.append(read(line))
        return tuple(found)

    def local(self, at: datetime) -> datetime:
        """Return the wall clock's time at an instant."""
        return at.astimezone(self.zone).replace(tzinfo=None)

    def instant(self, local: datetime) -> datetime:
        """Return the instant at which the wall clock shows a time (the first, or in a gap)."""
        if local.replace(microsecond=0) == self.anchor:
            return self.start
        local = local.replace(microsecond=self.start.microsecond, fold=0)
        return local.replace(tzinfo=self.zone).astimezone(UTC)

    def at(self, stamp: Stamp) -> datetime:
        """Return the instant of a stamp in a line. A date stands for the start's time that day."""
        if self.all_day or stamp.is_date:
            return self.instant(datetime.combine(stamp.local.date(), self.anchor.time()))
        if stamp.zone is None:
            return self.instant(stamp.local)
        instant = stamp.local.replace(tzinfo=stamp.zone).astimezone(UTC)
        return instant.replace(microsecond=self.start.microsecond)

    def until(self, rule: Rule) -> datetime | None:
        """Return the last instant at which *rule* may occur; a date includes its whole day."""
        stamp = rule.until
        if stamp is None:
            return None
        if stamp.is_date and not self.all_day:
            return self.instant(stamp.local + timedelta(days=1) - _SECOND)
        return self.at(stamp)


def expand(
    series: Series, after: datetime, before: datetime, *, replaced: Collection[datetime] = ()
) -> Iterator[Occurrence]:
    """Return what touches the window, in order, without the occurrences that have exceptions.

    *replaced* are the original starts of those. Lazy: a caller may stop whenever it has enough.
    """
    length = series.end - series.start
    gone = {_to_second(at) for at in replaced}
    for start in starts(series, max(after, series.start) - length, before):
        if (start >= after or start + length > after) and _to_second(start) not in gone:
            yield Occurrence(start, start + length)


def occurs(series: Series, at: datetime) -> datetime | None:
    """Return the start of the occurrence at the instant *at* (to the second), None without one."""
    second = _to_second(at)
    return next(starts(series, second, second + _SECOND), None)


def first(series: Series) -> datetime | None:
    """Return when the first occurrence starts, None when every one is taken away."""
    return next(starts(series, series.start, _FAR), None)


def starts(series: Series, after: datetime, before: datetime) -> Iterator[datetime]:
    """Return the starts in [*after*, *before*) by the rules alone, in order."""
    after, before = max(after, series.start), min(before, _FAR)
    if after >= before:
        return
    rules = [item for item in series.items if isinstance(item, Rule)]
    added, removed, removed_days = _dates(series)
    plus = [instants(series, rule, after, before) for rule in rules if rule.name == "RRULE"]
    minus = [instants(series, rule, after, before) for rule in rules if rule.name == "EXRULE"]
    excluded = _Passing(heapq.merge(*minus, sorted(removed)))
    last: datetime | None = None
    for at in heapq.merge(*plus, sorted({series.start, *added})):
        if at == last or not after <= at < before:
            continue
        last = at
        if not excluded.has(at) and series.local(at).date() not in removed_days:
            yield at


def instants(series: Series, rule: Rule, after: datetime, before: datetime) -> Iterator[datetime]:
    """Return when *rule* occurs in [*after*, *before*), in order."""
    until = series.until(rule)
    if until is not None:
        before = min(before, until + _SECOND)
    if after >= before:
        return
    low, high = series.local(after - _SKEW), series.local(before + _SKEW)
    waiting: list[datetime] = []
    for local in locals_of(series, rule, low, high):
        at = series.instant(local)
        heapq.heappush(waiting, at)
        # Where clocks are put forward, what comes later on the wall may come first.
        while waiting[0] < at - _SKEW:
            yield from _within(after, before, until, [heapq.heappop(waiting)])
    yield from _within(after, before, until, sorted(waiting))


def locals_of(series: Series, rule: Rule, low: datetime, high: datetime) -> Iterator[datetime]:
    """Return the wall clock times in [*low*, *high*] that *rule* names, UNTIL left aside."""
    if series.all_day:
        rule = rule.with_parts(BYHOUR=None, BYMINUTE=None, BYSECOND=None)
    begin, left = series.anchor, rule.count
    if left is None:
        begin, rule = _advance(series.anchor, low, rule)
    if rule.parts["FREQ"] == "WEEKLY" and "BYSETPOS" in rule.parts:
        # The parser would choose from what is left of the first week.
        rule = explicit(rule, series.anchor)
        begin -= timedelta(days=(begin.weekday() - WEEK.index(rule.parts.get("WKST", "MO"))) % 7)
    if begin > high:
        return
    # The Gregorian calendar repeats every 400 years, week days included. Near the end of time the
    # parser soon gives up on rules that never match; it cannot be told to stop.
    era = (date.max.year - high.year) // 400 * 400
    text = str(rule.with_parts(UNTIL=None, COUNT=None)).partition(":")[2]
    dated = rrulestr(text, dtstart=begin.replace(year=begin.year + era))
    assert isinstance(dated, rrule)  # noqa: S101  # there is one rule in it
    dates = (found.replace(year=found.year - era) for found in islice(dated, _MOST))
    for local in islice((local for local in dates if local >= series.anchor), left):
        if local > high:
            return
        if local >= low:
            yield local


def explicit(rule: Rule, anchor: datetime) -> Rule:
    """Return *rule* with the days that it takes from the start named (RFC 5545 §3.3.10)."""
    if any(name in rule.parts for name in ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY")):
        return rule
    match rule.parts["FREQ"]:
        case "WEEKLY":
            return rule.with_parts(BYDAY=WEEK[anchor.weekday()])
        case "MONTHLY":
            return rule.with_parts(BYMONTHDAY=anchor.day)
        case "YEARLY":
            month = rule.parts.get("BYMONTH", anchor.month)
            return rule.with_parts(BYMONTH=month, BYMONTHDAY=anchor.day)
        case _:
            return rule


WEEK = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def _advance(anchor: datetime, to: datetime, rule: Rule) -> tuple[datetime, Rule]:
    """Return a later start that leaves the rule in step, at least a whole period before *to*."""
    frequency = rule.parts["FREQ"]
    if frequency in ("DAILY", "WEEKLY"):
        step = timedelta(days=rule.interval * (7 if frequency == "WEEKLY" else 1))
        return anchor + max(0, (to - anchor) // step - 1) * step, rule
    step = rule.interval * (12 if frequency == "YEARLY" else 1)
    behind = (to.year - anchor.year) * 12 + to.month - anchor.month
    periods = behind // step - 1
    if periods < 1:
        return anchor, rule
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + periods * step, 12)
    month = 1 if frequency == "YEARLY" else month + 1
    return anchor.replace(year=year, month=month, day=1), explicit(rule, anchor)


def _dates(series: Series) -> tuple[set[datetime], set[datetime], set[date]]:
    added: set[datetime] = set()
    removed: set[datetime] = set()
    removed_days: set[date] = set()
    for item in series.items:
        if not isinstance(item, Dates):
            continue
        for stamp in item.stamps():
            if item.name == "RDATE":
                added.add(series.at(stamp))
            elif stamp.is_date:
                removed_days.add(stamp.local.date())
            else:
                removed.add(series.at(stamp))
    return added, removed, removed_days


class _Passing:
    """Whether rising instants are in a rising stream."""

    def __init__(self, stream: Iterable[datetime]) -> None:
        self._stream = iter(stream)
        self._next: datetime | None = next(self._stream, None)

    def has(self, at: datetime) -> bool:
        while self._next is not None and self._next < at:
            self._next = next(self._stream, None)
        return self._next == at


def _within(
    after: datetime, before: datetime, until: datetime | None, found: Iterable[datetime]
) -> Iterator[datetime]:
    return (at for at in found if after <= at < before and (until is None or at <= until))


def _to_second(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)
