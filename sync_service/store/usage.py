"""How many of the provider's units each connection cost, by day (UTC)."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sync_service.store.pool import Pool
from sync_service.store.statements import load

_SQL = load("usage")


async def add(pool: Pool, spent: Mapping[UUID, int]) -> None:
    """Add to today's units, by connection; one that was removed is left out."""
    await pool.execute(_SQL["add"], list(spent), list(spent.values()))


async def today(pool: Pool) -> list[tuple[str, str, int]]:
    """Return (provider, day, units) of everyone together, as far as anything was spent today."""
    return [tuple(row.values()) for row in await pool.fetch(_SQL["today"])]


async def purge(pool: Pool, older_than_days: int) -> None:
    """Forget days longer ago than *older_than_days*."""
    await pool.execute(_SQL["purge"], older_than_days)
