"""Starting programs that cannot outlive us, and finding those of an earlier run that did."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

LAUNCHER = Path(__file__).with_name("launch.py")


class Started(msgspec.Struct, frozen=True):
    """A process on record: its id and, because ids are used again, when it started."""

    name: str
    pid: int
    born: str


async def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    log: Path,
    account: str | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    errors_only: bool = False,
) -> asyncio.subprocess.Process:
    """Start *argv* in a process group of its own, its output (or errors alone) added to *log*.

    On Linux the kernel sends it *death_signal* when this process ends, however it ends. *env*
    is added to our environment, which is kept: proxies and certificates are configured there.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            *tied(argv, account, death_signal),
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if errors_only else descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def tied(
    argv: Sequence[str],
    account: str | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> list[str]:
    """Return the command that runs *argv* as *account* and not longer than this process."""
    script = [sys.executable, "-I", "-S", str(LAUNCHER)]
    return [*script, str(os.getpid()), str(death_signal.value), account or "", "--", *argv]


async def end(process: asyncio.subprocess.Process, stop: signal.Signals, patience_s: float) -> None:
    """Ask *process* to stop, kill it when it will not, and sweep what is left of its group."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(stop)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience_s)
    kill_group(process.pid)
    await process.wait()


def kill_group(pid: int) -> None:
    """Kill every process of the group that *pid* leads, if there is any left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


class Record:
    """The parts' process ids on disk, so that a later start can clean up after a killed one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started: dict[str, Started] = {}

    def add(self, name: str, pid: int) -> None:
        """Remember that the part *name* runs as *pid*."""
        self._started[name] = Started(name, pid, birth_of(pid))
        self._path.write_bytes(msgspec.json.encode(list(self._started.values())))

    def clear(self) -> None:
        """Forget everything: nothing runs any more."""
        self._started.clear()
        self._path.unlink(missing_ok=True)

    def sweep(self) -> list[str]:
        """Kill what an earlier supervisor left running and return the names of those parts."""
        left = read_record(self._path)
        swept = [part for part in left if part.born and birth_of(part.pid) == part.born]
        for part in swept:
            kill_group(part.pid)
        deadline = time.monotonic() + 5
        while any(birth_of(part.pid) == part.born for part in swept):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self.clear()
        return [part.name for part in swept]


def read_record(path: Path) -> list[Started]:
    """Return the processes on record at *path*."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Started])
    except (FileNotFoundError, msgspec.DecodeError):
        return []


def birth_of(pid: int) -> str:
    """Return something that tells this process from a later one of the same id; '' if none runs."""
    if sys.platform == "linux":
        try:
            # The name, which may hold blanks and brackets, ends at the last bracket; after it the
            # state is the first field and the start time the twentieth.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else fields[19]
    answer = subprocess.run(
        ["/bin/ps", "-p", str(pid), "-o", "lstart="], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()
