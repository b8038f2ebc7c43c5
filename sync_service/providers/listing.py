"""A whole calendar at once, for comparing and counting; syncing goes page by page."""

from __future__ import annotations

from datetime import datetime

from sync_service.providers.base import CalendarRef, RemoteEvent, Session


async def everything(
    session: Session, calendar: CalendarRef, since: datetime
) -> dict[str, RemoteEvent]:
    """Return every live event from *since* on, by its id."""
    found: dict[str, RemoteEvent] = {}
    page: str | None = None
    while True:
        answer = await session.changes(calendar, cursor=None, page=page, since=since)
        for change in answer.changes:
            if isinstance(change, RemoteEvent):
                found[change.external_id] = change
            else:
                found.pop(change.external_id, None)
        page = answer.next_page
        if page is None:
            return found
