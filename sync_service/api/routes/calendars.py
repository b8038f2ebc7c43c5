"""Calendars of connected accounts and their settings."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET

from sync_service import doorbell
from sync_service.api.account_schemas import Calendar, CalendarPage, CalendarSettings, ResumeRequest
from sync_service.api.problems import FAILURES, Problem, described, not_found
from sync_service.api.services import Services
from sync_service.api.sync_states import failure
from sync_service.api.user_data import Row, UserData
from sync_service.engine import breaker

_NOT_PAUSED = described(_409="It is not paused, or it is turned off.")


class CalendarController(Controller):
    """The caller's calendars."""

    path = "/calendars"
    tags = ("Calendars",)

    @get(summary="List calendars", responses=FAILURES)
    async def list_calendars(self, user_data: NamedDependency[UserData]) -> CalendarPage:
        """Return every calendar that the connected accounts show."""
        query = user_data.table("calendars").select("*").order("name").order("id")
        rows = await user_data.rows(query)
        return CalendarPage(items=[to_calendar(row) for row in rows], next_cursor=None)

    @patch("/{calendar_id:uuid}", summary="Change settings", responses=FAILURES)
    async def change_calendar(
        self,
        calendar_id: FromPath[UUID],
        data: JSONBody[CalendarSettings],
        user_data: NamedDependency[UserData],
    ) -> Calendar:
        """Change the settings that are given; the calendar is read again where that matters."""
        given: dict[str, Any] = {
            name: value
            for name in data.__struct_fields__
            if (value := getattr(data, name)) is not UNSET
        }
        table = user_data.table("calendars")
        query = table.update(given) if given else table.select("*")
        row = await user_data.first(query.eq("id", calendar_id))
        if row is None:
            raise not_found("calendar")
        return to_calendar(row)

    @post(
        "/{calendar_id:uuid}/resume",
        status_code=200,
        summary="Go on with a paused calendar",
        responses=FAILURES | _NOT_PAUSED,
    )
    async def resume_calendar(
        self,
        calendar_id: FromPath[UUID],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
        data: JSONBody[ResumeRequest | None] = None,
    ) -> Calendar:
        """Go on; `approve_deletions` says whether what `preview` shows was meant to be deleted."""
        before = await _read(user_data, calendar_id)
        approved = data.approve_deletions if data else None
        if not await breaker.resume(services.pool, calendar_id, approve_deletions=approved):
            detail = "It is not paused." if before["enabled"] else "It is turned off; turn it on."
            detail = before["unsyncable_reason"] or detail
            raise Problem(409, "not_paused", detail)
        await doorbell.ring(services.redis, doorbell.DRAIN, job_id=doorbell.DRAIN)
        return to_calendar(await _read(user_data, calendar_id))


async def _read(user_data: UserData, calendar_id: UUID) -> Row:
    row = await user_data.first(user_data.table("calendars").select("*").eq("id", calendar_id))
    if row is None:
        raise not_found("calendar")
    return row


def to_calendar(row: Row) -> Calendar:
    """Return a row of `calendars` as an answer."""
    names = set(Calendar.__struct_fields__) - {"last_error"}
    return Calendar(**{name: row[name] for name in names}, last_error=failure(row["last_error"]))
