"""The caller's part of the queue: how much there is of it, what failed, and once more."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from sync_service import doorbell
from sync_service.api.paging import Limit, numbered
from sync_service.api.problems import FAILURES, Problem, described, not_found
from sync_service.api.schemas import QueueItem, QueueStatistics, QueueStatus
from sync_service.api.services import Services
from sync_service.api.sync_states import failure
from sync_service.api.user_data import Row, UserData
from sync_service.store import queue

_NOT_FAILED = described(_409="It has not failed: it waits, runs or is done.")


class QueueController(Controller):
    """The caller's work."""

    path = "/sync/queue"
    tags = ("Sync",)

    @get(summary="Queue statistics", responses=FAILURES)
    async def queue_statistics(
        self,
        user_data: NamedDependency[UserData],
        status: FromQuery[QueueStatus | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 100,
    ) -> QueueStatistics:
        """Return how much of the caller's work waits, runs, is done or failed.

        With a `status`, the work in that state too, newest first.
        """
        counted = await statistics(user_data)
        if status is None:
            return counted
        query = user_data.table("sync_queue").select("*").eq("status", status)
        rows, next_cursor = await numbered(user_data, query, cursor, limit, descending=True)
        return msgspec.structs.replace(
            counted, items=[_item(row) for row in rows], next_cursor=next_cursor
        )

    @post(
        "/{queue_id:int}/retry",
        status_code=200,
        summary="Retry what failed",
        responses=FAILURES | _NOT_FAILED,
    )
    async def retry(
        self,
        queue_id: FromPath[int],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
    ) -> QueueItem:
        """Try a failed row again, now and as if for the first time."""
        row = await _read(user_data, queue_id)
        if not await queue.retry(services.pool, queue_id, UUID(row["user_id"])):
            raise Problem(409, "not_failed", "Only what failed can be retried.")
        await doorbell.ring(services.redis, doorbell.DRAIN, job_id=doorbell.DRAIN)
        return _item(await _read(user_data, queue_id))


async def statistics(user_data: UserData) -> QueueStatistics:
    """Count the caller's work by its status."""
    oldest = user_data.table("sync_queue").select("created_at").eq("status", "pending")
    first, pending, processing, completed, failed = await asyncio.gather(
        user_data.first(oldest.order("created_at").limit(1)),
        user_data.count_where("sync_queue", status="pending"),
        user_data.count_where("sync_queue", status="processing"),
        user_data.count_where("sync_queue", status="completed"),
        user_data.count_where("sync_queue", status="failed"),
    )
    age = (datetime.now(UTC) - first["created_at"]).total_seconds() if first else None
    return QueueStatistics(
        pending=pending,
        processing=processing,
        completed=completed,
        failed=failed,
        oldest_pending_seconds=None if age is None else max(0.0, age),
    )


async def _read(user_data: UserData, queue_id: int) -> Row:
    row = None
    if queue_id < 2**63:
        query = user_data.table("sync_queue").select("*").eq("id", queue_id)
        row = await user_data.first(query)
    if row is None:
        raise not_found("work in the queue")
    return row


def _item(row: Row) -> QueueItem:
    names = set(QueueItem.__struct_fields__) - {"next_try_at", "last_error"}
    return QueueItem(
        **{name: row[name] for name in names},
        next_try_at=row["run_at"] if row["status"] == "pending" else None,
        last_error=failure(row["last_error"]),
    )
