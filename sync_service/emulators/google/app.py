"""The emulator as an ASGI application (ASGI 3.0), small on purpose: it answers in about 1 ms."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx

from sync_service.emulators.google.control import Control
from sync_service.emulators.google.courier import Courier
from sync_service.emulators.google.emulator import Emulator
from sync_service.emulators.google.front import handle
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.wire import Reply, Request

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_WORTH_ZIPPING = 512


class DroppedConnectionError(ConnectionResetError):
    """The emulator was told to end this connection without an answer."""


class App:
    """Carries requests to an emulator, and its push messages to the world.

    Attributes:
        courier: Delivers push messages; `await app.courier.settle()` waits for them.
    """

    def __init__(
        self, emulator: Emulator, webhook_transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.emulator = emulator
        self.courier = Courier(lambda: emulator.world, webhook_transport)
        self._control = Control(emulator, self.courier)
        self._timers: set[asyncio.Task[None]] = set()
        emulator.on_message = self.courier.send
        emulator.on_timer = self._wake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            self.courier.start()
            request = await _read(scope, receive)
            await self._answer(scope, request, send)

    async def close(self) -> None:
        """End deliveries and timers."""
        for task in self._timers:
            task.cancel()
        await self.courier.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                self.courier.start()
                self.courier.warm()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, request: Request, send: Send) -> None:
        if request.path.startswith("/_emulator"):
            reply = self._control.handle(request)
        else:
            reply = handle(self.emulator, request)
        if reply.settle:
            await self.courier.settle()
        if reply.delay_s > 0:
            await asyncio.sleep(reply.delay_s)
        if reply.drop:
            await _drop(scope)
        await _write(request, reply, send)

    def _wake(self, due: float) -> None:
        """Do deferred work when its time comes, if a loop is running to do it on."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        task = loop.create_task(self._tick_at(due))
        self._timers.add(task)
        task.add_done_callback(self._timers.discard)

    async def _tick_at(self, due: float) -> None:
        await self.courier.sleep(due - self.emulator.clock.seconds())
        self.emulator.tick()


def create_app(
    emulator: Emulator, *, webhook_transport: httpx.AsyncBaseTransport | None = None
) -> App:
    """The ASGI application of an emulator.

    With *webhook_transport*, push messages go there instead of the network, for instance to
    another ASGI application in the same process.
    """
    return App(emulator, webhook_transport)


async def _read(scope: Scope, receive: Receive) -> Request:
    chunks: list[bytes] = []
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            break
        chunks.append(event.get("body", b""))
        more = event.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    host = headers.get("host", "localhost")
    return Request(
        scope["method"],
        raw.partition(b"?")[0].decode("latin-1"),
        Query.parse(scope["query_string"].decode("latin-1")),
        headers,
        b"".join(chunks),
        f"{scope.get('scheme', 'http')}://{host}",
    )


async def _write(request: Request, reply: Reply, send: Send) -> None:
    body = reply.body
    headers = {"Content-Type": reply.content_type, **reply.headers}
    zips = "gzip" in request.headers.get("accept-encoding", "")
    if zips and "gzip" in request.headers.get("user-agent", "") and len(body) > _WORTH_ZIPPING:
        body = gzip.compress(body, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    if reply.status in {204, 304}:
        del headers["Content-Type"]
    else:
        headers["Content-Length"] = str(len(body))
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _drop(scope: Scope) -> None:
    """End the connection without an answer: closed on a server, an exception in-process."""
    transport = scope.get("extensions", {}).get("emulator.transport")
    if transport is not None:
        transport.abort()
        await asyncio.sleep(0)
    raise DroppedConnectionError("dropped by the emulator")
