"""Loads the named statements of `sql/<aggregate>.sql`, each headed by `-- name: <name>`."""

from __future__ import annotations

import functools
import importlib.resources
import re

_HEAD = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@functools.cache
def load(aggregate: str) -> dict[str, str]:
    """Return the statements of `sql/<aggregate>.sql` by name."""
    source = importlib.resources.files("sync_service.store") / "sql" / f"{aggregate}.sql"
    parts = _HEAD.split(source.read_text(encoding="utf-8"))[1:]
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
