"""The overall state of syncing, and sync now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from litestar import Controller, get, post
from litestar.di import NamedDependency
from postgrest import CountMethod

from sync_service.api.problems import FAILURES
from sync_service.api.routes.integrations import request_sync
from sync_service.api.routes.queue import statistics
from sync_service.api.schemas import (
    CalendarStatus,
    State,
    SyncOverview,
    SyncRequested,
)
from sync_service.api.services import Services
from sync_service.api.sync_states import failure
from sync_service.api.user_data import Row, UserData

_BY_URGENCY: tuple[State, ...] = (
    "action_required",
    "paused",
    "delayed",
    "connecting",
    "importing",
    "catching_up",
    "healthy",
)


class SyncController(Controller):
    """Everything of the caller at once."""

    tags = ("Sync",)

    @post("/sync", status_code=202, summary="Sync everything now", responses=FAILURES)
    async def sync_all(
        self, user_data: NamedDependency[UserData], services: NamedDependency[Services]
    ) -> SyncRequested:
        """Ask for a pull of every enabled calendar."""
        return await request_sync(user_data, services, user_data.table("calendars").select("id"))

    @get("/sync-status", summary="Overall state", responses=FAILURES)
    async def sync_status(self, user_data: NamedDependency[UserData]) -> SyncOverview:
        """Return the most urgent state of the enabled calendars, and what waits."""
        calendars = user_data.table("calendars").select("*").eq("enabled", True).order("name")
        unread = (
            user_data.table("sync_notifications")
            .select("id", count=CountMethod.exact, head=True)
            .is_("read_at", None)
        )
        rows, queue, conflicts, notifications = await asyncio.gather(
            user_data.rows(calendars),
            statistics(user_data),
            user_data.count_where("sync_conflicts", status="open"),
            user_data.count(unread),
        )
        return SyncOverview(
            state=_most_urgent(rows),
            calendars=[_status(row) for row in rows],
            queue=queue,
            open_conflicts=conflicts,
            unread_notifications=notifications,
        )


def _most_urgent(rows: Sequence[Row]) -> State:
    found = {row["state"] for row in rows}
    for state in _BY_URGENCY:
        if state in found:
            return state
    return "disconnected"


def _status(row: Row) -> CalendarStatus:
    names = set(CalendarStatus.__struct_fields__) - {"calendar_id", "last_error"}
    return CalendarStatus(
        calendar_id=row["id"],
        last_error=failure(row["last_error"]),
        **{name: row[name] for name in names},
    )
