"""Whoever writes an event, through whatever door, queues its pushes in the same transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from sync_service.store.pool import Connection
from tests.conftest import UserFactory
from tests.db.world import acting_as, add_calendar, add_event, add_mapping, queue
from tests.servers import Database


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


async def test_insert_update_and_delete_are_one_row_that_counts(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    event = await add_event(admin, owner)
    assert await queue(admin) == [("push", event, calendar, "pending", 1, "created")]
    await admin.execute("update calendar_events set title = 'Moved'")
    assert await queue(admin) == [("push", event, calendar, "pending", 2, "updated")]
    await add_mapping(admin, owner, event, calendar)
    await admin.execute("delete from calendar_events")
    assert await queue(admin) == [("push", event, calendar, "pending", 3, "deleted")]


async def test_a_hundred_edits_are_one_row(admin: Connection, user: UserFactory) -> None:
    owner = (await user()).id
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    for number in range(100):
        await admin.execute("update calendar_events set title = $1", str(number))
    assert [row[4] for row in await queue(admin)] == [101]


async def test_a_soft_delete_reaches_where_the_event_is(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    event = await add_event(admin, owner)
    await add_mapping(admin, owner, event, calendar)
    await admin.execute("delete from sync_queue")
    await admin.execute("update calendar_events set deleted_at = now()")
    assert await queue(admin) == [("push", event, calendar, "pending", 1, "deleted")]


async def test_a_write_that_changes_nothing_queues_nothing(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    await add_calendar(admin, owner)
    await add_event(admin, owner)
    before = await admin.fetchrow("select version, updated_at from calendar_events")
    await admin.execute("delete from sync_queue")
    await admin.execute(
        "update calendar_events set title = title, version = 70, updated_at = now()"
    )
    assert await queue(admin) == []
    assert await admin.fetchrow("select version, updated_at from calendar_events") == before


async def test_a_change_is_not_sent_back_where_it_came_from(
    database: Database, admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    home = await add_calendar(admin, owner)
    mirror = await add_calendar(admin, owner, default_target=False, mirror="all")
    worker = await asyncpg.connect(database.service_url)
    async with worker.transaction():
        await worker.execute(
            "select set_config('calsync.origin', $1, true), set_config('calsync.source', 'google', true)",
            str(home),
        )
        event = await add_event(worker, owner, calendar_id=home)
    await worker.close()
    assert await queue(admin) == [("push", event, mirror, "pending", 1, "created")]
    assert await admin.fetchval("select sync_source from calendar_events") == "google"


async def test_users_cannot_pretend_to_be_a_provider(admin: Connection, user: UserFactory) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    async with acting_as(admin, "authenticated", owner):
        await admin.execute(
            "select set_config('calsync.origin', $1, true), set_config('calsync.source', 'google', true)",
            str(calendar),
        )
        await add_event(admin, owner, sync_source="google")
        assert await admin.fetchval("select sync_source from calendar_events") == "app"
        assert len(await admin.fetch("select from sync_queue")) == 1


async def test_the_event_and_its_push_commit_together(
    database: Database, admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    await add_calendar(admin, owner)
    other = await asyncpg.connect(database.admin_url)
    transaction = admin.transaction()
    await transaction.start()
    await add_event(admin, owner)
    assert await queue(other) == []
    await transaction.rollback()
    assert await queue(other) == []
    await other.close()


async def test_listeners_hear_of_it_on_commit(
    database: Database, admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    await add_calendar(admin, owner)
    listener = await asyncpg.connect(database.service_url)
    heard = asyncio.Event()
    await listener.add_listener("calsync_queue", lambda *_: heard.set())  # pyright: ignore[reportUnknownArgumentType, reportUnknownLambdaType]
    await add_event(admin, owner)
    async with asyncio.timeout(5):
        await heard.wait()
    await listener.close()


async def test_home_decides_and_moving_reaches_both(admin: Connection, user: UserFactory) -> None:
    owner = (await user()).id
    first = await add_calendar(admin, owner)
    second = await add_calendar(admin, owner, default_target=False)
    event = await add_event(admin, owner, calendar_id=first)
    await add_mapping(admin, owner, event, first)
    await admin.execute("delete from sync_queue")
    await admin.execute("update calendar_events set calendar_id = $1", second)
    assert {(row[2], row[5]) for row in await queue(admin)} == {
        (first, "updated"),
        (second, "updated"),
    }


@pytest.mark.parametrize(
    ("field", "statement"),
    [
        ("end_time", "update calendar_events set end_time = start_time - interval '1 minute'"),
        ("start_time", "update calendar_events set start_time = '1800-01-01', end_time = '1800-01-02'"),
        ("time_zone", "update calendar_events set time_zone = 'Mars/Olympus'"),
        ("time_zone", "update calendar_events set time_zone = 'PST'"),
        ("time_zone", "update calendar_events set time_zone = 'UTC+2'"),
        ("all_day", "update calendar_events set all_day = true"),
        ("status", "update calendar_events set status = 'maybe'"),
        ("visibility", "update calendar_events set visibility = 'secret'"),
        ("transparency", "update calendar_events set transparency = 'glass'"),
        ("title", "update calendar_events set title = repeat('x', 1001)"),
        ("attendees", "update calendar_events set attendees = '{}'"),
        ("attendees", """update calendar_events set attendees = '[{"name": "Ann"}]'"""),
        ("attendees", """update calendar_events set attendees = '[{"email": "a@b.c", "response": "perhaps"}]'"""),
        ("attachments", "update calendar_events set attachments = '[3]'"),
        ("reminders", """update calendar_events set reminders = '{"use_default": 1}'"""),
        ("reminders", """update calendar_events set reminders = '{"overrides": [{"method": "fax", "minutes": 1}]}'"""),
        ("metadata", "update calendar_events set metadata = '[]'"),
        ("recurrence", "update calendar_events set recurrence = '{FREQ=DAILY}', time_zone = 'UTC'"),
        ("time_zone", "update calendar_events set recurrence = '{RRULE:FREQ=DAILY}'"),
        ("original_start_time", "update calendar_events set original_start_time = now()"),
        ("calendar_id", "update calendar_events set calendar_id = gen_random_uuid()"),
        ("series_id", "update calendar_events set series_id = id, original_start_time = now()"),
    ],
)  # fmt: skip
async def test_what_no_calendar_can_hold_is_refused_by_name(
    admin: Connection, user: UserFactory, field: str, statement: str
) -> None:
    owner = (await user()).id
    await add_event(admin, owner)
    before = await admin.fetchrow("select * from calendar_events")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await admin.execute(statement)
    assert caught.value.sqlstate == "PT422"
    assert str(caught.value).startswith(f"{field}: ")
    assert await admin.fetchrow("select * from calendar_events") == before


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5", "UTC", "CET", "Japan"]
)
async def test_iana_zones_are_taken(admin: Connection, user: UserFactory, zone: str) -> None:
    await add_event(admin, (await user()).id, time_zone=zone)


async def test_a_user_who_leaves_takes_everything_along(
    admin: Connection, database: Database, user: UserFactory
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    event = await add_event(admin, owner, calendar_id=calendar)
    await add_mapping(admin, owner, event, calendar)
    superuser = await asyncpg.connect(database.superuser_url)
    await superuser.execute("delete from auth.users where id = $1", owner)
    await superuser.close()
    for table in ("calendar_events", "calendars", "event_mappings", "sync_queue"):
        assert await admin.fetchval(f"select count(*) from {table}") == 0, table


async def test_settings_of_a_calendar_start_a_full_read(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner, enabled=False, default_target=False)
    async with acting_as(admin, "authenticated", owner):
        await admin.execute("update calendars set enabled = true, mirror = 'all'")
        assert [row[:4] for row in await queue(admin)] == [("pull", None, calendar, "pending")]


async def test_there_is_one_default_target(admin: Connection, user: UserFactory) -> None:
    owner = (await user()).id
    await add_calendar(admin, owner)
    second = await add_calendar(admin, owner, default_target=False)
    await admin.execute("update calendars set default_target = true where id = $1", second)
    rows = await admin.fetch("select id from calendars where default_target")
    assert [row["id"] for row in rows] == [second]


async def test_only_settings_of_a_calendar_are_the_users(
    database: Database, admin: Connection, user: UserFactory
) -> None:
    """Also where the platform has granted everything, as some development servers do."""
    owner = (await user()).id
    await add_calendar(admin, owner)
    await admin.execute("grant all on all tables in schema public to authenticated")
    async with acting_as(admin, "authenticated", owner):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await admin.execute("update calendars set state = 'healthy', external_id = 'x'")
        assert caught.value.sqlstate == "PT403"


async def test_event_ids_of_others_are_no_series(admin: Connection, user: UserFactory) -> None:
    one, other = (await user()).id, (await user()).id
    theirs = await add_event(admin, other, recurrence=["RRULE:FREQ=DAILY"], time_zone="UTC")
    with pytest.raises(asyncpg.PostgresError, match="series_id"):
        await admin.execute(
            "insert into calendar_events (user_id, start_time, end_time, series_id,"
            " original_start_time) values ($1, now(), now(), $2, now())",
            one,
            theirs,
        )
