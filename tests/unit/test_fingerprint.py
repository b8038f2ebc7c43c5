"""What counts as the same event, whatever providers do to its letters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sync_service.core.event import UNITS, Attendee, Reminder, Reminders
from sync_service.core.fingerprint import changed_units
from sync_service.core.merge import merge
from tests.contents import START, content

ALL = frozenset(UNITS)
FENCE = "-::~:~::~:~:~::-\nJoin with Meet: https://meet.example.com/x\n-::~:~::~:~:~::-"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"title": " Plan\r\n"}, {"title": "Plan"}),
        ({"description": None}, {"description": ""}),
        ({"description": "One<br>Two"}, {"description": "One\nTwo"}),
        ({"description": "<p>One</p><p><b>Two</b></p>"}, {"description": "One\nTwo"}),
        ({"description": "Tom &amp; Ann&nbsp;"}, {"description": "Tom & Ann"}),
        ({"description": f"Agenda\n{FENCE}"}, {"description": "Agenda"}),
        ({"location": "A\rB"}, {"location": "A\nB"}),
        ({"time_zone": None}, {"time_zone": "UTC"}),
        ({"start": START.replace(microsecond=5)}, {"start": START}),
        ({"end": START}, {"end": START + timedelta(minutes=1)}),
        ({"recurrence": None}, {"recurrence": ()}),
        (
            {"recurrence": ("RRULE:FREQ=WEEKLY;BYDAY=MO",)},
            {"recurrence": ("rrule:BYDAY=mo;FREQ=weekly",)},
        ),
        (
            {"attendees": (Attendee(email="Ann@Example.com", name="Ann"),)},
            {"attendees": (Attendee(email="ann@example.com"),)},
        ),
        ({"reminders": None}, {"reminders": Reminders(use_default=True)}),
        ({"color": None}, {"color": ""}),
    ],
)
def test_these_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert changed_units(content(**one), content(**other), ALL) == frozenset()


@pytest.mark.parametrize(
    ("unit", "one", "other"),
    [
        ("title", {"title": "Plan"}, {"title": "plan"}),
        ("description", {"description": "a < b"}, {"description": "a b"}),
        ("description", {"description": "<ann@example.com>"}, {"description": "ann@example.com"}),
        ("time", {"time_zone": "Europe/Berlin"}, {"time_zone": "Europe/Paris"}),
        ("time", {"start": START}, {"start": START + timedelta(seconds=1)}),
        (
            "reminders",
            {"reminders": None},
            {"reminders": Reminders(use_default=False)},
        ),
        (
            "attendees",
            {"attendees": (Attendee(email="a@b.c"),)},
            {"attendees": (Attendee(email="a@b.c", response="accepted"),)},
        ),
        ("metadata", {"metadata": {"deal": "1"}}, {"metadata": {"deal": 1}}),
    ],
)
def test_these_are_not(unit: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert changed_units(content(**one), content(**other), ALL) == {unit}


def test_exceptions_added_on_two_sides_both_hold() -> None:
    rule = "RRULE:FREQ=DAILY"
    one, other = "EXDATE;TZID=Europe/Berlin:20261202T100000", "EXDATE:20261203T090000Z"
    merged = merge(
        content(recurrence=(rule,)),
        content(recurrence=(rule, one)),
        content(recurrence=(rule, other)),
        ALL,
        prefer="local",
    )
    assert set(merged.content.recurrence or ()) == {rule, one, other}
    assert not merged.conflicts


def test_two_different_rules_are_a_conflict() -> None:
    merged = merge(
        content(recurrence=("RRULE:FREQ=DAILY",)),
        content(recurrence=("RRULE:FREQ=WEEKLY",)),
        content(recurrence=("RRULE:FREQ=MONTHLY",)),
        ALL,
        prefer="remote",
    )
    assert merged.content.recurrence == ("RRULE:FREQ=MONTHLY",)
    assert merged.conflicts == {"recurrence"}


def test_reminders_added_on_two_sides_both_hold() -> None:
    def with_minutes(*minutes: int) -> Any:
        overrides = tuple(Reminder(method="popup", minutes=each) for each in minutes)
        return content(reminders=Reminders(use_default=False, overrides=overrides))

    merged = merge(
        with_minutes(10), with_minutes(10, 30), with_minutes(10, 60), ALL, prefer="local"
    )
    assert changed_units(merged.content, with_minutes(10, 30, 60), ALL) == frozenset()
    assert not merged.conflicts
