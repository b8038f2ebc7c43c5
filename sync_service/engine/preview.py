"""What a first sync would do, counted without doing it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sync_service.core.event import Content
from sync_service.core.fingerprint import fingerprint
from sync_service.engine.hub import Hub
from sync_service.providers.base import Session
from sync_service.providers.listing import everything
from sync_service.store import calendars, events, queue
from sync_service.store.calendars import Calendar
from sync_service.store.pool import transaction
from sync_service.store.queue import Task

REASON = "Nothing was synced yet: look at the preview, then resume the calendar."
_SHOWN = 50


@dataclass(frozen=True)
class Forecast:
    """Events that would come in, that would go out, and that are the same on both sides already."""

    incoming: list[Content]
    outgoing: list[Content]
    adopted: int


def forecast(here: list[Content], there: list[Content], units: frozenset[str]) -> Forecast:
    """Match the two sides by fingerprint; what finds no match would travel."""
    unmatched: defaultdict[str, list[Content]] = defaultdict(list)
    for content in here:
        unmatched[fingerprint(content, units)].append(content)
    incoming: list[Content] = []
    for content in there:
        twins = unmatched[fingerprint(content, units)]
        if twins:
            twins.pop()
        else:
            incoming.append(content)
    outgoing = [content for twins in unmatched.values() for content in twins]
    return Forecast(incoming, outgoing, adopted=len(there) - len(incoming))


async def show(hub: Hub, task: Task, session: Session, calendar: Calendar) -> None:
    """Pause the calendar with the forecast for its user to see."""
    since = datetime.now(UTC) - timedelta(days=hub.settings.sync_window_past_days)
    units = hub.providers[calendar.provider].capabilities(calendar.access_role).units
    remote = await everything(session, calendar.ref, since)
    local = await events.held_by(hub.pool, calendar.id, calendar.user_id, since)
    found = forecast(
        [event.content for event, _, _ in local],
        [
            event.content
            for event in remote.values()
            if event.content.end > since or event.content.recurrence
        ],
        units,
    )
    preview = {
        "import": len(found.incoming),
        "push": len(found.outgoing),
        "adopt": found.adopted,
        "import_events": _examples(found.incoming),
        "push_events": _examples(found.outgoing),
    }
    async with transaction(hub.pool) as connection:
        await calendars.lock_feed(connection, calendar.id)
        if await queue.complete(connection, task) is not None:
            await calendars.pause(connection, calendar.id, REASON, preview)


def _examples(contents: list[Content]) -> list[dict[str, object]]:
    ordered = sorted(contents, key=lambda content: content.start)
    return [{"title": each.title, "start_time": each.start} for each in ordered[:_SHOWN]]
