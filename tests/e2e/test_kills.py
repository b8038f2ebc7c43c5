"""Processes die at the worst moment: nothing is lost, nothing is doubled, nothing leaks."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisGone

from sync_service.devstack.sides import Google
from sync_service.devstack.stackfile import StackFile
from tests.e2e.harness import Service, add, connected, idle, kill, logs, summaries, until
from tests.servers import Dev

SECRETS = re.compile(
    r"ya29\.|\b1//|GOCSPX-|sb_secret_|eyJ[\w-]+\.[\w-]+\.|code_verifier=|[?&]code="
)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dev, StackFile]]:
    dev = Dev(tmp_path_factory.mktemp("bare"), "--ephemeral", "--port-base", "0", "--no-app")
    try:
        yield dev, dev.wait_until_up()
    finally:
        dev.stop()


@pytest.fixture
async def service(dev: tuple[Dev, StackFile]) -> AsyncIterator[Service]:
    service = Service(*dev, LEASE_SECONDS="2", QUEUE_SWEEP_SECONDS="1")
    async with httpx.AsyncClient(base_url=str(service.info.google_url), trust_env=False) as http:
        await http.post("/_emulator/reset")
    service.serve()
    await service.wait_for_api()
    yield service
    service.stop()


async def test_killed_between_googles_answer_and_our_commit(service: Service) -> None:
    worker = service.worker()
    async with connected(service.info) as (app, google):
        await idle(app)
        worker.send_signal(signal.SIGSTOP)
        event = await add(app, "Once")
        # The row that the worker needs to record Google's answer is held, so it must wait there.
        blocker = app.sql.transaction()
        await blocker.start()
        await app.sql.execute("select from calendar_events where id = $1 for update", event)
        worker.send_signal(signal.SIGCONT)
        await until(lambda: summaries(google))
        kill(worker)
        await blocker.rollback()
        assert await app.sql.fetchval(
            "select etag is null from event_mappings where event_id = $1", event
        )
        service.worker()
        await idle(app)
        assert await summaries(google) == ["Once"]
        assert len([call for call in await google.writes() if call["status"] < 300]) == 1
        assert (
            await app.sql.fetchval("select status from event_mappings where event_id = $1", event)
            == "synced"
        )


async def test_killed_again_and_again_while_many_edits_are_in_flight(service: Service) -> None:
    worker = service.worker()
    async with connected(service.info) as (app, google):
        expected = [f"Event {number:02}" for number in range(30)]
        for round_, title in enumerate(expected):
            await add(app, title)
            if round_ % 6 == 5:
                kill(worker)
                worker = service.worker()
        await idle(app)
        assert await summaries(google) == expected


async def test_redis_flushed_and_away_while_edits_are_in_flight(
    dev: tuple[Dev, StackFile], service: Service
) -> None:
    service.worker()
    client = Redis.from_url(service.info.redis_url)  # pyright: ignore[reportUnknownMemberType]
    async with connected(service.info) as (app, google):
        expected = [f"Event {number:02}" for number in range(20)]
        for number, title in enumerate(expected):
            await add(app, title)
            if number == 5:
                await client.flushall()  # pyright: ignore[reportUnknownMemberType]
            if number == 10:
                # The supervisor starts it again.
                with pytest.raises(RedisGone):
                    await client.shutdown(nosave=True)  # pyright: ignore[reportUnknownMemberType]
                    await client.ping()  # pyright: ignore[reportUnknownMemberType]
        await idle(app)
        assert await summaries(google) == expected
    await client.aclose()


async def test_the_webhook_answers_while_the_worker_is_down(service: Service) -> None:
    worker = service.worker()
    async with connected(service.info) as (app, google):
        await idle(app)
        kill(worker)
        mine = "where user_id = $1"
        started = time.monotonic()
        await _theirs(google, "While nobody worked")
        await until(
            lambda: app.sql.fetchval(
                "select exists (select from sync_queue where kind = 'pull' and status = 'pending')"
            )
        )
        assert time.monotonic() - started < 5
        assert (
            await app.sql.fetchval(f"select count(*) from calendar_events {mine}", app.user_id) == 0
        )
        async with httpx.AsyncClient(
            base_url=str(service.info.google_url), trust_env=False
        ) as http:
            delivered = (await http.get("/_emulator/webhooks")).json()["items"]
        assert {message["status"] for message in delivered} == {200}
        service.worker()
        await until(
            lambda: app.sql.fetchval(
                f"select exists (select from calendar_events {mine} and title = 'While nobody worked')",
                app.user_id,
            )
        )


async def test_a_stopped_worker_finishes_what_it_holds(service: Service) -> None:
    worker = service.worker()
    async with connected(service.info) as (app, google):
        for number in range(10):
            await add(app, f"Event {number}")
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 30) == 0
        assert (
            await app.sql.fetchval("select count(*) from sync_queue where status = 'processing'")
            == 0
        )
        service.worker()
        await idle(app)
        assert len(await summaries(google)) == 10


async def test_no_secret_is_in_any_log(dev: tuple[Dev, StackFile], service: Service) -> None:
    service.worker()
    async with connected(service.info) as (app, _):
        await add(app, "Something")
        await idle(app)
    written = logs(dev[0].folder) + dev[0].output.read_text()
    assert "worker_started" in written
    assert SECRETS.search(written) is None


async def _theirs(google: Google, summary: str) -> None:
    await google.insert(
        {
            "summary": summary,
            "start": {"dateTime": "2027-03-01T09:00:00Z", "timeZone": "UTC"},
            "end": {"dateTime": "2027-03-01T10:00:00Z", "timeZone": "UTC"},
        }
    )
