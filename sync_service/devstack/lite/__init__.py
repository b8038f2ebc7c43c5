"""Supabase Lite on Deno: the data API and Auth of the embedded stack."""

from __future__ import annotations

import json
import os
import sysconfig
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from sync_service.devstack.keys import write_private
from sync_service.devstack.ports import LOOPBACK
from sync_service.devstack.supervisor import Part
from sync_service.errors import Misconfigured

FOLDER = Path(__file__).parent
PACKAGE = "npm:@supabase/lite@0.10.0"

QUIET = {
    "DO_NOT_TRACK": "1",
    "LITE_TELEMETRY": "0",
    "SUPABASE_TELEMETRY_DISABLED": "1",
    "DENO_NO_UPDATE_CHECK": "1",
    "NO_COLOR": "1",
}


def part(
    *,
    port: int,
    database_url: str,
    jwt_secret: str,
    publishable_key: str,
    secret_key: str,
    config: Path,
    after_start: Callable[[], Awaitable[None]],
) -> Part:
    """Describe the server to the supervisor; its configuration is written to *config*."""
    # JSON's strings, numbers and lists are TOML's.
    settings: dict[str, dict[str, object]] = {
        "api": {"port": port, "schemas": ["public"]},
        "db": {"driver": "postgres", "url": database_url},
        "auth": {
            "enabled": True,
            "jwt_secret": jwt_secret,
            "jwt_expiry": 3600,
            "enable_signup": True,
            "publishable_key": publishable_key,
            "secret_key": secret_key,
        },
        "auth.email": {"enable_confirmations": False},
        "storage": {"enabled": False},
    }
    lines: list[str] = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    write_private(config, "\n".join([*lines, ""]).encode())

    async def ready() -> None:
        # Only Auth is asked: see `lite.sql` for what the first data API request does.
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            answer = await client.get(
                f"http://{LOOPBACK}:{port}/auth/v1/health", headers={"apikey": publishable_key}
            )
            answer.raise_for_status()

    return Part(
        name="supabase",
        argv=(
            str(deno()),
            "run",
            "--allow-all",
            "--cached-only",
            f"--config={FOLDER / 'deno.json'}",
            "--frozen",
            PACKAGE,
            "start",
            "--no-admin",
            "--config",
            str(config),
        ),
        env={**QUIET, **deno_environment()},
        ready=ready,
        after_start=after_start,
        # At every start it prints the keys.
        errors_only=True,
        stop_timeout_s=3,
    )


async def ask_once(port: int, publishable_key: str) -> None:
    """Make a first data API request by itself.

    The server grants its defaults on its first requests, and those of two at once collide.
    """
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        await client.get(
            f"http://{LOOPBACK}:{port}/rest/v1/calendars?limit=1",
            headers={"apikey": publishable_key},
        )


def deno() -> Path:
    """Return the Deno of the wheel, beside this Python."""
    program = Path(sysconfig.get_path("scripts")) / "deno"
    if not program.exists():
        raise Misconfigured(
            "the embedded Deno is not installed: `pip install 'calsync[stack]'` brings it"
        )
    return program


def deno_environment() -> dict[str, str]:
    """Return where Deno keeps what it downloads: as told by `DENO_DIR`, else inside our venv."""
    return {
        "DENO_DIR": os.environ.get("DENO_DIR") or str(Path(sysconfig.get_path("data")) / "deno")
    }
