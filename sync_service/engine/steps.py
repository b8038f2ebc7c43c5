"""What a push does next, decided from what is on record. No clock, no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sync_service.engine.sending import units_to_create, units_to_update
from sync_service.errors import Unmappable
from sync_service.providers.base import OccurrenceRef, Provider
from sync_service.store.calendars import Calendar
from sync_service.store.events import EventRow
from sync_service.store.mappings import Mapping


@dataclass(frozen=True)
class Series:
    """The series of an occurrence, and whether (and as what) the calendar holds it."""

    event: EventRow
    mapping: Mapping | None
    wanted: bool


@dataclass(frozen=True)
class View:
    """What a push knows before each step; *wanted* says that the calendar should hold the event.

    *generation* is that of the queue row before anything else was read.
    """

    generation: int
    calendar: Calendar
    event: EventRow | None
    mapping: Mapping | None
    wanted: bool
    series: Series | None = None


@dataclass(frozen=True)
class Step:
    """The next thing to do. *units* are sent by a create or an update.

    An occurrence is paired with its remote copy, not created, and forgotten when its series goes.
    """

    do: Literal["nothing", "look", "create", "update", "delete", "pair", "forget"]
    units: frozenset[str] = frozenset()


def next_step(view: View, provider: Provider) -> Step:
    """Decide from what is on record. Raises `Unmappable` for what must not be sent."""
    mapping = view.mapping
    if view.series is not None:
        return _next_of_occurrence(view, view.series, provider)
    if mapping is None:
        return _create_step(view, provider) if view.wanted else Step("nothing")
    if mapping.status == "deleted":
        if view.wanted:
            return _create_step(view, provider)
        # A try that died may have made it again.
        return Step("look") if mapping.stale or mapping.intent is not None else Step("nothing")
    if mapping.status == "conflict":
        return Step("nothing")
    if view.calendar.direction == "pull":
        return Step("look") if mapping.stale else Step("nothing")
    if mapping.status == "pending":
        # A try that died may have made it, and somebody may have edited it there since.
        return _create_step(view, provider) if view.wanted else Step("look")
    if mapping.stale or mapping.intent is not None:
        return Step("look")
    return _bring_in_line(view, mapping, provider)


def _next_of_occurrence(view: View, series: Series, provider: Provider) -> Step:
    mapping = view.mapping
    if mapping is not None and mapping.status == "conflict":
        return Step("nothing")
    if view.calendar.direction == "pull":
        return Step("look") if mapping is not None and mapping.stale else Step("nothing")
    if not series.wanted:
        gone = mapping is None or mapping.status == "deleted"
        return Step("nothing") if gone else Step("forget")
    if series.mapping is None or series.mapping.status in ("pending", "deleted"):
        return Step("nothing")  # Once the series is made there, its occurrences are asked for.
    if not provider.capabilities(view.calendar.access_role).occurrences:
        raise Unmappable(
            "This calendar cannot hold an occurrence that differs from its series.",
            code="occurrence_unsupported",
        )
    if mapping is None or mapping.occurrence != place_of(view, series):
        return Step("pair")
    if mapping.status == "deleted":
        if view.wanted:
            return Step("pair")
        return Step("look") if mapping.stale or mapping.intent is not None else Step("nothing")
    if mapping.stale or mapping.intent is not None:
        return Step("look")
    return _bring_in_line(view, mapping, provider)


def place_of(view: View, series: Series) -> OccurrenceRef | None:
    """Return which remote occurrence the event stands for, as things are now."""
    if series.mapping is None or view.event is None or view.event.original_start is None:
        return None
    return OccurrenceRef(series.mapping.external_id, view.event.original_start)


def _create_step(view: View, provider: Provider) -> Step:
    assert view.event is not None  # noqa: S101  # only wanted events are created
    return Step("create", units_to_create(provider, view.calendar, view.event))


def _bring_in_line(view: View, mapping: Mapping, provider: Provider) -> Step:
    if not view.wanted or view.event is None or mapping.base is None:
        if mapping.read_only:
            raise Unmappable(mapping.read_only, code="remote_read_only")
        return Step("delete")
    units = units_to_update(provider, view.calendar, view.event, mapping)
    return Step("update", units) if units else Step("nothing")
