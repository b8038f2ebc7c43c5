"""Makes an empty cluster look like a hosted project before its first migration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import asyncpg

FOLDER = Path(__file__).parent


async def run(url: str, *scripts: str, passwords: Mapping[str, str] | None = None) -> None:
    """Run the named SQL *scripts* of this folder as one transaction, then set *passwords* by role.

    Every script may be run any number of times.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("set client_min_messages = warning")
        async with connection.transaction():
            for script in scripts:
                await connection.execute((FOLDER / script).read_text())
            for role, password in (passwords or {}).items():
                statement = await connection.fetchval(
                    "select format('alter role %I login password %L', $1::text, $2::text)",
                    role,
                    password,
                )
                await connection.execute(statement)
    finally:
        await connection.close()
