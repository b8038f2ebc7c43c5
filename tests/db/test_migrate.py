"""The migration runner: whole files, once, in order, blamed by the line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from sync_service.errors import Misconfigured
from sync_service.store import migrate as runner
from sync_service.store.migrate import MigrationFailed, load, migrate, pending
from tests.servers import Database


def _write(folder: Path, **files: str) -> Path:
    for number, (name, sql) in enumerate(files.items()):
        (folder / f"2026010100000{number}_{name}.sql").write_text(sql)
    return folder


async def _fetch(url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


HISTORY = "select version, name, statements from supabase_migrations.schema_migrations order by 1"


def _quiet(_: str) -> None:
    return


async def test_applies_in_order_once_and_records_as_the_official_cli(
    empty_database: Database, tmp_path: Path
):
    folder = _write(
        tmp_path,
        make_table="create table a (id int);\n-- why\ncreate index on a (id);\n",
        add_function="create function f() returns int language sql as $$ select 1; select 2 $$;",
    )
    said: list[str] = []
    done = await migrate(empty_database.admin_url, folder=folder, say=said.append)
    assert done == ["20260101000000_make_table", "20260101000001_add_function"]
    assert said == [f"applied {name}" for name in done]
    assert [tuple(row) for row in await _fetch(empty_database.admin_url, HISTORY)] == [
        (
            "20260101000000",
            "make_table",
            ["create table a (id int)", "-- why\ncreate index on a (id)"],
        ),
        (
            "20260101000001",
            "add_function",
            ["create function f() returns int language sql as $$ select 1; select 2 $$"],
        ),
    ]
    assert await migrate(empty_database.admin_url, folder=folder, say=_quiet) == []


@pytest.mark.parametrize(
    ("sql", "line"),
    [
        ("select 1;\n\nselect\n  nonsense\n", 4),
        ("select 1;\n-- about the next one\nselect 1/0;", 3),
        ("/* one\n/* two */\n*/\ncreate table t (id int;\n", 4),
    ],
)
async def test_a_failure_names_file_and_line_and_leaves_nothing(
    empty_database: Database, tmp_path: Path, sql: str, line: int
):
    folder = _write(tmp_path, good="create table a (id int)", bad=f"create table b ();\n{sql}")
    with pytest.raises(MigrationFailed) as caught:
        await migrate(empty_database.admin_url, folder=folder, say=_quiet)
    assert f"20260101000001_bad.sql:{line + 1}: " in caught.value.detail
    tables = await _fetch(
        empty_database.admin_url, "select tablename from pg_tables where schemaname = 'public'"
    )
    assert [row["tablename"] for row in tables] == ["a"]
    connection = await asyncpg.connect(empty_database.admin_url)
    assert await pending(connection, folder) == ["20260101000001_bad"]
    await connection.close()


async def test_two_runners_at_once_apply_everything_once(empty_database: Database, tmp_path: Path):
    folder = _write(tmp_path, slow="select pg_sleep(0.2)", table="create table a (id int)")
    outcomes = await asyncio.gather(
        *(migrate(empty_database.admin_url, folder=folder, say=_quiet) for _ in range(3))
    )
    assert sorted(len(done) for done in outcomes) == [0, 0, 2]


async def test_refuses_a_history_it_does_not_know(empty_database: Database, tmp_path: Path):
    (tmp_path / "more").mkdir()
    more = _write(tmp_path / "more", one="select 1", two="select 2")
    fewer = _write(tmp_path, one="select 1")
    await migrate(empty_database.admin_url, folder=more, say=_quiet)
    with pytest.raises(Misconfigured, match="20260101000001"):
        await migrate(empty_database.admin_url, folder=fewer, say=_quiet)
    assert (
        await migrate(empty_database.admin_url, folder=fewer, ignore_unknown=True, say=_quiet) == []
    )


def test_refuses_names_that_are_no_migrations(tmp_path: Path):
    (tmp_path / "later.sql").touch()
    with pytest.raises(Misconfigured, match="14 digits"):
        load(tmp_path)


def test_refuses_a_version_used_twice(tmp_path: Path):
    (tmp_path / "20260101000000_a.sql").touch()
    (tmp_path / "20260101000000_b.sql").touch()
    with pytest.raises(Misconfigured, match="same version"):
        load(tmp_path)


async def test_the_service_can_tell_whether_migrations_are_applied(database: Database):
    connection = await asyncpg.connect(database.service_url)
    assert await pending(connection) == []
    await connection.close()


async def test_everything_is_pending_in_an_empty_database(empty_database: Database):
    connection = await asyncpg.connect(empty_database.admin_url)
    assert len(await pending(connection)) == len(load())
    await connection.close()


async def test_an_unreachable_database_is_said_plainly():
    with pytest.raises(Misconfigured, match="cannot be reached"):
        await migrate("postgresql://postgres@127.0.0.1:9/postgres", say=_quiet)


def test_a_missing_folder_is_said_plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(runner, "__file__", str(tmp_path / "a" / "b" / "migrate.py"))
    with pytest.raises(Misconfigured, match="install calsync again"):
        runner.migrations_folder()
