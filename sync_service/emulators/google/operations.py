"""The methods of the Calendar API: their routes, scopes, costs and effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sync_service.emulators.google import (
    calendars,
    channels,
    events,
    freebusy,
    listing,
    scopes,
    transfers,
)
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.render import View, Viewer, render
from sync_service.emulators.google.resource import WriteOptions
from sync_service.emulators.google.state import Channel, Json
from sync_service.emulators.google.times import known_zone, zone
from sync_service.emulators.google.wire import Request
from sync_service.emulators.google.world import Actor, World

_SEND_UPDATES = frozenset({"all", "externalOnly", "none"})


@dataclass(slots=True)
class Call:
    """One authorised call.

    Attributes:
        ids: What the path names, such as `calendar` and `event`.
        page_items: An imposed page size.
        opened: The channel that this call has opened.
    """

    world: World
    actor: Actor
    ids: dict[str, str]
    request: Request
    page_items: int | None = None
    opened: Channel | None = None

    @property
    def query(self) -> Query:
        """The query parameters."""
        return self.request.query


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of the API."""

    id: str
    method: str
    pattern: tuple[str, ...]
    scopes: frozenset[str]
    run: Callable[[Call], Json | None]
    units: int = 1
    writes: bool = False


def find(method: str, segments: list[str]) -> tuple[Operation, dict[str, str]] | None:
    """The operation that a method and a path name, with the ids in the path."""
    for operation in OPERATIONS:
        if operation.method != method or len(operation.pattern) != len(segments):
            continue
        ids: dict[str, str] = {}
        for part, segment in zip(operation.pattern, segments, strict=True):
            if part.startswith("{"):
                ids[part[1:-1]] = segment
            elif part != segment:
                break
        else:
            return operation, ids
    return None


def _options(query: Query) -> WriteOptions:
    query.choice("sendUpdates", _SEND_UPDATES)
    return WriteOptions(
        conference=query.number("conferenceDataVersion", 0, 1) == 1,
        attachments=query.flag("supportsAttachments"),
        labels=query.number("eventLabelVersion", 0, 1) == 1,
        max_attendees=query.number("maxAttendees"),
    )


def _resource(call: Call, view: View, calendar_id: str | None = None) -> Json:
    calendar, role = call.world.readable(call.actor, calendar_id or call.ids["calendar"])
    wanted = call.query.text("timeZone")
    zone_name = wanted if wanted and zone(wanted) else calendar.time_zone
    viewer = Viewer(
        calendar,
        call.actor.email,
        role,
        known_zone(zone_name),
        call.world.switches,
        max_attendees=call.query.number("maxAttendees"),
    )
    return render(view, viewer)


def _get(call: Call) -> Json:
    calendar, _ = call.world.readable(call.actor, call.ids["calendar"])
    return _resource(call, events.get(call.world, calendar, call.ids["event"]))


def _insert(call: Call) -> Json:
    fields, options = call.request.json(), _options(call.query)
    view = events.insert(call.world, call.actor, call.ids["calendar"], fields, options)
    return _resource(call, view)


def _import(call: Call) -> Json:
    fields, options = call.request.json(), _options(call.query)
    view = transfers.import_event(call.world, call.actor, call.ids["calendar"], fields, options)
    return _resource(call, view)


def _quick_add(call: Call) -> Json:
    text = call.query.need("text")
    return _resource(call, transfers.quick_add(call.world, call.actor, call.ids["calendar"], text))


def _update(call: Call) -> Json:
    return _resource(call, _rewrite(call, events.update))


def _patch(call: Call) -> Json:
    return _resource(call, _rewrite(call, events.patch))


def _rewrite(
    call: Call,
    change: Callable[[World, Actor, str, str, Json, WriteOptions, str | None], View],
) -> View:
    return change(
        call.world,
        call.actor,
        call.ids["calendar"],
        call.ids["event"],
        call.request.json(),
        _options(call.query),
        call.request.headers.get("if-match"),
    )


def _delete(call: Call) -> None:
    call.query.choice("sendUpdates", _SEND_UPDATES)
    if_match = call.request.headers.get("if-match")
    events.delete(call.world, call.actor, call.ids["calendar"], call.ids["event"], if_match)


def _move(call: Call) -> Json:
    destination = call.query.need("destination")
    view = transfers.move(
        call.world, call.actor, call.ids["calendar"], call.ids["event"], destination
    )
    return _resource(call, view, destination)


