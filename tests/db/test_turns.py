"""Who works on what next: calendars take turns, bulk comes last, a calendar is written by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from sync_service.errors import WritesLocked
from sync_service.settings import Settings
from sync_service.store import connections, queue
from sync_service.store.pool import Connection, Pool, open_pool
from sync_service.store.queue import Task
from tests.conftest import UserFactory
from tests.db.world import add_calendar, add_event
from tests.servers import Database

MANY = 300


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


async def add_many(admin: Connection, user_id: UUID, count: int = MANY) -> None:
    """Insert so many events in one statement, as an import does."""
    await admin.execute(
        "insert into calendar_events (user_id, title, start_time, end_time)"
        " select $1, n::text, now(), now() + interval '1 hour' from generate_series(1, $2) n",
        user_id,
        count,
    )


async def claimed_in_order(pool: Pool, count: int) -> list[Task]:
    """Claim and complete one row after the other."""
    done: list[Task] = []
    for _ in range(count):
        [task] = await queue.claim_batch(pool, 1, 60)
        assert await queue.complete(pool, task) == "completed"
        done.append(task)
    return done


async def test_the_writes_of_a_calendar_take_turns_among_all_workers(
    pool: Pool, admin: Connection, user: UserFactory
) -> None:
    owner = await user()
    await add_calendar(admin, owner.id)
    for _ in range(12):
        await add_event(admin, owner.id)
    for _ in range(12):
        batches = await asyncio.gather(*(queue.claim_batch(pool, 16, 60) for _ in range(8)))
        [task] = [task for batch in batches for task in batch]
        assert await queue.claim_batch(pool, 16, 60) == []
        assert await queue.complete(pool, task) == "completed"
    assert await queue.next_run_in(pool) is None


async def test_a_write_that_hangs_does_not_keep_the_others(
    pool: Pool, admin: Connection, user: UserFactory
) -> None:
    owner = await user()
    await add_calendar(admin, owner.id)
    for _ in range(2):
        await add_event(admin, owner.id)
    [hanging] = await queue.claim_batch(pool, 16, 60)
    due_in = await queue.next_run_in(pool)
    assert due_in is not None and 8 < due_in <= 10
    await admin.execute(
        "update sync_queue set updated_at = now() - interval '11 s' where id = $1", hanging.id
    )
    [other] = await queue.claim_batch(pool, 16, 60)
    assert other.id != hanging.id


async def test_nobody_waits_behind_somebody_elses_thousands(
    pool: Pool, admin: Connection, user: UserFactory
) -> None:
    greedy, modest = await user(), await user()
    await add_calendar(admin, greedy.id)
    await add_calendar(admin, modest.id)
    for owner, count in ((greedy, MANY), (modest, 25)):
        await add_many(admin, owner.id, count)
    done = await claimed_in_order(pool, 20)
    assert [task.user_id for task in done].count(modest.id) == 10


async def test_what_somebody_waits_for_overtakes_what_is_done_in_bulk(
    pool: Pool, admin: Connection, user: UserFactory
) -> None:
    owner = await user()
    await add_calendar(admin, owner.id)
    await add_many(admin, owner.id)
    [bulk] = await claimed_in_order(pool, 1)
    single = await add_event(admin, owner.id)
    edited = await admin.fetchval(
        "update calendar_events set title = 'Edited' where title = '200' returning id"
    )
    done = await claimed_in_order(pool, 3)
    assert (bulk.bulk, [task.bulk for task in done]) == (True, [False, False, True])
    assert {task.event_id for task in done[:2]} == {single, edited}


async def test_bulk_never_takes_every_slot(
    pool: Pool, admin: Connection, user: UserFactory
) -> None:
    for _ in range(4):
        owner = await user()
        await add_calendar(admin, owner.id)
        await add_many(admin, owner.id, 25)
    assert len(await queue.claim_batch(pool, 4, 60, bulk_limit=3)) == 3
    assert await queue.claim_batch(pool, 1, 60, bulk_limit=0) == []
    assert await queue.next_run_in(pool, bulk=False) is None
    assert await queue.next_run_in(pool) == 0
    late = await user()
    await add_calendar(admin, late.id)
    await add_event(admin, late.id)
    [task] = await queue.claim_batch(pool, 1, 60, bulk_limit=0)
    assert task.user_id == late.id


async def test_an_account_rests_and_others_go_on(
    pool: Pool, admin: Connection, user: UserFactory
) -> None:
    owner, other = await user(), await user()
    calendar = await add_calendar(admin, owner.id)
    await add_calendar(admin, other.id)
    connection_id = await admin.fetchval(
        "select connection_id from calendars where id = $1", calendar
    )
    await add_many(admin, owner.id, 25)
    await connections.rest(pool, connection_id, 30, bulk_only=True)
    assert await queue.claim_batch(pool, 16, 60) == []
    await add_event(admin, owner.id)
    [single] = await queue.claim_batch(pool, 16, 60)
    assert not single.bulk
    await queue.complete(pool, single)
    await connections.rest(pool, connection_id, 60, bulk_only=False)
    await connections.rest(pool, connection_id, 1, bulk_only=False)
    await add_event(admin, owner.id)
    assert await queue.claim_batch(pool, 16, 60) == []
    due_in = await queue.next_run_in(pool)
    assert due_in is not None and 55 < due_in <= 60, "a rest is never made shorter"
    await add_event(admin, other.id)
    [task] = await queue.claim_batch(pool, 16, 60)
    assert task.user_id == other.id


async def test_parked_writes_wait_longer_each_time_while_reading_goes_on(
    pool: Pool, admin: Connection, user: UserFactory
) -> None:
    owner = await user()
    calendar = await add_calendar(admin, owner.id)
    connection_id = await admin.fetchval(
        "select connection_id from calendars where id = $1", calendar
    )
    await add_event(admin, owner.id)
    await queue.request_pulls(pool, [calendar], "test")
    hours: list[float] = []
    for _ in range(7):
        async with pool.acquire() as connection:
            [(_, _, until)] = await connections.park_writes(connection, connection_id, 0)
            assert await connections.park_writes(connection, connection_id, 0) == []
        now = await admin.fetchval("select now()")
        hours.append(round((until - now).total_seconds() / 3600, 1))
        await admin.execute(
            "update calendar_connections set writes_parked_until = now() - interval '1 minute'"
        )
    assert hours == [1, 2, 4, 8, 16, 24, 24]
    await admin.execute(
        "update calendar_connections set writes_parked_until = now() - interval '25 hours'"
    )
    async with pool.acquire() as connection:
        await connections.park_writes(connection, connection_id, 0)
    assert [task.kind for task in await queue.claim_batch(pool, 16, 60)] == ["pull"]
    error = WritesLocked("too many")
    async with pool.acquire() as connection:
        await connections.show_park(connection, connection_id, "Wait.", error)
    await connections.end_parks(pool)
    assert await admin.fetchval("select state from calendars") == "delayed"
    await admin.execute("update calendar_connections set writes_parked_until = now()")
    await connections.end_parks(pool)
    assert await admin.fetchval("select state from calendars") == "healthy"
    assert [task.kind for task in await queue.claim_batch(pool, 16, 60)] == ["push"]
