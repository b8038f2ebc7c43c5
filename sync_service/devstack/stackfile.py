"""`stack.json`: where everything answers, present exactly while everything does."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sync_service.devstack.keys import write_private

NAME = "stack.json"


class StackFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a program needs to use a running stack."""

    api_url: str
    console_url: str
    supabase_url: str
    publishable_key: str
    secret_key: str
    database_url: str
    service_database_url: str
    redis_url: str
    google_url: str | None
    notion_url: str | None
    functions_url: str | None


def write(folder: Path, stack: StackFile) -> Path:
    """Let the file appear whole in *folder* and return its path."""
    path = folder / NAME
    write_private(path, msgspec.json.format(msgspec.json.encode(stack)) + b"\n")
    return path


def read(folder: Path) -> StackFile | None:
    """Return what the file in *folder* says, or None while no stack is up."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=StackFile)
    except FileNotFoundError:
        return None


def remove(folder: Path) -> None:
    """Let the file disappear."""
    (folder / NAME).unlink(missing_ok=True)
