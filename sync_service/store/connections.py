"""Connections to provider accounts, their sealed tokens, and consents under way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sync_service.errors import SyncError
from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

_SQL = load("connections")


@dataclass(frozen=True)
class ConnectionRow:
    """A row of `calendar_connections`; *preview* until its user has seen what would happen."""

    id: UUID
    user_id: UUID
    provider: str
    account_id: str
    account_email: str | None
    status: str
    updated_at: datetime
    preview: bool


@dataclass(frozen=True)
class ConsentState:
    """What was remembered when the user was sent to the consent page; *fresh* until it expires."""

    user_id: UUID
    code_verifier: str
    return_to: str | None
    preview: bool
    fresh: bool


@dataclass(frozen=True)
class SealedTokens:
    """Tokens as they rest in the database."""

    access_token: str
    refresh_token: str | None
    expires_at: datetime | None


async def save_state(
    pool: Pool,
    *,
    state_hash: bytes,
    user_id: UUID,
    provider: str,
    sealed_verifier: str,
    return_to: str | None,
    preview: bool,
) -> None:
    """Remember a consent under way; only the hash of its state is kept."""
    await pool.execute(
        _SQL["save_state"], state_hash, user_id, provider, sealed_verifier, return_to, preview
    )


async def consume_state(pool: Pool, state_hash: bytes, provider: str) -> ConsentState | None:
    """Take the consent out; None when it was never there or is used already."""
    row = await pool.fetchrow(_SQL["consume_state"], state_hash, provider)
    return ConsentState(**dict(row.items())) if row else None


async def purge_states(pool: Pool) -> None:
    """Forget consents that were never finished."""
    await pool.execute(_SQL["purge_states"])


async def save_connection(
    connection: Connection,
    *,
    user_id: UUID,
    provider: str,
    account_id: str,
    account_email: str | None,
    scopes: Iterable[str],
    preview: bool,
) -> UUID:
    """Record the account as connected; connecting it again revives the same row."""
    return await connection.fetchval(
        _SQL["save_connection"],
        user_id,
        provider,
        account_id,
        account_email,
        sorted(scopes),
        preview,
    )


async def save_tokens(connection: Connection, connection_id: UUID, tokens: SealedTokens) -> None:
    """Record tokens; an absent refresh token leaves the stored one as it is."""
    await connection.execute(
        _SQL["save_tokens"],
        connection_id,
        tokens.access_token,
        tokens.refresh_token,
        tokens.expires_at,
    )


async def read_tokens(
    connection: Connection | Pool, connection_id: UUID, *, lock: bool = False
) -> SealedTokens | None:
    """Return the tokens; *lock* holds them until the transaction ends."""
    row = await connection.fetchrow(_SQL["lock_tokens" if lock else "read_tokens"], connection_id)
    return SealedTokens(**dict(row.items())) if row else None


async def wipe_tokens(connection: Connection, connection_id: UUID) -> None:
    """Delete the tokens."""
    await connection.execute(_SQL["wipe_tokens"], connection_id)


async def read(connection: Connection | Pool, connection_id: UUID) -> ConnectionRow | None:
    """Return the connection, None when there is none."""
    row = await connection.fetchrow(_SQL["read"], connection_id)
    return ConnectionRow(**dict(row.items())) if row else None


async def save_scopes(pool: Pool, connection_id: UUID, scopes: Iterable[str]) -> None:
    """Record what the account allows now."""
    await pool.execute(_SQL["save_scopes"], connection_id, sorted(scopes))


async def of_account(
    connection: Connection | Pool, provider: str, account_id: str
) -> list[tuple[UUID, UUID]]:
    """Return (connection, user) of every connection to an account that was not let go."""
    rows = await connection.fetch(_SQL["of_account"], provider, account_id)
    return [(row["id"], row["user_id"]) for row in rows]


async def note_lacking(
    connection: Connection | Pool, connection_id: UUID, error: SyncError
) -> None:
    """Show on a connection that waits for its user why the last try to connect was not enough."""
    await connection.execute(_SQL["note_lacking"], connection_id, error.as_json())


async def set_status(
    connection: Connection | Pool,
    connection_id: UUID,
    status: str,
    error: SyncError | None = None,
) -> bool:
    """Show *status* to the user; False when it already was so."""
    changed = await connection.fetchval(
        _SQL["set_status"], connection_id, status, error.as_json() if error else None
    )
    return changed is not None


async def lock_disconnected(connection: Connection | Pool, connection_id: UUID) -> bool:
    """Say whether the connection is disconnected, and keep it so until the transaction ends."""
    return bool(await connection.fetchval(_SQL["lock_disconnected"], connection_id))


async def need_reconnect(
    connection: Connection, connection_id: UUID, error: SyncError, since: datetime
) -> bool:
    """Show an active connection, not written after *since*, as to be connected again."""
    return bool(
        await connection.fetchval(_SQL["need_reconnect"], connection_id, error.as_json(), since)
    )


async def rest(
    connection: Connection | Pool, connection_id: UUID, seconds: float, *, bulk_only: bool
) -> None:
    """Let nothing of the account be claimed for *seconds*, or nothing in bulk."""
    await connection.execute(_SQL["rest"], connection_id, seconds, bulk_only)


async def park_writes(
    connection: Connection, connection_id: UUID, at_least_s: float
) -> list[tuple[UUID, UUID, datetime]]:
    """Let no push of the account be claimed for hours, longer each time.

    Answers (connection, user, until) for every connection to the account; nothing when its writes
    were parked already.
    """
    rows = await connection.fetch(_SQL["park_writes"], connection_id, at_least_s)
    return [(row["id"], row["user_id"], row["writes_parked_until"]) for row in rows]


async def show_park(
    connection: Connection, connection_id: UUID, reason: str, error: SyncError
) -> None:
    """Show every calendar of a connection as delayed."""
    await connection.execute(_SQL["show_park"], connection_id, reason, error.as_json())


async def end_parks(pool: Pool) -> None:
    """Show calendars whose writes may go on as healthy, and wake the workers for them."""
    await pool.execute(_SQL["end_parks"])


async def note_error(connection: Connection, connection_id: UUID, error: SyncError | None) -> None:
    """Show *error* on an active connection, or that there is none."""
    await connection.execute(_SQL["note_error"], connection_id, error.as_json() if error else None)


async def shares_account(connection: Connection | Pool, connection_id: UUID) -> bool:
    """Say whether another live connection belongs to the same account."""
    return bool(await connection.fetchval(_SQL["shares_account"], connection_id))


async def without_calendars(pool: Pool) -> list[UUID]:
    """Return active connections whose calendars were not listed since they were connected."""
    return [row["id"] for row in await pool.fetch(_SQL["without_calendars"])]


async def expiring_tokens(pool: Pool, within_s: float) -> list[UUID]:
    """Return connections whose access token ends within *within_s* seconds."""
    return [row["connection_id"] for row in await pool.fetch(_SQL["expiring_tokens"], within_s)]


async def calendars_of(pool: Pool, connection_id: UUID) -> list[UUID]:
    """Return every calendar of a connection."""
    return [row["id"] for row in await pool.fetch(_SQL["calendars_of"], connection_id)]


async def half_disconnected(pool: Pool) -> list[UUID]:
    """Return connections whose disconnect was not finished."""
    return [row["id"] for row in await pool.fetch(_SQL["half_disconnected"])]


async def end_preview(connection: Connection, calendar_id: UUID) -> None:
    """Let the connection of a calendar sync: its user has seen what would happen."""
    await connection.execute(_SQL["end_preview"], calendar_id)
