"""What of an event goes to a calendar, what the calendar cannot take, and who is told of it."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from sync_service.core.event import Content, take_units
from sync_service.core.fingerprint import changed_units
from sync_service.errors import Unmappable
from sync_service.providers.base import Capabilities, Notify, Provider
from sync_service.store.calendars import Calendar
from sync_service.store.events import EventRow
from sync_service.store.mappings import Mapping

_HOME_UNITS = frozenset({"attendees", "conference"})
_STRENGTH: tuple[Notify, ...] = ("none", "external_only", "all")


def held_units(calendar: Calendar, capabilities: Capabilities, home: UUID | None) -> frozenset[str]:
    """Return the units that *calendar* holds of an event whose home is *home*.

    A calendar that mirrors everything holds events of other calendars without their guests, who
    would be invited twice, and without their conference, whose door would open to others.
    """
    at_home = home == calendar.id or (home is None and calendar.default_target)
    if at_home or calendar.mirror != "all":
        return capabilities.units
    return capabilities.units - _HOME_UNITS


def units_to_create(provider: Provider, calendar: Calendar, event: EventRow) -> frozenset[str]:
    """Return the units with which a copy of *event* can be made.

    Raises `Unmappable` when it cannot be made at all.
    """
    units = held_units(calendar, provider.capabilities(calendar.access_role), event.calendar_id)
    refused = provider.refusals(event.content, units, base=None, data={})
    if "time" in refused:
        raise Unmappable(refused["time"])
    return units - refused.keys()


def units_to_update(
    provider: Provider, calendar: Calendar, event: EventRow, mapping: Mapping
) -> frozenset[str]:
    """Return the units in which the copy has to change, nothing when it is up to date.

    What the calendar cannot take does not hold the rest back. Raises `Unmappable` when nothing else
    is left.
    """
    assert mapping.base is not None  # noqa: S101  # without a base there is no copy
    units = changed_units(
        mapping.base,
        event.content,
        held_units(calendar, provider.capabilities(calendar.access_role), event.calendar_id),
    )
    if units and mapping.read_only:
        raise Unmappable(mapping.read_only, code="remote_read_only")
    refused = provider.refusals(event.content, units, base=mapping.base, data=mapping.data)
    if units and units == refused.keys():
        raise Unmappable(" ".join(sorted(set(refused.values()))))
    return units - refused.keys()


def as_sent(event: EventRow, units: frozenset[str], base: Content | None) -> Content:
    """Return what the copy says once *units* of *event* were sent: the rest is as in *base*."""
    blank = Content(start=event.content.start, end=event.content.end)
    return take_units(base or blank, event.content, units)


def wished(event: EventRow | None, mapping: Mapping | None) -> Notify:
    """Return whom to tell of what a push of *event* changes: the most that a change asked for.

    The wishes of versions that an earlier push took along are done.
    """
    if event is None:
        return "none"
    told = (mapping.told_version if mapping else None) or 0
    # An event that was deleted for good and made again begins anew.
    since = told if told <= event.version else 0
    due = [wish for version, wish in event.wishes.items() if since < int(version) <= event.version]
    return cast(
        "Notify", max(due, key=lambda wish: _STRENGTH.index(cast("Notify", wish)), default="none")
    )
