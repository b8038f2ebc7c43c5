"""Laws of expansion and of splitting, for any series, and the examples that RFC 5545 is about."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from dateutil.rrule import rrule, rrulestr
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sync_service.core.recurrence import Series, expand, first, occurs, starts
from sync_service.core.recurrence_lines import Rule, faults, read
from sync_service.core.series_changes import CannotSplit, Shift, split, wall

EVER = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2150, 1, 1, tzinfo=UTC))
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def series(start: str, *lines: str, zone: str | None = "Europe/Berlin", hours: int = 1) -> Series:
    begin = utc(start)
    length = timedelta(hours=hours) if zone else timedelta(days=1)
    return Series(begin, begin + length, zone is None, zone, lines)


def texts(one: Series, after: str = "1900-01-01", before: str = "2150-01-01") -> list[str]:
    return [f"{at:%Y-%m-%d %H:%M}" for at in starts(one, utc(after), utc(before))]


@st.composite
def rules(draw: st.DrawFn, name: str = "RRULE", often: bool = False) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"][: 2 if often else 4]))
    parts = [f"FREQ={frequency}"]
    if interval := draw(st.sampled_from([0, 0, 2, 3])):
        parts.append(f"INTERVAL={interval}")
    days = draw(st.lists(st.sampled_from(["MO", "TU", "WE", "SA", "SU"]), unique=True, max_size=3))
    if frequency == "WEEKLY" and days:
        parts.append(f"BYDAY={','.join(days)}")
        if draw(st.booleans()):
            parts.append("WKST=SU")
        if not often and draw(st.booleans()):
            parts.append("BYSETPOS=" + draw(st.sampled_from(["1", "-1", "2"])))
    elif frequency == "MONTHLY":
        parts += draw(st.sampled_from([[], ["BYMONTHDAY=-1"], ["BYDAY=2TU,-1FR"], ["BYDAY=MO,TU;BYSETPOS=-1"]]))  # fmt: skip
    elif frequency == "YEARLY":
        parts += draw(st.sampled_from([[], ["BYMONTH=2;BYMONTHDAY=29"], ["BYWEEKNO=1;BYDAY=MO"], ["BYMONTH=3,10"]]))  # fmt: skip
    end = draw(st.sampled_from(["", "COUNT", "UNTIL", "UNTIL-DATE"]))
    if end == "COUNT":
        parts.append(f"COUNT={draw(st.integers(1, 9))}")
    elif end:
        day = draw(st.dates(date(2026, 1, 1), date(2028, 12, 31)))
        parts.append(f"UNTIL={day:%Y%m%d}" + ("T023000Z" if end == "UNTIL" else ""))
    return f"{name}:{';'.join(parts)}"


@st.composite
def dates(draw: st.DrawFn, name: str) -> str:
    days = draw(st.lists(st.dates(date(2026, 3, 1), date(2026, 5, 1)), min_size=1, max_size=3))
    form = draw(st.sampled_from([":{:%Y%m%d}", ":{:%Y%m%d}T013000Z", ";TZID=Asia/Tokyo:{:%Y%m%d}T103000", ":{:%Y%m%d}T023000"]))  # fmt: skip
    head, _, value = form.partition(":{")
    return f"{name}{head}:" + ",".join(("{" + value).format(day) for day in days)


@st.composite
def any_series(draw: st.DrawFn) -> Series:
    zone = draw(st.sampled_from([None, *ZONES]))
    day = draw(st.dates(date(2026, 1, 1), date(2026, 4, 30)))
    hour, minute = draw(st.sampled_from([(0, 0), (1, 30), (9, 0), (15, 30), (23, 59)]))
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if zone is not None:
        start += timedelta(hours=hour, minutes=minute)
    lines = draw(st.lists(rules(), min_size=1, max_size=2))
    lines += draw(st.lists(st.one_of(dates("RDATE"), dates("EXDATE"), rules("EXRULE")), max_size=2))
    length = timedelta(hours=draw(st.integers(0, 30))) if zone else timedelta(days=1)
    return Series(start, start + length, zone is None, zone, tuple(lines))


moments = st.datetimes(datetime(2025, 12, 1), datetime(2029, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@given(any_series(), moments, moments, moments)
def test_windows_join(one: Series, a: datetime, b: datetime, c: datetime) -> None:
    a, b, c = sorted((a, b, c))
    whole = list(starts(one, a, c))
    assert whole == [*starts(one, a, b), *starts(one, b, c)]
    assert whole == sorted(set(whole))
    touching = list(expand(one, a, c))
    assert [at.start for at in touching if at.start >= a] == whole
    assert all(at.end > a or at.start >= a for at in touching)


@given(any_series(), moments)
def test_a_far_window_shows_what_a_walk_from_the_start_shows(one: Series, at: datetime) -> None:
    """Where no COUNT forces the walk, it is left out; the parser's own walk is the judge."""
    rule = one.items[0]
    assert isinstance(rule, Rule)
    assume(rule.count is None and "BYSETPOS" not in rule.parts and one.zone.key == "UTC")
    plain = Series(one.start, one.end, one.all_day, one.time_zone, (one.lines[0],))
    until = one.until(rule)
    parsed = rrulestr(
        str(rule.with_parts(UNTIL=None)).partition(":")[2], dtstart=one.start.replace(tzinfo=None)
    )
    assert isinstance(parsed, rrule)
    before = at + timedelta(days=400)
    walked: set[datetime] = {one.start}
    for local in parsed:
        found = local.replace(tzinfo=UTC)
        if found >= before or (until is not None and found > until):
            break
        walked.add(found)
    expected = sorted(found for found in walked if at <= found < before)
    assert list(starts(plain, at, before)) == expected


