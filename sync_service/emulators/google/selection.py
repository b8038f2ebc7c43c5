"""Which events a list call asks for: its parameters checked, and as filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from sync_service.emulators.google.clock import MICROS
from sync_service.emulators.google.errors import (
    ApiError,
    bad_request,
    invalid,
    invalid_parameter,
    time_range_empty,
)
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.recurrence import Occurrence, occurrences
from sync_service.emulators.google.render import View
from sync_service.emulators.google.resource import EVENT_TYPES
from sync_service.emulators.google.state import Calendar, Json
from sync_service.emulators.google.times import (
    duration,
    from_utc_text,
    instant,
    known_zone,
    parse_moment,
    utc_text,
    zone,
)
from sync_service.emulators.google.world import World

_NOT_WITH_SYNC_TOKEN = (
    "timeMin",
    "timeMax",
    "updatedMin",
    "orderBy",
    "q",
    "iCalUID",
    "privateExtendedProperty",
    "sharedExtendedProperty",
)
_WITHHOLD_TOKEN = frozenset(_NOT_WITH_SYNC_TOKEN) - {"timeMin", "timeMax"}
_ORDERS = frozenset({"startTime", "updated"})
_SEARCHED = ("summary", "description", "location")
Window = tuple[str | None, str | None]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """A checked list request.

    Attributes:
        window: Bounds as UTC texts, both exclusive.
        fingerprint: The parameters that a sync token is bound to.
        token_issued: Whether the last page of this listing carries a sync token.
    """

    zone_name: str
    limit: int
    either: bool
    single_events: bool = False
    show_deleted: bool = False
    sync_token: str | None = None
    window: Window = (None, None)
    updated_min: int | None = None
    order_by: str | None = None
    words: tuple[str, ...] = ()
    uid: str | None = None
    private: tuple[Pair, ...] = ()
    shared: tuple[Pair, ...] = ()
    event_types: frozenset[str] = frozenset()
    original: str | None = None
    max_attendees: int | None = None
    fingerprint: str = ""
    token_issued: bool = True

    def with_window(self, window: Window) -> Selection:
        """The same request, bounded."""
        return self if window == self.window else replace(self, window=window)

    def accepts(self, view: View) -> bool:
        """Whether an event passes every filter."""
        body = view.body
        if self.event_types and body["eventType"] not in self.event_types:
            return False
        if self.updated_min is not None and view.updated < self.updated_min:
            return False
        if self.uid is not None and body["iCalUID"] != self.uid:
            return False
        if self.words and not _mentions(body, self.words):
            return False
        if self.original is not None and self._original_text(view) != self.original:
            return False
        properties: Json = body.get("extendedProperties", {})
        if not self._matches(properties.get("private", {}), self.private):
            return False
        if not self._matches(properties.get("shared", {}), self.shared):
            return False
        return self._in_window(view)

    def may_contain(self, occurrence: Occurrence, master: View) -> bool:
        """Whether an occurrence can be inside the window; cheap, and never wrongly no."""
        low, high = self.window
        if low is None and high is None:
            return True
        slack = timedelta(days=2)
        if high is not None:
            last = utc_text(from_utc_text(high) + slack)
            if occurrence.start[:10] > last[:10]:
                return False
        if low is not None:
            length = duration(master.body["start"], master.body["end"])
            first = utc_text(from_utc_text(low) - length - slack)
            if occurrence.start[:10] < first[:10]:
                return False
        return True

    def start_text(self, view: View) -> str:
        """When an event starts, as a UTC text that sorts."""
        return utc_text(instant(view.body["start"], known_zone(self.zone_name)))

    def _in_window(self, view: View) -> bool:
        if self.window == (None, None):
            return True
        if view.is_master:
            return self._series_in_window(view)
        return self._touches(view.body["start"], view.body["end"])

    def _touches(self, start: Json, end: Json) -> bool:
        low, high = self.window
        in_zone = known_zone(self.zone_name)
        if low is not None and utc_text(instant(end, in_zone)) <= low:
            return False
        return high is None or utc_text(instant(start, in_zone)) < high

    def _series_in_window(self, view: View) -> bool:
        start, end = view.body["start"], view.body["end"]
        length = duration(start, end)
        in_zone = known_zone(self.zone_name)
        low, high = self.window
        for occurrence in occurrences(start, view.body["recurrence"], self.limit):
            if not self.may_contain(occurrence, view):
                continue
            key = "date" if "date" in start else "dateTime"
            begins = instant({key: occurrence.start}, in_zone)
            if high is not None and utc_text(begins) >= high:
                return False
            if low is None or utc_text(begins + length) > low:
                return True
        return False

    def _original_text(self, view: View) -> str | None:
        if view.original is None:
            return None
        return utc_text(instant(view.original, known_zone(self.zone_name)))

    def _matches(self, properties: dict[str, str], wanted: tuple[Pair, ...]) -> bool:
        if not wanted:
            return True
        hits = [properties.get(name) == value for name, value in wanted]
        return any(hits) if self.either else all(hits)


def parse(
    world: World, calendar: Calendar, role: str, query: Query, *, instances: bool = False
) -> Selection:
    """Check a list request's parameters."""
    sync_token = None if instances else query.text("syncToken")
    if sync_token is not None:
        _check_sync_parameters(world, query)
    zone_name = query.text("timeZone") or calendar.time_zone
    if zone(zone_name) is None:
        raise invalid("Invalid time zone definition.", "timeZone")
    window = (_bound(query, "timeMin"), _bound(query, "timeMax"))
    if window[0] is not None and window[1] is not None and window[0] >= window[1]:
        raise time_range_empty()
    single = query.flag("singleEvents") or role == "freeBusyReader" or instances
    order_by = query.choice("orderBy", _ORDERS)
    if order_by == "startTime" and not single:
        raise bad_request("The requested ordering is not available for the particular query.")
    kinds = frozenset(query.many("eventTypes"))
    if unknown := kinds - EVENT_TYPES:
        raise invalid_parameter("eventTypes", f"Invalid string value: '{min(unknown)}'.")
    original = query.text("originalStart") if instances else None
    return Selection(
        zone_name=zone_name,
        limit=world.switches.max_instances,
        either=world.switches.property_filters == "or",
        single_events=single,
        show_deleted=query.flag("showDeleted"),
        sync_token=sync_token,
        window=window,
        updated_min=_updated_min(world, query),
        order_by=order_by,
        words=tuple((query.text("q") or "").casefold().split()),
        uid=query.text("iCalUID"),
        private=_pairs(query, "privateExtendedProperty"),
        shared=_pairs(query, "sharedExtendedProperty"),
        event_types=kinds,
        original=None if original is None else _original(original, zone_name),
        max_attendees=query.number("maxAttendees"),
        fingerprint=f"{single}:{','.join(sorted(kinds))}",
        token_issued=not any(name in query for name in _WITHHOLD_TOKEN),
    )


