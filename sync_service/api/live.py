"""Tells requests that wait for an event's sync when to look again.

One LISTEN connection for the whole process. A message only says "look": who waits reads the state
itself, before and after it began to listen, so a lost message costs a moment and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from uuid import UUID

import asyncpg
import msgspec
import structlog

from sync_service.settings import Settings
from sync_service.store.pool import behind_transaction_pooler

CHANNEL = "calsync_events"
_POLL_S = 0.1
"""How often to look while no message can arrive."""
_SAFETY_S = 2.0
"""How often to look although messages can arrive."""
_RECONNECT_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_log = structlog.get_logger(__name__)


class EventSignal(msgspec.Struct, frozen=True):
    """The payload of one message."""

    event_id: UUID
    user_id: UUID | None = None


class Waiter:
    """One request's interest in one event."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._signal = asyncio.Event()

    def wake(self) -> None:
        """Let `wait` return."""
        self._signal.set()

    async def wait(self, seconds: float) -> None:
        """Return when it is time to look again, after *seconds* at the latest."""
        patience = min(seconds, _SAFETY_S if self._live.connected else _POLL_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._signal.wait()
        self._signal.clear()


class Live:
    """The listener and those who wait."""

    def __init__(self) -> None:
        self.connected = False
        self._waiters: dict[UUID, set[Waiter]] = {}

    @contextlib.contextmanager
    def watch(self, event_id: UUID) -> Generator[Waiter]:
        """Yield a `Waiter` that is woken by messages about *event_id*."""
        waiter = Waiter(self)
        self._waiters.setdefault(event_id, set()).add(waiter)
        try:
            yield waiter
        finally:
            waiters = self._waiters[event_id]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[event_id]

    def receive(self, payload: str) -> None:
        """Wake those who wait for the event that *payload* names; everybody if it names none."""
        try:
            signal = msgspec.json.decode(payload, type=EventSignal)
        except msgspec.DecodeError:
            self.wake_all()
            return
        for waiter in self._waiters.get(signal.event_id, ()):
            waiter.wake()

    def wake_all(self) -> None:
        """Let everybody look, for messages may have been missed."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wake()

    async def listen(self, url: str) -> None:
        """Listen for ever, reconnecting whenever the connection is lost."""
        failures = 0
        while True:
            try:
                connection = await asyncpg.connect(
                    url, timeout=5, server_settings={"application_name": "calsync-live"}
                )
            except (OSError, asyncpg.PostgresError) as fault:
                _log.warning("live.unreachable", fault=type(fault).__name__)
            else:
                failures = 0
                await self._listen_on(connection)
            await asyncio.sleep(_RECONNECT_S[min(failures, len(_RECONNECT_S) - 1)])
            failures += 1

    async def _listen_on(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        lost = asyncio.Event()

        def end(_: object) -> None:
            lost.set()

        def take(_: object, __: int, ___: str, payload: object) -> None:
            self.receive(str(payload))

        connection.add_termination_listener(end)
        try:
            await connection.add_listener(CHANNEL, take)
            self.connected = True
            self.wake_all()
            await lost.wait()
            _log.warning("live.lost")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            _log.warning("live.lost", fault=type(fault).__name__)
        finally:
            self.connected = False
            self.wake_all()
            connection.terminate()


@contextlib.asynccontextmanager
async def open_live(settings: Settings) -> AsyncGenerator[Live]:
    """Listen while the context is open. Behind a transaction pooler waiting means polling."""
    live = Live()
    url = settings.database_url.get_secret_value()
    if behind_transaction_pooler(url):
        _log.warning("live.polling", why="DATABASE_URL leads through a transaction pooler")
        yield live
        return
    task = asyncio.create_task(live.listen(url), name="live")
    try:
        yield live
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
