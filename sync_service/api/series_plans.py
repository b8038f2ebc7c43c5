"""What a change of a series means for its rows: pure, from the rows as they were read.

A plan is what the database function `change_series` takes: a new row or none, and the columns to
set in the series and its exceptions, in the order in which that must happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sync_service.api.problems import FieldError, invalid
from sync_service.api.user_data import Row
from sync_service.core.recurrence import Series, first, occurs
from sync_service.core.series_changes import CannotSplit, Shift, cut, split, wall

FOLLOWED = (
    "title",
    "description",
    "location",
    "notes",
    "status",
    "visibility",
    "transparency",
    "attendees",
    "reminders",
    "attachments",
    "conference",
    "color",
    "kind",
    "metadata",
)
"""What an exception takes from its series for as long as it says the same."""

_TIMES = ("start_time", "end_time", "all_day", "time_zone")

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class SeriesRows:
    """A series as it was read: its own row and those of its exceptions, deleted ones included."""

    master: Row
    exceptions: Sequence[Row]

    @property
    def series(self) -> Series:
        """When it occurs."""
        return series_of(self.master)

    @property
    def versions(self) -> dict[str, int]:
        """What the plan rests on."""
        return {row["id"]: row["version"] for row in (self.master, *self.exceptions)}

    def exception_at(self, at: datetime) -> Row | None:
        """Return the exception for the occurrence that would start at *at*, to the second."""
        wanted = _to_second(at)
        same = (row for row in self.exceptions if _to_second(row["original_start_time"]) == wanted)
        return next(same, None)

    def occurrence(self, at: datetime) -> datetime | None:
        """Return the original start of the occurrence at *at*, None when there is none."""
        exception = self.exception_at(at)
        if exception is None:
            return occurs(self.series, at)
        return None if exception["deleted_at"] else exception["original_start_time"]

    def is_first(self, at: datetime) -> bool:
        """Whether no occurrence is before *at*, be it cancelled or not."""
        beginning = first(self.series)
        return beginning is None or at <= beginning


@dataclass(frozen=True)
class Plan:
    """What `change_series` does."""

    changes: list[Row] = field(default_factory=list[Row])
    new: Row | None = None


def series_of(row: Row) -> Series:
    """Return when the series in *row* occurs."""
    return Series(
        start=row["start_time"],
        end=row["end_time"],
        all_day=row["all_day"],
        time_zone=row["time_zone"],
        lines=tuple(row["recurrence"] or ()),
    )


def exception_for(master: Row, at: datetime, fields: Fields) -> Row:
    """Return the row that makes an exception of the occurrence at *at*."""
    row = {name: master[name] for name in (*FOLLOWED, "all_day", "time_zone")}
    length: timedelta = master["end_time"] - master["start_time"]
    times = {"start_time": at, "end_time": at + length}
    whole = {**row, **times, **own_fields(master, fields)}
    return {**whole, "series_id": master["id"], "original_start_time": at}


def own_fields(master: Row, fields: Fields) -> dict[str, Any]:
    """Return *fields* for one occurrence alone; raises `Problem` (422) for what is the series'."""
    faults: list[FieldError] = []
    if fields.get("recurrence") is not None:
        faults.append(FieldError("recurrence", "is for the whole series, not for one occurrence"))
    if "calendar_id" in fields and fields["calendar_id"] != master["calendar_id"]:
        faults.append(FieldError("calendar_id", "is that of the series: move the whole series"))
    if faults:
        raise invalid(*faults)
    kept = dict(fields)
    for name in ("recurrence", "calendar_id"):
        kept.pop(name, None)
    return kept


def plan_all(rows: SeriesRows, at: datetime | None, fields: Fields, now: datetime) -> Plan:
    """Change the whole series; its exceptions follow where they are as the series was.

    With *at*, the times in *fields* are those of this occurrence, and the others move as much on
    the wall clock. Without, they are those of the series' own row.
    """
    edit = _Edit(rows, at or rows.master["start_time"], fields)
    changed = {name: value for name, value in fields.items() if name not in _TIMES}
    changed |= edit.times(edit.shift.new.start)
    if "recurrence" not in fields and rows.master["recurrence"]:
        changed["recurrence"] = list(edit.shift.lines(rows.master["recurrence"]))
    ends = "recurrence" in fields and not fields["recurrence"]
    exceptions = (
        _cancelled(rows.exceptions, fields, now)
        if ends
        else edit.exceptions(rows.exceptions, explicit=at)
    )
    return Plan([{"id": rows.master["id"], **changed}, *exceptions])


