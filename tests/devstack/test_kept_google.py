"""An emulated Google that is told to keep its world does so, however it ends."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sync_service.devstack import ports

DENTIST = {
    "event": {"summary": "Dentist", "start": {"date": "2027-01-13"}, "end": {"date": "2027-01-14"}}
}


@contextmanager
def google(state: Path, ending: signal.Signals) -> Generator[httpx.Client]:
    [port] = ports.free_ports(1)
    command = [sys.executable, "-m", "sync_service.cli", "emulate", "google"]
    process = subprocess.Popen([*command, "--port", str(port), "--state", str(state)])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/_emulator") as client:
        deadline = time.monotonic() + 30
        while True:
            try:
                client.get("clock")
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield client
    process.send_signal(ending)
    process.wait(20)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=str)
def test_the_world_goes_on(tmp_path: Path, ending: signal.Signals):
    state = tmp_path / "google.json"
    with google(state, ending) as client:
        made = client.post("people/ada@example.com/events", json=DENTIST).json()
        scopes = {"email": "ada@example.com", "scopes": ["calendar.events"]}
        client.post("tokens", json=scopes).raise_for_status()
        before = client.get("state").json()
        if ending is signal.SIGKILL:
            time.sleep(1)
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["google.json"]
    with google(state, ending) as client:
        assert client.get("state").json() == before
        [event] = client.get("calendars/ada@example.com/events").json()["items"]
    assert event["etag"] == made["etag"]


def test_a_file_that_is_none_of_its_own_is_left_alone(tmp_path: Path):
    state = tmp_path / "google.json"
    state.write_text('{"half": ')
    outcome = subprocess.run(
        [sys.executable, "-m", "sync_service.cli", "emulate", "google", "--state", str(state)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert outcome.returncode == 1
    assert outcome.stderr.startswith(f"Error: {state} is no state of the emulator")
    assert state.read_text() == '{"half": '
