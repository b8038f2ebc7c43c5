"""Scheduled jobs, each done by one process at a time."""

from __future__ import annotations

from uuid import UUID

from sync_service.store.pool import Pool
from sync_service.store.statements import load

_SQL = load("job_leases")


async def take(pool: Pool, job: str, seconds: float) -> UUID | None:
    """Take *job* for *seconds*; None when another process has it."""
    return await pool.fetchval(_SQL["take"], job, seconds)


async def give_back(pool: Pool, job: str, token: UUID) -> None:
    """Let others have *job*; one that was lost meanwhile stays theirs."""
    await pool.execute(_SQL["give_back"], job, token)
