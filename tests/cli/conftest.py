"""A stack to point commands at, away from a developer's own settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Dev


@pytest.fixture(scope="session")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of a running stack without the service itself."""
    dev = Dev(tmp_path_factory.mktemp("settings"), "--ephemeral", "--port-base", "0", "--no-app")
    dev.wait_until_up()
    lines = shlex.split((dev.folder / "service.env").read_text())
    yield dict(line.split("=", 1) for line in lines)
    dev.stop()


@pytest.fixture(autouse=True)
def _away_from_a_developers_env_file(  # pyright: ignore[reportUnusedFunction]
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
