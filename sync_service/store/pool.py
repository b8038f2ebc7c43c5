"""Connections of the role `calsync_service`, and how long they may wait."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
import msgspec

from sync_service.errors import Misconfigured, StoreUnavailable
from sync_service.settings import Settings

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

SERVICE_ROLE = "calsync_service"
_COMMAND_TIMEOUT_S = 30.0


async def open_pool(settings: Settings, *, min_size: int = 1, max_size: int = 10) -> Pool:
    """Open a pool whose connections work as `calsync_service`, whoever logs in.

    Raises `StoreUnavailable` when the database cannot be reached and `Misconfigured` when the login
    may not act as the role.
    """
    url = settings.database_url.get_secret_value()
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            command_timeout=_COMMAND_TIMEOUT_S,
            statement_cache_size=0 if behind_transaction_pooler(url) else 256,
            max_inactive_connection_lifetime=300,
            init=prepare,
            server_settings={"application_name": "calsync"},
        )
    except asyncpg.InvalidAuthorizationSpecificationError as fault:
        raise Misconfigured(
            "DATABASE_URL: the database refuses this user or password.", code="database_login"
        ) from fault
    except asyncpg.InsufficientPrivilegeError as fault:
        raise Misconfigured(
            f"DATABASE_URL: this user may not act as {SERVICE_ROLE}; run `calsync migrate` and "
            f"grant {SERVICE_ROLE} to it.",
            code="database_role",
        ) from fault
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as fault:
        raise StoreUnavailable("The database cannot be reached; check DATABASE_URL.") from fault
    assert pool is not None  # noqa: S101  # create_pool returns None only inside a running pool
    return pool


async def prepare(connection: Connection) -> None:
    """Give a new connection its role and its JSON codec."""
    if await connection.fetchval("select current_user::text") != SERVICE_ROLE:
        await connection.execute(f"set session role {SERVICE_ROLE}")
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=_encode_json,
        decoder=msgspec.json.decode,
    )


def behind_transaction_pooler(url: str) -> bool:
    """Say whether *url* leads through a transaction pooler, which has no prepared statements."""
    parts = urlsplit(url)
    return parts.port == 6543 or parse_qs(parts.query).get("pgbouncer") == ["true"]


@asynccontextmanager
async def transaction(
    pool: Pool, *, origin: UUID | None = None, source: str | None = None, patience_ms: int = 700
) -> AsyncGenerator[Connection]:
    """Run a transaction; *origin* and *source* mark where its changes come from.

    The mark keeps the trigger from sending them back to the calendar *origin*. Waiting for a lock
    ends, by default, before Postgres would look for a deadlock: the machine gives way to the users.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local lock_timeout = '{patience_ms:d}ms'")
        if source is not None:
            await mark_origin(connection, origin, source)
        yield connection


async def mark_origin(connection: Connection, origin: UUID | None, source: str) -> None:
    """Mark the running transaction as bringing changes of *source*, from the calendar *origin*."""
    await connection.execute(
        "select set_config('calsync.origin', $1, true), set_config('calsync.source', $2, true)",
        str(origin or ""),
        source,
    )


def _encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
