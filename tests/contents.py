"""Event contents for tests: one ready-made, and a Hypothesis strategy of all kinds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from sync_service.core.event import Attendee, Content, Reminder, Reminders

START = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)


def content(**changes: Any) -> Content:
    """Return an hour's meeting in Berlin, changed as asked."""
    fields: dict[str, Any] = {
        "title": "Planning",
        "start": START,
        "end": START + timedelta(hours=1),
        "time_zone": "Europe/Berlin",
    }
    return Content(**{**fields, **changes})


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
_attendees = st.lists(
    st.builds(
        Attendee,
        email=st.sampled_from(["ann@example.com", "Bob@example.com", "cy@example.com"]),
        response=st.sampled_from(["needs_action", "accepted", "declined"]),
        optional=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda guest: guest.email.casefold(),
).map(tuple)
_reminders = st.none() | st.builds(
    Reminders,
    use_default=st.booleans(),
    overrides=st.lists(
        st.builds(
            Reminder, method=st.sampled_from(["popup", "email"]), minutes=st.integers(0, 40320)
        ),
        max_size=3,
    ).map(tuple),
)
_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
_values = st.recursive(
    _scalars | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
metadatas = st.dictionaries(
    st.sampled_from(["deal", "case", "~1", "", "a" * 40, "Fußnote"]) | texts, _values, max_size=3
)
"""Any JSON object that Postgres holds."""
_more: list[dict[str, str]] = [{}, {"title": "Agenda"}, {"title": "X", "mime_type": "a/b"}]


def _file(number: int, more: dict[str, str]) -> dict[str, Any]:
    return {"url": f"https://files.example.com/{number}", **more}


_attachments = st.lists(
    st.builds(_file, st.integers(1, 9), st.sampled_from(_more)),
    max_size=3,
    unique_by=lambda file: str(file["url"]),
).map(tuple)
_conferences = st.sampled_from(
    [
        None,
        {"url": "https://call.example.com/1"},
        {"url": "https://call.example.com/2", "create": "google_meet"},
        {"create": "google_meet"},
        {"create": "google_meet", "status": "pending"},
    ]
)


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """Draw a content that the database would accept."""
    all_day = draw(st.booleans())
    if all_day:
        start = START.replace(hour=0) + timedelta(days=draw(st.integers(-400, 400)))
        end = start + timedelta(days=draw(st.integers(1, 5)))
        zone = None
    else:
        start = START + timedelta(minutes=draw(st.integers(-600_000, 600_000)))
        end = start + timedelta(minutes=draw(st.integers(0, 3000)))
        zone = draw(
            st.sampled_from([None, "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
        )
    return Content(
        title=draw(texts),
        description=draw(st.none() | texts),
        location=draw(st.none() | texts),
        notes=draw(st.none() | texts),
        start=start,
        end=end,
        all_day=all_day,
        time_zone=zone,
        recurrence=draw(st.none() | st.just(("RRULE:FREQ=WEEKLY;COUNT=4",))) if zone else None,
        status=draw(st.sampled_from(["confirmed", "tentative"])),
        visibility=draw(st.sampled_from(["default", "public", "private", "confidential"])),
        transparency=draw(st.sampled_from(["opaque", "transparent"])),
        attendees=draw(_attendees),
        reminders=draw(_reminders),
        attachments=draw(_attachments),
        conference=draw(_conferences),
        color=draw(st.none() | st.sampled_from(["1", "7", "11"])),
        metadata=draw(metadatas),
    )
