"""Serving an emulator over TCP."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sync_service.emulators.google.app import App, create_app
from sync_service.emulators.google.emulator import Emulator
from sync_service.emulators.google.keeping import KeptApp, load


class _Droppable:
    """Gives the application a hold on its connection, so that faults can cut it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            protocol = getattr(send, "__self__", None)
            transport = getattr(protocol, "transport", None)
            if transport is not None:
                scope.setdefault("extensions", {})["emulator.transport"] = transport
        await self._app(scope, receive, send)


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever embeds it.

    Attributes:
        ready: Set once the server accepts connections.
    """

    def __init__(self, app: App) -> None:
        super().__init__(
            uvicorn.Config(
                _Droppable(app),
                http=H11Protocol,
                ws="none",
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signal handlers alone."""
        yield

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        self.ready.set()


async def serve(
    emulator: Emulator,
    host: str = "127.0.0.1",
    port: int = 4010,
    *,
    state: Path | None = None,
) -> None:
    """Serve until cancelled; with *state*, everything is kept in that file."""
    kept = None if state is None else KeptApp(emulator, state)
    try:
        async with serving(emulator, host, port, app=kept):
            await (kept.keep() if kept else asyncio.Event().wait())
    finally:
        if kept:
            kept.save()


@asynccontextmanager
async def serving(
    emulator: Emulator, host: str = "127.0.0.1", port: int = 0, *, app: App | None = None
) -> AsyncGenerator[str]:
    """Serve inside a block; gives the base URL. Port 0 picks a free one."""
    listener = _listen(host, port)
    server = Server(app or create_app(emulator))
    task = asyncio.create_task(server.serve([listener]))
    try:
        await server.ready.wait()
        name = f"[{host}]" if ":" in host else host
        yield f"http://{name}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections answer at once.

    It names TCP as its protocol, since asyncio turns Nagle's algorithm off on such sockets only;
    with it on, every small answer waits 40 ms for an acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def run(
    host: str = "127.0.0.1",
    port: int = 4010,
    *,
    seed: int = 0,
    redirect_uris: Sequence[str] = (),
    auto_consent: bool = False,
    state: Path | None = None,
) -> None:
    """Serve the demo world in this process, until interrupted or terminated.

    With *state*, the world goes on from that file if it is there, and is kept in it.
    """
    emulator = Emulator(seed, redirect_uris=redirect_uris)
    if state is not None:
        load(emulator, state, redirect_uris)
    if auto_consent:
        emulator.auto_consent()
    logging.getLogger(__name__).info("Google emulator on http://%s:%s", host, port)

    async def until_told() -> None:
        task = asyncio.ensure_future(serve(emulator, host, port, state=state))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    with suppress(KeyboardInterrupt):
        asyncio.run(until_told())
