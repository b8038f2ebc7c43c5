"""Budgets of calls: no minute beyond the limit, bulk on a share of it, patience with refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from jobs import upkeep
from sync_service.emulators.google import ADA, Emulator
from sync_service.engine.limits import Budget, Limiter
from sync_service.errors import BudgetSpent
from sync_service.settings import Settings
from sync_service.store import connections
from sync_service.store.connections import ConnectionRow
from tests.conftest import UserFactory
from tests.engine.world import World, open_world

ALLOWED = 570
BULK = 427


@pytest.fixture
async def limiter(redis_url: str) -> AsyncIterator[Limiter]:
    redis = Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]
    yield Limiter(redis)
    await redis.aclose()


async def admitted(
    limiter: Limiter, budget: Budget, calls: int, *, weight: int = 1, bulk: bool = False
) -> int:
    """Ask for so many calls at once; answers how many were let through."""
    answers = await asyncio.gather(
        *(limiter.admit([budget], weight, bulk=bulk) for _ in range(calls)), return_exceptions=True
    )
    spent = [answer for answer in answers if answer is not None]
    assert all(isinstance(answer, BudgetSpent) for answer in spent)
    return calls - len(spent)


async def test_a_minute_sees_no_more_than_the_limit(limiter: Limiter) -> None:
    user = Budget("user", 600)
    assert await admitted(limiter, user, 700) == ALLOWED
    with pytest.raises(BudgetSpent) as spent:
        await limiter.admit([user], 1, bulk=False)
    assert 50 < (spent.value.retry_after_s or 0) <= 61


async def test_a_patch_weighs_three(limiter: Limiter) -> None:
    assert await admitted(limiter, Budget("user", 600), 300, weight=3) == ALLOWED // 3


async def test_bulk_leaves_a_part_to_what_somebody_waits_for(limiter: Limiter) -> None:
    user = Budget("user", 600)
    assert await admitted(limiter, user, 600, bulk=True) == BULK
    assert await admitted(limiter, user, 600) == ALLOWED - BULK


async def test_whoever_lacks_one_budget_takes_from_none(limiter: Limiter) -> None:
    user, project = Budget("user", 600), Budget("project", 100)
    assert await admitted(limiter, project, 200) == 95
    with pytest.raises(BudgetSpent):
        await limiter.admit([user, project], 1, bulk=False)
    assert await admitted(limiter, user, 700) == ALLOWED


async def test_writes_keep_a_pace_that_a_refusal_halves(limiter: Limiter) -> None:
    writes = Budget("writes", calls_per_second=2)
    started = asyncio.get_running_loop().time()
    for _ in range(4):
        await limiter.admit([writes], 3, bulk=False)
    assert asyncio.get_running_loop().time() - started >= 0.9
    for _ in range(5):
        await limiter.slow(writes)
    with pytest.raises(BudgetSpent) as spent:
        await limiter.admit([writes], 1, bulk=False)
    assert 6 < (spent.value.retry_after_s or 0) <= 8, "never slower than a sixteenth"


async def test_a_closure_is_never_made_shorter(limiter: Limiter) -> None:
    user = Budget("user", 600)
    await limiter.close(user, 60)
    await limiter.close(user, 3)
    with pytest.raises(BudgetSpent) as spent:
        await limiter.admit([user], 1, bulk=False)
    assert 55 < (spent.value.retry_after_s or 0) <= 60


async def test_without_redis_calls_are_let_through() -> None:
    async with Redis.from_url("redis://127.0.0.1:9") as nowhere:  # pyright: ignore[reportUnknownMemberType]
        limiter = Limiter(nowhere)
        assert await admitted(limiter, Budget("user", 1), 3) == 3
        await limiter.close(Budget("user", 1), 1)
        await limiter.slow(Budget("user", 1))


@pytest.fixture
async def small(settings: Settings, user: UserFactory) -> AsyncIterator[World]:
    """A world in which Google allows a user sixty units a minute."""
    owner = await user()
    allowed = settings.model_copy(update={"google_user_calls_per_minute": 60})
    async with open_world(allowed, owner.id) as world:
        world.google.configure(user_units_per_minute=60)
        yield world


def units(google: Emulator) -> int:
    """Return what the calls in the log cost; all of them are younger than a minute."""
    return sum(call.units for call in google.calls)


async def test_bulk_stops_short_of_the_quota_and_an_edit_goes_through(small: World) -> None:
    event = await small.add()
    await small.drain()
    bulk = small.hub.session(await _connection(small), bulk=True)
    with pytest.raises(BudgetSpent):
        while True:
            await bulk.list_calendars()
    assert units(small.google) == int(60 * 0.95 * 0.75)
    await small.edit(event, title="Edited by hand")
    await small.drain()
    assert small.summaries() == ["Edited by hand"]
    assert [call for call in small.google.calls if call.status in (403, 429)] == []


async def test_bulk_that_spent_its_share_waits_and_is_no_trouble_to_show(small: World) -> None:
    bulk = small.hub.session(await _connection(small), bulk=True)
    with pytest.raises(BudgetSpent):
        while True:
            await bulk.list_calendars()
    await small.pool.execute(
        "insert into calendar_events (user_id, title, time_zone, start_time, end_time)"
        " select $1, 'Bulk ' || n, 'UTC', now(), now() + interval '1 hour'"
        " from generate_series(1, 30) n",
        small.user_id,
    )
    asked = len(small.google.calls)
    await small.drain()
    assert len(small.google.calls) == asked
    rows = await small.pool.fetch("select attempts, snoozes from sync_queue where kind = 'push'")
    assert sorted(tuple(row.values()) for row in rows) == [(0, 0)] * 29 + [(0, 1)]
    assert await small.pool.fetchval("select state from calendars where enabled") == "healthy"
    await small.add(title="Single")
    await small.drain()
    assert small.summaries() == ["Single"]


async def test_what_was_spent_is_counted_by_day(small: World) -> None:
    event = await small.add()
    await small.drain()
    await small.edit(event, title="New")
    await small.drain()
    await small.hub.meter.write()
    counted = await small.pool.fetchval("select units from sync_usage")
    assert counted == units(small.google)


async def test_too_many_changes_park_the_writes_and_reading_goes_on(world: World) -> None:
    world.google.configure(event_creations_limit=2, usage_limit_lock_s=7200)
    for number in range(5):
        await world.add(title=f"Ours {number}")
    await world.drain()
    assert len(world.live()) == 2
    asked = world.writes()
    world.add_there("Theirs")
    await world.add(title="Ours 5")
    await world.poll()
    assert "Theirs" in await world.titles(), "reading goes on"
    assert world.writes() == asked, "nobody writes while the account is locked"
    row = await world.pool.fetchrow("select state, last_error from calendars where enabled")
    assert row is not None
    assert (row["state"], row["last_error"]["code"]) == ("delayed", "quota_exceeded")
    notices = await world.pool.fetch("select kind, occurrences from sync_notifications")
    assert [tuple(notice.values()) for notice in notices] == [("writes_parked", 1)]

    await world.pool.execute("update calendar_connections set writes_parked_until = now()")
    await world.drain()
    parked = await world.pool.fetchval(
        "select extract(epoch from writes_parked_until - now()) from calendar_connections"
    )
    assert 7100 < parked <= 7200, "still locked there: twice as long"

    world.google.clock.advance(7200)
    world.google.configure(event_creations_limit=None)
    await world.pool.execute("update calendar_connections set writes_parked_until = now()")
    await upkeep.mend({"hub": world.hub})
    assert await world.pool.fetchval("select state from calendars where enabled") == "healthy"
    await world.converge()
    assert len(world.live()) == 7


async def test_a_refused_write_slows_the_calendar_down(world: World, redis_url: str) -> None:
    for number in range(3):
        await world.add(title=str(number))
    world.google.add_fault(
        "error", operation="events.insert", status=403, reason="rateLimitExceeded", count=1
    )
    await world.drain()
    assert world.live() == [], "what was refused once is not tried with the next event at once"
    async with Redis.from_url(redis_url) as redis:  # pyright: ignore[reportUnknownMemberType]
        held = await redis.hget(f"calsync:calls:google:writes:{ADA}", "slow")  # pyright: ignore
    assert held == b"0.5"
    await world.converge()
    assert len(world.live()) == 3


async def _connection(world: World) -> ConnectionRow:
    connection = await connections.read(
        world.pool, await world.pool.fetchval("select id from calendar_connections")
    )
    assert connection is not None
    return connection
