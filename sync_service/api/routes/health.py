"""Is the process alive, is it ready, and how is it doing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

import asyncpg
import msgspec
import structlog
from litestar import Controller, Response, get, head
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError

from sync_service.api.problems import Problem
from sync_service.api.schemas import Output
from sync_service.api.services import Services
from sync_service.errors import SyncError
from sync_service.store import migrate

_PATIENCE_S = 2.0
_log = structlog.get_logger(__name__)


class Health(Output, frozen=True, kw_only=True):
    """The process answers; *checks* says what else does."""

    status: Literal["ok", "ready"]
    checks: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class HealthController(Controller):
    """Answers to those who run the service; no token needed."""

    tags = ("Health",)

    @get("/healthz", summary="Liveness")
    async def healthz(self) -> Health:
        """Answer as long as the process does."""
        return Health(status="ok")

    @head("/healthz", include_in_schema=False)
    async def healthz_head(self) -> None:
        """Answer probes that want no body."""

    @get("/readyz", summary="Readiness")
    async def readyz(self, services: NamedDependency[Services]) -> Health:
        """Say whether database, migrations and Redis are there; 503 names what is not."""

        async def database() -> str:
            await services.pool.fetchval("select 1")
            return "ok"

        async def migrations() -> str:
            async with services.pool.acquire() as connection:
                missing = await migrate.pending(cast("asyncpg.Connection[Any]", connection))
            return f"not applied: {', '.join(missing)}; run `calsync migrate`" if missing else "ok"

        async def redis() -> str:
            await services.redis.ping()  # pyright: ignore[reportUnknownMemberType]  # untyped **kwargs
            return "ok"

        checks = {"database": database, "migrations": migrations, "redis": redis}
        outcomes = await asyncio.gather(*(_outcome(check) for check in checks.values()))
        found = dict(zip(checks, outcomes, strict=True))
        failing = [name for name, outcome in found.items() if outcome != "ok"]
        if failing:
            raise Problem(503, "not_ready", f"Not ready: {', '.join(failing)}.", checks=found)
        return Health(status="ready", checks=found)

    @get("/metrics", summary="Prometheus metrics", media_type="text/plain", sync_to_thread=False)
    def metrics(self) -> Response[bytes]:
        """Return this process's metrics in the Prometheus text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _outcome(check: Callable[[], Awaitable[str]]) -> str:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await check()
    except SyncError as fault:
        return fault.detail
    except (OSError, RedisError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        _log.warning("readiness.failed", fault=type(fault).__name__)
        return "no answer"
