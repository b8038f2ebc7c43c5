"""Events: create, read, change, delete, and hear how far each one has come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from sync_service.api import event_rows, series, sync_states, windows
from sync_service.api.paging import Limit
from sync_service.api.problems import FAILURES, STALE, FieldError, described, invalid, not_found
from sync_service.api.requests import (
    IfMatch,
    Prefer,
    SendUpdates,
    expected_version,
    moment,
    wanted_wait,
    wish,
)
from sync_service.api.schemas import Event, EventCreate, EventPage, EventPatch
from sync_service.api.services import Services
from sync_service.api.user_data import UserData, to_row
from sync_service.api.validation import fields_of

CHANGING = described(_409="The series kept changing meanwhile; nothing was done.")
Occurrence = Annotated[
    str | None,
    QueryParameter(
        description="Of a series: the original start of the occurrence that is meant, as an"
        " RFC 3339 time, or as a date where it has whole days."
    ),
]
Reach = Annotated[
    str | None,
    QueryParameter(
        name="scope",
        description="`this` (the default with `occurrence`), `following` or `all` (the default"
        " without). With `occurrence`, the times in the body are those of that occurrence.",
    ),
]


class EventController(Controller):
    """The caller's events."""

    path = "/events"
    tags = ("Events",)

    @get(summary="List a window", responses=FAILURES)
    async def list_events(
        self,
        user_data: NamedDependency[UserData],
        start_date: FromQuery[str],
        end_date: FromQuery[str],
        calendar_id: FromQuery[UUID | None] = None,
        expand: FromQuery[bool] = False,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 100,
    ) -> EventPage:
        """Return the events that touch the window, in the order of their start.

        Series are returned as they are stored when they may occur in the window; with `expand`,
        each of their occurrences in it is returned instead.
        """
        start, end = moment("start_date", start_date), moment("end_date", end_date)
        if end <= start:
            raise invalid(FieldError("end_date", "must be after start_date"))
        home = None
        if calendar_id is not None:
            home = await event_rows.home_filter(user_data, calendar_id)
        read = windows.expanded if expand else windows.stored
        return await read(user_data, windows.Window(start, end, home), cursor, limit)

    @post(summary="Create", responses=FAILURES)
    async def create_event(
        self,
        data: JSONBody[EventCreate],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
        prefer: Prefer = None,
        send_updates: SendUpdates = "none",
    ) -> Response[Event]:
        """Create an event; it is synced to its calendar, or to the default one."""
        wait = wanted_wait(prefer)
        fields = fields_of(data) | wish(send_updates)
        row = await user_data.first(user_data.table("calendar_events").insert(to_row(fields)))
        if row is None:
            raise not_found("event")
        event = await sync_states.describe_once_settled(user_data, row, services.live, wait)
        return answer(event, wait, status_code=201, location=f"/api/calendar/events/{event.id}")

    @get("/{event_id:uuid}", summary="Read", responses=FAILURES)
    async def read_event(
        self,
        event_id: FromPath[UUID],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
        prefer: Prefer = None,
    ) -> Response[Event]:
        """Return an event; with `Prefer: wait` once it is synced."""
        wait = wanted_wait(prefer)
        row = await event_rows.read(user_data, event_id)
        event = await sync_states.describe_once_settled(user_data, row, services.live, wait)
        return answer(event, wait)

    @patch("/{event_id:uuid}", summary="Change", responses=FAILURES | STALE | CHANGING)
    async def change_event(
        self,
        event_id: FromPath[UUID],
        data: JSONBody[EventPatch],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
        occurrence: Occurrence = None,
        reach: Reach = None,
        prefer: Prefer = None,
        if_match: IfMatch = None,
        send_updates: SendUpdates = "none",
    ) -> Response[Event]:
        """Change the fields that are given; `If-Match` refuses a stale change with 412.

        Of a series, one occurrence can be changed (answered as the event that it becomes), all
        from one on (answered as a series of its own), or all. Those that were changed before
        keep what makes them different and follow in the rest.
        """
        wait, version = wanted_wait(prefer), expected_version(if_match)
        fields = fields_of(data)
        if fields:
            fields |= wish(send_updates)
        wanted, at = series.read_scope(reach, occurrence)
        row = await series.change(user_data, event_id, fields, version, wanted, at)
        event = await sync_states.describe_once_settled(user_data, row, services.live, wait)
        return answer(event, wait)

    @delete(
        "/{event_id:uuid}",
        summary="Delete",
        responses=FAILURES | STALE | CHANGING,
        status_code=200,
    )
    async def delete_event(
        self,
        event_id: FromPath[UUID],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
        occurrence: Occurrence = None,
        reach: Reach = None,
        prefer: Prefer = None,
        if_match: IfMatch = None,
        send_updates: SendUpdates = "none",
    ) -> Response[Event]:
        """Delete an event here and in its calendars; what it said is kept for a while.

        Of a series, one occurrence can be cancelled, the series be ended before one, or deleted.
        """
        wait, version = wanted_wait(prefer), expected_version(if_match)
        fields = {"deleted_at": datetime.now(UTC)} | wish(send_updates)
        wanted, at = series.read_scope(reach, occurrence)
        row = await series.delete(user_data, event_id, fields, version, wanted, at)
        event = await sync_states.describe_once_settled(user_data, row, services.live, wait)
        return answer(event, wait)


def answer(
    event: Event, wait: float | None, *, status_code: int = 200, location: str | None = None
) -> Response[Event]:
    """Return *event* with its version as the ETag, and *wait* if that was honoured."""
    headers = {"ETag": f'"{event.version}"'}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait:g}"
    if location is not None:
        headers["Location"] = location
    return Response(event, status_code=status_code, headers=headers)
