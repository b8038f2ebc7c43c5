"""The worker process: arq's schedules and jobs, and beside them the loop that drains the queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, cast

import structlog
from arq import cron
from arq.worker import Worker

from jobs import upkeep
from jobs.drain import Drainer, listen
from jobs.upkeep import Context
from sync_service import doorbell, telemetry
from sync_service.engine.hub import open_hub
from sync_service.settings import Settings, load_settings
from sync_service.store.pool import open_pool

FUNCTIONS = {
    doorbell.DRAIN: upkeep.drain,
    doorbell.OPEN_CONNECTION: upkeep.open_connection,
    doorbell.POLL: upkeep.poll,
    doorbell.RENEW: upkeep.renew_channels,
    doorbell.SWEEP: upkeep.sweep,
}
"""What can be rung for, by the names of `sync_service.doorbell`."""

_GRACE_S = 20
_POOL_SIZE = 24
_log = structlog.get_logger(__name__)


def build(settings: Settings) -> Worker:
    """Assemble the worker: rung functions, schedules, and the start and end of the drain loop.

    arq's own retries and results are not used: what is to be done, how often it was tried and how
    it ended is in Postgres.
    """
    every_sweep = set(range(0, 60, settings.queue_sweep_seconds))
    return Worker(
        functions=list(FUNCTIONS.values()),
        cron_jobs=[
            cron(upkeep.sweep, name="cron:sweep", second=every_sweep),
            cron(upkeep.poll, name="cron:poll", second=every_sweep),
            cron(upkeep.mend, name="cron:mend", second={7, 37}),
            cron(upkeep.renew_channels, name="cron:renew_channels", second={17}),
            cron(upkeep.clean, name="cron:clean", hour={3}, minute={11}, second={0}),
        ],
        redis_settings=doorbell.redis_settings(settings),
        on_startup=_starter(settings),
        on_shutdown=_stop,
        job_serializer=doorbell.serialize,
        job_deserializer=doorbell.deserialize,
        poll_delay=0.05,
        keep_result=0,
        job_timeout=60,
        job_completion_wait=_GRACE_S,
        health_check_interval=15,
        retry_jobs=False,
        log_results=False,
    )


def run(settings: Settings | None = None) -> None:
    """Run the worker until SIGINT or SIGTERM."""
    telemetry.configure_logging("worker")
    configured = settings or load_settings()
    # arq takes the current event loop when it is built.
    asyncio.set_event_loop(asyncio.new_event_loop())
    build(configured).run()


def _starter(settings: Settings) -> Any:
    async def start(ctx: Context) -> None:
        stack = AsyncExitStack()
        pool = await open_pool(settings, min_size=4, max_size=_POOL_SIZE)
        stack.push_async_callback(pool.close)
        hub = await stack.enter_async_context(open_hub(settings, pool))
        drainer = Drainer(hub)
        ctx.update(hub=hub, drainer=drainer, stack=stack)
        await upkeep.sweep(ctx)
        ctx["tasks"] = [
            _in_background(drainer.run()),
            _in_background(listen(settings.database_url.get_secret_value(), drainer.wake)),
        ]
        _log.info("worker_started")

    return start


async def _stop(ctx: Context) -> None:
    drainer = cast("Drainer", ctx["drainer"])
    await drainer.stop(_GRACE_S)
    for task in cast("list[asyncio.Task[None]]", ctx["tasks"]):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await cast("AsyncExitStack", ctx["stack"]).aclose()
    _log.info("worker_stopped")


def _in_background(doing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run *doing* beside arq; should it die of a bug, the process dies too and is restarted."""
    task = asyncio.create_task(doing)
    task.add_done_callback(_die_with)
    return task


def _die_with(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        _log.critical("background_task_died", exc_info=fault)
        raise SystemExit(1) from fault