@given(any_series(), st.integers(1, 12), moments)
@example(series("2026-03-27 01:30", "RRULE:FREQ=DAILY;COUNT=9"), 2, utc("2029-01-01"))
@example(series("2026-03-27 01:30", "RRULE:FREQ=DAILY"), 2, utc("2029-01-01"))
def test_halves_are_the_whole(one: Series, number: int, before: datetime) -> None:
    occurrences = list(starts(one, EVER[0], utc("2029-06-01")))
    assume(len(occurrences) > number)
    at = occurrences[number]
    try:
        halves = split(one, at)
    except CannotSplit:
        assume(False)
        return
    length = one.end - one.start
    early = Series(one.start, one.end, one.all_day, one.time_zone, halves.before)
    late = Series(at, at + length, one.all_day, one.time_zone, halves.after)
    assert list(starts(early, EVER[0], before)) == [x for x in occurrences if x < min(at, before)]
    assert list(starts(late, EVER[0], before)) == [x for x in occurrences if at <= x < before]
    assert not list(faults(halves.before))
    assert not list(faults(halves.after))


@given(st.sampled_from(ZONES), st.integers(1, 40), st.data())
def test_a_split_conserves_the_count(zone: str, count: int, data: st.DataObject) -> None:
    one = series("2026-03-20 09:00", f"RRULE:FREQ=DAILY;COUNT={count}", zone=zone)
    occurrences = list(starts(one, *EVER))
    assert len(occurrences) == count
    assume(count > 1)
    halves = split(one, data.draw(st.sampled_from(occurrences[1:])))
    counts = [read(line) for half in (halves.before, halves.after) for line in half]
    assert sum(rule.count or 0 for rule in counts if isinstance(rule, Rule)) == count


@given(st.sampled_from(ZONES), st.integers(4, 23), st.integers(0, 59))
def test_the_wall_clock_is_the_same_all_year(zone: str, hour: int, minute: int) -> None:
    start = datetime(2026, 1, 5, hour, minute, tzinfo=UTC)
    one = Series(start, start, False, zone, ("RRULE:FREQ=DAILY;COUNT=366",))
    # Lord Howe and São Paulo have no gap by day, so no time of these hours is ever skipped.
    assume(one.anchor.hour not in (0, 1, 2, 3))
    assert {one.local(at).time() for at in starts(one, *EVER)} == {one.anchor.time()}


@given(any_series())
def test_whole_days_stay_whole_days(one: Series) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    days = Series(start, start + timedelta(days=2), True, None, one.lines)
    for at in expand(days, start, utc("2027-06-01")):
        assert (at.start.hour, at.start.minute, at.start.second) == (0, 0, 0)
        assert at.end - at.start == timedelta(days=2)


@given(
    st.lists(rules(often=True), min_size=1, max_size=2),
    st.dates(date(2026, 1, 1), date(2026, 4, 30)),
    st.integers(-20, 20),
    st.sampled_from([-24, -1, 0, 2, 24, 26]),
)
def test_what_moves_as_a_whole_keeps_its_occurrences(
    lines: list[str], day: date, days: int, hours: int
) -> None:
    """For rules that follow their start; others say which days they mean."""
    one = series(f"{day} 09:00", *lines, zone="UTC")
    delta = timedelta(days=days, hours=hours)
    target = Series(one.start + delta, one.end + delta, False, "UTC", ())
    shift = Shift(one, target, delta)
    moved = Series(target.start, target.end, False, "UTC", shift.lines(one.lines))
    before = utc("2027-01-01")
    expected = [shift.moved(at) for at in starts(one, EVER[0], before)]
    assert list(starts(moved, EVER[0], before + delta)) == expected


