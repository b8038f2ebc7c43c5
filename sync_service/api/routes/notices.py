"""What the user should know."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from sync_service.api.paging import Limit, newest
from sync_service.api.problems import FAILURES, not_found
from sync_service.api.schemas import Notification, NotificationPage
from sync_service.api.user_data import Row, UserData


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
        rows, next_cursor = await newest(user_data, query, cursor, limit)
        items = [_notification(row) for row in rows]
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
        return _notification(row)


def _notification(row: Row) -> Notification:
    return Notification(**{name: row[name] for name in Notification.__struct_fields__})
