"""The harness itself: what is dead has no effect any more, and no point goes unseen."""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import pytest
import redis.asyncio
import requests

from sync_service.engine.hub import Hub
from sync_service.settings import Settings
from sync_service.store.pool import transaction
from tests.conftest import UserFactory
from tests.crash.probe import Killed, Probe, process
from tests.crash.sweep import Scenario, Sweeper
from tests.servers import Database

_EFFECT = (
    "insert into calendar_events (user_id, title, start_time, end_time)"
    " values ($1, 'Kept', now(), now())"
)


class Nothing(Scenario):
    """Does nothing at all, as if no hook recorded anything."""

    name = "nothing"
    points = ()
    at_least = 1

    async def act(self, hub: Hub) -> None:
        pass


class Unseen(Nothing):
    """Has an effect, but not the one that it should have."""

    points = ("provider:events.insert:after",)
    at_least = 0


class Stubborn(Scenario):
    """Goes on as if it had not been killed."""

    name = "stubborn"
    points = ()
    at_least = 1

    async def act(self, hub: Hub) -> None:
        with contextlib.suppress(BaseException):
            await hub.pool.execute("delete from sync_queue")


@pytest.mark.parametrize("scenario", [Nothing, Unseen])
async def test_a_hook_that_does_not_record_is_noticed(
    sweeper: Sweeper, scenario: type[Scenario]
) -> None:
    with pytest.raises(AssertionError, match="recorded"):
        await sweeper.sweep(scenario)


async def test_a_swallowed_kill_is_noticed(sweeper: Sweeper) -> None:
    with pytest.raises(AssertionError, match="swallowed"):
        await sweeper.run(Stubborn, Probe(kill_at=0))


@pytest.mark.parametrize(("kill_at", "kept"), [(0, 0), (1, 1)], ids=["before", "after"])
async def test_a_commit_is_a_point(
    database: Database, settings: Settings, user: UserFactory, kill_at: int, kept: int
) -> None:
    owner = await user()
    async with process(settings, Probe(kill_at=kill_at)) as hub:
        with pytest.raises(Killed):
            async with transaction(hub.pool) as connection:
                await connection.execute(_EFFECT, owner.id)
        with pytest.raises(Killed):
            await hub.pool.execute(_EFFECT, owner.id)
    assert await _effects(database) == kept


async def test_what_is_dead_has_no_effect(database: Database, settings: Settings) -> None:
    probe = Probe(kill_at=0)
    async with process(settings, probe) as hub:
        client = redis.asyncio.Redis.from_url(settings.redis_url.get_secret_value())  # pyright: ignore[reportUnknownMemberType]
        with pytest.raises(Killed):
            await client.set("dead", 1)
        with pytest.raises(Killed):
            await client.set("dead", 2)
        with pytest.raises(Killed):
            await hub.http.get("http://127.0.0.1:9/")
        with pytest.raises(Killed):
            await asyncio.to_thread(requests.get, "http://127.0.0.1:9/", timeout=1)
        for _ in range(2):
            with pytest.raises(Killed):
                await hub.pool.fetchval("select 1")
    assert probe.points == ["redis:set:before"]
    async with client:
        assert await client.get("dead") is None


async def _effects(database: Database) -> int:
    connection = await asyncpg.connect(database.superuser_url)
    try:
        return await connection.fetchval("select count(*) from calendar_events")
    finally:
        await connection.close()
