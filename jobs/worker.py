"""The worker process: arq's schedules and jobs, and beside them the loop that drains the queue.

The loop and its listener need Postgres alone. While Redis is away nothing is scheduled or rung for,
but what users change is still pushed and what webhooks announce is still pulled.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog
from arq import cron
from arq.worker import Worker
from prometheus_client import start_http_server
from redis.exceptions import RedisError

from jobs import upkeep
from jobs.drain import Drainer, listen
from jobs.upkeep import Context
from sync_service import doorbell, telemetry
from sync_service.engine.hub import open_hub
from sync_service.errors import Misconfigured
from sync_service.settings import Settings, load_settings
from sync_service.store.pool import open_pool

FUNCTIONS = {
    doorbell.DRAIN: upkeep.drain,
    doorbell.OPEN_CONNECTION: upkeep.open_connection,
    doorbell.POLL: upkeep.poll,
    doorbell.READ_LISTS: upkeep.read_lists,
    doorbell.RENEW: upkeep.renew_channels,
    doorbell.SWEEP: upkeep.sweep,
}
"""What can be rung for, by the names of `sync_service.doorbell`."""

_GRACE_S = 20
_POOL_SIZE = 24
_REDIS_PAUSE_S = 1.0
_log = structlog.get_logger(__name__)


def build(settings: Settings, ctx: Context) -> Worker:
    """Assemble arq's part: rung functions and schedules, working with what *ctx* holds.

    arq's own retries and results are not used: what is to be done, how often it was tried and how
    it ended is in Postgres.
    """
    every_sweep = set(range(0, 60, settings.queue_sweep_seconds))
    return Worker(
        functions=list(FUNCTIONS.values()),
        cron_jobs=[
            cron(upkeep.sweep, name="cron:sweep", second=every_sweep),
            cron(upkeep.poll, name="cron:poll", second=every_sweep),
            cron(upkeep.read_lists, name="cron:read_lists", second={3, 13, 23, 33, 43, 53}),
            cron(upkeep.mend, name="cron:mend", second={7, 37}),
            cron(upkeep.renew_channels, name="cron:renew_channels", second={17}),
            cron(upkeep.clean, name="cron:clean", hour={3}, minute={11}, second={0}),
        ],
        redis_settings=doorbell.redis_settings(settings),
        ctx=ctx,
        handle_signals=False,
        job_serializer=doorbell.serialize,
        job_deserializer=doorbell.deserialize,
        poll_delay=0.05,
        keep_result=0,
        job_timeout=60,
        health_check_interval=15,
        retry_jobs=False,
        log_results=False,
    )


def run(settings: Settings | None = None) -> None:
    """Run the worker until SIGINT or SIGTERM; exits with 1 if a part of it died."""
    telemetry.configure_logging("worker")
    if not asyncio.run(serve(settings or load_settings())):
        raise SystemExit(1)


async def serve(settings: Settings) -> bool:
    """Drain, listen and keep the schedules until told to stop; False if one of them died."""
    async with AsyncExitStack() as stack:
        if settings.worker_metrics_port is not None:
            stack.callback(_expose_metrics(settings.worker_metrics_port))
        pool = await open_pool(settings, min_size=4, max_size=_POOL_SIZE)
        stack.push_async_callback(pool.close)
        hub = await stack.enter_async_context(open_hub(settings, pool))
        drainer = Drainer(hub)
        ctx: Context = {"hub": hub, "drainer": drainer}
        await upkeep.sweep(ctx)
        told = asyncio.create_task(_told_to_stop().wait())
        parts = [
            asyncio.create_task(drainer.run()),
            asyncio.create_task(listen(settings.database_url.get_secret_value(), drainer.wake)),
            asyncio.create_task(_keep_schedules(settings, ctx)),
        ]
        _log.info("worker_started")
        while not told.done() and not any(_died(part) for part in parts):
            # Listening ends by itself where there is nothing to hear; the others never do.
            waiting = [part for part in parts if not part.done()]
            await asyncio.wait([told, *waiting], return_when=asyncio.FIRST_COMPLETED)
        await drainer.stop(_GRACE_S)
        await hub.meter.write()
        dead = [part for part in parts if _died(part)]
        for part in dead:
            _log.critical("part_died", exc_info=part.exception())
        for part in [told, *parts]:
            part.cancel()
        await asyncio.gather(told, *parts, return_exceptions=True)
        _log.info("worker_stopped")
        return not dead


def _expose_metrics(port: int) -> Callable[[], None]:
    """Serve this process's metrics on loopback and return what ends that."""
    try:
        server, thread = start_http_server(port, "127.0.0.1")
    except OSError as fault:
        raise Misconfigured(
            f"WORKER_METRICS_PORT: cannot listen on 127.0.0.1:{port} ({fault.strerror})"
        ) from fault

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end


async def _keep_schedules(settings: Settings, ctx: Context) -> None:
    """Run arq for ever; when Redis goes away, begin anew once it is back."""
    while True:
        worker = build(settings, ctx)
        try:
            await worker.async_run()
        except (RedisError, OSError) as fault:
            _log.warning("redis_unreachable", error=type(fault).__name__)
        finally:
            with contextlib.suppress(RedisError, OSError, asyncio.CancelledError):
                await worker.close()
        await asyncio.sleep(_REDIS_PAUSE_S)


def _told_to_stop() -> asyncio.Event:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, told.set)
    return told


def _died(part: asyncio.Task[None]) -> bool:
    return part.done() and not part.cancelled() and part.exception() is not None
