"""Applies `supabase/migrations`, each file once, whole or not at all.

The history is the official CLI's own table, so `supabase db push` and `calsync migrate` can be
used on one database in any order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from sync_service.errors import Misconfigured
from sync_service.store.sql_split import Piece, split

_FILE_NAME = re.compile(r"(?P<version>\d{14})_(?P<name>\w+)\.sql")
_LOCK = 0x63616C73796E6301
"""Key of the advisory lock that one runner holds while it works."""

_PREPARE_HISTORY = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text not null primary key
);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
"""

# The service tells by the history whether it is ready.
_LET_SERVICE_READ = """
do $$
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'calsync_service') then
    grant usage on schema supabase_migrations to calsync_service;
    grant select on supabase_migrations.schema_migrations to calsync_service;
  end if;
end
$$
"""


class MigrationFailed(Misconfigured):
    """A migration was refused by the database and left no trace; mend it and run again."""

    code = "migration_failed"


@dataclass(frozen=True)
class Migration:
    """One file of the migrations folder."""

    version: str
    name: str
    path: Path

    @property
    def label(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def migrations_folder() -> Path:
    """Return the folder of migrations: the installed package's own, or the checkout's."""
    here = Path(__file__).resolve()
    candidates = (here.parent / "migrations", here.parents[2] / "supabase" / "migrations")
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise Misconfigured(
        "no migrations found, neither in the installed package nor in a checkout "
        f"({' or '.join(str(folder) for folder in candidates)}): install calsync again"
    )


def load(folder: Path | None = None) -> list[Migration]:
    """Return the migrations of *folder* in order.

    Raises `Misconfigured` for a file name that is no migration's and for a version used twice.
    """
    folder = folder or migrations_folder()
    found: dict[str, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        parts = _FILE_NAME.fullmatch(path.name)
        if parts is None:
            raise Misconfigured(f"{path}: the name must be <14 digits>_<what_it_does>.sql")
        migration = Migration(parts["version"], parts["name"], path)
        twin = found.setdefault(migration.version, migration)
        if twin is not migration:
            raise Misconfigured(
                f"{twin.path.name} and {path.name} have the same version {migration.version}"
            )
    return list(found.values())


async def pending(connection: asyncpg.Connection[Any], folder: Path | None = None) -> list[str]:
    """Return the names of the migrations that the database has not seen yet."""
    migrations = load(folder)
    try:
        applied = await _applied(connection)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        applied = set[str]()
    except asyncpg.InsufficientPrivilegeError:
        raise Misconfigured(
            "the database role may not read the history of migrations; `calsync migrate` grants it"
        ) from None
    return [migration.label for migration in migrations if migration.version not in applied]


async def migrate(
    url: str,
    *,
    folder: Path | None = None,
    ignore_unknown: bool = False,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Apply what is pending at *url*, an owner's connection, and return the names applied.

    Stops at the first failure with `MigrationFailed`; what came before it stays applied. Refuses
    a database with versions that are not in *folder*, unless *ignore_unknown*.
    """
    migrations = load(folder)
    try:
        connection = await asyncpg.connect(url, statement_cache_size=0)
    except (OSError, asyncpg.PostgresError) as fault:
        raise Misconfigured(f"the database cannot be reached: {fault}") from fault
    try:
        await connection.execute("set client_min_messages = warning")
        # Held by the session: a runner that is killed lets go of it.
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_PREPARE_HISTORY)
        applied = await _applied(connection)
        unknown = sorted(applied - {migration.version for migration in migrations})
        if unknown and not ignore_unknown:
            raise Misconfigured(
                f"the database has migrations that are not here: {', '.join(unknown)}. Update "
                "calsync, or run with --ignore-unknown if they belong to your own application"
            )
        done: list[str] = []
        for migration in migrations:
            if migration.version in applied:
                continue
            await _apply(connection, migration)
            say(f"applied {migration.label}")
            done.append(migration.label)
        await connection.execute(_LET_SERVICE_READ)
        return done
    finally:
        await connection.close()


async def _applied(connection: asyncpg.Connection[Any]) -> set[str]:
    rows = await connection.fetch("select version from supabase_migrations.schema_migrations")
    return {row["version"] for row in rows}


async def _apply(connection: asyncpg.Connection[Any], migration: Migration) -> None:
    statements = split(migration.path.read_text(encoding="utf-8"))
    async with connection.transaction():
        for statement in statements:
            try:
                await connection.execute(statement.text)
            except asyncpg.PostgresError as fault:
                line = _line_of(statement, fault)
                raise MigrationFailed(f"{migration.path}:{line}: {fault}") from fault
        await connection.execute(
            "insert into supabase_migrations.schema_migrations (version, statements, name) "
            "values ($1, $2, $3)",
            migration.version,
            [statement.text for statement in statements],
            migration.name,
        )


def _line_of(statement: Piece, fault: asyncpg.PostgresError) -> int:
    """Return the line that *fault* points at, else the one of the statement's first word."""
    position = getattr(fault, "position", None)
    if not position:
        return statement.body_line
    return statement.line + statement.text.count("\n", 0, int(position) - 1)
