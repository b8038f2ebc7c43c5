"""The real servers that tests run against, one set for each test process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from sync_service.devstack import bootstrap, ports, stackfile, valkey
from sync_service.devstack.postgres import Cluster
from sync_service.devstack.stackfile import StackFile
from sync_service.devstack.supervisor import Supervisor
from sync_service.store.migrate import migrate

Result = TypeVar("Result")

TEMPLATE = "calsync_template"
START_PATIENCE_S = 60
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database of a test's own, migrated, with nothing in it."""

    name: str
    admin_url: str
    """The role `postgres`: owner of the tables, no superuser."""
    service_url: str
    """The role `calsync_service`, as which the workers run."""
    superuser_url: str


class Servers:
    """One Postgres and one Valkey, and the template from which databases are copied."""

    def __init__(self, folder: Path) -> None:
        # With a factory the runner leaves the thread's event loop to pytest-asyncio.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._numbers = itertools.count(1)
        postgres_port, self._valkey_port = ports.free_ports(2)
        self.cluster = Cluster(
            data=folder / "postgres", port=postgres_port, superuser_password=None, durable=False
        )
        self._supervisor = Supervisor(folder, lambda _: None)
        self.run(self._start(folder))

    @property
    def redis_url(self) -> str:
        """Where Valkey answers."""
        return valkey.url(self._valkey_port)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run *work* on the servers' own event loop."""
        return self._runner.run(work)

    def stop(self) -> None:
        """Stop both servers."""
        self.run(self._supervisor.stop())
        self._runner.close()

    @contextlib.contextmanager
    def database(self, template: str = TEMPLATE) -> Generator[Database]:
        """Lend a fresh copy of *template*."""
        name = f"test_{next(self._numbers)}"
        self.run(self._on_server(f"create database {name} template {template} owner postgres"))
        try:
            yield Database(
                name=name,
                admin_url=self.cluster.url("postgres", "postgres", name),
                service_url=self.cluster.url("calsync_service", "calsync_service", name),
                superuser_url=self.cluster.url("supabase_admin", None, name),
            )
        finally:
            self.run(self._on_server(f"drop database {name} with (force)"))

    async def _start(self, folder: Path) -> None:
        await self.cluster.initialise()
        await self._supervisor.start(
            self.cluster.part(), valkey.part(self._valkey_port, folder / "valkey")
        )
        await self._on_server(f"create database {TEMPLATE}")
        await bootstrap.run(
            self.cluster.url("supabase_admin", None, TEMPLATE),
            "bootstrap.sql",
            "auth.sql",
            passwords={"postgres": "postgres", "calsync_service": "calsync_service"},
        )
        await migrate(self.cluster.url("postgres", None, TEMPLATE), say=lambda _: None)

    async def _on_server(self, statement: str) -> None:
        connection = await asyncpg.connect(self.cluster.superuser_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


class Dev:
    """A `calsync dev` process in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, environment: dict[str, str] | None = None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder.with_name(f"{folder.name}-{next(_NUMBERS)}.txt")
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sync_service.cli", "dev", "--dir", str(folder), *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=folder,  # away from a developer's .env
                env=os.environ | (environment or {}),
                start_new_session=True,
            )

    def wait_until_up(self) -> StackFile:
        """Return the stack's file once this process has written it."""
        deadline = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < deadline:
            # A killed stack leaves its file behind, so its presence alone says nothing.
            if "everything answers" in self.output.read_text():
                info = stackfile.read(self.folder)
                assert info
                return info
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"calsync dev did not come up:\n{self.output.read_text()}")

    def stop(self) -> int:
        """End it as a process manager does and return its exit code."""
        self.process.terminate()
        return self.process.wait(40)