def _check_sync_parameters(world: World, query: Query) -> None:
    for name in _NOT_WITH_SYNC_TOKEN:
        if name in query:
            text = "Sync token cannot be used with other request restrictions."
            if name == "orderBy":
                text = "Sync token cannot be used with non-default ordering."
            raise invalid(text, name)
    explicit = "showDeleted" in query and not query.flag("showDeleted")
    if explicit and world.switches.refuse_show_deleted_false:
        raise invalid("Sync token cannot be used with other request restrictions.", "showDeleted")


def _bound(query: Query, name: str) -> str | None:
    text = query.text(name)
    if text is None:
        return None
    moment = parse_moment(text)
    if moment is None or moment.tzinfo is None:
        raise bad_request()
    return utc_text(moment)


def _updated_min(world: World, query: Query) -> int | None:
    text = _bound(query, "updatedMin")
    if text is None:
        return None
    moment = round(from_utc_text(text).timestamp() * MICROS)
    if moment < world.clock.micros() - world.switches.updated_min_max_age_s * MICROS:
        raise ApiError(
            410,
            "updatedMinTooLongAgo",
            "The requested minimum modification time lies too far in the past.",
            domain="calendar",
            location="updatedMin",
        )
    return moment


def _original(text: str, zone_name: str) -> str:
    if len(text) == 10:
        return utc_text(instant({"date": text}, known_zone(zone_name)))
    moment = parse_moment(text)
    if moment is None or moment.tzinfo is None:
        raise bad_request()
    return utc_text(moment)


def _pairs(query: Query, name: str) -> tuple[Pair, ...]:
    pairs: list[Pair] = []
    for text in query.many(name):
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise invalid_parameter(name, f"Invalid value '{text}'.")
        pairs.append((key, value))
    return tuple(pairs)


def _mentions(body: Json, words: tuple[str, ...]) -> bool:
    texts = [str(body.get(name, "")) for name in _SEARCHED]
    for person in body.get("attendees", []):
        texts += [person["email"], person.get("displayName", "")]
    haystack = "\n".join(texts).casefold()
    return all(word in haystack for word in words)
