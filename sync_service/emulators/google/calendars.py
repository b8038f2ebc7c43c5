"""The calendar list, calendars, settings and colours."""

from __future__ import annotations

from sync_service.emulators.google.errors import ApiError, bad_request, invalid, not_found
from sync_service.emulators.google.paging import Pager, open_sync_token
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.state import Account, Calendar, Entry, Json
from sync_service.emulators.google.tokens import SyncToken, seal
from sync_service.emulators.google.world import ROLES, Actor, World, etag, rank

_ROLE_NAMES = frozenset(ROLES[1:])
_FORBIDDEN = ("minAccessRole", "showOwnOrganizationOnly")
_EVENT_COLORS = "a4bdfc 7ae7bf dbadff ff887c fbd75b ffb878 46d6db e1e1e1 5484ed 51b749 dc2127"
_CALENDAR_COLORS = (
    "ac725e d06b64 f83a22 fa573c ff7537 ffad46 42d692 16a765 7bd148 b3dc6c fbe983 fad165 "
    "92e1c0 9fe1e7 9fc6e7 4986e7 9a9cff b99aff c2c2c2 cabdbf cca6ac f691b2 cd74e6 a47ae2"
)


def account_with_calendar(world: World, actor: Actor) -> Account:
    """The actor's account, unless it has no Calendar."""
    account = world.account(actor)
    if not account.uses_calendar:
        raise ApiError(
            403,
            "notACalendarUser",
            "The user must be signed up for Google Calendar.",
            domain="calendar",
        )
    return account


def list_entries(world: World, actor: Actor, query: Query, page_items: int | None = None) -> Json:
    """One page of the calendar list, full or incremental."""
    account = account_with_calendar(world, actor)
    collection = f"list:{actor.sub}"
    text = query.text("syncToken")
    deleted, hidden = query.flag("showDeleted"), query.flag("showHidden")
    if text is not None:
        _check_sync_parameters(query)
    minimum = query.choice("minAccessRole", _ROLE_NAMES)
    floor = account.list_floor
    token = None if text is None else open_sync_token(world, text, collection, actor, floor)
    pager = Pager(world, actor, collection, query, default=100, cap=250, page_items=page_items)
    rows: list[tuple[list[str | int], Entry]] = []
    for entry in account.entries.values():
        calendar = world.state.calendars.get(entry.calendar_id)
        role = "none" if calendar is None else world.role(actor, calendar)
        if token is not None:
            wanted = entry.feed > token.position
        else:
            wanted = (deleted or not entry.deleted) and (hidden or not entry.hidden)
            wanted = wanted and (minimum is None or rank(role) >= rank(minimum))
        if wanted:
            rows.append(([entry.calendar_id], entry))
    page = pager.cut(rows, backwards=False)
    newest = max((e.revision for e in account.entries.values()), default=0)
    out: Json = {"kind": "calendar#calendarList", "etag": f'"p{newest * 2}"'}
    if page.next_token is not None:
        out["nextPageToken"] = page.next_token
    elif not any(name in query for name in _FORBIDDEN):
        now = world.clock.micros()
        out["nextSyncToken"] = seal(
            SyncToken(collection, actor.sub, "", page.snapshot, world.serial(), now)
        )
    out["items"] = [entry_resource(world, actor, entry) for entry in page.rows]
    return out


def get_entry(world: World, actor: Actor, calendar_id: str) -> Json:
    """One entry of the calendar list."""
    account = account_with_calendar(world, actor)
    calendar, _ = world.readable(actor, calendar_id)
    entry = account.entries.get(calendar.id)
    if entry is None or entry.deleted:
        raise not_found()
    return entry_resource(world, actor, entry)


