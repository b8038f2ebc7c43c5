"""`calsync serve`: the API under uvicorn; what keeps it from starting is raised, not logged."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import uvicorn
from litestar import Litestar
from litestar.types import Receive, Scope, Send

from sync_service.api.app import create_app
from sync_service.cli.failures import listening


class _Starting:
    """The application, and why it did not start."""

    def __init__(self, app: Litestar) -> None:
        self._app = app
        self.fault: BaseException | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without_traceback(message: Any) -> None:
            if message["type"] == "lifespan.startup.failed":
                message["message"] = ""
            await send(message)

        try:
            await self._app(scope, receive, without_traceback)
        except BaseException as fault:
            self.fault = fault
            raise


def run(host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM; what keeps the application from starting is raised."""
    app = _Starting(create_app())
    with listening(host, port):
        listener = _listen(host, port)
    # The application logs its own requests; uvicorn's lines would show what is in their URLs.
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    try:
        with listener, contextlib.suppress(KeyboardInterrupt):
            server.run([listener])
    except SystemExit:
        if app.fault is None:
            raise
    if app.fault is not None and not server.started:
        raise app.fault


def _listen(host: str, port: int) -> socket.socket:
    # Naming TCP: asyncio turns Nagle's algorithm off on such sockets only.
    tcp = socket.IPPROTO_TCP
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=tcp, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # A second process could otherwise bind as well until one of both listens.
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
