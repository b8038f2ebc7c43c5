"""The supervisor with small programs of the tests' own."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sync_service.devstack import processes
from sync_service.devstack.supervisor import Part, PartFailed, Supervisor

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up')"
WAIT = "; import time; time.sleep(60)"


def python(name: str, program: str, *, up: Path | None = None, patience_s: float = 5) -> Part:
    """A part that runs *program*, up once the file *up* exists."""

    async def ready() -> None:
        if up is not None and not up.exists():
            raise FileNotFoundError(up)

    return Part(
        name=name,
        argv=(sys.executable, "-c", program),
        ready=ready,
        start_timeout_s=patience_s,
        stop_timeout_s=0.3,
    )


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, said: list[str]) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path, said.append)
    yield supervisor
    await supervisor.stop(patience_s=0)


async def test_a_part_that_ends_at_once_is_named_with_its_log(supervisor: Supervisor):
    part = python("broken", "print('no such luck'); raise SystemExit(3)", up=Path("/never"))
    with pytest.raises(PartFailed) as caught:
        await supervisor.start(part)
    assert "broken ended with exit code 3" in caught.value.detail
    assert str(supervisor.log_of("broken")) in caught.value.detail
    assert "no such luck" in caught.value.detail


async def test_a_part_that_never_answers_is_named(supervisor: Supervisor):
    part = python("silent", "0" + WAIT, up=Path("/never"), patience_s=0.2)
    with pytest.raises(PartFailed, match="silent does not answer"):
        await supervisor.start(part)


async def test_a_part_that_will_not_stop_is_killed_with_its_children(
    supervisor: Supervisor, tmp_path: Path
):
    child = "import subprocess; subprocess.Popen(['/bin/sleep', '60'])"
    up = tmp_path / "up"
    program = f"{child}; {STUBBORN}; open({str(up)!r}, 'w'){WAIT}"
    await supervisor.start(python("stubborn", program, up=up))
    group = supervisor.pid_of("stubborn")
    assert len(_group(group)) == 2
    await supervisor.stop()
    assert _group(group) == []


async def test_parts_are_stopped_in_reverse_order(supervisor: Supervisor, tmp_path: Path):
    journal = tmp_path / "journal"
    for name in ("first", "second"):
        up = tmp_path / f"{name}.up"
        program = (
            "import pathlib, signal, sys, time\n"
            "def end(*_):\n"
            f"    open({str(journal)!r}, 'a').write('{name} ')\n"
            "    sys.exit()\n"
            "signal.signal(signal.SIGTERM, end)\n"
            f"pathlib.Path({str(up)!r}).touch()\n"
            "time.sleep(60)"
        )
        await supervisor.start(python(name, program, up=up))
    await supervisor.stop()
    assert journal.read_text() == "second first "


async def test_a_part_that_keeps_dying_is_tried_again_ever_more_slowly(
    supervisor: Supervisor, said: list[str], tmp_path: Path
):
    once = tmp_path / "once"
    program = (
        "import pathlib, sys, time\n"
        f"once = pathlib.Path({str(once)!r})\n"
        "if once.exists(): sys.exit(7)\n"
        "once.touch(); time.sleep(60)"
    )
    await supervisor.start(python("fragile", program, up=once))
    processes.kill_group(supervisor.pid_of("fragile"))
    async with asyncio.timeout(10):
        while len([line for line in said if "starting it again" in line]) < 3:
            await asyncio.sleep(0.02)
    deaths = [line for line in said if "starting it again" in line]
    assert "SIGKILL; starting it again in 0.25 s" in deaths[0]
    assert "exit code 7; starting it again in 0.5 s" in deaths[1]
    assert "in 1 s" in deaths[2]


async def test_what_an_earlier_supervisor_left_is_swept(tmp_path: Path):
    process = await processes.spawn(
        [sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log"
    )
    processes.Record(tmp_path / "processes.json").add("left", process.pid)
    said: list[str] = []
    waiting = asyncio.create_task(process.wait())
    await asyncio.sleep(0)
    supervisor = await asyncio.to_thread(Supervisor, tmp_path, said.append)
    assert await waiting == -signal.SIGKILL
    assert said == ["ended what an earlier stack left running: left"]
    await supervisor.stop()


async def test_an_id_used_again_by_somebody_else_is_left_alone(tmp_path: Path):
    process = await processes.spawn(
        [sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log"
    )
    path = tmp_path / "processes.json"
    processes.Record(path).add("left", process.pid)
    born = processes.birth_of(process.pid)
    path.write_text(path.read_text().replace(born, "1"))
    assert processes.Record(path).sweep() == []
    assert process.returncode is None
    await processes.end(process, signal.SIGTERM, 5)


def _group(leader: int) -> list[int]:
    """Return the living members of a process group."""
    members: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            members.append(int(entry.parent.name))
    return members
