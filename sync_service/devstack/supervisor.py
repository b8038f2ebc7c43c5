"""Starts parts, waits until they answer, brings back what dies, stops all in reverse order."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sync_service.devstack import processes
from sync_service.errors import SyncError

SILENT_S = 2.0
"""Who waits longer than this for a part is told which one and why."""
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 10.0
HEALTHY_AFTER_S = 30.0
"""A part that ran so long starts over with the first delay when it dies."""


class PartFailed(SyncError):
    """A part of the stack did not come up; its log says why."""

    code = "part_failed"


async def _nothing() -> None:
    return


@dataclass(frozen=True, kw_only=True)
class Part:
    """One program of the stack and how to tell that it is up."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], Awaitable[None]]
    """Returns when the part answers; raises anything while it does not."""
    after_start: Callable[[], Awaitable[None]] = _nothing
    """Runs after every start, restarts included, before the part counts as up."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    account: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel when the supervisor itself is killed."""
    errors_only: bool = False
    """Log its standard error alone: for a program that prints secrets on standard output."""
    start_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0


class _Running:
    """A started part: its present process and the task that watches over it."""

    def __init__(self, part: Part, process: asyncio.subprocess.Process) -> None:
        self.part = part
        self.process = process
        self.watcher: asyncio.Task[None] | None = None


class Supervisor:
    """Keeps the parts of one stack running until it is told to stop."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._record = processes.Record(folder / "processes.json")
        self._say = say
        self._running: dict[str, _Running] = {}
        left = self._record.sweep()
        if left:
            say(f"ended what an earlier stack left running: {', '.join(left)}")

    def log_of(self, name: str) -> Path:
        """Return where the part *name* writes."""
        return self._logs / f"{name}.log"

    def pid_of(self, name: str) -> int:
        """Return the process id of the part *name*."""
        return self._running[name].process.pid

    async def start(self, *parts: Part) -> None:
        """Start *parts* side by side and return once all of them answer.

        Raises `PartFailed` for the first that does not, with the path and end of its log.
        """
        await together(*(self._start(part) for part in parts))

    async def stop(self, patience_s: float | None = None) -> None:
        """Stop every part, the last started first; *patience_s* replaces their own patience."""
        for running in self._running.values():
            if running.watcher:
                running.watcher.cancel()
                await asyncio.gather(running.watcher, return_exceptions=True)
        while self._running:
            running = self._running[next(reversed(self._running))]
            part = running.part
            limit = part.stop_timeout_s if patience_s is None else patience_s
            await processes.end(running.process, part.stop_signal, limit)
            # Removed only now: when we are cancelled meanwhile the next call goes on from here.
            del self._running[part.name]
        self._record.clear()

    async def _start(self, part: Part) -> None:
        self.log_of(part.name).unlink(missing_ok=True)
        process = await self._launch(part)
        running = self._running[part.name] = _Running(part, process)
        await self._await_ready(running)
        running.watcher = asyncio.create_task(self._watch(running))

    async def _launch(self, part: Part) -> asyncio.subprocess.Process:
        process = await processes.spawn(
            part.argv,
            env=part.env,
            log=self.log_of(part.name),
            account=part.account,
            death_signal=part.death_signal,
            errors_only=part.errors_only,
        )
        self._record.add(part.name, process.pid)
        return process

    async def _await_ready(self, running: _Running) -> None:
        part, process = running.part, running.process
        deadline = time.monotonic() + part.start_timeout_s
        silent_until = time.monotonic() + SILENT_S
        said = set[str]()
        pause = 0.01
        while True:
            if process.returncode is not None:
                raise self._failure(part, f"ended with {_describe(process.returncode)}")
            try:
                await asyncio.wait_for(part.ready(), 2)
                break
            except Exception as fault:
                if time.monotonic() > deadline:
                    reason = f"does not answer after {part.start_timeout_s:.0f} s"
                    raise self._failure(part, f"{reason} ({_named(fault)})") from fault
                if time.monotonic() > silent_until and (reason := _named(fault)) not in said:
                    self._say(f"waiting for {part.name}: {reason}")
                    said.add(reason)
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, 0.2)
        if process.returncode is not None:
            # Something answered, but not this process.
            raise self._failure(part, f"ended with {_describe(process.returncode)}")
        await part.after_start()

    def _failure(self, part: Part, reason: str) -> PartFailed:
        log = self.log_of(part.name)
        return PartFailed(f"{part.name} {reason}; its log is {log}{_last_lines(log)}")

    async def _watch(self, running: _Running) -> None:
        """Bring the part back whenever it dies, waiting longer each time it dies young."""
        part = running.part
        delay = FIRST_DELAY_S
        born = time.monotonic()
        while True:
            code = await running.process.wait()
            processes.kill_group(running.process.pid)
            if time.monotonic() - born > HEALTHY_AFTER_S:
                delay = FIRST_DELAY_S
            self._say(
                f"{part.name} ended with {_describe(code)}; "
                f"starting it again in {delay:g} s (log: {self.log_of(part.name)})"
            )
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_S)
            born = time.monotonic()
            running.process = await self._launch(part)
            try:
                await self._await_ready(running)
            except Exception as fault:
                self._say(f"{part.name} did not come back: {fault}")
                await processes.end(running.process, part.stop_signal, part.stop_timeout_s)
            else:
                self._say(f"{part.name} is back after {time.monotonic() - born:.1f} s")


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Run *work* side by side; the first failure cancels the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for piece in work:
                group.create_task(piece)
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None


def _named(fault: Exception) -> str:
    return str(fault) or type(fault).__name__


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _last_lines(log: Path, count: int = 5) -> str:
    try:
        with log.open(errors="replace") as file:
            lines = deque((line.rstrip() for line in file), maxlen=count)
    except OSError:
        return ""
    return "".join(f"\n    {line}" for line in lines if line)
