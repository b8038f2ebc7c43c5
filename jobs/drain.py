"""The fast path: a loop that claims what is due, woken by Postgres, and a listener that wakes it.

Waking may fail in any way: the sweep finds what nobody rang for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import asyncpg
import structlog

from sync_service.engine import work
from sync_service.engine.hub import Hub
from sync_service.store import queue
from sync_service.store.pool import Connection, behind_transaction_pooler

CHANNEL = "calsync_queue"
_SLOTS = 16
_BULK_SHARE = 0.75
_IDLE_S = 30.0
_log = structlog.get_logger(__name__)


class Drainer:
    """Claims rows in batches and carries them out side by side.

    A claim brings at most one push of a calendar, and none while another worker has one: providers
    answer parallel writes to one calendar with refusals. Some slots are never given to work in
    bulk, so that what somebody waits for finds one.
    """

    def __init__(self, hub: Hub, *, slots: int = _SLOTS) -> None:
        self._hub = hub
        self._slots = slots
        self._bulk_slots = max(1, int(slots * _BULK_SHARE))
        self._wake = asyncio.Event()
        self._stopping = False
        self._claiming = asyncio.Lock()
        self._running: dict[asyncio.Task[None], bool] = {}

    def wake(self) -> None:
        """Look for work now. May be called as often as one likes."""
        self._wake.set()

    async def run(self) -> None:
        """Drain until `stop`; a database that is away is waited for."""
        while not self._stopping:
            self._wake.clear()
            try:
                claimed = await self._claim()
                due_in = None if claimed else await self._due_in()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
                _log.warning("queue_unreachable", error=type(fault).__name__)
                claimed, due_in = 0, 1.0
            if not claimed:
                await self._rest(due_in)

    async def drain(self) -> None:
        """Carry out what is due now and everything that follows from it, then return."""
        while await self._claim() or self._running:
            if self._running:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self, grace_s: float) -> None:
        """Claim nothing more and give running tasks *grace_s* seconds to end."""
        self._stopping = True
        self._wake.set()
        async with self._claiming:
            # What is being claimed at this moment is among the running tasks from here on.
            pass
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _claim(self) -> int:
        async with self._claiming:
            free = self._slots - len(self._running)
            if free <= 0 or self._stopping:
                return 0
            tasks = await queue.claim_batch(
                self._hub.pool,
                free,
                self._hub.settings.lease_seconds,
                bulk_limit=self._free_for_bulk(),
            )
            for task in tasks:
                running = asyncio.create_task(work.run(self._hub, task))
                self._running[running] = task.bulk
                running.add_done_callback(self._ended)
            return len(tasks)

    async def _due_in(self) -> float | None:
        if len(self._running) >= self._slots:
            return None
        return await queue.next_run_in(self._hub.pool, bulk=self._free_for_bulk() > 0)

    def _free_for_bulk(self) -> int:
        return self._bulk_slots - sum(self._running.values())

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()

    async def _rest(self, due_in: float | None) -> None:
        timeout = _IDLE_S if due_in is None else min(_IDLE_S, max(due_in, 0.05))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)


async def listen(database_url: str, wake: Callable[[], None]) -> None:
    """Call *wake* whenever work is queued, for ever; a lost connection is made anew.

    Through a transaction pooler nothing can be heard: then this returns at once, and the sweep and
    rung jobs do the waking.
    """
    if behind_transaction_pooler(database_url):
        _log.warning("cannot_listen", reason="DATABASE_URL leads through a transaction pooler")
        return
    pause = 0.1
    while True:
        try:
            connection = await asyncpg.connect(
                database_url, server_settings={"application_name": "calsync-listen"}
            )
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
            continue
        pause = 0.1
        try:
            await _hear(connection, wake)
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)


async def _hear(connection: Connection, wake: Callable[[], None]) -> None:
    lost = asyncio.Event()

    def end(*_: object) -> None:
        lost.set()

    def heard(*_: object) -> None:
        wake()

    connection.add_termination_listener(end)
    await connection.add_listener(CHANNEL, heard)
    # Whatever was queued while nobody listened.
    wake()
    await lost.wait()