def test_a_skipped_time_is_read_with_the_offset_before() -> None:
    assert texts(series("2026-03-28 01:30", "RRULE:FREQ=DAILY;COUNT=3")) == [
        "2026-03-28 01:30",
        "2026-03-29 01:30",  # 02:30 is skipped in Berlin: 03:30 summer time
        "2026-03-30 00:30",
    ]


def test_of_a_time_that_comes_twice_the_first_is_meant() -> None:
    assert texts(series("2026-10-24 00:30", "RRULE:FREQ=DAILY;COUNT=3")) == [
        "2026-10-24 00:30",
        "2026-10-25 00:30",
        "2026-10-26 01:30",
    ]
    # Unless the series itself starts in the second.
    assert texts(series("2026-10-25 01:30", "RRULE:FREQ=DAILY;COUNT=2")) == [
        "2026-10-25 01:30",
        "2026-10-26 01:30",
    ]


def test_the_first_occurrence_is_the_start_whatever_the_rule_says() -> None:
    one = series("2026-12-01 09:00", "RRULE:FREQ=WEEKLY;BYDAY=WE;COUNT=2")
    assert texts(one) == ["2026-12-01 09:00", "2026-12-02 09:00", "2026-12-09 09:00"]
    gone = series("2026-12-01 09:00", *one.lines, "EXDATE:20261201T090000Z")
    assert first(gone) == utc("2026-12-02 09:00")


@pytest.mark.parametrize(
    "exdate",
    [
        "EXDATE:20261202T090000Z",
        "EXDATE;TZID=Europe/Berlin:20261202T100000",
        "EXDATE;TZID=Asia/Tokyo:20261202T180000",
        "EXDATE:20261202T100000",
        "EXDATE;VALUE=DATE:20261202",
        "EXDATE:20261202",
        "EXRULE:FREQ=DAILY;INTERVAL=9;BYMONTHDAY=2",
        "EXRULE:FREQ=MONTHLY;BYMONTHDAY=2",
    ],
)
def test_occurrences_are_taken_away(exdate: str) -> None:
    one = series("2026-12-01 09:00", "RRULE:FREQ=DAILY;COUNT=3", exdate)
    kept = ["2026-12-01 09:00", "2026-12-03 09:00"]
    assert texts(one) == (kept if "INTERVAL" not in exdate else [kept[0], "2026-12-02 09:00", kept[1]])  # fmt: skip


def test_dates_are_added_and_everything_counts_once() -> None:
    one = series(
        "2026-12-01 09:00",
        "RRULE:FREQ=DAILY;COUNT=2",
        "RDATE:20261202T090000Z,20261224T170000Z",
        "RDATE;TZID=America/New_York:20261225T080000",
        "RDATE;VALUE=DATE:20261231",
        "RDATE:20200101T000000Z",
    )
    assert texts(one) == [
        "2026-12-01 09:00",
        "2026-12-02 09:00",
        "2026-12-24 17:00",
        "2026-12-25 13:00",
        "2026-12-31 09:00",
    ]


def test_until_is_inclusive_in_every_form() -> None:
    timed = ["2026-12-01 09:00", "2026-12-02 09:00"]
    for until in ("20261202T090000Z", "20261202", "20261202T100000"):
        assert texts(series(timed[0], f"RRULE:FREQ=DAILY;UNTIL={until}")) == timed, until
    assert texts(series(timed[0], "RRULE:FREQ=DAILY;UNTIL=20261202T085959Z")) == timed[:1]
    days = series("2026-12-01", "RRULE:FREQ=DAILY;UNTIL=20261202", zone=None)
    assert texts(days) == ["2026-12-01 00:00", "2026-12-02 00:00"]


