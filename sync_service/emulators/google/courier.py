"""Delivering push messages over HTTP: at once, in the background, retried as Google does."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

import httpx
import msgspec

from sync_service.emulators.google import channels
from sync_service.emulators.google.channels import Message
from sync_service.emulators.google.world import World

_RETRIED = frozenset({500, 502, 503, 504})
_SUCCESS = frozenset({102, 200, 201, 202, 204})
_AGENT = "APIs-Google"
_USER_AGENT = f"{_AGENT}; (+https://developers.google.com/webmasters/APIs-Google.html)"
_LOG_LENGTH = 20_000


class Delivery(msgspec.Struct):
    """One line of the webhook log.

    Attributes:
        at: Emulated time in seconds.
        outcome: `delivered`, `dropped`, `rejected`, `failed`, `suppressed` (the channel is gone),
            `disallowed` (by robots.txt) or `gave_up`.
        took_ms: How long the receiver needed for its answer.
        overhead_ms: From the change to the moment the request was handed to the network.
    """

    at: float
    channel_id: str
    number: int
    resource_state: str
    address: str
    attempt: int
    outcome: str
    status: int | None = None
    took_ms: float = 0.0
    overhead_ms: float = 0.0


class Courier:
    """Sends messages from the event loop it was started on.

    Messages that arise before there is a loop, or on another thread, are handed over to it.
    """

    def __init__(
        self, world: Callable[[], World], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._world = world
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[Message, float]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._robots: dict[str, asyncio.Task[RobotFileParser | None]] = {}
        self.log: deque[Delivery] = deque(maxlen=_LOG_LENGTH)

    def warm(self) -> None:
        """Pay for the slow part of the first delivery now."""
        self._http()

    def start(self) -> None:
        """Adopt the running loop and send what has been waiting for one."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._client = None
            self._robots.clear()
        waiting, self._waiting = self._waiting, []
        for message, born in waiting:
            self._spawn(message, born)

    def send(self, message: Message) -> None:
        """Take a message; returns at once."""
        born = time.perf_counter()
        if message.dropped:
            self._note(message, 0, "dropped", None, born, born)
            return
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not None and (self._loop is None or self._loop.is_closed()):
            self.start()
        if running is not None and running is self._loop:
            self._spawn(message, born)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spawn, message, born)
        else:
            self._waiting.append((message, born))

    async def settle(self) -> None:
        """Wait until every message taken so far has been delivered or given up."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """End deliveries and connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
        self._client = self._loop = None
        self._robots.clear()

    def _spawn(self, message: Message, born: float) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(message, born))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, message: Message, born: float) -> None:
        if message.delay_s > 0:
            await self.sleep(message.delay_s)
        if not await self._allowed(message.address):
            self._note(message, 0, "disallowed", None, born, time.perf_counter())
            return
        for attempt, pause in enumerate((*self._world().switches.webhook_retries_s, None), 1):
            if not channels.deliverable(self._world(), message):
                self._note(message, attempt, "suppressed", None, born, time.perf_counter())
                return
            if not await self._attempt(message, attempt, born):
                return
            if pause is None:
                self._note(message, attempt, "gave_up", None, born, time.perf_counter())
                return
            await self.sleep(pause)

    async def _attempt(self, message: Message, attempt: int, born: float) -> bool:
        """Send once; says whether to try again."""
        sent = time.perf_counter()
        headers = {
            **message.headers,
            "Content-Type": "application/json; utf-8",
            "Content-Length": "0",
            "User-Agent": _USER_AGENT,
        }
        timeout = self._world().switches.webhook_timeout_s
        try:
            answer = await self._http().post(message.address, headers=headers, timeout=timeout)
        except httpx.HTTPError:
            self._note(message, attempt, "failed", None, born, sent)
            return False
        status = answer.status_code
        outcome = "delivered" if status in _SUCCESS else "rejected"
        self._note(message, attempt, outcome, status, born, sent)
        return status in _RETRIED

    async def _allowed(self, address: str) -> bool:
        """Whether the receiver's robots.txt lets messages through; it is asked once."""
        if not self._world().switches.honour_robots_txt:
            return True
        parts = urlsplit(address)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._robots:
            self._robots[origin] = asyncio.create_task(self._fetch_robots(origin))
        rules = await self._robots[origin]
        return rules is None or rules.can_fetch(_AGENT, address)

    async def _fetch_robots(self, origin: str) -> RobotFileParser | None:
        try:
            answer = await self._http().get(
                f"{origin}/robots.txt", headers={"User-Agent": _USER_AGENT}, timeout=2
            )
        except httpx.HTTPError:
            return None
        if answer.status_code != 200:
            return None
        rules = RobotFileParser()
        rules.parse(answer.text.splitlines())
        return rules

    async def sleep(self, seconds: float) -> None:
        """Wait in emulated time: a jump of the clock ends the wait early."""
        clock = self._world().clock
        due = clock.seconds() + seconds
        jumped = asyncio.Event()
        loop = asyncio.get_running_loop()

        def jump() -> None:
            loop.call_soon_threadsafe(jumped.set)

        forget = clock.on_jump(jump)
        try:
            while (left := due - clock.seconds()) > 0:
                jumped.clear()
                try:
                    await asyncio.wait_for(jumped.wait(), None if clock.frozen else left)
                except TimeoutError:
                    continue
        finally:
            forget()

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport, follow_redirects=False, verify=_trust()
            )
        return self._client

    def _note(
        self,
        message: Message,
        attempt: int,
        outcome: str,
        status: int | None,
        born: float,
        sent: float,
    ) -> None:
        self.log.append(
            Delivery(
                at=self._world().clock.seconds(),
                channel_id=message.channel_id,
                number=message.number,
                resource_state=message.resource_state,
                address=message.address,
                attempt=attempt,
                outcome=outcome,
                status=status,
                took_ms=round((time.perf_counter() - sent) * 1000, 3),
                overhead_ms=round((sent - born) * 1000, 3),
            )
        )


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """The certificates that receivers must be signed by; reading them is slow."""
    return ssl.create_default_context()
