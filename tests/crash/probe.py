"""Sees every side effect of a process at its edges, names it, and ends the process at one of them.

The edges are those of httpx, requests (`google-auth` refreshes through it), asyncpg and redis. Once
the process is dead, nothing passes any of them: what its `finally` blocks try to do has no effect.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import httpx
import pytest
import redis.asyncio
import requests.adapters

import sync_service.store
from sync_service.engine.hub import Hub, open_hub
from sync_service.settings import Settings
from sync_service.store.pool import open_pool
from sync_service.store.statements import load

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

VICTIM = "calsync-victim"
_WRITES = re.compile(r"\b(insert|update|delete|enqueue_\w+|claim_work|pg_notify|pg_advisory\w*)\b")
_NO_WRITES = re.compile(r"--[^\n]*|\bfor (no key )?update\b")
_PATHS = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"POST .*/events/watch$", "events.watch"),
        (r"POST .*/channels/stop$", "channels.stop"),
        (r"GET .*/calendarList$", "calendarList.list"),
        (r"GET .*/calendarList/", "calendarList.get"),
        (r"POST .*/events$", "events.insert"),
        (r"PATCH .*/events/", "events.patch"),
        (r"PUT .*/events/", "events.update"),
        (r"DELETE .*/events/", "events.delete"),
        (r"GET .*/events$", "events.list"),
        (r"GET .*/events/", "events.get"),
        (r"POST .*/token$", "oauth.token"),
        (r"POST .*/revoke$", "oauth.revoke"),
        (r"GET .*/certs$", "oauth.certs"),
    )
]

Happening = Callable[[], Awaitable[None]]


class Killed(BaseException):
    """The process is dead."""


class Probe:
    """Records the points that a process passes and kills it at number *kill_at*."""

    def __init__(self, *, kill_at: int | None = None) -> None:
        self.points: list[str] = []
        self.dead = False
        self._kill_at = kill_at
        self._happenings: dict[str, Happening] = {}

    def arm(self, happenings: Mapping[str, Happening]) -> None:
        """Let others do these *happenings* while the process is at a point, by point."""
        self._happenings = dict(happenings)

    def check(self) -> None:
        """Let nothing pass once the process is dead."""
        if self.dead:
            raise Killed

    def reach(self, point: str) -> None:
        """Pass a point, or die there."""
        self.check()
        self.points.append(point)
        if len(self.points) - 1 == self._kill_at:
            self.dead = True
            raise Killed

    async def reach_slowly(self, point: str) -> None:
        """Pass a point at which something else may happen."""
        self.reach(point)
        happening = self._happenings.pop(point, None)
        if happening is not None:
            await happening()

    async def around(self, name: str, effect: Callable[[], Awaitable[Any]]) -> Any:
        """Let *effect* happen between its two points."""
        await self.reach_slowly(f"{name}:before")
        result = await effect()
        await self.reach_slowly(f"{name}:after")
        return result


@asynccontextmanager
async def process(settings: Settings, probe: Probe) -> AsyncGenerator[Hub]:
    """Open the pool and the hub of a process that *probe* watches."""
    with pytest.MonkeyPatch.context() as patch:
        _watch_redis(patch, probe)
        _watch_requests(patch, probe)
        with pytest.MonkeyPatch.context() as at_start:
            at_start.setattr(asyncpg, "create_pool", _watched_pool(probe))
            pool = await open_pool(settings)
        try:
            async with open_hub(settings, pool) as hub:
                _watch_http(hub.http, probe)
                yield hub
        finally:
            # As the death of a process does: sockets close, and the server rolls back.
            pool.terminate()


def _watch_http(http: httpx.AsyncClient, probe: Probe) -> None:
    async def before(request: httpx.Request) -> None:
        await probe.reach_slowly(f"provider:{_operation(request.method, request.url.path)}:before")

    async def after(response: httpx.Response) -> None:
        request = response.request
        await probe.reach_slowly(f"provider:{_operation(request.method, request.url.path)}:after")

    http.event_hooks = {"request": [before], "response": [after]}


def _watch_requests(patch: pytest.MonkeyPatch, probe: Probe) -> None:
    send = requests.adapters.HTTPAdapter.send

    def watched(
        adapter: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        name = _operation(str(request.method), str(request.path_url))
        probe.reach(f"provider:{name}(refresh):before")
        answer = send(adapter, request, **options)
        probe.reach(f"provider:{name}(refresh):after")
        return answer

    patch.setattr(requests.adapters.HTTPAdapter, "send", watched)


def _watch_redis(patch: pytest.MonkeyPatch, probe: Probe) -> None:
    execute = cast("Callable[..., Awaitable[Any]]", redis.asyncio.Redis.execute_command)

    async def watched(client: Any, *args: Any, **options: Any) -> Any:
        return await probe.around(
            f"redis:{str(args[0]).lower()}", lambda: execute(client, *args, **options)
        )

    patch.setattr(redis.asyncio.Redis, "execute_command", watched)


def _watched_pool(probe: Probe) -> Callable[..., Any]:
    create_pool: Callable[..., Any] = asyncpg.create_pool
    connection_class = _watched_connection(probe)

    def watched(dsn: str, **options: Any) -> Any:
        options["server_settings"] = {"application_name": VICTIM}
        return create_pool(dsn, connection_class=connection_class, **options)

    return watched


def _watched_connection(probe: Probe) -> type[_Connection]:
    """Return a class of connections whose commits and autocommitted writes are points."""

    class Watched(_Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._written: list[str] = []

        async def execute(self, query: str, *args: Any, **options: Any) -> Any:
            return await self._watch(query, super().execute, args, options)

        async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
            return await self._watch(query, super().fetch, args, options)

        async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
            return await self._watch(query, super().fetchrow, args, options)

        async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
            return await self._watch(query, super().fetchval, args, options)

        async def executemany(self, command: str, *args: Any, **options: Any) -> Any:
            raise NotImplementedError("the engine does not use it, so it is not watched")

        async def _watch(
            self,
            query: str,
            call: Callable[..., Awaitable[Any]],
            args: tuple[Any, ...],
            options: dict[str, Any],
        ) -> Any:
            try:
                return await self._pass(query, call, args, options)
            except Killed:
                self.terminate()
                raise

        async def _pass(
            self,
            query: str,
            call: Callable[..., Awaitable[Any]],
            args: tuple[Any, ...],
            options: dict[str, Any],
        ) -> Any:
            probe.check()
            name = _name_of(query)
            if query == "COMMIT;":
                name, self._written = f"db:commit({_brief(self._written)})", []
            elif query in ("BEGIN;", "ROLLBACK;"):
                self._written = []
                return await call(query, *args, **options)
            elif self.is_in_transaction():
                result = await call(query, *args, **options)
                if _writes(query):
                    self._written.append(name)
                return result
            elif not _writes(query) or query == self.get_reset_query():
                return await call(query, *args, **options)
            else:
                name = f"db:{name}"
            return await probe.around(name, lambda: call(query, *args, **options))

    return Watched


def _writes(query: str) -> bool:
    return _WRITES.search(_NO_WRITES.sub("", query.lower())) is not None


def _brief(names: list[str]) -> str:
    """Name a transaction by its most telling write."""
    return "queue.complete" if "queue.complete" in names else names[-1] if names else ""


def _statements() -> dict[str, str]:
    folder = Path(sync_service.store.__file__).parent / "sql"
    return {
        text: f"{file.stem}.{name}"
        for file in sorted(folder.glob("*.sql"))
        for name, text in load(file.stem).items()
    }


_STATEMENTS = _statements()


def _name_of(query: str) -> str:
    return _STATEMENTS.get(query) or "_".join(re.findall(r"\w+", query)[:2])


def _operation(method: str, path: str) -> str:
    line = f"{method} {path.split('?')[0]}"
    return next((name for pattern, name in _PATHS if pattern.search(line)), line)
