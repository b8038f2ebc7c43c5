"""Whatever is wrong outside is said in one line; nobody is shown a traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from sync_service.cli import main
from sync_service.cli.failures import explain
from sync_service.devstack import ports
from sync_service.errors import StoreUnavailable

NOWHERE = {
    "SUPABASE_URL": "http://127.0.0.1:9",
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_x",
    "SUPABASE_SECRET_KEY": "sb_secret_x",
    "DATABASE_URL": "postgresql://somebody:open-sesame@127.0.0.1:9/postgres",
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "PUBLIC_URL": "http://127.0.0.1:8000",
    "TOKENS_ENCRYPTION_KEY": "00" * 32,
}


def refused(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run a command that must fail and return the one line that says why."""
    outcome = CliRunner().invoke(main, arguments, env=environment)
    assert isinstance(outcome.exception, SystemExit), outcome.exception
    assert outcome.exit_code != 0
    [line] = [line for line in outcome.output.splitlines() if line.startswith("Error: ")]
    assert "open-sesame" not in line
    return line.removeprefix("Error: ")


@pytest.mark.parametrize(
    ("arguments", "setting", "line"),
    [
        ("verify", "DATABASE_URL=notaurl", "DATABASE_URL: must be postgresql://"),
        ("verify", "REDIS_URL=notaurl", "REDIS_URL: must be redis://"),
        ("verify", "PUBLIC_URL=", "PUBLIC_URL: is not set"),
        ("verify", "WORKERS=1", "The database cannot be reached"),
        ("worker", "SUPABASE_URL=notaurl", "SUPABASE_URL: must be the project's URL"),
        ("migrate --database-url nonsense", "WORKERS=1", "--database-url: must be postgresql://"),
        ("migrate", "DATABASE_ADMIN_URL=nonsense", "DATABASE_ADMIN_URL: must be postgresql://"),
        ("migrate", "DATABASE_URL=postgresql://a@h/b?sslmode=zz", "the database refuses: `sslmode"),
    ],
)
def test_a_wrong_setting_is_named(arguments: str, setting: str, line: str):
    name, _, value = setting.partition("=")
    assert line in refused(*arguments.split(), environment=NOWHERE | {name: value})


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("WORKERS=abc", "WORKERS: Input should be a valid integer"),
        ("WORKERS=0", "WORKERS: "),
        ("REDIS_URL=nonsense", "REDIS_URL: must be redis://"),
        ("TOKENS_ENCRYPTION_KEY=zz", "TOKENS_ENCRYPTION_KEY: must be 32 bytes"),
        ("QUEUE_SWEEP_SECONDS=0", "QUEUE_SWEEP_SECONDS: "),
        ("PUBLIC_URL=http://example.com", "PUBLIC_URL: must be https"),
        ("DATABASE_ADMIN_URL=nonsense", "DATABASE_ADMIN_URL: must be postgresql://"),
    ],
)
def test_a_stack_is_not_begun_with_a_wrong_setting(tmp_path: Path, setting: str, line: str):
    name, _, value = setting.partition("=")
    folder = tmp_path / "stack"
    said = refused("dev", "--dir", str(folder), "--port-base", "0", environment={name: value})
    assert said.startswith(line)
    assert not (folder / "data" / "postgres").exists()


@pytest.mark.parametrize("base", ["70000", "-5", "x"])
def test_a_port_that_cannot_be_is_refused(base: str):
    assert "'--port-base'" in refused("dev", "--port-base", base)


def test_a_folder_that_cannot_be_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in refused("dev", "--dir", str(tmp_path / "file" / "below"))


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in (("emulate", "google"), ("serve",)):
            line = refused(*command, "--port", port, environment=NOWHERE)
            assert f"cannot listen on 127.0.0.1:{port}" in line


def test_migrate_reads_the_env_file_and_prefers_the_admins_url(monkeypatch: pytest.MonkeyPatch):
    for name in ("DATABASE_ADMIN_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert "set DATABASE_ADMIN_URL" in refused("migrate")
    Path(".env").write_text("DATABASE_URL=nonsense\n")
    assert refused("migrate").startswith("DATABASE_URL: ")
    Path(".env").write_text("DATABASE_URL=nonsense\nDATABASE_ADMIN_URL=nonsense\n")
    assert refused("migrate").startswith("DATABASE_ADMIN_URL: ")


def test_a_bug_is_not_explained_away():
    assert explain(RuntimeError("a bug")) is None
    assert explain(ExceptionGroup("", [StoreUnavailable("away"), RuntimeError("a bug")])) is None
    assert explain(ExceptionGroup("", [StoreUnavailable("away"), OSError("gone")])) == "away; gone"


def test_a_server_that_may_not_log_in_says_so(service_settings: dict[str, str]):
    url = service_settings["DATABASE_URL"]
    password = url.rpartition("@")[0].rpartition(":")[2]
    wrong = {"DATABASE_URL": url.replace(password, "open-sesame")}
    [port] = ports.free_ports(1)
    outcome = subprocess.run(
        [sys.executable, "-m", "sync_service.cli", "serve", "--port", str(port)],
        env=os.environ | service_settings | wrong,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert outcome.returncode == 1
    assert outcome.stderr == ("Error: DATABASE_URL: the database refuses this user or password.\n")
    assert "Traceback" not in outcome.stdout


def test_a_worker_shows_its_metrics_and_is_quiet(service_settings: dict[str, str], tmp_path: Path):
    [port] = ports.free_ports(1)
    log = tmp_path / "worker.log"
    with log.open("w") as file:
        worker = subprocess.Popen(
            [sys.executable, "-m", "sync_service.cli", "worker"],
            env=os.environ | service_settings | {"WORKER_METRICS_PORT": str(port)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 30
        while "worker_started" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        time.sleep(2)
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(40) == 0
    assert "calsync_pushes_total" in text
    assert "arq.worker" not in log.read_text()
