"""Who may do what with each table: the literal matrix, and what rows a user meets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from sync_service.store.pool import Connection
from tests.conftest import UserFactory
from tests.db.world import acting_as, add_calendar, add_event, add_mapping
from tests.servers import Database

ALL = {"SELECT", "INSERT", "UPDATE", "DELETE"}
USERS_READ = {
    "calendar_connections",
    "calendars",
    "event_mappings",
    "sync_queue",
    "sync_conflicts",
    "sync_audit",
    "sync_notifications",
    "sync_usage",
}
PRIVATE = {
    "connection_tokens",
    "oauth_states",
    "calendar_feeds",
    "calendar_lists",
    "job_leases",
    "watch_channels",
    "calendar_turns",
    "update_wishes",
}

MATRIX: dict[tuple[str, str], set[str]] = {
    **{("public.calendar_events", role): ALL for role in ("authenticated", "service_role")},
    **{
        (f"public.{table}", role): {"SELECT"}
        for table in USERS_READ
        for role in ("authenticated", "service_role")
    },
    **{(f"public.{table}", "calsync_service"): ALL for table in USERS_READ | {"calendar_events"}},
    **{(f"private.{table}", "calsync_service"): ALL for table in PRIVATE},
    ("private.waiting_calendars", "calsync_service"): {"SELECT"},
}
COLUMNS = {
    ("calendars", "conflict_policy"),
    ("calendars", "default_target"),
    ("calendars", "direction"),
    ("calendars", "enabled"),
    ("calendars", "mirror"),
    ("sync_notifications", "read_at"),
}
ROLES = ("anon", "authenticated", "service_role", "calsync_service")


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


async def test_table_grants_are_exactly_these(admin: Connection) -> None:
    rows = await admin.fetch(
        """
        select n.nspname || '.' || c.relname as name, r.rolname as role, p.privilege
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        cross join pg_roles r
        cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
          'TRIGGER']) as p (privilege)
        where n.nspname in ('public', 'private') and c.relkind in ('r', 'v', 'm', 'p', 'f')
          and r.rolname = any($1::text[]) and has_table_privilege(r.oid, c.oid, p.privilege)
        """,
        list(ROLES),
    )
    found: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        found.setdefault((row["name"], row["role"]), set()).add(row["privilege"])
    assert found == MATRIX


async def test_column_grants_are_exactly_these(admin: Connection) -> None:
    rows = await admin.fetch(
        """
        select c.relname, a.attname from pg_attribute a
        join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
          and has_column_privilege('authenticated', c.oid, a.attnum, 'UPDATE')
          and not has_table_privilege('authenticated', c.oid, 'UPDATE')
        """
    )
    assert {(row["relname"], row["attname"]) for row in rows} == COLUMNS


async def test_every_table_has_row_level_security(admin: Connection) -> None:
    rows = await admin.fetch(
        "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname in ('public', 'private') and c.relkind = 'r' and not c.relrowsecurity"
    )
    assert [row["relname"] for row in rows] == []


async def test_functions_are_for_the_machine(admin: Connection) -> None:
    rows = await admin.fetch(
        """
        select n.nspname || '.' || p.proname as name, r.rolname as role
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace cross join pg_roles r
        where n.nspname in ('public', 'private') and p.prorettype <> 'trigger'::regtype
          and r.rolname in ('anon', 'authenticated') and has_function_privilege(r.oid, p.oid, 'EXECUTE')
          and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
        """
    )
    assert {(row["name"], row["role"]) for row in rows} == {
        ("public.restore_event", "authenticated"),
        ("public.change_series", "authenticated"),
        *(
            (f"private.{name}", "authenticated")
            for name in (
                "origin_calendar",
                "origin_source",
                "refuse_event",
                "is_time_zone",
                "check_event",
            )
        ),
    }


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
@pytest.mark.parametrize("table", sorted(PRIVATE))
async def test_no_role_of_the_data_api_reads_private(
    admin: Connection, role: str, table: str
) -> None:
    async with acting_as(admin, role):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await admin.fetch(f"select * from private.{table}")


async def test_users_meet_only_their_own_rows(admin: Connection, user: UserFactory) -> None:
    one, other = (await user()).id, (await user()).id
    calendar = await add_calendar(admin, one)
    event = await add_event(admin, one)
    await add_mapping(admin, one, event, calendar)
    await admin.execute(
        "insert into sync_notifications (user_id, kind, cause, message) values ($1, 'k', 'c', 'm')",
        one,
    )
    await admin.execute(
        "insert into sync_conflicts (user_id, event_id, calendar_id, fields, policy)"
        " values ($1, $2, $3, '{title}', 'manual')",
        one,
        event,
        calendar,
    )
    await admin.execute(
        "insert into sync_usage (day, connection_id, user_id, units)"
        " select current_date, connection_id, user_id, 1 from calendars where id = $1",
        calendar,
    )
    for table in sorted(USERS_READ | {"calendar_events"}):
        async with acting_as(admin, "authenticated", one):
            assert await admin.fetchval(f"select count(*) from {table}") == 1, table
        async with acting_as(admin, "authenticated", other):
            assert await admin.fetchval(f"select count(*) from {table}") == 0, table
        async with acting_as(admin, "anon"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await admin.fetchval(f"select count(*) from {table}")


async def test_users_change_only_their_own_events(admin: Connection, user: UserFactory) -> None:
    one, other = (await user()).id, (await user()).id
    await add_event(admin, one)
    async with acting_as(admin, "authenticated", other):
        assert await admin.execute("update calendar_events set title = 'Mine now'") == "UPDATE 0"
        assert await admin.execute("delete from calendar_events") == "DELETE 0"
    async with acting_as(admin, "authenticated", other):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await add_event(admin, one)
    async with acting_as(admin, "authenticated", one):
        with pytest.raises(asyncpg.PostgresError, match="user_id"):
            await admin.execute("update calendar_events set user_id = $1", other)


async def test_an_event_cannot_be_put_into_a_foreign_calendar(
    admin: Connection, user: UserFactory
) -> None:
    one, other = (await user()).id, (await user()).id
    theirs = await add_calendar(admin, other)
    async with acting_as(admin, "authenticated", one):
        with pytest.raises(asyncpg.PostgresError, match="calendar_id"):
            await add_event(admin, one, calendar_id=theirs)


async def test_plaintext_tokens_are_refused(admin: Connection, user: UserFactory) -> None:
    owner = (await user()).id
    await add_calendar(admin, owner)
    for column in ("access_token", "refresh_token"):
        with pytest.raises(asyncpg.CheckViolationError):
            await admin.execute(
                f"insert into private.connection_tokens (connection_id, {column})"
                " select id, 'ya29.plain' from calendar_connections"
            )


async def test_notifications_can_only_be_marked(admin: Connection, user: UserFactory) -> None:
    owner = (await user()).id
    await admin.execute(
        "insert into sync_notifications (user_id, kind, cause, message) values ($1, 'k', 'c', 'm')",
        owner,
    )
    await admin.execute("grant all on all tables in schema public to authenticated")
    async with acting_as(admin, "authenticated", owner):
        assert await admin.execute("update sync_notifications set read_at = now()") == "UPDATE 1"
        with pytest.raises(asyncpg.PostgresError) as caught:
            await admin.execute("update sync_notifications set message = 'x'")
        assert caught.value.sqlstate == "PT403"
