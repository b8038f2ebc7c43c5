"""What the README says to type by hand is typed here, word for word."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sync_service.devstack.stackfile import StackFile
from tests.docs.reference import README

CURL = f"""#!{sys.executable}
import sys
from tests.docs import curl
sys.exit(curl.main(sys.argv[1:]))
"""


def commands() -> list[str]:
    """Return the shell blocks of the section, in order."""
    section = README.read_text().split("\n## Try it by hand\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, stack: StackFile) -> Path:
    """A checkout as the README's reader has it: `.venv`, and a stack running in `.calsync`."""
    (tmp_path / ".calsync").mkdir()
    (tmp_path / ".calsync" / "stack.json").write_bytes(msgspec.json.encode(stack))
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return tmp_path


@pytest.mark.parametrize("curl", ["curl", "a stand-in"])
def test_what_the_readme_types_by_hand_works(folder: Path, curl: str):
    shell = shutil.which("bash") or shutil.which("zsh")
    if shell is None:
        pytest.skip("neither bash nor zsh is here")
    path = os.environ["PATH"]
    if curl != "curl":
        stand_in = folder / "bin" / "curl"
        stand_in.parent.mkdir()
        stand_in.write_text(CURL)
        stand_in.chmod(0o755)
        path = f"{stand_in.parent}:{path}"
    elif not shutil.which("curl"):
        pytest.skip("curl is not here; the stand-in shows the same")
    # `verify` runs below with the settings of the running service; the file is not here.
    typed = [block for block in commands() if "calsync verify" not in block]
    assert len(typed) == 4
    ended = subprocess.run(
        [shell, "-e", "-o", "pipefail", "-c", "\n".join(typed)],
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(README.parent)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Your calendar is connected" in ended.stdout
    on_google, in_the_app = (json.loads(found) for found in _lists(ended.stdout))
    assert {"Lunch with Grace", "Trip to Lisbon"} <= {
        each["summary"] for each in on_google["items"]
    }
    shown = {event["title"]: event for event in in_the_app["items"]}
    assert shown.keys() >= {"Lunch with Grace", "Trip to Lisbon", "Dentist"}
    assert all(state["status"] == "synced" for event in shown.values() for state in event["sync"])


def _lists(output: str) -> list[str]:
    """Return the two answers that are lists; each answer is one line of JSON or several."""
    decoder, found, at = json.JSONDecoder(), list[str](), 0
    while (at := output.find("{", at)) >= 0:
        try:
            value, end = decoder.raw_decode(output, at)
        except json.JSONDecodeError:
            at += 1
            continue
        if isinstance(value, dict) and "items" in value:
            found.append(output[at:end])
        at = end
    return found
