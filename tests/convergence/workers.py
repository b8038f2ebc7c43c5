"""Workers in slow motion: each can be stopped before and after any call to the provider.

A stopped worker holds no lock and no transaction; it can go on, die, or go on after its lease has
lapsed and others have done its work.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import ContextVar

import httpx

from sync_service.emulators.google import App, DroppedConnectionError
from sync_service.engine import work
from sync_service.engine.hub import Hub
from sync_service.store.queue import Task

_PATIENCE_S = 20.0


class Worker:
    """Carries out one claimed row; *gates* is how many gates it passes before it stops."""

    def __init__(self, hub: Hub, task: Task) -> None:
        self.task = task
        self._hub = hub
        self._gates: int | None = 0
        self._still = asyncio.Event()
        self._go = asyncio.Event()
        self._job: asyncio.Task[None] | None = None
        self.after_call = False

    @property
    def done(self) -> bool:
        """Whether it has ended, one way or the other."""
        return self._job is not None and self._job.done()

    async def advance(self, gates: int | None) -> None:
        """Start or go on, through *gates* gates (None for all), until it stops or ends."""
        self._gates = gates
        self._still.clear()
        self._go.set()
        if self._job is None:
            self._job = asyncio.create_task(self._run())
        still = asyncio.create_task(self._still.wait())
        try:
            await asyncio.wait(
                {self._job, still}, timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
            )
            assert self._job.done() or still.done(), "a worker neither stops nor ends"
        finally:
            still.cancel()
        if self._job.done():
            self._job.result()

    async def kill(self) -> None:
        """End it where it stands, as a lost machine does."""
        assert self._job is not None
        self._job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._job

    async def gate(self, *, after_call: bool) -> None:
        """Stop here if this is the gate to stop at."""
        if self._gates is None:
            return
        if self._gates > 0:
            self._gates -= 1
            return
        self.after_call = after_call
        self._go.clear()
        self._still.set()
        await self._go.wait()

    async def _run(self) -> None:
        _current.set(self)
        await work.run(self._hub, self.task)


class Line(httpx.AsyncBaseTransport):
    """Leads to an emulator in this process, past the gates of whoever calls."""

    def __init__(self, app: App) -> None:
        self._way = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry the request there and the answer back."""
        worker = _current.get()
        if worker is not None:
            await worker.gate(after_call=False)
        try:
            answer = await self._way.handle_async_request(request)
        except DroppedConnectionError as fault:
            raise httpx.ReadError("The connection was dropped.", request=request) from fault
        if worker is not None:
            await worker.gate(after_call=True)
        return answer


_current: ContextVar[Worker | None] = ContextVar("worker", default=None)
