"""Everything the engine works with, opened once a process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import httpx
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from sync_service.engine.accounts import BulkAccount, LiveAccount
from sync_service.engine.limits import Limiter
from sync_service.engine.meter import Meter
from sync_service.providers.base import Provider, Session
from sync_service.providers.google import GoogleProvider
from sync_service.settings import Settings
from sync_service.store.connections import ConnectionRow
from sync_service.store.pool import Pool
from sync_service.vault import Vault

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)


@dataclass(frozen=True)
class Hub:
    """Settings, database, vault, HTTP and providers of this process."""

    settings: Settings
    pool: Pool
    vault: Vault
    http: httpx.AsyncClient
    providers: Mapping[str, Provider]
    limiter: Limiter
    meter: Meter
    accounts: dict[UUID, LiveAccount] = field(default_factory=dict[UUID, LiveAccount])

    def account(self, connection: ConnectionRow) -> LiveAccount:
        """Return the account behind *connection*, with its token kept between calls."""
        known = self.accounts.get(connection.id)
        if known is None:
            known = self.accounts[connection.id] = LiveAccount(
                connection=connection,
                settings=self.settings,
                pool=self.pool,
                vault=self.vault,
                provider=self.providers[connection.provider],
                limiter=self.limiter,
                meter=self.meter,
            )
        return known

    def session(self, connection: ConnectionRow, *, bulk: bool = False) -> Session:
        """Return a session that calls the provider on behalf of *connection*.

        In *bulk* it leaves a part of the budget to others.
        """
        account = self.account(connection)
        return self.providers[connection.provider].session(
            BulkAccount(account) if bulk else account
        )


@asynccontextmanager
async def open_hub(settings: Settings, pool: Pool) -> AsyncGenerator[Hub]:
    """Open the provider side of a process; *pool* stays the caller's."""
    redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # untyped **kwargs
        settings.redis_url.get_secret_value(),
        socket_timeout=1.0,
        socket_connect_timeout=1.0,
        retry=Retry(NoBackoff(), 0),
    )
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=50)
    async with httpx.AsyncClient(timeout=_TIMEOUT, limits=limits) as http:
        try:
            yield Hub(
                settings=settings,
                pool=pool,
                vault=Vault.from_settings(settings),
                http=http,
                providers={"google": GoogleProvider(settings, http)},
                limiter=Limiter(redis),
                meter=Meter(pool),
            )
        finally:
            await redis.aclose()
