"""The deletion breaker: a pass that would delete too much waits for the user's word.

A calendar emptied by mistake, a lost share, a provider's bad day: all look like many deletions at
once. Beyond a share of the calendar *and* a number, nothing is deleted; the calendar is paused and
shows what would go. The user approves, or has everything brought back at the provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from sync_service.settings import Settings
from sync_service.store import calendars, connections, mappings, queue, trail
from sync_service.store.calendars import Calendar
from sync_service.store.mappings import Doomed
from sync_service.store.pool import Connection, Pool, transaction

_SHOWN = 50


def trips(doomed: int, live: int, settings: Settings) -> bool:
    """Say whether deleting *doomed* of *live* events needs the user's word."""
    return (
        doomed >= settings.deletion_breaker_min and doomed > settings.deletion_breaker_share * live
    )


async def judge(
    connection: Connection, calendar: Calendar, doomed: Sequence[Doomed], settings: Settings
) -> Literal["let", "held", "refused"]:
    """Decide on deletions that a pass brings, and do what follows where they are not let through.

    Occurrences do not count (deleting a series is one deletion), nor what may only be too new for
    the listing.
    """
    if calendar.deletions == "refused":
        await bring_back(connection, calendar, doomed)
        return "refused"
    live = await mappings.count_live(connection, calendar.id)
    whole = [event for event in doomed if event.series_id is None and not event.fresh]
    if calendar.deletions is None and trips(len(whole), live, settings):
        await hold(connection, calendar, whole, live)
        return "held"
    return "let"


async def hold(
    connection: Connection, calendar: Calendar, doomed: Sequence[Doomed], live: int
) -> None:
    """Pause the calendar, with what would be deleted for its user to see."""
    reason = f"{len(doomed)} of {live} events were deleted at once; say whether you meant it."
    preview = {
        "deletions": len(doomed),
        "of": live,
        "events": [
            {"event_id": event.event_id, "title": event.title, "start_time": event.start_time}
            for event in doomed[:_SHOWN]
        ],
    }
    await calendars.pause(connection, calendar.id, reason, preview)
    await trail.notify(
        connection,
        user_id=calendar.user_id,
        kind="calendar_paused",
        cause=f"mass_deletion:{calendar.id}",
        message=f"“{calendar.name}” is paused: {reason}",
        connection_id=calendar.connection_id,
        calendar_id=calendar.id,
    )
    await trail.audit(
        connection,
        [
            trail.Deed(
                user_id=calendar.user_id,
                action="calendar.paused",
                source=calendar.provider,
                connection_id=calendar.connection_id,
                calendar_id=calendar.id,
                detail={"deletions": len(doomed), "of": live},
            )
        ],
    )


async def bring_back(connection: Connection, calendar: Calendar, doomed: Sequence[Doomed]) -> None:
    """Have the provider hold *doomed* again: the user refused their deletion."""
    await mappings.bring_back(connection, [event.mapping_id for event in doomed])
    await queue.enqueue_pushes(
        connection,
        [(event.user_id, event.event_id, calendar.id, "brought_back") for event in doomed],
    )


async def resume(pool: Pool, calendar_id: UUID, *, approve_deletions: bool | None) -> bool:
    """Go on with a paused calendar; False when it was not paused.

    *approve_deletions* answers what paused it: True deletes, False brings back, None asks again if
    there is still as much to delete.
    """
    said = {True: "approved", False: "refused", None: None}[approve_deletions]
    async with transaction(pool) as connection:
        if not await calendars.resume(connection, calendar_id, said):
            return False
        await connections.end_preview(connection, calendar_id)
        calendar = await calendars.read(connection, calendar_id)
        if calendar is not None:
            await trail.audit(
                connection,
                [
                    trail.Deed(
                        user_id=calendar.user_id,
                        action="calendar.resumed",
                        source="manual",
                        connection_id=calendar.connection_id,
                        calendar_id=calendar_id,
                        detail={"deletions": said},
                    )
                ],
            )
        await queue.request_pulls(connection, [calendar_id], "resumed")
        await queue.release_waiting(connection, [calendar_id])
    return True
