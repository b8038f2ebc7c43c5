"""Real processes around a real stack: a worker and an API that a test may kill."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx

from sync_service.devstack.sides import App, Google, connect, open_sides
from sync_service.devstack.stackfile import StackFile
from tests.servers import Dev

PATIENCE_S = 20.0
PROVIDER_WRITES = ("events.insert", "events.patch", "events.update", "events.delete")


class Service:
    """A stack without the service's own processes, and those processes in the test's hands."""

    def __init__(self, dev: Dev, info: StackFile, **settings: str) -> None:
        self.info = info
        self.log = dev.folder / "by-hand.log"
        lines = (dev.folder / "service.env").read_text().splitlines()
        given = dict(line.split("=", 1) for line in lines)
        self._environment = {
            **os.environ,
            **{name: shlex.split(value)[0] if value else "" for name, value in given.items()},
            **settings,
        }
        self._folder = dev.folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self._start("worker")

    def serve(self) -> subprocess.Popen[bytes]:
        """Start the API at the stack's address."""
        return self._start("serve", "--port", str(urlsplit(self.info.api_url).port))

    async def wait_for_api(self) -> None:
        """Return once the API is ready."""
        async with httpx.AsyncClient(trust_env=False) as http:

            async def ready() -> bool:
                try:
                    return (await http.get(f"{self.info.api_url}/readyz")).status_code == 200
                except httpx.HTTPError:
                    return False

            await until(ready)

    def stop(self) -> None:
        """Kill whatever still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sync_service.cli", *command],
                env=self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process


async def until(true: Callable[[], Awaitable[Any]], patience_s: float = PATIENCE_S) -> None:
    """Return once *true* answers something true; other processes set no event that we could await."""
    async with asyncio.timeout(patience_s):
        while not await true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def connected(info: StackFile) -> AsyncGenerator[tuple[App, Google]]:
    """A new user with a Google account of their own, read once."""
    async with open_sides(info, f"{uuid4().hex[:12]}@example.com") as (app, google):
        await connect(app, google)
        yield app, google


async def idle(app: App) -> None:
    """Wait until nothing of the user's is under way."""
    await until(
        lambda: app.sql.fetchval(
            "select not exists (select from sync_queue where user_id = $1"
            " and status in ('pending', 'processing'))",
            app.user_id,
        )
    )


async def summaries(google: Google) -> list[str]:
    """Return what the calendar shows on Google, sorted."""
    return sorted(event.get("summary", "") for event in await google.events())


async def add(app: App, title: str) -> UUID:
    """Insert an event by plain SQL."""
    return await app.sql.fetchval(
        "insert into calendar_events (user_id, title, start_time, end_time, time_zone) values"
        " ($1, $2, now() + interval '1 day', now() + interval '25 hours', 'UTC') returning id",
        app.user_id,
        title,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9."""
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def logs(folder: Path) -> str:
    """Return everything that was logged below *folder*."""
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*.log"))
