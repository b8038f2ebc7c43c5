"""A connected account at work: its token, refreshed by one process at a time, and its budget."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sync_service.engine.limits import Budget, Limiter
from sync_service.engine.meter import Meter
from sync_service.errors import ReauthRequired
from sync_service.providers.base import Provider, Tokens
from sync_service.settings import Settings
from sync_service.store import connections
from sync_service.store.connections import ConnectionRow, SealedTokens
from sync_service.store.pool import Connection, Pool
from sync_service.vault import Vault

REFRESH_AHEAD = timedelta(minutes=5)
_ACCESS, _REFRESH = "connection_tokens.access_token", "connection_tokens.refresh_token"


def seal(vault: Vault, connection_id: UUID, tokens: Tokens) -> SealedTokens:
    """Seal *tokens* for the row of *connection_id*."""
    return SealedTokens(
        access_token=vault.seal(tokens.access_token, place=_ACCESS, row=connection_id),
        refresh_token=vault.seal(tokens.refresh_token, place=_REFRESH, row=connection_id)
        if tokens.refresh_token
        else None,
        expires_at=tokens.expires_at,
    )


def unseal(vault: Vault, connection_id: UUID, sealed: SealedTokens) -> Tokens:
    """Open what `seal` made for the same connection."""
    return Tokens(
        access_token=vault.open(sealed.access_token, place=_ACCESS, row=connection_id),
        refresh_token=vault.open(sealed.refresh_token, place=_REFRESH, row=connection_id)
        if sealed.refresh_token
        else None,
        expires_at=sealed.expires_at,
    )


_PACES_A_MINUTE = 120.0
"""A calendar takes a 120th of its user's calls a minute as writes each second: 5 of 600."""


class LiveAccount:
    """Implements `providers.base.Account` for one connection, for what somebody waits for."""

    def __init__(
        self,
        *,
        connection: ConnectionRow,
        settings: Settings,
        pool: Pool,
        vault: Vault,
        provider: Provider,
        limiter: Limiter,
        meter: Meter,
    ) -> None:
        self._connection = connection
        self._pool = pool
        self._vault = vault
        self._provider = provider
        self._limiter = limiter
        self._meter = meter
        self._refreshing = asyncio.Lock()
        self._tokens: Tokens | None = None
        per_user = (
            settings.google_user_calls_per_minute
            if connection.provider == "google"
            else settings.notion_calls_per_minute
        )
        self._writes_per_second = per_user / _PACES_A_MINUTE
        self.budget = Budget(f"{connection.provider}:{connection.account_id}", per_user)
        self._budgets = [self.budget]
        if connection.provider == "google":
            self._budgets.append(Budget("google", settings.google_project_calls_per_minute))

    @property
    def address(self) -> str | None:
        """The account's address as of its last connect."""
        return self._connection.account_email

    def pace(self, calendar: str) -> Budget:
        """Return the budget that the writes to one remote calendar share, whoever makes them."""
        return Budget(
            f"{self._connection.provider}:writes:{calendar}",
            calls_per_second=self._writes_per_second,
        )

    async def admit(self, weight: int, *, writes_to: str | None = None) -> None:
        """Take *weight* units from the account's budget and the project's, and keep the pace."""
        await self.spend(weight, writes_to=writes_to, bulk=False)

    async def spend(self, weight: int, *, writes_to: str | None, bulk: bool) -> None:
        """Do `admit`, from the share of work in *bulk* or from the whole."""
        budgets = [*self._budgets, self.pace(writes_to)] if writes_to else self._budgets
        await self._limiter.admit(budgets, weight, bulk=bulk)
        self._meter.count(self._connection.provider, self._connection.id, weight)

    async def access_token(self, *, rejected: str | None = None) -> str:
        """Return a token with at least five minutes left.

        Refreshing is single-flight: in this process by a lock, across processes by the token row.
        Raises `ReauthRequired` when the grant is gone, `MissingScope` when it became too small.
        """
        tokens = self._tokens
        if tokens is not None and _fresh(tokens, rejected):
            return tokens.access_token
        async with self._refreshing:
            tokens = self._tokens
            if tokens is None or not _fresh(tokens, rejected):
                tokens = await self._renew(rejected)
                self._tokens = tokens
            return tokens.access_token

    def forget(self) -> None:
        """Drop the token kept in memory."""
        self._tokens = None

    async def _renew(self, rejected: str | None) -> Tokens:
        tokens = await self._stored(self._pool)
        if _fresh(tokens, rejected):
            return tokens
        async with self._pool.acquire() as connection, connection.transaction():
            # Whoever comes second finds the row locked, then the token already renewed.
            tokens = await self._stored(connection, lock=True)
            if _fresh(tokens, rejected):
                return tokens
            if tokens.refresh_token is None:
                raise ReauthRequired
            renewed = await self._provider.refresh(tokens)
            await connections.save_tokens(
                connection, self._connection.id, seal(self._vault, self._connection.id, renewed)
            )
        if renewed.scopes is None:
            return renewed
        await connections.save_scopes(self._pool, self._connection.id, renewed.scopes)
        lacking = self._provider.shortfall(renewed.scopes)
        if lacking is not None:
            raise lacking
        return renewed

    async def _stored(self, connection: Connection | Pool, *, lock: bool = False) -> Tokens:
        sealed = await connections.read_tokens(connection, self._connection.id, lock=lock)
        if sealed is None:
            raise ReauthRequired
        return unseal(self._vault, self._connection.id, sealed)


class BulkAccount:
    """Implements `providers.base.Account` for what is done in bulk: after everything else."""

    def __init__(self, account: LiveAccount) -> None:
        self._account = account

    @property
    def address(self) -> str | None:
        """The account's address as of its last connect."""
        return self._account.address

    async def admit(self, weight: int, *, writes_to: str | None = None) -> None:
        """Take *weight* units from what work in bulk may use."""
        await self._account.spend(weight, writes_to=writes_to, bulk=True)

    async def access_token(self, *, rejected: str | None = None) -> str:
        """Return a valid token."""
        return await self._account.access_token(rejected=rejected)


def _fresh(tokens: Tokens, rejected: str | None) -> bool:
    if tokens.access_token == rejected:
        return False
    return tokens.expires_at is None or tokens.expires_at > datetime.now(UTC) + REFRESH_AHEAD
