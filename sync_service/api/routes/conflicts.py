"""Conflicts: every version of what went two ways, and the user's word on it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from sync_service import doorbell
from sync_service.api import event_rows, sync_states
from sync_service.api.merging import merged_content
from sync_service.api.paging import Limit, newest
from sync_service.api.problems import FAILURES, not_found
from sync_service.api.requests import Prefer, wanted_wait
from sync_service.api.schemas import Conflict, ConflictPage, ConflictResolution, ResolvedConflict
from sync_service.api.services import Services
from sync_service.api.user_data import Row, UserData
from sync_service.engine import resolve


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
        rows, next_cursor = await newest(user_data, query, cursor, limit)
        return ConflictPage(items=[_conflict(row) for row in rows], next_cursor=next_cursor)

    @post("/{conflict_id:uuid}/resolve", status_code=200, summary="Settle", responses=FAILURES)
    async def resolve_conflict(
        self,
        conflict_id: FromPath[UUID],
        data: JSONBody[ConflictResolution],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
        prefer: Prefer = None,
    ) -> Response[ResolvedConflict]:
        """Settle a conflict, or overrule what settled it; the last word counts.

        Only the fields that went two ways are touched, edits made since in others stay. `merge`
        sets the fields of `event` that are given.
        """
        wait = wanted_wait(prefer)
        conflict = await _read(user_data, conflict_id)
        event_id = UUID(conflict["event_id"])
        merged = merged_content(data, conflict, await event_rows.find(user_data, event_id))
        await resolve.resolve(services.pool, conflict_id, data.resolution, merged or None)
        await doorbell.ring(services.redis, doorbell.DRAIN, job_id=doorbell.DRAIN)
        row = await event_rows.find(user_data, event_id)
        event = (
            await sync_states.describe_once_settled(user_data, row, services.live, wait)
            if row is not None
            else None
        )
        answer = ResolvedConflict(
            conflict=_conflict(await _read(user_data, conflict_id)), event=event
        )
        applied = {} if wait is None else {"Preference-Applied": f"wait={wait:g}"}
        return Response(answer, headers=applied)


async def _read(user_data: UserData, conflict_id: UUID) -> Row:
    query = user_data.table("sync_conflicts").select("*").eq("id", conflict_id)
    row = await user_data.first(query)
    if row is None:
        raise not_found("conflict")
    return row


def _conflict(row: Row) -> Conflict:
    return Conflict(**{name: row[name] for name in Conflict.__struct_fields__})
