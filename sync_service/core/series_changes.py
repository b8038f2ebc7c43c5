"""Changing a series from one occurrence on, or as a whole: what becomes of lines and dates."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sync_service.core.recurrence import WEEK, Series, explicit, instants
from sync_service.core.recurrence_lines import Dates, Rule, Unreadable, read, write_stamp

_SECOND = timedelta(seconds=1)
_ONCE = "RRULE:FREQ=DAILY;COUNT=1"


class CannotSplit(ValueError):
    """The occurrences from here on cannot be said by lines of their own."""


@dataclass(frozen=True)
class Halves:
    """The lines of a series up to an occurrence, and of one that starts with it."""

    before: tuple[str, ...]
    after: tuple[str, ...]


def split(series: Series, at: datetime) -> Halves:
    """Divide the lines of *series* at the start of one of its occurrences.

    UNTIL ends the first half just before it, COUNT is divided, dates go where they fall. Raises
    `CannotSplit` when a rule with an INTERVAL does not hit the occurrence, so that a series that
    starts with it could not keep in step.
    """
    rest: list[str] = []
    for line in series.lines:
        match _read(line):
            case None:
                rest.append(line)
            case Dates() as dates:
                rest += _later_dates(series, dates, at)
            case Rule() as rule:
                rest += _later_rule(series, rule, line, at)
    return Halves(cut(series, at), _repeating(rest))


def cut(series: Series, at: datetime) -> tuple[str, ...]:
    """Return the lines of *series* such that it ends before the start *at* of an occurrence."""
    kept: list[str] = []
    for line in series.lines:
        match _read(line):
            case None:
                kept.append(line)
            case Dates() as dates:
                early = _fallen(series, dates, at, early=True)
                kept += [str(replace(dates, values=early))] if early else []
            case Rule() as rule:
                kept += _earlier_rule(series, rule, line, at)
    return _repeating(kept)


@dataclass(frozen=True)
class Shift:
    """A series before and after its start moved by *delta* on the wall clock."""

    old: Series
    new: Series
    delta: timedelta

    @property
    def is_still(self) -> bool:
        """Whether nothing moves."""
        same = self.old.all_day == self.new.all_day and self.old.zone.key == self.new.zone.key
        return same and not self.delta

    def moved(self, at: datetime) -> datetime:
        """Return where what was at the instant *at* is now."""
        local = wall(self.old, at) + self.delta
        if self.new.all_day:
            local = datetime.combine(local.date(), self.new.anchor.time())
        return self.new.instant(local)

    def lines(self, lines: Iterable[str]) -> tuple[str, ...]:
        """Return *lines* such that they name the same occurrences, moved.

        Their dates, their ends and the days of weekly rules follow. Other rules say what they say.
        """
        return tuple(lines) if self.is_still else tuple(self._line(line) for line in lines)

    def _line(self, line: str) -> str:
        item = _read(line)
        if item is None:
            return line
        if isinstance(item, Dates):
            moved = [self.moved(self.old.at(stamp)) for stamp in item.stamps()]
            return _write_dates(item, moved, all_day=self.new.all_day)
        until = self.old.until(item)
        if until is not None:
            item = item.with_parts(UNTIL=write_stamp(self.moved(until), all_day=self.new.all_day))
        return str(self._turned(item))

    def _turned(self, rule: Rule) -> Rule:
        days = ((self.old.anchor + self.delta).date() - self.old.anchor.date()).days % 7
        if rule.parts["FREQ"] != "WEEKLY" or "BYDAY" not in rule.parts or not days:
            return rule
        turned = [_turn(day, days) for day in rule.parts["BYDAY"].split(",")]
        # Weeks turn along, or every second week would no longer hold the same days.
        begin = _turn(rule.parts.get("WKST", "MO"), days) if rule.interval > 1 else None
        return rule.with_parts(BYDAY=",".join(turned), **({"WKST": begin} if begin else {}))


def wall(series: Series, at: datetime) -> datetime:
    """Return the time on the wall clock that an occurrence stands for, be it skipped that day."""
    local = series.local(at)
    usual = datetime.combine(local.date(), series.anchor.time())
    return usual if series.instant(usual) == at else local


def _read(line: str) -> Rule | Dates | None:
    with suppress(Unreadable):
        return read(line)
    return None


def _fallen(series: Series, dates: Dates, at: datetime, *, early: bool) -> tuple[str, ...]:
    day = series.local(at).date()
    return tuple(
        value
        for value, stamp in zip(dates.values, dates.stamps(), strict=True)
        if (stamp.local.date() < day if stamp.is_date else series.at(stamp) < at) == early
    )


def _later_dates(series: Series, dates: Dates, at: datetime) -> list[str]:
    late = replace(dates, values=_fallen(series, dates, at, early=False))
    if not late.values:
        return []
    usual = series.local(at).time() == series.anchor.time()
    if dates.name == "RDATE" and not usual and any(stamp.is_date for stamp in late.stamps()):
        # A date alone stands for the time of the start, which is another one there.
        exact = [series.at(stamp) for stamp in late.stamps()]
        return [_write_dates(dates, exact, all_day=series.all_day)]
    return [str(late)]


def _earlier_rule(series: Series, rule: Rule, line: str, at: datetime) -> list[str]:
    until = series.until(rule)
    if rule.name == "EXRULE" or (until is not None and until < at):
        return [line]
    earlier = _count(series, rule, at)
    if not earlier:
        return []
    if rule.count is not None:
        return [str(rule.with_parts(COUNT=earlier))]
    end = at - (timedelta(days=1) if series.all_day else _SECOND)
    return [str(rule.with_parts(UNTIL=write_stamp(end, all_day=series.all_day)))]


def _later_rule(series: Series, rule: Rule, line: str, at: datetime) -> list[str]:
    until = series.until(rule)
    if until is not None and until < at:
        return []
    left = None if rule.count is None else rule.count - _count(series, rule, at)
    if left == 0:
        return []
    rest = replace(series, start=at, end=at + (series.end - series.start))
    kept = _in_step(rule, series, rest)
    if left is not None:
        # The first occurrence may stand for a skipped time, which the rule then no longer names.
        lost = _hits(series, rule, at) and not _hits(rest, kept, at)
        if left == lost:
            return []
        kept = kept.with_parts(COUNT=left - lost)
    return [line if dict(kept.parts) == dict(rule.parts) else str(kept)]


def _count(series: Series, rule: Rule, before: datetime) -> int:
    return sum(1 for _ in instants(series, rule, series.start, before))


def _hits(series: Series, rule: Rule, at: datetime) -> bool:
    return any(instants(series, rule, at, at + _SECOND))


def _in_step(rule: Rule, old: Series, new: Series) -> Rule:
    """Return *rule* such that from the start of *new* on it names what it names from *old*'s."""
    if not _keeps_step(rule, old.anchor, new.anchor):
        raise CannotSplit("a rule with an INTERVAL does not name this occurrence")
    named = explicit(rule, old.anchor)
    if explicit(rule, new.anchor) != named:
        rule = named
    if old.all_day:
        return rule
    for part, was, now in (
        ("BYHOUR", old.anchor.hour, new.anchor.hour),
        ("BYMINUTE", old.anchor.minute, new.anchor.minute),
        ("BYSECOND", old.anchor.second, new.anchor.second),
    ):
        if was != now and part not in rule.parts:
            rule = rule.with_parts(**{part: was})
    return rule


def _keeps_step(rule: Rule, old: datetime, new: datetime) -> bool:
    months = (new.year - old.year) * 12 + new.month - old.month
    match rule.parts["FREQ"]:
        case "DAILY":
            periods = (new.date() - old.date()).days
        case "WEEKLY":
            begin = WEEK.index(rule.parts.get("WKST", "MO"))
            weeks = [day.toordinal() - (day.weekday() - begin) % 7 for day in (old, new)]
            periods = (weeks[1] - weeks[0]) // 7
        case "MONTHLY":
            periods = months
        case _:
            periods = new.year - old.year
    return periods % rule.interval == 0


def _repeating(lines: list[str]) -> tuple[str, ...]:
    """Keep a series one, even if it occurs once."""
    repeats = any(line.startswith(("RRULE", "RDATE")) for line in lines)
    return tuple(lines) if repeats else (_ONCE, *lines)


def _write_dates(dates: Dates, moments: Iterable[datetime], *, all_day: bool) -> str:
    values = tuple(write_stamp(at, all_day=all_day) for at in moments)
    return str(replace(dates, head=";VALUE=DATE" if all_day else "", values=values))


def _turn(day: str, days: int) -> str:
    return WEEK[(WEEK.index(day) + days) % 7]
