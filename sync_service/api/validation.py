"""What an event must fulfil beyond its shape, checked before the database is asked.

The database checks the same again, for whatever comes through other doors.
"""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from sync_service.api.problems import FieldError, invalid
from sync_service.api.schemas import EventPatch
from sync_service.core import recurrence_lines

_FIRST_YEAR, _LAST_YEAR = 1900, 2099
_DAY = timedelta(days=1)
_MAX_DOCUMENT = 16 * 1024
_CONFERENCES_TO_MAKE = ("google_meet",)


@functools.cache
def zone_names() -> frozenset[str]:
    """Return the names of the IANA time zones."""
    return frozenset(zoneinfo.available_timezones() - {"Factory", "localtime", "posixrules"})


def fields_of(data: EventPatch) -> dict[str, Any]:
    """Return what *data* sets, as plain values, after checking it.

    Raises `Problem` (422) that names every faulty field.
    """
    given: dict[str, Any] = {
        name: value
        for name in data.__struct_fields__
        if (value := getattr(data, name)) is not UNSET
    }
    # An all-day event has dates and therefore no zone.
    if given.get("all_day") is True:
        given.setdefault("time_zone", None)
    if faults := list(_faults(given)):
        raise invalid(*faults)
    plain = msgspec.to_builtins(given, builtin_types=(datetime,))
    return cast("dict[str, Any]", plain)


def check_whole(fields: Mapping[str, Any]) -> None:
    """Check what only holds for a whole event: its times, their zone and its recurrence together.

    Raises `Problem` (422). The database checks the same where its callers write.
    """
    faults = list(_time_faults(dict(fields)))
    zone, repeats = fields.get("time_zone"), bool(fields.get("recurrence"))
    if fields.get("all_day"):
        if zone is not None:
            faults.append(FieldError("time_zone", "must be null for all-day events"))
    elif repeats and zone is None:
        faults.append(FieldError("time_zone", "is needed by a timed event that repeats"))
    if repeats and fields.get("series_id") is not None:
        faults.append(FieldError("recurrence", "must be null for an occurrence of a series"))
    if faults:
        raise invalid(*faults)


def _faults(given: dict[str, Any]) -> Iterator[FieldError]:
    yield from _text_faults(given)
    times_are_sane = True
    for name in ("start_time", "end_time"):
        if name in given and not _FIRST_YEAR <= given[name].year <= _LAST_YEAR:
            times_are_sane = False
            yield FieldError(name, f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    if times_are_sane:
        yield from _time_faults(given)
    zone = given.get("time_zone")
    if zone is not None and given.get("all_day") is True:
        yield FieldError("time_zone", "must be null for all-day events")
    elif zone is not None and zone not in zone_names():
        yield FieldError("time_zone", "is not an IANA time zone name")
    lines = given.get("recurrence")
    for index, fault in recurrence_lines.faults(lines) if lines is not None else ():
        yield FieldError("recurrence" if index is None else f"recurrence[{index}]", fault)
    conference = given.get("conference")
    if (
        conference is not None
        and ("url" in conference or conference.get("create") not in _CONFERENCES_TO_MAKE)
        and not _is_web_url(conference.get("url"))
    ):
        yield FieldError(
            "conference.url", 'must be an http(s) URL, unless `create` is "google_meet"'
        )
    for index, attachment in enumerate(given.get("attachments") or ()):
        if not _is_web_url(attachment.url):
            yield FieldError(f"attachments[{index}].url", "must be an http(s) URL")
    for name in ("metadata", "conference"):
        if given.get(name) and len(msgspec.json.encode(given[name])) > _MAX_DOCUMENT:
            yield FieldError(name, f"must not be larger than {_MAX_DOCUMENT // 1024} KiB")


def _time_faults(given: dict[str, Any]) -> Iterator[FieldError]:
    start: datetime | None = given.get("start_time")
    end: datetime | None = given.get("end_time")
    all_day = given.get("all_day") is True
    if all_day:
        for name, moment in (("start_time", start), ("end_time", end)):
            if moment is not None and not _is_utc_midnight(moment):
                yield FieldError(name, "must be a UTC midnight for all-day events")
    if start is None or end is None:
        return
    if end < start:
        yield FieldError("end_time", "must not be before start_time")
    elif all_day and end - start < _DAY:
        yield FieldError(
            "end_time",
            "must be at least a day after start_time: the end of all-day events is exclusive",
        )


def _is_utc_midnight(moment: datetime) -> bool:
    in_utc = moment.astimezone(UTC)
    return (in_utc.hour, in_utc.minute, in_utc.second, in_utc.microsecond) == (0, 0, 0, 0)


def _is_web_url(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > 4096:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _text_faults(given: dict[str, Any]) -> Iterator[FieldError]:
    """Find characters that Postgres cannot store in text or jsonb."""
    for name, value in given.items():
        if _holds_nul(value):
            yield FieldError(name, "must not hold the character U+0000")


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return any("\0" in key or _holds_nul(item) for key, item in pairs.items())
    if isinstance(value, (list, tuple)):
        return any(_holds_nul(item) for item in cast("list[Any]", value))
    if isinstance(value, msgspec.Struct):
        return _holds_nul(msgspec.structs.asdict(value))
    return False
