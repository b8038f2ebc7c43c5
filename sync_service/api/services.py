"""What the handlers share: opened once for the process, handed to them by name."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from litestar import Request
from litestar.datastructures import State

from sync_service.api.auth import Caller, Verifier
from sync_service.api.live import Live, open_live
from sync_service.api.user_data import UserData, open_http
from sync_service.doorbell import Redis, open_doorbell
from sync_service.engine.hub import Hub, open_hub
from sync_service.settings import Settings
from sync_service.store.pool import Pool, open_pool


@dataclass(frozen=True)
class Services:
    """Everything outside the process that handlers talk to."""

    settings: Settings
    pool: Pool
    http: httpx.AsyncClient
    verifier: Verifier
    hub: Hub
    redis: Redis
    live: Live


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncGenerator[Services]:
    """Open everything, and close it in the opposite order."""
    async with AsyncExitStack() as opened:
        pool = await open_pool(settings)
        opened.push_async_callback(pool.close)
        http = await opened.enter_async_context(open_http())
        yield Services(
            settings=settings,
            pool=pool,
            http=http,
            verifier=Verifier(settings, http),
            hub=await opened.enter_async_context(open_hub(settings, pool)),
            redis=await opened.enter_async_context(open_doorbell(settings)),
            live=await opened.enter_async_context(open_live(settings)),
        )


async def provide_services(state: State) -> Services:
    """Hand the process's services to a handler."""
    return state.services


async def provide_data(request: Request[Caller, str, State]) -> UserData:
    """Hand the caller's own view of the tables to a handler."""
    services: Services = request.app.state.services
    return UserData(services.settings, services.http, request.user)
