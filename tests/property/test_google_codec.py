"""What goes to Google and comes back is the same event, after Google's own normalisation."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from sync_service.core.event import Content, take_units
from sync_service.core.fingerprint import changed_units, fingerprint
from sync_service.core.merge import equal
from sync_service.emulators.google.render import View, Viewer, render
from sync_service.emulators.google.resource import WRITABLE, WriteOptions, normalise
from sync_service.emulators.google.state import Calendar
from sync_service.emulators.google.switches import Switches
from sync_service.errors import Unmappable
from sync_service.providers.base import Mark, RemoteEvent
from sync_service.providers.google import codec
from sync_service.providers.google.properties import present_names, read_metadata, write_metadata
from tests.contents import contents, metadatas

ADA = "ada@example.com"
ZONE = "Europe/Berlin"
_SWITCHES = Switches()
_units = st.sets(st.sampled_from(sorted(codec.UNITS))).map(frozenset)


def stored(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the resource that Google answers with once it has stored *fields*."""
    writable = {name: value for name, value in fields.items() if name in WRITABLE}
    options = WriteOptions(conference=True, attachments=True)
    body = normalise(writable, ZONE, _SWITCHES, options) | {
        "iCalUID": "abcde@google.com",
        "creator": {"email": ADA},
        "organizer": {"email": ADA},
    }
    calendar = Calendar(
        id=ADA, summary="Ada", owner="1", time_zone=ZONE, primary=True, revision=1, updated=1
    )
    view = View("abcde", body, 1, 1, 1_000_000, 1_000_000, None, None)
    return render(view, Viewer(calendar, ADA, "owner", ZoneInfo(ZONE), _SWITCHES))


def written(content: Content, units: frozenset[str] = codec.UNITS) -> dict[str, Any]:
    """Return what Google holds after an insert of *content*."""
    return stored(codec.merge_patch({}, codec.write_event(content, units)))


def patched(resource: dict[str, Any], content: Content, units: frozenset[str]) -> dict[str, Any]:
    """Return what Google holds after a patch of *units*."""
    known = codec.read_event(resource, ZONE)
    body = codec.write_event(content, units, known.data, seed="again")
    return stored(codec.merge_patch(resource, body))


@given(contents())
def test_round_trip(content: Content) -> None:
    read = codec.read_event(written(content), ZONE)
    assert equal(read.content, content, codec.UNITS)


@given(contents())
def test_a_second_round_trip_changes_nothing(content: Content) -> None:
    once = codec.read_event(written(content), ZONE).content
    twice = codec.read_event(written(once), ZONE).content
    assert once == twice


@given(contents(), contents(), _units)
def test_a_patch_sets_its_units_and_nothing_else(
    before: Content, after: Content, units: frozenset[str]
) -> None:
    wanted = take_units(before, after, units)
    if wanted.recurrence and (wanted.all_day or not wanted.time_zone):
        return
    resource = written(before)
    read = codec.read_event(patched(resource, wanted, units), ZONE).content
    assert changed_units(read, wanted, codec.UNITS) == frozenset()


@given(contents(), contents())
def test_fingerprints_survive_the_journey(one: Content, other: Content) -> None:
    prints = [fingerprint(each, codec.UNITS) for each in (one, other)]
    there = [codec.read_event(written(each), ZONE).content for each in (one, other)]
    assert prints == [fingerprint(each, codec.UNITS) for each in there]


@given(contents(), _units)
def test_only_the_asked_units_are_sent(content: Content, units: frozenset[str]) -> None:
    keys = {
        "title": {"summary"},
        "time": {"start", "end"},
        "color": {"colorId"},
        "conference": {"conferenceData"},
        "metadata": {"extendedProperties"} if content.metadata else set[str](),
    }
    expected = {key for unit in units for key in keys.get(unit, {unit})}
    assert set(codec.write_event(content, units)) == expected


@given(metadatas, metadatas)
def test_metadata_replaces_what_was_there_and_only_that(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    foreign = {"calsyncEvent": "x", "other": "y"}
    held = {**foreign, **write_metadata(before, ())}
    changes = write_metadata(after, present_names(held))
    now = codec.merge_patch(held, changes)
    assert read_metadata(now) == after
    assert foreign.items() <= now.items()
    assert all(len(name) <= 44 and len(text) <= 1024 for name, text in now.items())


@given(st.uuids(), st.uuids())
def test_our_mark_is_read_back(event_id: UUID, mapping_id: UUID) -> None:
    mark = Mark(event_id, mapping_id)
    assert codec.read_mark(codec.with_mark({"id": "x"}, mark)) == mark


def test_a_foreign_note_is_no_mark() -> None:
    for private in (
        {},
        {"calsyncEvent": "x", "calsyncMapping": "y"},
        {"calsyncEvent": str(uuid4())},
    ):
        assert codec.read_mark({"extendedProperties": {"private": private}}) is None


_odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["2026-12-01", "2026-12-01T10:00:00Z", "9999-12-31", "0001-01-01T00:00:00+14:00", "~9:x"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "date",
                    "dateTime",
                    "timeZone",
                    "email",
                    "self",
                    "organizer",
                    "useDefault",
                    "overrides",
                    "method",
                    "minutes",
                    "private",
                    "shared",
                    "calsync.a",
                    "calsync~0",
                    "calsyncEvent",
                    "fileUrl",
                    "createRequest",
                    "entryPoints",
                    "uri",
                    "entryPointType",
                    "conferenceSolutionKey",
                    "status",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_KNOWN = [
    "start",
    "end",
    "summary",
    "description",
    "location",
    "recurrence",
    "status",
    "visibility",
    "transparency",
    "attendees",
    "attendeesOmitted",
    "reminders",
    "attachments",
    "conferenceData",
    "hangoutLink",
    "colorId",
    "extendedProperties",
    "eventType",
    "organizer",
    "locked",
    "etag",
    "updated",
    "iCalUID",
    "htmlLink",
    "source",
    "gadget",
    "unknown",
]


@given(
    st.dictionaries(st.sampled_from(_KNOWN), _odd), st.booleans(), st.none() | st.text(max_size=8)
)
def test_nothing_that_google_may_send_breaks_the_codec(
    odd: dict[str, Any], with_times: bool, zone: str | None
) -> None:
    times = {"start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}}
    item = {"id": "abcde", **odd, **(times if with_times else {})}
    try:
        event: RemoteEvent = codec.read_event(item, zone)
    except Unmappable:
        assert not with_times
        return
    fingerprint(event.content, codec.UNITS)
    codec.read_mark(item)
    refused = codec.refusals(event.content, codec.UNITS, event.content, event.data)
    codec.write_event(event.content, codec.UNITS - refused.keys(), event.data)
    assert "\0" not in repr(cast("Any", event))
