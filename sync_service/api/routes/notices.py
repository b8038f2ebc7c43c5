"""What the user should know: notifications and conflicts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from sync_service.api.problems import FAILURES, not_found
from sync_service.api.requests import after, to_cursor
from sync_service.api.schemas import Conflict, ConflictPage, Notification, NotificationPage
from sync_service.api.user_data import Row, UserData

Limit = Annotated[int, QueryParameter(ge=1, le=250)]


class NotificationController(Controller):
    """The caller's notifications."""

    path = "/notifications"
    tags = ("Notifications",)

    @get(summary="List notifications", responses=FAILURES)
    async def list_notifications(
        self,
        user_data: NamedDependency[UserData],
        unread: FromQuery[bool] = False,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 100,
    ) -> NotificationPage:
        """Return notifications, newest first."""
        query = user_data.table("sync_notifications").select("*")
        if unread:
            query = query.is_("read_at", None)
        rows, next_cursor = await _newest(user_data, query, cursor, limit)
        items = [Notification(**_fields(Notification, row)) for row in rows]
        return NotificationPage(items=items, next_cursor=next_cursor)

    @post(
        "/{notification_id:uuid}/read", status_code=200, summary="Mark as read", responses=FAILURES
    )
    async def mark_read(
        self, notification_id: FromPath[UUID], user_data: NamedDependency[UserData]
    ) -> Notification:
        """Mark a notification as read; the first time counts."""
        table = "sync_notifications"
        now = datetime.now(UTC).isoformat()
        unread = user_data.table(table).update({"read_at": now}).eq("id", notification_id)
        row = await user_data.first(unread.is_("read_at", None))
        if row is None:
            row = await user_data.first(
                user_data.table(table).select("*").eq("id", notification_id)
            )
        if row is None:
            raise not_found("notification")
        return Notification(**_fields(Notification, row))


class ConflictController(Controller):
    """The caller's conflicts."""

    path = "/conflicts"
    tags = ("Conflicts",)

    @get(summary="List conflicts", responses=FAILURES)
    async def list_conflicts(
        self,
        user_data: NamedDependency[UserData],
        status: FromQuery[Literal["open", "resolved"] | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 100,
    ) -> ConflictPage:
        """Return conflicts with both versions and the common base, newest first."""
        query = user_data.table("sync_conflicts").select("*")
        if status is not None:
            query = query.eq("status", status)
        rows, next_cursor = await _newest(user_data, query, cursor, limit)
        items = [Conflict(**_fields(Conflict, row)) for row in rows]
        return ConflictPage(items=items, next_cursor=next_cursor)


async def _newest(
    user_data: UserData, query: Any, cursor: str | None, limit: int
) -> tuple[list[Row], str | None]:
    if cursor is not None:
        query = query.or_(after("created_at", cursor, descending=True))
    ordered = query.order("created_at", desc=True).order("id", desc=True).limit(limit + 1)
    rows = await user_data.rows(ordered)
    page = rows[:limit]
    more = len(rows) > limit
    return page, to_cursor(page[-1]["created_at"], page[-1]["id"]) if more else None


def _fields(shape: type[Notification] | type[Conflict], row: Row) -> Row:
    return {name: row[name] for name in shape.__struct_fields__}
