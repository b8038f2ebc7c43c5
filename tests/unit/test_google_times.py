"""Times to Google and back: dates, zones, clocks that are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_service.core.event import Content
from sync_service.core.fingerprint import changed_units
from sync_service.errors import Unmappable
from sync_service.providers.google import codec

TIME = frozenset({"time"})


def read(start: dict[str, Any], end: dict[str, Any], calendar_zone: str | None = None) -> Content:
    item = {"id": "abcde", "start": start, "end": end}
    return codec.read_event(item, calendar_zone).content


def written(start: datetime, end: datetime, zone: str | None, *, all_day: bool = False) -> Any:
    content = Content(start=start, end=end, time_zone=zone, all_day=all_day)
    body = codec.merge_patch({}, codec.write_event(content, TIME))
    return body["start"], body["end"]


def hour(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-03-29", "2026-03-30"), ("2026-10-25", "2026-10-28"), ("2028-02-29", "2028-03-01")],
)
@pytest.mark.parametrize("calendar_zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", None])
def test_dates_are_dates_in_every_zone(start: str, end: str, calendar_zone: str | None) -> None:
    content = read({"date": start}, {"date": end, "timeZone": "Asia/Tokyo"}, calendar_zone)
    assert content.all_day and content.time_zone is None
    assert [content.start.isoformat(), content.end.isoformat()] == [
        f"{start}T00:00:00+00:00",
        f"{end}T00:00:00+00:00",
    ]
    assert written(content.start, content.end, None, all_day=True) == (
        {"date": start},
        {"date": end},
    )


@pytest.mark.parametrize(
    ("instant", "local"),
    [
        # The hour that the clock shows twice, first and second time.
        ("2026-10-25T00:30:00+00:00", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T01:30:00+00:00", "2026-10-25T02:30:00+01:00"),
        # On both sides of the hour that it leaves out.
        ("2026-03-29T00:59:00+00:00", "2026-03-29T01:59:00+01:00"),
        ("2026-03-29T01:00:00+00:00", "2026-03-29T03:00:00+02:00"),
    ],
)
def test_the_offset_settles_which_hour_is_meant(instant: str, local: str) -> None:
    start, _ = written(hour(instant), hour(instant) + timedelta(hours=1), "Europe/Berlin")
    assert start == {"dateTime": local, "timeZone": "Europe/Berlin"}
    assert read(start, start).start == hour(instant)


def test_the_offset_of_the_answer_is_not_the_events_zone() -> None:
    moment = {"dateTime": "2026-12-01T16:00:00+01:00", "timeZone": "America/Toronto"}
    content = read(moment, moment, "Europe/Berlin")
    assert (content.start, content.time_zone) == (
        hour("2026-12-01T15:00:00+00:00"),
        "America/Toronto",
    )
    start, _ = written(content.start, content.start, content.time_zone)
    assert start["dateTime"] == "2026-12-01T10:00:00-05:00"


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("eastern standard time", "America/New_York"),
        ("UTC+02:00", "Etc/GMT-2"),
        ("GMT-5", "Etc/GMT+5"),
        ("UTC+0", "UTC"),
        ("Customized Time Zone", "Australia/Perth"),
        ("GMT+05:30", "Australia/Perth"),
        ("", "Australia/Perth"),
        (None, "Australia/Perth"),
        (17, "Australia/Perth"),
    ],
)
def test_zone_names_of_all_kinds(given: Any, understood: str) -> None:
    moment = {"dateTime": "2026-12-01T10:00:00+01:00", "timeZone": given}
    content = read(moment, moment, "Australia/Perth")
    assert (content.time_zone, content.start) == (understood, hour("2026-12-01T09:00:00+00:00"))


def test_an_offset_with_seconds_is_written_in_utc() -> None:
    # Liberia kept its mean time until 1972; RFC 3339 has no seconds in an offset.
    long_ago = datetime(1960, 1, 1, 12, tzinfo=UTC)
    start, _ = written(long_ago, long_ago + timedelta(hours=1), "Africa/Monrovia")
    assert start == {"dateTime": "1960-01-01T12:00:00+00:00", "timeZone": "Africa/Monrovia"}


def test_what_has_no_length_is_read_as_it_is_and_written_with_one() -> None:
    moment = {"dateTime": "2026-12-01T10:00:00+01:00", "timeZone": "Europe/Berlin"}
    content = read(moment, moment)
    assert content.start == content.end
    start, end = written(content.start, content.end, "Europe/Berlin")
    assert end["dateTime"] == "2026-12-01T10:01:00+01:00"
    assert changed_units(content, read(start, end), TIME) == frozenset()


@pytest.mark.parametrize(
    ("start", "end", "length"),
    [
        ({"date": "2026-12-02"}, {"date": "2026-12-02"}, timedelta(days=1)),
        ({"date": "2026-12-02"}, {"date": "2026-12-01"}, timedelta(days=1)),
        (
            {"dateTime": "2026-12-02T10:00:00Z"},
            {"dateTime": "2026-12-02T09:00:00Z"},
            timedelta(minutes=1),
        ),
        ({"dateTime": "2026-12-02T10:00:00Z"}, {"date": "2026-12-01"}, timedelta(minutes=1)),
    ],
)
def test_what_ends_before_it_starts_gets_the_least_length(
    start: dict[str, Any], end: dict[str, Any], length: timedelta
) -> None:
    content = read(start, end)
    assert content.end - content.start == length


@pytest.mark.parametrize(
    "value",
    [{}, {"date": None}, {"date": "soon"}, {"dateTime": "25 o'clock"}, {"date": "9999-12-31"}],
)
def test_what_cannot_be_read_is_said_to_be_so(value: dict[str, Any]) -> None:
    with pytest.raises(Unmappable, match="of the Google event"):
        read(value, {"date": "2026-12-02"})


def test_a_zone_that_google_would_not_know_is_refused() -> None:
    content = Content(
        start=hour("2026-12-01T09:00Z"), end=hour("2026-12-01T10:00Z"), time_zone="X/Y"
    )
    assert set(codec.refusals(content, codec.UNITS, None, {})) == {"time"}