def test_days_do_not_move_with_any_zone() -> None:
    one = series("2026-03-28", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20260329T230000Z", zone=None)
    assert texts(one) == ["2026-03-28 00:00", "2026-03-30 00:00"]


def test_what_has_an_exception_is_left_out_and_the_long_are_seen() -> None:
    one = series("2026-12-01 22:00", "RRULE:FREQ=DAILY", hours=30)
    seen = expand(
        one, utc("2026-12-04"), utc("2026-12-05"), replaced=[utc("2026-12-03 22:00:00.5")]
    )
    assert [at.start.day for at in seen] == [2, 4]


def test_an_occurrence_is_known_by_its_start() -> None:
    one = series("2026-12-01 09:00", "RRULE:FREQ=DAILY")
    assert occurs(one, utc("2056-12-01 09:00"))
    assert occurs(one, utc("2056-12-01 09:01")) is None
    assert occurs(one, utc("2026-11-30 09:00")) is None


def test_what_cannot_be_read_is_left_aside() -> None:
    assert texts(
        series("2026-12-01 09:00", "RRULE:FREQ=HOURLY", "nonsense", zone="Mars/Olympus")
    ) == ["2026-12-01 09:00"]


@pytest.mark.parametrize(
    "line",
    [
        "RRULE:FREQ=DAILY",
        "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "RRULE:FREQ=DAILY;COUNT=99999",
        "RRULE:FREQ=DAILY;COUNT=9;BYMONTH=4;BYMONTHDAY=31",
        "RRULE:FREQ=WEEKLY;INTERVAL=9999;BYDAY=MO,TU",
        "RRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5,6,7,8,9;BYMINUTE=0,10,20,30;BYSECOND=0,1,2,3,4",
    ],
)
def test_no_rule_takes_long(line: str) -> None:
    """However far the window is from the start, and whether anything is ever found."""
    one = series("1900-01-01 09:00", line)
    began = time.process_time()
    found = list(expand(one, utc("2099-01-01"), utc("2099-01-08")))
    assert time.process_time() - began < 2
    assert len(found) <= 7 * 9 * 4 * 5


@pytest.mark.parametrize(
    ("lines", "number", "said"),
    [
        (["DTSTART:20260101T000000Z"], 0, "RRULE, EXRULE, RDATE or EXDATE"),
        (["FREQ=DAILY"], 0, "RRULE, EXRULE, RDATE or EXDATE"),
        (["RRULE:FREQ=DAILY\nDTSTART:20260101"], 0, "RRULE, EXRULE, RDATE or EXDATE"),
        (["RRULE:INTERVAL=2"], 0, "needs a FREQ"),
        (["RRULE:FREQ=HOURLY"], 0, "needs a FREQ"),
        (["RRULE:FREQ=DAILY;INTERVAL=0"], 0, "INTERVAL to be 1 to 9999"),
        (["RRULE:FREQ=DAILY;COUNT=-1"], 0, "COUNT to be 1"),
        (["RRULE:FREQ=DAILY;COUNT=2;COUNT=3"], 0, "has COUNT twice"),
        (["RRULE:FREQ=DAILY;COUNT=2;UNTIL=20260101"], 0, "both UNTIL and COUNT"),
        (["RRULE:FREQ=DAILY;UNTIL=20260230"], 0, "UNTIL"),
        (["RRULE:FREQ=DAILY;BYMONTH=13"], 0, "BYMONTH to be 1 to 12"),
        (["RRULE:FREQ=MONTHLY;BYMONTHDAY=0"], 0, "BYMONTHDAY to be 1 to 31, or counted"),
        (["RRULE:FREQ=WEEKLY;BYDAY=XX"], 0, "BYDAY to list days"),
        (["RRULE:FREQ=WEEKLY;BYDAY=2TU"], 0, "must not number the days"),
        (["RRULE:FREQ=MONTHLY;BYSETPOS=1"], 0, "another BY part"),
        (["RRULE:FREQ=DAILY;WKST=1MO"], 0, "WKST"),
        (["RRULE:FREQ=DAILY;BYMOON=1"], 0, "does not know: BYMOON"),
        (["RRULE:FREQ=DAILY", "EXDATE:never"], 1, "must list dates"),
        (["RRULE:FREQ=DAILY", "EXDATE:20260230"], 1, "no such date"),
        (["RRULE:FREQ=DAILY", "EXDATE;TZID=Mars/Olympus:20260201T000000"], 1, "TZID"),
        (
            ["RRULE:FREQ=DAILY", "RDATE;VALUE=PERIOD:20260201T000000Z/PT1H"],
            1,
            "not taken: VALUE=PERIOD",
        ),
        (["EXDATE:20260201"], None, "needs an RRULE or an RDATE"),
    ],
)
def test_faults_are_named(lines: list[str], number: int | None, said: str) -> None:
    ((found, why),) = faults(lines)
    assert found == number
    assert said in why


def test_a_line_is_written_as_it_was_read() -> None:
    for line in (
        "RRULE:FREQ=MONTHLY;BYDAY=+2TU,-1FR;WKST=SU",
        "EXDATE;TZID=Asia/Tokyo:20260201T000000",
    ):
        assert str(read(line)) == line


@pytest.mark.parametrize(
    ("start", "lines", "zone", "at", "before", "after"),
    [
        ("2026-12-01 09:00", ["RRULE:FREQ=DAILY"], "Europe/Berlin", "2026-12-03 09:00",
         ["RRULE:FREQ=DAILY;UNTIL=20261203T085959Z"], ["RRULE:FREQ=DAILY"]),
        ("2026-12-01", ["RRULE:FREQ=DAILY"], None, "2026-12-03",
         ["RRULE:FREQ=DAILY;UNTIL=20261202"], ["RRULE:FREQ=DAILY"]),
        ("2026-12-01 09:00", ["RRULE:FREQ=DAILY;COUNT=5"], "UTC", "2026-12-02 09:00",
         ["RRULE:FREQ=DAILY;COUNT=1"], ["RRULE:FREQ=DAILY;COUNT=4"]),
        ("2026-12-01 09:00", ["RRULE:FREQ=DAILY;UNTIL=20261209T090000Z", "EXDATE:20261202T090000Z,20261204T090000Z"],
         "UTC", "2026-12-03 09:00",
         ["RRULE:FREQ=DAILY;UNTIL=20261203T085959Z", "EXDATE:20261202T090000Z"],
         ["RRULE:FREQ=DAILY;UNTIL=20261209T090000Z", "EXDATE:20261204T090000Z"]),
        ("2026-12-01 09:00", ["RDATE:20261202T090000Z,20261205T170000Z"], "UTC", "2026-12-05 17:00",
         ["RDATE:20261202T090000Z"], ["RDATE:20261205T170000Z"]),
        ("2026-12-01 09:00", ["RRULE:FREQ=WEEKLY;BYDAY=WE;COUNT=1"], "UTC", "2026-12-02 09:00",
         ["RRULE:FREQ=DAILY;COUNT=1"], ["RRULE:FREQ=WEEKLY;BYDAY=WE;COUNT=1"]),
    ],
)  # fmt: skip
def test_splits(
    start: str, lines: list[str], zone: str | None, at: str, before: list[str], after: list[str]
) -> None:
    halves = split(series(start, *lines, zone=zone), utc(at))
    assert (list(halves.before), list(halves.after)) == (before, after)


def test_a_rule_out_of_step_is_not_split() -> None:
    one = series("2026-12-01 09:00", "RRULE:FREQ=DAILY;INTERVAL=3", "RDATE:20261205T090000Z")
    with pytest.raises(CannotSplit):
        split(one, utc("2026-12-05 09:00"))


def shift(one: Series, start: str, zone: str | None = "Europe/Berlin") -> tuple[Shift, Any]:
    target = series(start, zone=zone)
    delta = target.anchor - wall(one, one.start)
    return Shift(one, target, delta), target


def test_lines_follow_a_start_that_moves() -> None:
    one = series(
        "2026-03-02 09:00",
        "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;UNTIL=20260501T090000Z",
        "EXDATE;TZID=Europe/Berlin:20260330T100000",
    )
    # From Monday at ten to Tuesday at eleven, in winter; the end and the gap lie in summer.
    moved, _ = shift(one, "2026-03-03 10:00")
    assert moved.lines(one.lines) == (
        "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SA;UNTIL=20260502T100000Z;WKST=TU",
        "EXDATE:20260331T090000Z",
    )
    assert moved.moved(utc("2026-03-16 09:00")) == utc("2026-03-17 10:00")
    assert moved.moved(utc("2026-04-13 08:00")) == utc("2026-04-14 09:00")
    still, _ = shift(one, "2026-03-02 09:00")
    assert still.lines(one.lines) == one.lines


def test_a_series_becomes_one_of_whole_days() -> None:
    one = series(
        "2026-03-02 09:00", "RRULE:FREQ=DAILY;UNTIL=20260401T080000Z", "EXDATE:20260331T080000Z"
    )
    moved, _ = shift(one, "2026-03-02", zone=None)
    assert moved.lines(one.lines) == (
        "RRULE:FREQ=DAILY;UNTIL=20260401",
        "EXDATE;VALUE=DATE:20260331",
    )
    assert moved.moved(utc("2026-03-30 08:00")) == utc("2026-03-30")
