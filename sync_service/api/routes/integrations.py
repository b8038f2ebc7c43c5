"""Connections to provider accounts: what is connected, sync it now, end it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from sync_service import doorbell
from sync_service.api.account_schemas import Integration, IntegrationPage
from sync_service.api.problems import FAILURES, Problem, not_found
from sync_service.api.routes.calendars import to_calendar
from sync_service.api.schemas import SyncRequested
from sync_service.api.services import Services
from sync_service.api.sync_states import failure
from sync_service.api.user_data import Row, UserData
from sync_service.engine import connections
from sync_service.store import queue


class IntegrationController(Controller):
    """The caller's connections."""

    path = "/integrations"
    tags = ("Integrations",)

    @get(summary="List connections", responses=FAILURES)
    async def list_integrations(self, user_data: NamedDependency[UserData]) -> IntegrationPage:
        """Return every connection with its calendars and their state."""
        query = user_data.table("calendar_connections").select(
            "*,calendars(*),sync_usage(day,units)"
        )
        today = datetime.now(UTC).date().isoformat()
        query = query.eq("sync_usage.day", today).order("created_at").order("id")
        rows = await user_data.rows(query)
        return IntegrationPage(items=[_integration(row) for row in rows], next_cursor=None)

    @delete("/{connection_id:uuid}", summary="Disconnect", responses=FAILURES)
    async def disconnect(
        self,
        connection_id: FromPath[UUID],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
    ) -> None:
        """Stop the channels, revoke the grant and wipe the tokens; events stay on both sides."""
        await _require_own(user_data, connection_id)
        await connections.disconnect(services.hub, connection_id)
        await services.hub.meter.write()

    @post(
        "/{connection_id:uuid}/sync",
        status_code=202,
        summary="Sync a connection now",
        responses=FAILURES,
    )
    async def sync_connection(
        self,
        connection_id: FromPath[UUID],
        user_data: NamedDependency[UserData],
        services: NamedDependency[Services],
    ) -> SyncRequested:
        """Ask for a pull of every enabled calendar of the connection."""
        connection = await _require_own(user_data, connection_id)
        if connection["status"] != "active":
            raise Problem(409, "reconnect_needed", "Connect this account again first.")
        query = user_data.table("calendars").select("id").eq("connection_id", connection_id)
        return await request_sync(user_data, services, query)


async def request_sync(user_data: UserData, services: Services, calendars: Any) -> SyncRequested:
    """Ask for a pull of those of the caller's *calendars* that are enabled."""
    rows = await user_data.rows(calendars.eq("enabled", True))
    ids = [UUID(row["id"]) for row in rows]
    asked = await queue.request_pulls(services.pool, ids, "manual") if ids else 0
    if asked:
        await doorbell.ring(services.redis, doorbell.DRAIN, job_id=doorbell.DRAIN)
    return SyncRequested(calendars=asked)


async def _require_own(user_data: UserData, connection_id: UUID) -> Row:
    query = user_data.table("calendar_connections").select("id,status").eq("id", connection_id)
    connection = await user_data.first(query)
    if connection is None:
        raise not_found("connection")
    return connection


def _integration(row: Row) -> Integration:
    made = {"calendars", "last_error", "writes_parked_until", "units_today"}
    names = set(Integration.__struct_fields__) - made
    parked = row["writes_parked_until"]
    calendars = sorted(row["calendars"], key=lambda found: (not found["is_primary"], found["name"]))
    return Integration(
        **{name: row[name] for name in names},
        last_error=failure(row["last_error"]),
        writes_parked_until=parked if parked and parked > datetime.now(UTC) else None,
        units_today=sum(used["units"] for used in row["sync_usage"]),
        calendars=[to_calendar(found) for found in calendars],
    )
