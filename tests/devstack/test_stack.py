"""`calsync dev`: everything answers, dies and comes back, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
import redis

from sync_service.devstack import ports, processes
from sync_service.devstack.processes import Started
from sync_service.devstack.stackfile import StackFile
from tests.servers import Database, Dev

EPHEMERAL = ("--ephemeral", "--port-base", "0")
WITHOUT_APP = (*EPHEMERAL, "--no-app")


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A stack that this module's harmless tests share."""
    dev = Dev(tmp_path_factory.mktemp("dev"), *EPHEMERAL)
    yield dev
    dev.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Dev]:
    """A stack to be ill-treated by one test."""
    dev = Dev(tmp_path, *WITHOUT_APP)
    yield dev
    dev.process.kill()
    dev.process.wait()


def _parts(dev: Dev) -> dict[str, Started]:
    return {part.name: part for part in processes.read_record(dev.folder / "processes.json")}


def _is_alive(part: Started) -> bool:
    return processes.birth_of(part.pid) == part.born


def _eventually(condition: Callable[[], bool], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def _sign_up(info: StackFile) -> str:
    answer = httpx.post(
        f"{info.supabase_url}/auth/v1/signup",
        headers={"apikey": info.publishable_key},
        json={"email": "somebody@example.com", "password": "correct horse battery"},
    )
    return answer.raise_for_status().json()["access_token"]


def _select(info: StackFile, table: str, token: str | None = None, **headers: str) -> int:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.get(
        f"{info.supabase_url}/rest/v1/{table}?select=id",
        headers={"apikey": info.publishable_key} | bearer | headers,
    )
    return answer.status_code


def test_what_the_file_names_answers(dev: Dev):
    info = dev.wait_until_up()
    assert stat.S_IMODE((dev.folder / "stack.json").stat().st_mode) == 0o600
    assert redis.Redis.from_url(info.redis_url).ping()  # pyright: ignore[reportUnknownMemberType]
    token = _sign_up(info)
    assert _select(info, "calendar_events", token) == 200
    assert _select(info, "calendar_events", "forged" + token) != 200
    assert info.google_url
    assert httpx.get(f"{info.google_url}/oauth2/v3/certs").status_code == 200
    assert httpx.get(f"{info.api_url}/readyz").status_code == 200


async def test_the_data_api_is_given_nothing_that_no_migration_grants(dev: Dev, database: Database):
    info = dev.wait_until_up()
    assert _select(info, "calendar_events") == 401
    assert _select(info, "connection_tokens", **{"Accept-Profile": "private"}) == 406
    assert await _privileges(info.database_url) == await _privileges(database.superuser_url)


async def _privileges(url: str) -> set[tuple[str, ...]]:
    """Return every privilege on our schemas and tables that a role of the data API has."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        """
        select role, n.nspname, null as relation, privilege
        from unnest(array['anon', 'authenticated', 'service_role']) as role,
          pg_namespace as n, unnest(array['usage', 'create']) as privilege
        where n.nspname in ('public', 'private') and has_schema_privilege(role, n.oid, privilege)
        union all
        select role, n.nspname, c.relname, privilege
        from unnest(array['anon', 'authenticated', 'service_role']) as role,
          pg_class as c join pg_namespace as n on n.oid = c.relnamespace,
          unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references'])
            as privilege
        where n.nspname in ('public', 'private') and c.relkind in ('r', 'v')
          and has_table_privilege(role, c.oid, privilege)
        """
    )
    await connection.close()
    assert rows
    return {tuple(row) for row in rows}


async def test_postgres_is_no_superuser_as_on_a_hosted_project(dev: Dev):
    connection = await asyncpg.connect(dev.wait_until_up().database_url)
    assert await connection.fetchval("select current_setting('is_superuser')") == "off"
    await connection.close()
    service = await asyncpg.connect(dev.wait_until_up().service_database_url)
    assert await service.fetchval("select current_user") == "calsync_service"
    await service.close()


async def test_passwords_are_asked_for(dev: Dev):
    url = dev.wait_until_up().database_url
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url, password="guessed")


def test_no_log_holds_a_secret(dev: Dev):
    info = dev.wait_until_up()
    text = "".join(path.read_text() for path in (dev.folder / "logs").iterdir())
    assert info.secret_key not in text


def test_a_second_start_in_the_same_folder_is_refused(dev: Dev):
    dev.wait_until_up()
    second = Dev(dev.folder, *EPHEMERAL)
    assert second.process.wait(20) == 1
    assert f"already running in {dev.folder} (process {dev.process.pid})" in (
        second.output.read_text()
    )


def test_a_taken_port_is_named(dev: Dev, tmp_path: Path):
    info = dev.wait_until_up()
    port = int(info.redis_url.rpartition(":")[2].partition("/")[0])
    second = Dev(tmp_path, "--port-base", str(port - ports.OFFSETS["valkey"]))
    assert second.process.wait(20) == 1
    assert f"{port} (valkey)" in second.output.read_text()


def test_a_second_stack_runs_beside_the_first(dev: Dev, own: Dev):
    first, second = dev.wait_until_up(), own.wait_until_up()
    assert first.database_url != second.database_url
    assert own.stop() == 0
    assert _select(first, "calendar_events") == 401


def test_sigterm_leaves_nothing(own: Dev):
    own.wait_until_up()
    parts = _parts(own)
    assert {"postgres", "valkey", "supabase", "google"} <= set(parts)
    assert own.stop() == 0
    assert not [name for name, part in parts.items() if _is_alive(part)]
    assert {path.name for path in own.folder.iterdir()} == {"logs", "lock"}


def test_a_signal_during_the_start_leaves_nothing(own: Dev):
    _eventually(lambda: (own.folder / "processes.json").exists())
    own.process.send_signal(signal.SIGINT)
    parts = _parts(own)
    assert own.process.wait(20) == 0
    assert not [name for name, part in parts.items() if _is_alive(part)]


def test_killing_it_leaves_nothing_and_the_next_start_is_clean(own: Dev):
    own.wait_until_up()
    parts = _parts(own)
    own.process.kill()
    own.process.wait()
    _eventually(lambda: not any(_is_alive(part) for part in parts.values()))
    again = Dev(own.folder, *WITHOUT_APP)
    again.wait_until_up()
    assert again.stop() == 0


@pytest.mark.parametrize("name", ["postgres", "valkey", "supabase", "google", "api", "worker"])
def test_a_killed_part_comes_back(dev: Dev, name: str):
    info = dev.wait_until_up()
    token = _sign_in(info)
    before = _parts(dev)[name]
    earlier = len(dev.output.read_text())

    def said() -> str:
        return dev.output.read_text()[earlier:]

    os.kill(before.pid, signal.SIGKILL)
    _eventually(lambda: f"{name} is back" in said())
    assert f"{name} ended with SIGKILL; starting it again in " in said()
    assert str(dev.folder / "logs" / f"{name}.log") in said()
    assert _parts(dev)[name].pid != before.pid
    _eventually(lambda: _select(info, "calendar_events", token) == 200)
    _eventually(lambda: httpx.get(f"{info.api_url}/readyz").status_code == 200)


def _sign_in(info: StackFile) -> str:
    answer = httpx.post(
        f"{info.supabase_url}/auth/v1/token?grant_type=password",
        headers={"apikey": info.publishable_key},
        json={"email": "somebody@example.com", "password": "correct horse battery"},
    )
    if answer.status_code == 400:
        return _sign_up(info)
    return answer.raise_for_status().json()["access_token"]


def test_data_and_keys_survive_a_restart(tmp_path: Path):
    first = Dev(tmp_path, "--port-base", "0", "--no-app")
    before = first.wait_until_up()
    _sign_up(before)
    event = {"summary": "Kept", "start": {"date": "2027-01-13"}, "end": {"date": "2027-01-14"}}
    people = f"{before.google_url}/_emulator/people/ada@example.com"
    httpx.post(f"{people}/events", json={"event": event}).raise_for_status()
    assert first.stop() == 0
    assert stat.S_IMODE((tmp_path / "data" / "keys.json").stat().st_mode) == 0o600
    second = Dev(tmp_path, "--port-base", "0", "--no-app")
    after = second.wait_until_up()
    assert after.secret_key == before.secret_key
    assert _select(after, "calendar_events", _sign_in(after)) == 200
    events = httpx.get(f"{after.google_url}/_emulator/calendars/ada@example.com/events").json()
    assert [event["summary"] for event in events["items"]] == ["Kept"]
    assert second.stop() == 0


def test_what_a_setting_points_elsewhere_is_not_started(dev: Dev, tmp_path: Path):
    info = dev.wait_until_up()
    second = Dev(
        tmp_path,
        *WITHOUT_APP,
        environment={
            "SUPABASE_URL": info.supabase_url,
            "SUPABASE_PUBLISHABLE_KEY": info.publishable_key,
            "SUPABASE_SECRET_KEY": info.secret_key,
            "DATABASE_URL": info.service_database_url,
            "REDIS_URL": info.redis_url,
        },
    )
    assert second.wait_until_up().supabase_url == info.supabase_url
    assert not {"postgres", "supabase", "valkey"} & set(_parts(second))
    assert second.stop() == 0


def test_half_a_project_is_refused(tmp_path: Path):
    dev = Dev(tmp_path, *EPHEMERAL, environment={"DATABASE_URL": "postgresql://a@b/c"})
    assert dev.process.wait(20) == 1
    assert "set SUPABASE_URL" in dev.output.read_text()


def test_what_is_waited_for_is_named(tmp_path: Path):
    nowhere = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    dev = Dev(tmp_path, *EPHEMERAL, environment=nowhere)
    _eventually(lambda: "waiting for api: Not ready: redis." in dev.output.read_text(), 40)
    assert dev.stop() == 0