def plan_following(
    rows: SeriesRows, at: datetime, fields: Fields, new_id: str, now: datetime
) -> Plan:
    """End the series before the occurrence at *at* and start another one there.

    Raises `Problem` (422) when the rules cannot be divided there.
    """
    try:
        halves = split(rows.series, at)
    except CannotSplit as fault:
        raise _indivisible(fault) from None
    edit = _Edit(rows, at, fields, splits=True)
    new = {name: rows.master[name] for name in (*FOLLOWED, "calendar_id")}
    new |= {name: value for name, value in fields.items() if name not in _TIMES}
    new |= {"id": new_id, "series_id": None, "original_start_time": None}
    new |= edit.times(edit.shift.new.start)
    if "recurrence" not in fields:
        new["recurrence"] = list(edit.shift.lines(halves.after))
    later = [row for row in rows.exceptions if row["original_start_time"] >= at]
    if new["recurrence"]:
        moved = edit.exceptions(later, explicit=at, series_id=new_id)
    else:
        moved = _cancelled(later, fields, now)
    ended = {"id": rows.master["id"], "recurrence": list(halves.before), **_wish(fields)}
    return Plan([*moved, ended], new)


def plan_end(rows: SeriesRows, at: datetime, fields: Fields) -> Plan:
    """End the series before the occurrence at *at*; the exceptions from there on go.

    *fields* are those of a deletion: `deleted_at` and, maybe, whether guests are told.
    """
    later = [row for row in rows.exceptions if row["original_start_time"] >= at]
    changes = _cancelled(later, fields, fields["deleted_at"])
    lines = list(cut(rows.series, at))
    return Plan([*changes, {"id": rows.master["id"], "recurrence": lines, **_wish(fields)}])


class _Edit:
    """A change of a series from the point of view of one of its occurrences."""

    def __init__(
        self, rows: SeriesRows, at: datetime, fields: Fields, *, splits: bool = False
    ) -> None:
        self._master, self._fields = rows.master, fields
        old = rows.series
        self._old_length = old.end - old.start
        begins: datetime = fields.get("start_time", at)
        ends: datetime = fields.get("end_time", at + self._old_length)
        if ends < begins:
            raise invalid(FieldError("end_time", "must not be before start_time"))
        self._length = ends - begins
        all_day = fields.get("all_day", old.all_day)
        zone = fields.get("time_zone", old.time_zone)
        seen = Series(begins, ends, all_day, zone, ())
        delta = seen.anchor - wall(old, at).replace(microsecond=0)
        shift = Shift(old, seen, delta)
        if not splits and at != old.start:
            begins = old.start if shift.is_still else seen.instant(old.anchor + delta)
        self.shift = replace(shift, new=replace(seen, start=begins, end=begins + self._length))

    def times(self, start: datetime) -> Row:
        """Return the columns of an event of the series that now starts at *start*."""
        new = self.shift.new
        return {
            "start_time": start,
            "end_time": start + self._length,
            "all_day": new.all_day,
            "time_zone": new.time_zone,
        }

    def exceptions(
        self, exceptions: Iterable[Row], *, explicit: datetime | None, **columns: Any
    ) -> list[Row]:
        """Return what changes in the exceptions; all of *fields* in the one for *explicit*."""
        changes: list[Row] = []
        # In the direction of the movement, so that none takes the place of another.
        ahead = self.shift.delta > timedelta(0)
        for row in sorted(exceptions, key=lambda e: e["original_start_time"], reverse=ahead):
            change = dict(columns)
            original: datetime = row["original_start_time"]
            for name in FOLLOWED:
                if name in self._fields and row[name] == self._master[name]:
                    change[name] = self._fields[name]
            moved = original if self.shift.is_still else self.shift.moved(original)
            if moved != original:
                change["original_start_time"] = moved
            if self._is_in_place(row):
                times = self.times(moved)
                change |= {name: times[name] for name in _TIMES if times[name] != row[name]}
            if original == explicit:
                whole = set(self._fields) & {*FOLLOWED, *_TIMES}
                change |= {name: self._fields[name] for name in whole}
            if change:
                changes.append({"id": row["id"], **change, **_wish(self._fields)})
        return changes

    def _is_in_place(self, row: Row) -> bool:
        return (
            row["start_time"] == row["original_start_time"]
            and row["end_time"] - row["start_time"] == self._old_length
            and row["all_day"] == self._master["all_day"]
            and row["time_zone"] == self._master["time_zone"]
        )


def _cancelled(exceptions: Iterable[Row], fields: Fields, now: datetime) -> list[Row]:
    live = (row for row in exceptions if row["deleted_at"] is None)
    return [{"id": row["id"], "deleted_at": now, **_wish(fields)} for row in live]


def _wish(fields: Fields) -> Row:
    """Return whether guests are to be told: it goes with every row that changes."""
    return {name: fields[name] for name in ("send_updates",) if name in fields}


def _indivisible(fault: CannotSplit) -> Exception:
    return invalid(FieldError("occurrence", f"cannot be the first of a series: {fault}"))


def _to_second(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)