def _list(call: Call) -> Json:
    return listing.list_events(
        call.world, call.actor, call.ids["calendar"], call.query, call.page_items
    )


def _instances(call: Call) -> Json:
    return listing.list_instances(
        call.world, call.actor, call.ids["calendar"], call.ids["event"], call.query
    )


def _watch(kind: str) -> Callable[[Call], Json]:
    def run(call: Call) -> Json:
        request = call.request
        call.opened = channels.watch(
            call.world,
            call.actor,
            kind,
            call.ids.get("calendar"),
            request.json(),
            call.query,
            request.base_url,
        )
        return channels.resource(call.opened)

    return run


def _stop(call: Call) -> None:
    channels.stop(call.world, call.actor, call.request.json())


def _list_entries(call: Call) -> Json:
    return calendars.list_entries(call.world, call.actor, call.query, call.page_items)


def _get_entry(call: Call) -> Json:
    return calendars.get_entry(call.world, call.actor, call.ids["calendar"])


def _get_calendar(call: Call) -> Json:
    return calendars.get_calendar(call.world, call.actor, call.ids["calendar"])


def _list_settings(call: Call) -> Json:
    return calendars.list_settings(call.world, call.actor, call.query)


def _get_setting(call: Call) -> Json:
    return calendars.get_setting(call.world, call.actor, call.ids["setting"])


def _colors(call: Call) -> Json:
    calendars.account_with_calendar(call.world, call.actor)
    return calendars.colors()


def _free_busy(call: Call) -> Json:
    return freebusy.query_busy(call.world, call.actor, call.request.json())


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.split("/"))


_EVENTS = "calendars/{calendar}/events"
_EVENT = _EVENTS + "/{event}"
_LIST = "users/me/calendarList"
_SETTINGS = "users/me/settings"
_WRITE, _READ = scopes.EVENT_WRITE, scopes.EVENT_READ

OPERATIONS: tuple[Operation, ...] = (
    Operation("events.list", "GET", _path(_EVENTS), _READ, _list),
    Operation("events.get", "GET", _path(_EVENT), _READ, _get),
    Operation("events.patch", "PATCH", _path(_EVENT), _WRITE, _patch, units=3, writes=True),
    Operation("events.update", "PUT", _path(_EVENT), _WRITE, _update, writes=True),
    Operation("events.insert", "POST", _path(_EVENTS), _WRITE, _insert, writes=True),
    Operation("events.delete", "DELETE", _path(_EVENT), _WRITE, _delete, writes=True),
    Operation("events.import", "POST", _path(_EVENTS + "/import"), _WRITE, _import, writes=True),
    Operation(
        "events.quickAdd", "POST", _path(_EVENTS + "/quickAdd"), _WRITE, _quick_add, writes=True
    ),
    Operation("events.watch", "POST", _path(_EVENTS + "/watch"), _READ, _watch("events")),
    Operation("events.instances", "GET", _path(_EVENT + "/instances"), _READ, _instances),
    Operation(
        "events.move", "POST", _path(_EVENT + "/move"), scopes.EVENT_MOVE, _move, writes=True
    ),
    Operation("channels.stop", "POST", _path("channels/stop"), scopes.STOP, _stop),
    Operation("calendarList.list", "GET", _path(_LIST), scopes.LIST_READ, _list_entries),
    Operation(
        "calendarList.watch",
        "POST",
        _path(_LIST + "/watch"),
        scopes.LIST_READ,
        _watch("calendarList"),
    ),
    Operation("calendarList.get", "GET", _path(_LIST + "/{calendar}"), scopes.LIST_GET, _get_entry),
    Operation(
        "calendars.get", "GET", _path("calendars/{calendar}"), scopes.CALENDAR_READ, _get_calendar
    ),
    Operation("settings.list", "GET", _path(_SETTINGS), scopes.SETTINGS, _list_settings),
    Operation(
        "settings.watch", "POST", _path(_SETTINGS + "/watch"), scopes.SETTINGS, _watch("settings")
    ),
    Operation(
        "settings.get", "GET", _path(_SETTINGS + "/{setting}"), scopes.SETTINGS, _get_setting
    ),
    Operation("colors.get", "GET", _path("colors"), scopes.COLORS, _colors),
    Operation("freebusy.query", "POST", _path("freeBusy"), scopes.FREE_BUSY, _free_busy),
)
