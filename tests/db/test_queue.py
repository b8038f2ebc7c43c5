"""The queue: claims are leases with a fence, and what is asked for anew is done anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest

from sync_service.errors import Rejected, Throttled
from sync_service.settings import Settings
from sync_service.store import queue
from sync_service.store.pool import Connection, Pool, open_pool
from tests.conftest import UserFactory
from tests.db.world import add_calendar, add_event
from tests.servers import Database


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    pool = await open_pool(settings)
    yield pool
    await pool.close()


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


@pytest.fixture
async def owner(user: UserFactory) -> UUID:
    return (await user()).id


async def status(admin: Connection) -> str:
    return await admin.fetchval("select status from sync_queue")


async def test_the_pool_works_as_the_machines_role(pool: Pool) -> None:
    assert await pool.fetchval("select current_user::text") == "calsync_service"


async def test_a_row_is_claimed_once(pool: Pool, admin: Connection, owner: UUID) -> None:
    for _ in range(30):
        calendar = await add_calendar(admin, owner, default_target=False)
        await add_event(admin, owner, calendar_id=calendar)
    batches = await asyncio.gather(*(queue.claim_batch(pool, 5, 60) for _ in range(10)))
    claimed = [task.id for batch in batches for task in batch]
    assert len(claimed) == len(set(claimed)) == 30


async def test_completed_is_completed(pool: Pool, admin: Connection, owner: UUID) -> None:
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    [task] = await queue.claim_batch(pool, 5, 60)
    assert await queue.complete(pool, task) == "completed"
    assert await queue.claim_batch(pool, 5, 60) == []


async def test_a_change_during_the_work_makes_it_pending_again(
    pool: Pool, admin: Connection, owner: UUID
) -> None:
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    [task] = await queue.claim_batch(pool, 5, 60)
    await admin.execute("update calendar_events set title = 'Meanwhile'")
    assert await queue.claim_batch(pool, 5, 60) == [], "one event is never pushed twice at once"
    assert await queue.complete(pool, task) == "pending"
    [again] = await queue.claim_batch(pool, 5, 60)
    assert (again.id, again.generation) == (task.id, task.generation + 1)


async def test_a_lapsed_lease_fences_the_late_worker(
    pool: Pool, admin: Connection, owner: UUID
) -> None:
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    [late] = await queue.claim_batch(pool, 5, 0)
    assert await queue.release_expired(pool) == 1
    [task] = await queue.claim_batch(pool, 5, 60)
    async with pool.acquire() as connection, connection.transaction():
        assert not await queue.holds_lease(connection, late)
        assert await queue.holds_lease(connection, task)
    assert await queue.complete(pool, late) is None
    assert not await queue.extend_lease(pool, late, 60)
    assert await status(admin) == "processing"
    assert await queue.complete(pool, task) == "completed"


async def test_a_live_lease_is_left_alone(pool: Pool, admin: Connection, owner: UUID) -> None:
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    await queue.claim_batch(pool, 5, 60)
    assert await queue.release_expired(pool) == 0


async def test_a_snooze_does_not_count(pool: Pool, admin: Connection, owner: UUID) -> None:
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    [task] = await queue.claim_batch(pool, 5, 60)
    await queue.postpone(pool, task, 3600, Throttled("slow"), counts=False)
    row = await admin.fetchrow("select status, attempts, last_error from sync_queue")
    assert row is not None
    assert (row["status"], row["attempts"]) == ("pending", 0)
    assert await queue.claim_batch(pool, 5, 60) == []
    delay = await queue.next_run_in(pool)
    assert delay is not None and 3500 < delay <= 3600


async def test_an_edit_ends_the_waiting(pool: Pool, admin: Connection, owner: UUID) -> None:
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    [task] = await queue.claim_batch(pool, 5, 60)
    await queue.postpone(pool, task, 3600, Throttled("slow"), counts=True)
    await admin.execute("update calendar_events set title = 'Now'")
    [again] = await queue.claim_batch(pool, 5, 60)
    assert again.attempts == 1


async def test_failed_is_kept_and_an_edit_tries_again(
    pool: Pool, admin: Connection, owner: UUID
) -> None:
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    [task] = await queue.claim_batch(pool, 5, 60)
    async with pool.acquire() as connection:
        assert await queue.give_up(connection, task, Rejected("bad"))
    assert await status(admin) == "failed"
    assert await queue.claim_batch(pool, 5, 60) == []
    await admin.execute("update calendar_events set title = 'Mended'")
    [again] = await queue.claim_batch(pool, 5, 60)
    assert again.id == task.id


async def test_nothing_runs_for_who_must_reconnect(
    pool: Pool, admin: Connection, owner: UUID
) -> None:
    calendar = await add_calendar(admin, owner)
    await add_event(admin, owner)
    await admin.execute("update calendar_connections set status = 'reconnect_needed'")
    assert await queue.claim_batch(pool, 5, 60) == []
    await admin.execute("update calendar_connections set status = 'active'")
    await admin.execute("update calendars set state = 'action_required'")
    assert await queue.claim_batch(pool, 5, 60) == []
    await queue.request_pulls(pool, [calendar], "probe")
    assert [task.kind for task in await queue.claim_batch(pool, 5, 60)] == ["pull"]


async def test_pulls_of_a_calendar_are_one_row(pool: Pool, admin: Connection, owner: UUID) -> None:
    calendar = await add_calendar(admin, owner)
    for _ in range(5):
        assert await queue.request_pulls(pool, [calendar, uuid4()], "asked") == 1
    assert await admin.fetchval("select generation from sync_queue") == 5


async def test_a_poll_asks_only_what_was_not_read_lately(
    pool: Pool, admin: Connection, owner: UUID
) -> None:
    calendar = await add_calendar(admin, owner)
    assert await queue.request_due_pulls(pool, "google", 900) == 1
    await pool.execute("delete from sync_queue")
    await pool.execute(
        "insert into private.calendar_feeds (calendar_id, last_pull_at) values ($1, now())",
        calendar,
    )
    assert await queue.request_due_pulls(pool, "google", 900) == 0
    assert await queue.request_due_pulls(pool, "google", 0) == 1


async def test_a_foreign_token_ends_nothing(pool: Pool, admin: Connection, owner: UUID) -> None:
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    [task] = await queue.claim_batch(pool, 5, 60)
    forged = replace(task, lease_token=uuid4())
    assert await queue.complete(pool, forged) is None
    await queue.postpone(pool, forged, 1, Throttled("no"), counts=True)
    await queue.hand_back(pool, forged)
    assert await status(admin) == "processing"
