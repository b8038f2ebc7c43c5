"""The permissions that we ask for, and what lacks where not all of them were given.

Google lets the user untick each one (granular consent), and the exchange succeeds all the same.
"""

from __future__ import annotations

from sync_service.errors import MissingScope

EVENTS_SCOPE = "https://www.googleapis.com/auth/calendar.events"
LIST_SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
SCOPES = ("openid", "email", EVENTS_SCOPE, LIST_SCOPE)
_ALL = "https://www.googleapis.com/auth/calendar"
_EVENTS = frozenset({EVENTS_SCOPE, _ALL})
"""Any of these will do; without the list of calendars the primary one can still be synced."""
EVENTS_MISSING = (
    "Google did not give the permission to view and edit events on all your calendars. "
    "Connect again and tick it."
)


def shortfall(scopes: frozenset[str]) -> MissingScope | None:
    """Say what the user left unticked and must not, in the words of Google's consent page."""
    return None if scopes & _EVENTS else MissingScope(EVENTS_MISSING)
