"""A pull: bring what changed in one remote calendar here, page by page.

A page and the position after it commit together. Without a position everything is listed (a full
sync): a pass that remembers its last page, serves the old data meanwhile, and at its end has every
event read that a complete listing left out. Deletions wait for the end of a pass, where the breaker
looks at all of them together.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from sync_service.engine import breaker, channels, moves, preview
from sync_service.engine.arrivals import Arrival, Feed, Settled
from sync_service.engine.hub import Hub
from sync_service.engine.occurrences import missing_series
from sync_service.engine.settle import settle
from sync_service.errors import ContainerGone, ProviderUnavailable, ResyncRequired
from sync_service.providers.base import ChangePage, RemoteEvent, RemovedEvent, Session
from sync_service.store import calendars, connections, events, mappings, queue
from sync_service.store.calendars import Calendar
from sync_service.store.pool import Connection, transaction
from sync_service.store.queue import Task

CURSOR_KEY = "1"
"""Changes with the parameters of the listing; a cursor made under another key starts anew."""
_TURN_S = 10.0
_NEAR_PAST, _NEAR = timedelta(days=1), timedelta(days=31)
"""What is listed before everything else when a calendar is read for the first time."""
_log = structlog.get_logger(__name__)


@dataclass
class _Turn:
    """One claim's worth of work: a full sync hands the row back when its time is up.

    *removed* waits for the last page, where the breaker sees all deletions of the pass together.
    """

    ends_at: float
    asked_at: datetime | None = None
    resyncs: int = 0
    removed: dict[str, Arrival] = field(default_factory=dict[str, Arrival])


async def pull(hub: Hub, task: Task) -> str:
    """Carry out *task*; answers `pulled`, or `unfinished` when a full sync goes on later."""
    calendar = await calendars.read(hub.pool, task.calendar_id)
    if calendar is None or not calendar.enabled:
        await queue.complete(hub.pool, task)
        return "nothing"
    connection = await connections.read(hub.pool, calendar.connection_id)
    if connection is None:
        await queue.complete(hub.pool, task)
        return "nothing"
    session = hub.session(connection, bulk=task.bulk)
    in_bulk = hub.session(connection, bulk=True)
    if connection.preview:
        await preview.show(hub, task, session, calendar)
        return "previewed"
    await calendars.ensure_feed(hub.pool, calendar.id)
    await channels.ensure(hub, session, calendar)
    first = calendar.unread and calendar.pass_id is None and calendar.direction != "push"
    if first and not await _import_near(hub, task, session, calendar):
        return "nothing"
    turn = _Turn(ends_at=time.monotonic() + _TURN_S)
    page: str | None = None
    while True:
        calendar = await _at_start_of_page(hub, task, calendar, page)
        if calendar is None:
            return "nothing"
        reader = in_bulk if calendar.pass_id else session
        try:
            changes = await reader.changes(
                calendar.ref,
                cursor=calendar.cursor,
                page=calendar.pass_page if calendar.pass_id else page,
                since=_since(hub, calendar),
            )
        except ResyncRequired:
            turn.resyncs += 1
            if turn.resyncs > 1:
                raise
            _log.info("full_sync_needed", calendar_id=str(calendar.id))
            await calendars.drop_cursor(hub.pool, calendar.id)
            page = None
            turn.removed.clear()
            turn.asked_at = None
            continue
        await moves.follow(hub, task, reader, calendar, changes)
        if not await _apply(hub, task, reader, calendar, changes, turn):
            return "nothing"
        if changes.next_page is None:
            return "pulled"
        page = changes.next_page
        if calendar.pass_id and time.monotonic() > turn.ends_at:
            await queue.hand_back(hub.pool, task)
            return "unfinished"
        if not await queue.extend_lease(hub.pool, task, hub.settings.lease_seconds):
            return "nothing"


async def _import_near(hub: Hub, task: Task, session: Session, calendar: Calendar) -> bool:
    """Show what is near in time before all the rest; False when the lease was lost.

    Such a listing is no part of the full sync: it yields no position and says nothing about what it
    leaves out. Whatever it brought, the full sync meets again as known.
    """
    today = datetime.now(UTC)
    page: str | None = None
    while True:
        current = await calendars.read(hub.pool, calendar.id)
        if current is None:
            return False
        changes = await session.changes(
            calendar.ref, cursor=None, page=page, since=today - _NEAR_PAST, until=today + _NEAR
        )
        await moves.follow(hub, task, session, current, changes)
        feed = Feed(asked_at=current.read_at, since=_since(hub, calendar))
        arrivals = _arrivals(changes, {}, complete=True)
        arrivals = [*await missing_series(hub, task, session, current, arrivals), *arrivals]
        async with transaction(hub.pool) as connection:
            await calendars.lock_feed(connection, calendar.id)
            provider = hub.providers[calendar.provider]
            settled = await settle(connection, provider, current, arrivals, task=task, feed=feed)
        if settled is None:
            return False
        _report(calendar, changes, settled)
        page = changes.next_page
        if page is None:
            return True
        if not await queue.extend_lease(hub.pool, task, hub.settings.lease_seconds):
            return False


async def _at_start_of_page(
    hub: Hub, task: Task, calendar: Calendar, page: str | None
) -> Calendar | None:
    """Return the calendar as of now, in a full sync where one is due; None when it is not ours."""
    current = await calendars.read(hub.pool, calendar.id)
    if current is None:
        return None
    listing = current.cursor is None or current.wants_full or current.cursor_key != CURSOR_KEY
    if page is not None or current.pass_id is not None or not listing:
        return current
    async with transaction(hub.pool) as connection:
        await calendars.lock_feed(connection, current.id)
        if not await queue.holds_lease(connection, task):
            return None
        await calendars.start_pass(connection, current.id)
        if current.state != "action_required":
            await calendars.set_state(
                connection,
                current.id,
                "importing" if current.cursor is None else "catching_up",
                reason="Everything in the calendar is being read.",
            )
    return await calendars.read(hub.pool, calendar.id)


async def _apply(
    hub: Hub,
    task: Task,
    session: Session,
    calendar: Calendar,
    changes: ChangePage,
    turn: _Turn,
) -> bool:
    """Commit a page together with the position after it; False when the lease was lost."""
    turn.asked_at = turn.asked_at or calendar.read_at
    last = changes.next_page is None
    feed = Feed(
        # What was removed on an earlier page was asked for then.
        asked_at=turn.asked_at if last else calendar.read_at,
        since=_since(hub, calendar),
        pass_id=calendar.pass_id,
    )
    arrivals = _arrivals(changes, turn.removed, complete=calendar.pass_id is not None)
    listed = len(arrivals)
    gone = list(turn.removed.values()) if last else []
    series = await missing_series(hub, task, session, calendar, [*arrivals, *gone])
    arrivals = [*series, *arrivals]
    provider = hub.providers[calendar.provider]
    async with transaction(hub.pool) as connection:
        await calendars.lock_feed(connection, calendar.id)
        if last:
            removed = await _removals(hub, connection, calendar, turn.removed)
            if removed is None:
                await queue.complete(connection, task)
                return True
            arrivals += removed
        settled = await settle(connection, provider, calendar, arrivals, task=task, feed=feed)
        if settled is None:
            return False
        if changes.access_role and changes.access_role != calendar.access_role:
            await calendars.note_role(
                connection, calendar.id, changes.access_role, changes.time_zone
            )
        if changes.next_page is not None:
            if calendar.pass_id:
                await calendars.save_pass_page(connection, calendar.id, changes.next_page, listed)
        else:
            await _finish(hub, connection, task, calendar, changes, feed, listed)
    _report(calendar, changes, settled)
    return True


async def _removals(
    hub: Hub, connection: Connection, calendar: Calendar, removed: dict[str, Arrival]
) -> list[Arrival] | None:
    """Return the removals to settle; None when they paused the calendar.

    Those that the user refused are brought back instead.
    """
    if not removed or calendar.direction == "push":
        return list(removed.values())
    doomed = await mappings.doomed(connection, calendar.id, list(removed))
    match await breaker.judge(connection, calendar, doomed, hub.settings):
        case "held":
            return None
        case "refused":
            return []
        case "let":
            return list(removed.values())


async def _finish(
    hub: Hub,
    connection: Connection,
    task: Task,
    calendar: Calendar,
    changes: ChangePage,
    feed: Feed,
    listed: int,
) -> None:
    if changes.cursor is None:
        raise ProviderUnavailable("The listing ended without a position to go on from.")
    if calendar.pass_id and calendar.pass_started_at:
        if not await _missing_are_seen_to(hub, connection, calendar, feed):
            await queue.complete(connection, task)
            return
        await mappings.mark_unlisted(connection, calendar.id, calendar.pass_id)
        await events.enqueue_differences(connection, calendar.id, calendar.user_id, feed.since)
    elif calendar.cursor:
        await channels.doubt_silence(
            connection,
            calendar,
            [
                change.modified_at
                for change in changes.changes
                if isinstance(change, RemoteEvent) and change.modified_at
            ],
        )
    await calendars.save_cursor(connection, calendar.id, changes.cursor, CURSOR_KEY)
    if calendar.pass_id and calendar.pass_page:
        # The position is that of the first page, which may be long ago: what was told meanwhile
        # may have been told to a pass that died.
        await queue.request_pulls(connection, [calendar.id], "follow_up")
    await queue.complete(connection, task)
    role = changes.access_role or calendar.access_role
    writable = hub.providers[calendar.provider].capabilities(role).writable
    if calendar.state == "action_required" and calendar.direction != "pull" and not writable:
        # Reading works, but that does not mend what the user must see to.
        fault = ContainerGone(
            "The account may read this calendar but not change it; what was changed here waits.",
            code="calendar_read_only",
        )
        await calendars.set_state(
            connection, calendar.id, "action_required", reason=fault.detail, error=fault
        )
        return
    await calendars.note_synced(connection, calendar.id, done=listed if calendar.pass_id else None)
    if calendar.state == "action_required":
        await queue.release_waiting(connection, [calendar.id])


async def _missing_are_seen_to(
    hub: Hub, connection: Connection, calendar: Calendar, feed: Feed
) -> bool:
    """Ask for a read of every event that the complete listing left out; False when that paused it.

    Absence is believed only after that read. The unexpectedly empty listing ends here too: it
    leaves out everything.
    """
    missing = await mappings.unseen(connection, calendar.id, feed.since)
    verdict = await breaker.judge(connection, calendar, missing, hub.settings)
    if verdict != "let":
        return verdict == "refused"
    await mappings.look_again(connection, [event.mapping_id for event in missing])
    await queue.enqueue_pushes(
        connection,
        [(event.user_id, event.event_id, calendar.id, "missing") for event in missing],
    )
    return True


def _arrivals(changes: ChangePage, removed: dict[str, Arrival], *, complete: bool) -> list[Arrival]:
    """Return the last word on each live event of the page; what is gone is put into *removed*.

    A *complete* listing names nothing that is gone but the occurrences that do not take place;
    whoever resumes it after a kill would not know what an earlier page removed.
    """
    latest: dict[str, Arrival] = {}
    for change in changes.changes:
        external_id = change.external_id
        match change:
            case RemoteEvent():
                latest[external_id] = Arrival(external_id, change)
                removed.pop(external_id, None)
            case RemovedEvent():
                gone = Arrival(external_id, None, cancelled=change.occurrence)
                latest.pop(external_id, None)
                if not complete:
                    removed[external_id] = gone
                elif change.occurrence:
                    latest[external_id] = gone
    return list(latest.values())


def _since(hub: Hub, calendar: Calendar) -> datetime:
    """Return the start of the window; the same for every page of a full sync."""
    anchor = calendar.pass_started_at or datetime.now(UTC)
    return anchor - timedelta(days=hub.settings.sync_window_past_days)


def _report(calendar: Calendar, changes: ChangePage, settled: Settled) -> None:
    if settled.touched or changes.skip_reasons:
        _log.info(
            "page_applied",
            calendar_id=str(calendar.id),
            created=len(settled.created),
            updated=len(settled.updated),
            deleted=len(settled.deleted),
            conflicts=settled.conflicts,
            skipped=len(changes.skip_reasons),
        )
