"""What happened to an event, why it is where it is, and putting an earlier version back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from postgrest.exceptions import APIError

from sync_service.api import event_rows, standings, sync_states
from sync_service.api.history_schemas import History, RestoreRequest
from sync_service.api.paging import Limit, numbered
from sync_service.api.problems import FAILURES, Problem, described, not_found
from sync_service.api.requests import Prefer, wanted_wait
from sync_service.api.routes.events import answer
from sync_service.api.schemas import Event
from sync_service.api.services import Services
from sync_service.api.trail_entries import to_history
from sync_service.api.user_data import Row, UserData

_NOTHING = described(_409="There is no earlier version to put back.")


class HistoryController(Controller):
    """The past of the caller's events."""

    path = "/events/{event_id:uuid}"
    tags = ("Events",)

    @get("/history", summary="What happened to it, and where it is", responses=FAILURES)
    async def read_history(
        self,
        event_id: FromPath[UUID],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 100,
    ) -> History:
        """Return what happened to an event, oldest first, be it deleted by now or not.

        `sync` and `explanation` say how it stands with every calendar at this moment.
        """
        log = user_data.table("sync_audit").select("*").eq("event_id", event_id)
        rows, next_cursor = await numbered(user_data, log, cursor, limit, descending=False)
        event = await event_rows.find(user_data, event_id)
        if event is None and not rows and not await _left_a_trace(user_data, event_id):
            raise not_found("event")
        window = timedelta(days=services.settings.sync_window_past_days)
        now = await standings.read(user_data, event_id, event, datetime.now(UTC) - window)
        return History(
            items=[to_history(row) for row in rows],
            next_cursor=next_cursor,
            sync=now.calendars,
            explanation=now.explanation,
        )

    @post("/restore", status_code=200, summary="Put back", responses=FAILURES | _NOTHING)
    async def restore_event(
        self,
        event_id: FromPath[UUID],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
        prefer: Prefer = None,
        data: JSONBody[RestoreRequest | None] = None,
    ) -> Response[Event]:
        """Put back a version of an event, deleted ones included, as it was up to 30 days ago.

        Without a `version`, its latest change is undone. It is synced like any other change.
        """
        wait = wanted_wait(prefer)
        row = await _restore(user_data, event_id, data.version if data else None)
        event = await sync_states.describe_once_settled(user_data, row, services.live, wait)
        return answer(event, wait)


async def _left_a_trace(user_data: UserData, event_id: UUID) -> bool:
    query = user_data.table("sync_audit").select("id").eq("event_id", event_id).limit(1)
    return await user_data.first(query) is not None


async def _restore(user_data: UserData, event_id: UUID, version: int | None) -> Row:
    query = user_data.rpc("restore_event", p_event_id=str(event_id), p_version=version)
    try:
        row = await user_data.first(query)
    except APIError as fault:
        if fault.code == "PT409":
            raise Problem(409, "nothing_to_restore", fault.message or "") from None
        raise
    if row is None:
        raise not_found("event")
    return row
