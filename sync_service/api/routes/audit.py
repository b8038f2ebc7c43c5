"""The caller's audit log."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from sync_service.api.history_schemas import AuditPage
from sync_service.api.paging import Limit, numbered
from sync_service.api.problems import FAILURES
from sync_service.api.trail_entries import to_audit
from sync_service.api.user_data import UserData

Actions = Annotated[
    list[str] | None,
    QueryParameter(description="Such as `event.deleted`; several when repeated.", max_items=20),
]


class AuditController(Controller):
    """Everything that was done with what is the caller's."""

    path = "/audit"
    tags = ("Audit",)

    @get(summary="Read the log", responses=FAILURES)
    async def read_audit(
        self,
        user_data: NamedDependency[UserData],
        event_id: FromQuery[UUID | None] = None,
        calendar_id: FromQuery[UUID | None] = None,
        action: Actions = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 100,
    ) -> AuditPage:
        """Return the log, newest first."""
        query = user_data.table("sync_audit").select("*")
        if event_id is not None:
            query = query.eq("event_id", event_id)
        if calendar_id is not None:
            query = query.eq("calendar_id", calendar_id)
        if action:
            query = query.in_("action", action)
        rows, next_cursor = await numbered(user_data, query, cursor, limit, descending=True)
        return AuditPage(items=[to_audit(row) for row in rows], next_cursor=next_cursor)
