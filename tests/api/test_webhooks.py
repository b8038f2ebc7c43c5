"""Google's notices: authentic ones are durable before the 200, all others look alike."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable

import httpx
import pytest
from pydantic import SecretStr

from tests.api.conftest import Backend, Person, Sql, connect_account, serving

People = Callable[[], Awaitable[Person]]
PATH = "/api/calendar/webhooks/google"
SECRET = "channel-secret"


def notice(channel_id: str, **changes: str | None) -> dict[str, str]:
    headers = {
        "X-Goog-Channel-ID": channel_id,
        "X-Goog-Channel-Token": SECRET,
        "X-Goog-Resource-ID": "resource",
        "X-Goog-Resource-State": "exists",
        "X-Goog-Message-Number": "7",
    }
    given = {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in (headers | given).items() if value is not None}


@pytest.fixture
async def channel(person: People, sql: Sql) -> tuple[str, uuid.UUID]:
    """An open channel, as (id, calendar)."""
    _, calendar_id = await connect_account(sql, await person())
    channel_id = uuid.uuid4().hex
    await sql.execute(
        "insert into private.watch_channels (id, calendar_id, secret_hash, resource_id, status,"
        " expires_at) values ($1, $2, sha256($3), 'resource', 'open', now() + interval '1 day')",
        channel_id,
        calendar_id,
        SECRET.encode(),
    )
    return channel_id, calendar_id


async def pulls(sql: Sql, calendar_id: uuid.UUID) -> int:
    return await sql.fetchval(
        "select count(*) from sync_queue where calendar_id = $1 and kind = 'pull'", calendar_id
    )


@pytest.mark.parametrize("state", ["sync", "exists", "not_exists"])
async def test_an_authentic_notice_is_recorded(
    client: httpx.AsyncClient, channel: tuple[str, uuid.UUID], sql: Sql, state: str
):
    channel_id, calendar_id = channel
    headers = notice(channel_id, X_Goog_Resource_State=state)
    for _ in range(3):
        answer = await client.post(PATH, headers=headers)
        assert answer.status_code == 200
        assert answer.content == b""
    assert await pulls(sql, calendar_id) == 1
    number = await sql.fetchval(
        "select last_message_number from private.watch_channels where id = $1", channel_id
    )
    assert number == 7


async def test_a_body_is_not_looked_at(
    client: httpx.AsyncClient, channel: tuple[str, uuid.UUID], sql: Sql
):
    channel_id, calendar_id = channel
    answer = await client.post(PATH, headers=notice(channel_id), content=b"\xff" * 500_000)
    assert answer.status_code == 200
    assert await pulls(sql, calendar_id) == 1


async def test_every_refusal_is_the_same_and_changes_nothing(
    client: httpx.AsyncClient, channel: tuple[str, uuid.UUID], sql: Sql
):
    channel_id, calendar_id = channel
    refused = [
        notice("unknown"),
        notice(channel_id, X_Goog_Channel_Token="wrong"),
        notice(channel_id, X_Goog_Resource_ID="another"),
        notice(channel_id, X_Goog_Message_Number="many"),
        notice(channel_id, X_Goog_Message_Number="-1"),
        notice(channel_id, X_Goog_Message_Number="9" * 30),
        notice(channel_id, X_Goog_Message_Number=None),
        notice(channel_id, X_Goog_Channel_Token=None),
        notice(channel_id, X_Goog_Channel_Token=""),
        notice(channel_id, X_Goog_Resource_State=None),
        notice(channel_id, X_Goog_Resource_ID=None),
        notice("x" * 5000),
        {},
        {"Authorization": "Bearer x"},
    ]
    answers = [await client.post(PATH, headers=headers) for headers in refused]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    ignored = {"x-request-id", "date"}
    assert len({str(sorted(set(answer.headers) - ignored)) for answer in answers}) == 1
    assert await pulls(sql, calendar_id) == 0


async def test_a_stopped_channel_is_acknowledged_and_ignored(
    client: httpx.AsyncClient, channel: tuple[str, uuid.UUID], sql: Sql
):
    channel_id, calendar_id = channel
    await sql.execute(
        "update private.watch_channels set status = 'stopped' where id = $1", channel_id
    )
    assert (await client.post(PATH, headers=notice(channel_id))).status_code == 200
    assert await pulls(sql, calendar_id) == 0


async def test_a_dead_redis_costs_nothing(
    backend: Backend, channel: tuple[str, uuid.UUID], sql: Sql
):
    channel_id, calendar_id = channel
    settings = backend.settings(redis_url=SecretStr("redis://127.0.0.1:9/0"))
    async with serving(settings) as client:
        started = time.monotonic()
        answer = await client.post(PATH, headers=notice(channel_id))
        assert answer.status_code == 200
        assert time.monotonic() - started < 1
        assert await pulls(sql, calendar_id) == 1
        unready = await client.get("/readyz")
    assert unready.status_code == 503
    assert unready.json()["checks"]["redis"] != "ok"
    assert unready.json()["checks"]["database"] == "ok"


async def test_what_cannot_be_recorded_is_asked_for_again(
    client: httpx.AsyncClient, channel: tuple[str, uuid.UUID], sql: Sql
):
    channel_id, calendar_id = channel
    async with sql.transaction():
        # Another session holds the channel: the record cannot be made in time.
        await sql.execute("select from private.watch_channels where id = $1 for update", channel_id)
        started = time.monotonic()
        answer = await client.post(PATH, headers=notice(channel_id))
        assert time.monotonic() - started < 1.2
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert await pulls(sql, calendar_id) == 0
    assert (await client.post(PATH, headers=notice(channel_id))).status_code == 200
    assert await pulls(sql, calendar_id) == 1
