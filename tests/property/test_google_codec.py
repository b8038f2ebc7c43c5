"""What goes to Google and comes back is the same event, after normalisation."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from sync_service.core.event import Content
from sync_service.core.merge import equal
from sync_service.providers.base import Mark
from sync_service.providers.google import codec
from tests.contents import contents


def stored(body: dict[str, Any]) -> dict[str, Any]:
    """Return *body* as Google gives it back: defaults and nulls left out."""
    defaults: dict[str, Any] = {
        "visibility": "default",
        "transparency": "opaque",
        "recurrence": [],
        "attendees": [],
    }
    kept: dict[str, Any] = {"id": "abcde", "status": "confirmed"}
    for key, value in body.items():
        if value is None or (key in defaults and defaults[key] == value):
            continue
        parts: Any = value
        if key in ("start", "end"):
            parts = {name: part for name, part in parts.items() if part is not None}
        kept[key] = parts
    return kept


@given(contents())
def test_round_trip(content: Content) -> None:
    read = codec.read_event(stored(codec.write_event(content, codec.UNITS)), "Europe/Berlin")
    assert equal(read.content, content, codec.UNITS)


@given(contents())
def test_a_second_round_trip_changes_nothing(content: Content) -> None:
    once = codec.read_event(stored(codec.write_event(content, codec.UNITS)), None).content
    twice = codec.read_event(stored(codec.write_event(once, codec.UNITS)), None).content
    assert once == twice


@given(contents(), st.sets(st.sampled_from(sorted(codec.UNITS))).map(frozenset))
def test_only_the_asked_units_are_sent(content: Content, units: frozenset[str]) -> None:
    keys = {
        "title": {"summary"},
        "time": {"start", "end"},
        "color": {"colorId"},
    }
    expected = {key for unit in units for key in keys.get(unit, {unit})}
    assert set(codec.write_event(content, units)) == expected


@given(st.uuids(), st.uuids())
def test_our_mark_is_read_back(event_id: UUID, mapping_id: UUID) -> None:
    mark = Mark(event_id, mapping_id)
    assert codec.read_mark({"id": "x", **codec.write_mark(mark)}) == mark


def test_a_foreign_note_is_no_mark() -> None:
    for private in (
        {},
        {"calsyncEvent": "x", "calsyncMapping": "y"},
        {"calsyncEvent": str(uuid4())},
    ):
        assert codec.read_mark({"extendedProperties": {"private": private}}) is None
