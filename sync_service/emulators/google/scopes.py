"""Which OAuth scopes open which methods (the reference's "Authorization" section of each)."""

from __future__ import annotations

PREFIX = "https://www.googleapis.com/auth/"
SIGN_IN = frozenset(
    {"openid", "email", "profile", PREFIX + "userinfo.email", PREFIX + "userinfo.profile"}
)


def _set(names: str) -> frozenset[str]:
    return frozenset(PREFIX + name for name in names.split())


EVENT_WRITE = _set("calendar calendar.events calendar.events.owned calendar.app.created")
EVENT_MOVE = EVENT_WRITE - _set("calendar.app.created")
EVENT_READ = EVENT_WRITE | _set(
    "calendar.readonly calendar.events.readonly calendar.events.owned.readonly "
    "calendar.events.public.readonly calendar.events.freebusy"
)
LIST_READ = _set("calendar calendar.readonly calendar.calendarlist calendar.calendarlist.readonly")
LIST_GET = LIST_READ | _set("calendar.app.created")
CALENDAR_READ = _set(
    "calendar calendar.readonly calendar.calendars calendar.calendars.readonly calendar.app.created"
)
SETTINGS = _set("calendar calendar.readonly calendar.settings calendar.settings.readonly")
STOP = EVENT_READ | LIST_READ | SETTINGS | _set("calendar.acls calendar.acls.readonly")
COLORS = LIST_READ | _set("calendar.events.owned calendar.events.owned.readonly")
FREE_BUSY = _set("calendar calendar.readonly calendar.freebusy calendar.events.freebusy")


def is_sign_in(scope: str) -> bool:
    """Whether a scope only identifies the person (never shown as a checkbox)."""
    return scope in SIGN_IN


def normalise(scope: str) -> str:
    """The long form that token responses report."""
    return {"email": PREFIX + "userinfo.email", "profile": PREFIX + "userinfo.profile"}.get(
        scope, scope
    )
