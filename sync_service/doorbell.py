"""Wakes the workers by name. A ring may be lost or doubled: what is to be done is in Postgres.

This is the only module of the package that knows arq; the worker registers its functions under
these names.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
from arq.connections import ArqRedis, RedisSettings
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from sync_service.errors import Misconfigured
from sync_service.settings import Settings

Redis = ArqRedis

DRAIN = "drain"
OPEN_CONNECTION = "open_connection"
POLL = "poll"
READ_LISTS = "read_lists"
RENEW = "renew_channels"
SWEEP = "sweep"

_PATIENCE_S = 0.5
_log = structlog.get_logger(__name__)


def serialize(job: dict[str, Any]) -> bytes:
    """Encode a job for Redis: JSON, since whoever may write there could run code by a pickle."""
    return msgspec.json.encode(job, enc_hook=str)


def deserialize(stored: bytes) -> dict[str, Any]:
    """Read what `serialize` wrote."""
    return msgspec.json.decode(stored, type=dict[str, Any])


def redis_settings(settings: Settings) -> RedisSettings:
    """Return arq's own form of `REDIS_URL`, for the worker."""
    try:
        found = RedisSettings.from_dsn(settings.redis_url.get_secret_value())
    except (AssertionError, RuntimeError, ValueError):
        raise Misconfigured("REDIS_URL: must be redis://, rediss:// or unix://") from None
    found.retry_on_timeout = True
    return found


@asynccontextmanager
async def open_doorbell(settings: Settings) -> AsyncGenerator[Redis]:
    """Open the connections that `ring` takes. Redis need not be up: they connect when used."""
    try:
        pool = ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # untyped **kwargs
            settings.redis_url.get_secret_value(),
            socket_connect_timeout=_PATIENCE_S,
            socket_timeout=_PATIENCE_S * 2,
            max_connections=50,
        )
    except ValueError:
        raise Misconfigured("REDIS_URL: must be redis://, rediss:// or unix://") from None
    redis = ArqRedis(pool, job_serializer=serialize, job_deserializer=deserialize)
    try:
        yield redis
    finally:
        await redis.aclose(close_connection_pool=True)


async def ring(redis: Redis, name: str, *args: Any, job_id: str | None = None) -> bool:
    """Ask the workers to run *name*; False when Redis did not take it, which costs time only.

    With *job_id* a ring is dropped while an equal one waits or runs: such a function looks for
    work once more before it ends.
    """
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await redis.enqueue_job(name, *args, _job_id=job_id)
    except (RedisError, OSError, TimeoutError) as fault:
        _log.warning("doorbell.unheard", name=name, fault=type(fault).__name__)
        return False
    return True
