"""The queue: claim work under a lease, finish it under the same lease, ask for more of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from sync_service.errors import SyncError
from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

BULK = 5
"""The priority from which on work is done in bulk; what somebody waits for has 0."""
_SQL = load("queue")


@dataclass(frozen=True)
class Task:
    """A claimed queue row. *lease_token* fences it; *generation* tells whether it was asked anew.

    *event_id* is set for pushes only. *asked_at* is when the work was last asked for.
    """

    id: int
    user_id: UUID
    kind: Literal["push", "pull"]
    event_id: UUID | None
    calendar_id: UUID
    reason: str
    priority: int
    generation: int
    attempts: int
    snoozes: int
    lease_token: UUID
    asked_at: datetime
    claimed_at: datetime

    @property
    def bulk(self) -> bool:
        """Whether nobody waits for it: it comes after, and on a share of the budget."""
        return self.priority >= BULK


async def claim_batch(
    pool: Pool, limit: int, lease_s: float, *, bulk_limit: int | None = None
) -> list[Task]:
    """Lease up to *limit* due rows for *lease_s* seconds, of them *bulk_limit* in bulk.

    At most one push and one pull of each calendar; a calendar with a push under way gets none.
    """
    bulk = limit if bulk_limit is None else bulk_limit
    rows = await pool.fetch(_SQL["claim_batch"], limit, bulk, lease_s)
    return [Task(**dict(row.items())) for row in rows]


async def holds_lease(connection: Connection, task: Task) -> bool:
    """Say whether *task* is still ours, and keep it so until the transaction ends."""
    return await held_generation(connection, task) is not None


async def held_generation(connection: Connection, task: Task) -> int | None:
    """As `holds_lease`, and return how often the work was asked for; None when it is not ours."""
    return await connection.fetchval(_SQL["holds_lease"], task.id, task.lease_token)


async def generation(connection: Connection, task: Task) -> int | None:
    """Return how often *task* was asked for so far; None when it is not ours any more."""
    return await connection.fetchval(_SQL["generation"], task.id, task.lease_token)


async def complete(connection: Connection | Pool, task: Task) -> str | None:
    """End *task*; answers its new status, None when the lease was lost meanwhile."""
    return await connection.fetchval(_SQL["complete"], task.id, task.lease_token, task.generation)


async def postpone(
    pool: Pool, task: Task, delay_s: float, error: SyncError, *, counts: bool
) -> None:
    """Try *task* again in *delay_s* seconds; *counts* says whether this was an attempt."""
    await pool.execute(
        _SQL["postpone"],
        task.id,
        task.lease_token,
        delay_s,
        counts,
        error.as_json(),
        task.generation,
    )


async def hand_back(connection: Connection | Pool, task: Task) -> None:
    """Let others have their turn; *task* goes on where its progress was committed."""
    await connection.execute(_SQL["hand_back"], task.id, task.lease_token)


async def release_waiting(connection: Connection | Pool, calendar_ids: Sequence[UUID]) -> None:
    """Let rows of *calendar_ids* that wait for a later time run now."""
    await connection.execute(_SQL["release_waiting"], calendar_ids)


async def give_up(connection: Connection, task: Task, error: SyncError) -> bool:
    """Keep *task* as failed; False when it was asked for anew and is pending again."""
    status = await connection.fetchval(
        _SQL["give_up"], task.id, task.lease_token, error.as_json(), task.generation
    )
    return status == "failed"


async def retry(pool: Pool, row_id: int, user_id: UUID) -> bool:
    """Make a failed row of this user pending, due now; False when it is not one."""
    return bool(await pool.fetchval(_SQL["retry"], row_id, user_id))


async def revive_failed(pool: Pool) -> None:
    """Try pushes again that something passing defeated, however long it took to pass."""
    await pool.execute(_SQL["revive_failed"])


async def extend_lease(pool: Pool, task: Task, lease_s: float) -> bool:
    """Hold *task* for another *lease_s* seconds; False when it is no longer ours."""
    return bool(await pool.fetchval(_SQL["extend_lease"], task.id, task.lease_token, lease_s))


async def release_expired(pool: Pool) -> int:
    """Make rows with a lapsed lease pending again; answers how many there were."""
    return len(await pool.fetch(_SQL["release_expired"]))


async def next_run_in(pool: Pool, *, bulk: bool = True) -> float | None:
    """Return the seconds until a pending row can be claimed, None when none can; *bulk* or not."""
    return cast("float | None", await pool.fetchval(_SQL["next_run_in"], bulk))


async def request_pulls(
    connection: Connection | Pool, calendar_ids: Sequence[UUID], reason: str
) -> int:
    """Ask for a pull of each of *calendar_ids* that is enabled; answers how many were asked."""
    return int(await connection.fetchval(_SQL["request_pulls"], calendar_ids, reason) or 0)


async def request_due_pulls(pool: Pool, provider: str, interval_s: float) -> int:
    """Ask for a pull of every calendar of *provider* not pulled for *interval_s* seconds."""
    return int(await pool.fetchval(_SQL["request_due_pulls"], provider, interval_s) or 0)


async def enqueue_pushes(
    connection: Connection, pushes: Sequence[tuple[UUID, UUID, UUID, str]]
) -> None:
    """Ask for pushes, each given as (user, event, calendar, reason)."""
    if pushes:
        users, events, calendars, reasons = (list(column) for column in zip(*pushes, strict=True))
        await connection.fetchval(_SQL["enqueue_pushes"], users, events, calendars, reasons)


async def delete_completed(pool: Pool, older_than_days: int) -> int:
    """Delete completed rows older than *older_than_days*; answers how many."""
    return _count(await pool.execute(_SQL["delete_completed"], older_than_days))


async def totals(pool: Pool) -> dict[str, Any]:
    """Return how many rows are pending, processing, failed, and the oldest pending age."""
    row = await pool.fetchrow(_SQL["totals"])
    return dict(row.items()) if row else {}


def _count(tag: str) -> int:
    return int(tag.rsplit(" ", 1)[-1])
