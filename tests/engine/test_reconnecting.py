"""Connecting an account that is busy, or by a process that dies, holds nothing up."""

from __future__ import annotations

import asyncio

import pytest

from jobs import upkeep
from sync_service.engine import connections
from sync_service.store import connections as connection_rows
from sync_service.store import job_leases
from sync_service.store.pool import transaction
from tests.engine.world import World, consent


async def test_who_comes_back_waits_for_a_refresh_that_is_under_way(world: World) -> None:
    connection = await world.pool.fetchval("select id from calendar_connections")
    held = asyncio.Event()

    async def refresh() -> None:
        async with transaction(world.pool) as store:
            await connection_rows.read_tokens(store, connection, lock=True)
            held.set()
            while not await store.fetchval(
                "select exists (select from pg_locks where not granted)"
            ):
                await asyncio.sleep(0.01)
            # Longer than the machine waits for its own sake.
            await store.execute("select pg_sleep(0.9)")

    refreshing = asyncio.create_task(refresh())
    await held.wait()
    finished = await consent(world.hub, world.user_id)
    await refreshing
    assert finished.status == "connected", finished


async def test_who_waited_too_long_is_told_to_connect_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await world.pool.fetchval("select id from calendar_connections")
    monkeypatch.setattr(connections, "_PATIENCE_MS", 50)
    async with transaction(world.pool) as store:
        await connection_rows.read_tokens(store, connection, lock=True)
        finished = await consent(world.hub, world.user_id)
    assert (finished.status, finished.connection_id) == ("provider_unavailable", None)
    assert (await consent(world.hub, world.user_id)).status == "connected"


async def test_a_reconnect_that_dies_before_it_lists_the_calendars_holds_up_no_push(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ada.revoke(world.hub.settings.google_client_id)
    world.hub.accounts.clear()
    await world.pool.execute("update private.connection_tokens set expires_at = now()")
    await world.add(title="Waits")
    await world.drain()
    status = "select status from calendar_connections"
    assert await world.pool.fetchval(status) == "reconnect_needed"

    async def die(*_: object) -> None:
        """The process is gone here."""

    with monkeypatch.context() as dying:
        dying.setattr(connections, "try_to_open", die)
        assert (await consent(world.hub, world.user_id)).status == "connected"
    await world.drain()
    assert world.summaries() == ["Waits"]
    before = len(world.google.calls)
    await upkeep.read_lists({"hub": world.hub})
    asked = [call.operation for call in list(world.google.calls)[before:]]
    assert "calendarList.list" in asked


async def test_a_scheduled_job_is_done_by_one_process_at_a_time(world: World) -> None:
    token = await job_leases.take(world.pool, "renew_channels", 60)
    assert token is not None
    assert await job_leases.take(world.pool, "renew_channels", 60) is None
    assert await job_leases.take(world.pool, "poll", 60) is not None
    await job_leases.give_back(world.pool, "renew_channels", token)
    assert await job_leases.take(world.pool, "renew_channels", 60) is not None


async def test_a_job_whose_process_died_is_taken_over_and_not_given_back_by_the_dead(
    world: World,
) -> None:
    late = await job_leases.take(world.pool, "mend", 60)
    assert late is not None
    await world.pool.execute("update private.job_leases set until = now() - interval '1 second'")
    assert await job_leases.take(world.pool, "mend", 60) is not None
    await job_leases.give_back(world.pool, "mend", late)
    assert await job_leases.take(world.pool, "mend", 60) is None
