"""Our position in each account's calendar list, and when it is read next."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

_SQL = load("calendar_lists")


@dataclass(frozen=True)
class ListClaim:
    """The right to read one list; *asked* is how often that was wanted when it was claimed.

    *may_watch* says that a channel may be opened now.
    """

    connection_id: UUID
    cursor: str | None
    asked: int
    wants_full: bool
    lease_token: UUID
    may_watch: bool


async def ask(connection: Connection | Pool, connection_id: UUID) -> None:
    """Have the whole list of an account read soon."""
    await connection.execute(_SQL["ask"], connection_id)


async def asked(connection: Connection | Pool, connection_id: UUID) -> int:
    """Return how often a reading was asked for."""
    return int(await connection.fetchval(_SQL["asked"], connection_id) or 0)


async def claim_due(pool: Pool, limit: int) -> list[ListClaim]:
    """Claim up to *limit* lists that are to be read now."""
    rows = await pool.fetch(_SQL["claim_due"], limit)
    return [ListClaim(**dict(row.items())) for row in rows]


async def hold(connection: Connection, claim: ListClaim) -> bool:
    """Say whether *claim* still holds, and keep it so until the transaction ends."""
    return bool(await connection.fetchval(_SQL["hold"], claim.connection_id, claim.lease_token))


async def save(
    connection: Connection,
    connection_id: UUID,
    cursor: str | None,
    *,
    answered: int,
    complete: bool,
    next_s: float,
    full_s: float,
) -> None:
    """Record the position after a reading, and in how many seconds to read again."""
    await connection.execute(
        _SQL["save"], connection_id, cursor, answered, complete, next_s, full_s
    )


async def rest(pool: Pool, claim: ListClaim, seconds: float) -> None:
    """Give a claim back and try again after *seconds*."""
    await pool.execute(_SQL["rest"], claim.connection_id, claim.lease_token, seconds)


async def leave_to_poll(pool: Pool, connection_id: UUID, seconds: float) -> None:
    """Ask for no channel of this list for *seconds*."""
    await pool.execute(_SQL["leave_to_poll"], connection_id, seconds)