def entry_resource(world: World, actor: Actor, entry: Entry) -> Json:
    """A calendar as one account sees it in its list."""
    out: Json = {
        "kind": "calendar#calendarListEntry",
        "etag": etag(entry.revision),
        "id": entry.calendar_id,
    }
    calendar = world.state.calendars.get(entry.calendar_id)
    if entry.deleted or calendar is None:
        return {**out, "deleted": True}
    out |= _description(calendar)
    if entry.summary_override:
        out["summaryOverride"] = entry.summary_override
    out["colorId"] = entry.color_id
    out["backgroundColor"] = f"#{_CALENDAR_COLORS.split()[int(entry.color_id) - 1]}"
    out["foregroundColor"] = "#000000"
    if entry.hidden:
        out["hidden"] = True
    if entry.selected:
        out["selected"] = True
    out["accessRole"] = world.role(actor, calendar)
    out["defaultReminders"] = entry.default_reminders
    if calendar.primary and calendar.owner == actor.email:
        out["primary"] = True
    elif not calendar.primary:
        out["dataOwner"] = calendar.owner
    out["conferenceProperties"] = {"allowedConferenceSolutionTypes": ["hangoutsMeet"]}
    return out


def get_calendar(world: World, actor: Actor, calendar_id: str) -> Json:
    """A calendar's own metadata."""
    calendar, _ = world.readable(actor, calendar_id)
    out: Json = {"kind": "calendar#calendar", "etag": etag(calendar.revision), "id": calendar.id}
    out |= _description(calendar)
    out["conferenceProperties"] = {"allowedConferenceSolutionTypes": ["hangoutsMeet"]}
    return out


def list_settings(world: World, actor: Actor, query: Query) -> Json:
    """One page of the account's settings."""
    account = account_with_calendar(world, actor)
    collection = f"settings:{actor.sub}"
    text = query.text("syncToken")
    since = 0 if text is None else open_sync_token(world, text, collection, actor, 0).position
    pager = Pager(world, actor, collection, query, default=100, cap=250)
    rows: list[tuple[list[str | int], str]] = [
        ([name], name) for name in account.settings if account.settings_changed[name] > since
    ]
    page = pager.cut(rows, backwards=False)
    newest = max(account.settings_changed.values(), default=0)
    out: Json = {"kind": "calendar#settings", "etag": f'"p{newest * 2}"'}
    if page.next_token is not None:
        out["nextPageToken"] = page.next_token
    else:
        now = world.clock.micros()
        out["nextSyncToken"] = seal(
            SyncToken(collection, actor.sub, "", page.snapshot, world.serial(), now)
        )
    out["items"] = [_setting(account, name) for name in page.rows]
    return out


def get_setting(world: World, actor: Actor, name: str) -> Json:
    """One setting."""
    account = account_with_calendar(world, actor)
    if name not in account.settings:
        raise not_found()
    return _setting(account, name)


def colors() -> Json:
    """The two palettes."""
    palettes = {"calendar": _CALENDAR_COLORS, "event": _EVENT_COLORS}
    out: Json = {"kind": "calendar#colors", "updated": "2012-02-14T00:00:00.000Z"}
    for name, values in palettes.items():
        out[name] = {
            str(number): {"background": f"#{value}", "foreground": "#1d1d1d"}
            for number, value in enumerate(values.split(), 1)
        }
    return out


def _description(calendar: Calendar) -> Json:
    out: Json = {"summary": calendar.summary, "timeZone": calendar.time_zone}
    if calendar.description:
        out["description"] = calendar.description
    if calendar.location:
        out["location"] = calendar.location
    return out


def _setting(account: Account, name: str) -> Json:
    return {
        "kind": "calendar#setting",
        "etag": etag(account.settings_changed[name]),
        "id": name,
        "value": account.settings[name],
    }


def _check_sync_parameters(query: Query) -> None:
    for name in _FORBIDDEN:
        if name in query:
            raise invalid("Sync token cannot be used with other request restrictions.", name)
    for name in ("showDeleted", "showHidden"):
        if name in query and not query.flag(name):
            raise bad_request("Sync token cannot be used with other request restrictions.")
