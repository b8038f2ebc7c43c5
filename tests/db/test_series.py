"""A series and its exceptions hold together, whoever writes and through whatever door."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from sync_service.store.pool import Connection
from tests.conftest import UserFactory
from tests.db.world import acting_as, add_calendar, add_event, add_mapping, queue
from tests.servers import Database

FIRST = datetime(2026, 12, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


async def add_series(admin: Connection, owner: UUID, **columns: Any) -> UUID:
    """Insert a daily series that starts at `FIRST`."""
    row = {"recurrence": ["RRULE:FREQ=DAILY;COUNT=5"], "time_zone": "Europe/Berlin", **columns}
    return await add_event(admin, owner, **row)


async def add_exception(
    admin: Connection, owner: UUID, series: UUID, number: int = 1, **columns: Any
) -> UUID:
    """Insert an exception for an occurrence of `add_series`."""
    return await add_event(
        admin, owner, series_id=series, original_start_time=FIRST + number * DAY, **columns
    )


async def deleted(admin: Connection) -> dict[UUID, datetime | None]:
    """Return when each event was deleted."""
    rows = await admin.fetch("select id, deleted_at from calendar_events")
    return {row["id"]: row["deleted_at"] for row in rows}


async def test_an_occurrence_has_one_exception(admin: Connection, user: UserFactory) -> None:
    owner = (await user()).id
    series = await add_series(admin, owner)
    await add_exception(admin, owner, series)
    await add_exception(admin, owner, series, 2)
    with pytest.raises(asyncpg.UniqueViolationError):
        await add_exception(admin, owner, series)


async def test_an_exception_is_written_over_by_an_upsert(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    await admin.execute("delete from calendar_events where id = $1", exception)
    await admin.execute(
        "insert into calendar_events (user_id, title, start_time, end_time, series_id,"
        " original_start_time) values ($1, 'Back', $2, $2, $3, $2)"
        " on conflict (series_id, original_start_time)"
        " do update set title = excluded.title, deleted_at = null",
        owner,
        FIRST + DAY,
        series,
    )
    row = await admin.fetchrow("select * from calendar_events where series_id = $1", series)
    assert row is not None
    assert (row["id"], row["title"], row["deleted_at"]) == (exception, "Back", None)


@pytest.mark.parametrize(
    ("field", "statement"),
    [
        ("original_start_time", "update calendar_events set original_start_time = null where id = $1"),
        ("original_start_time", "update calendar_events set series_id = null where id = $1"),
        ("recurrence", "update calendar_events set recurrence = '{RRULE:FREQ=DAILY}' where id = $1"),
        ("series_id", "update calendar_events set series_id = $1 where id = $1"),
        ("recurrence", "update calendar_events set recurrence = '{EXDATE:20261202T090000Z}' where id = $2"),
        ("recurrence", "update calendar_events set recurrence = '{DTSTART:20261202T090000Z}' where id = $2"),
        ("recurrence", "update calendar_events set recurrence[2] = E'RDATE:2026\\nDTSTART:1' where id = $2"),
        ("recurrence", "update calendar_events set recurrence[2] = null where id = $2"),
        ("time_zone", "update calendar_events set time_zone = null where id = $2"),
    ],
)  # fmt: skip
async def test_what_is_no_series_is_refused_by_name(
    admin: Connection, user: UserFactory, field: str, statement: str
) -> None:
    owner = (await user()).id
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    before = await admin.fetch("select * from calendar_events order by id")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await admin.execute(
            f"with ids as (select $1::uuid, $2::uuid) {statement}", exception, series
        )
    assert (caught.value.sqlstate, str(caught.value).split(":")[0]) == ("PT422", field)
    assert await admin.fetch("select * from calendar_events order by id") == before


async def test_only_a_live_series_takes_exceptions(admin: Connection, user: UserFactory) -> None:
    owner = (await user()).id
    plain = await add_event(admin, owner)
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    for master in (plain, exception):
        with pytest.raises(asyncpg.PostgresError, match="series_id: is not a repeating event"):
            await add_exception(admin, owner, master)
    other = await add_series(admin, owner)
    await admin.execute("update calendar_events set recurrence = null where id = $1", series)
    with pytest.raises(asyncpg.PostgresError, match="series_id: an event with occurrences"):
        await admin.execute(
            "update calendar_events set series_id = $1, original_start_time = now() where id = $2",
            other,
            series,
        )
    await admin.execute("update calendar_events set deleted_at = now() where id = $1", other)
    with pytest.raises(asyncpg.PostgresError, match="series_id: is a deleted series"):
        await add_exception(admin, owner, other)


async def test_an_exception_outlives_the_rule_and_can_be_edited(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    await admin.execute("update calendar_events set recurrence = '{}' where id = $1", series)
    assert (
        await admin.fetchval("select recurrence from calendar_events where id = $1", series) is None
    )
    await admin.execute("update calendar_events set title = 'Mine' where id = $1", exception)


async def test_days_are_named_by_midnights(admin: Connection, user: UserFactory) -> None:
    owner = (await user()).id
    series = await admin.fetchval(
        "insert into calendar_events (user_id, start_time, end_time, all_day, recurrence)"
        " values ($1, '2026-12-01Z', '2026-12-02Z', true, '{RRULE:FREQ=DAILY}') returning id",
        owner,
    )
    with pytest.raises(
        asyncpg.PostgresError, match="original_start_time: must be the UTC midnight"
    ):
        await add_exception(admin, owner, series)
    await add_event(
        admin, owner, series_id=series, original_start_time=datetime(2026, 12, 2, tzinfo=UTC)
    )


async def test_no_role_gets_around_the_shape_of_a_series(
    admin: Connection, database: Database, user: UserFactory
) -> None:
    """What a provider brings is not checked field by field; the shape of the table is."""
    owner = (await user()).id
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    worker = await asyncpg.connect(database.service_url)
    await worker.execute("select set_config('calsync.source', 'google', false)")
    for change in ("original_start_time = null", "recurrence = '{RRULE:FREQ=DAILY}'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await worker.execute(f"update calendar_events set {change} where id = $1", exception)
    await worker.close()


async def test_exceptions_live_where_their_series_lives(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    first = await add_calendar(admin, owner)
    second = await add_calendar(admin, owner, default_target=False)
    series = await add_series(admin, owner, calendar_id=first)
    exception = await add_exception(admin, owner, series, calendar_id=second)
    cancelled = await add_exception(admin, owner, series, 2)
    await admin.execute("delete from calendar_events where id = $1", cancelled)

    async def homes() -> set[UUID | None]:
        rows = await admin.fetch("select calendar_id from calendar_events")
        return {row["calendar_id"] for row in rows}

    assert await homes() == {first}
    await admin.execute("delete from sync_queue")
    await admin.execute("update calendar_events set calendar_id = $1 where id = $2", second, series)
    assert await homes() == {second}
    queued = [(row[1], row[2]) for row in await queue(admin)]
    assert queued[0] == (series, second)
    assert {*queued[1:]} == {(exception, second), (cancelled, second)}
    await admin.execute(
        "update calendar_events set calendar_id = $1 where id = $2", first, exception
    )
    assert await homes() == {second}
    await admin.execute("delete from calendars where id = $1", second)
    assert await homes() == {None}


@pytest.mark.parametrize("door", ["postgres", "authenticated", "service_role", "machine"])
async def test_deleting_the_row_of_an_occurrence_cancels_it(
    admin: Connection, database: Database, user: UserFactory, door: str
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    await add_mapping(admin, owner, exception, calendar)
    await admin.execute("delete from sync_queue")
    worker = await asyncpg.connect(database.service_url)
    async with AsyncExitStack() as stack:
        actor = admin
        if door == "machine":
            actor = worker
        elif door != "postgres":
            await stack.enter_async_context(acting_as(admin, door, owner))
        await actor.execute("delete from calendar_events where id = $1", exception)
        first = await deleted(actor)
        await actor.execute("delete from calendar_events where id = $1", exception)
        assert await deleted(actor) == first
        assert first[series] is None
        assert first[exception] is not None
        assert await queue(actor) == [("push", exception, calendar, "pending", 1, "deleted")]
        row = await admin.fetchrow("select * from restore_event($1)", exception)
        assert row is not None
        assert (row["deleted_at"], row["version"]) == (None, 3)
    await worker.close()


async def test_a_cancelled_occurrence_is_remembered_as_long_as_its_series(
    database: Database, admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    await admin.execute(
        "update calendar_events set deleted_at = now() - interval '99 days' where id = $1",
        exception,
    )
    clean_up = "delete from calendar_events where deleted_at < now() - interval '30 days'"
    await admin.execute(clean_up)
    assert set(await deleted(admin)) == {series, exception}
    await admin.execute(
        "update calendar_events set deleted_at = now() - interval '31 days' where id = $1", series
    )
    await admin.execute(clean_up)
    assert await deleted(admin) == {}


@pytest.mark.parametrize("order", ["exception first", "series first", "cascade"])
async def test_everything_goes_with_the_series(
    admin: Connection, user: UserFactory, order: str
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    for event in (series, exception):
        await add_mapping(admin, owner, event, calendar)
    await admin.execute("delete from sync_queue")
    if order == "exception first":
        # A new version of the series' row lies behind the exception's.
        await admin.execute("update calendar_events set title = 'x' where id = $1", series)
    await admin.execute(
        "delete from calendar_events" + (f" where id = '{series}'" if order == "cascade" else "")
    )
    assert await deleted(admin) == {}
    assert {(row[1], row[5]) for row in await queue(admin)} == {
        (series, "deleted"),
        (exception, "deleted"),
    }


async def test_a_user_who_leaves_takes_the_series_along(
    database: Database, admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    series = await add_series(admin, owner)
    await add_exception(admin, owner, series)
    await admin.execute("update calendar_events set title = 'behind' where id = $1", series)
    superuser = await asyncpg.connect(database.superuser_url)
    await superuser.execute("delete from auth.users where id = $1", owner)
    await superuser.close()
    assert await deleted(admin) == {}


@pytest.mark.parametrize("door", ["postgres", "authenticated", "restore"])
async def test_a_deleted_series_comes_back_as_it_was(
    admin: Connection, user: UserFactory, door: str
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    series = await add_series(admin, owner)
    moved = await add_exception(admin, owner, series)
    cancelled = await add_exception(admin, owner, series, 2)
    bystander = await add_series(admin, owner)
    for event in (series, moved):
        await add_mapping(admin, owner, event, calendar)
    await admin.execute("delete from calendar_events where id = $1", cancelled)
    alive = await deleted(admin)
    await admin.execute("delete from sync_queue")
    async with AsyncExitStack() as stack:
        if door == "authenticated":
            await stack.enter_async_context(acting_as(admin, "authenticated", owner))
        await admin.execute(
            "update calendar_events set deleted_at = now() - interval '1 minute' where id = $1",
            series,
        )
        gone = await deleted(admin)
        assert gone[moved] == gone[series]
        assert gone[moved] is not None
        assert (gone[cancelled], gone[bystander]) == (alive[cancelled], None)
        # Deleting again, at another time, does not lose who belongs together.
        await admin.execute("update calendar_events set deleted_at = now() where id = $1", series)
        await admin.execute(
            "select restore_event($1, 1)"
            if door == "restore"
            else "update calendar_events set deleted_at = null where id = $1",
            series,
        )
        assert await deleted(admin) == alive
        assert {(row[1], row[4], row[5]) for row in await queue(admin)} == {
            (series, 3, "updated"),
            (moved, 3, "updated"),
        }


async def test_an_occurrence_of_a_deleted_series_stays_deleted(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    await admin.execute("update calendar_events set deleted_at = now() where id = $1", series)
    with pytest.raises(asyncpg.PostgresError, match="deleted_at: its series is deleted"):
        await admin.execute("update calendar_events set deleted_at = null where id = $1", exception)
    # Both in one statement is no contradiction, in whichever order they are read.
    await admin.execute("update calendar_events set deleted_at = null")
    assert set((await deleted(admin)).values()) == {None}


async def test_a_page_that_deletes_a_series_is_not_sent_back(
    database: Database, admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    home = await add_calendar(admin, owner)
    mirror = await add_calendar(admin, owner, default_target=False, mirror="all")
    series = await add_series(admin, owner)
    exception = await add_exception(admin, owner, series)
    for event in (series, exception):
        for calendar in (home, mirror):
            await add_mapping(admin, owner, event, calendar)
    await admin.execute("delete from sync_queue")
    worker = await asyncpg.connect(database.service_url)
    async with worker.transaction():
        await worker.execute(
            "select set_config('calsync.origin', $1, true),"
            " set_config('calsync.source', 'google', true)",
            str(home),
        )
        await worker.execute("update calendar_events set deleted_at = now() where id = $1", series)
    await worker.close()
    assert {(row[1], row[2], row[5]) for row in await queue(admin)} == {
        (series, mirror, "deleted"),
        (exception, mirror, "deleted"),
    }


@pytest.mark.parametrize("door", ["authenticated", "service_role"])
async def test_an_occurrence_is_cancelled_by_inserting_it_as_deleted(
    admin: Connection, user: UserFactory, door: str
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    series = await add_series(admin, owner)
    await admin.execute("delete from sync_queue")
    async with acting_as(admin, door, owner):
        tombstone = await add_exception(admin, owner, series, deleted_at=FIRST)
        await add_event(admin, owner, deleted_at=FIRST)
        assert await queue(admin) == [("push", tombstone, calendar, "pending", 1, "deleted")]
        row = await admin.fetchrow("select * from restore_event($1)", tombstone)
        assert row is not None
        assert (row["id"], row["deleted_at"]) == (tombstone, None)


async def versions(admin: Connection, series: UUID) -> dict[str, int]:
    rows = await admin.fetch(
        "select id, version from calendar_events where $1 in (id, series_id)", series
    )
    return {str(row["id"]): row["version"] for row in rows}


async def change(
    admin: Connection, series: UUID, known: dict[str, int], new: Any, changes: list[dict[str, Any]]
) -> list[asyncpg.Record]:
    return await admin.fetch(
        "select * from change_series($1, $2, $3, $4)",
        series,
        json.dumps(known),
        json.dumps(new),
        json.dumps(changes),
    )


async def test_a_series_is_changed_whole_or_not_at_all(
    admin: Connection, user: UserFactory
) -> None:
    owner, other = (await user()).id, (await user()).id
    series = await add_series(admin, owner)
    one = await add_exception(admin, owner, series)
    two = await add_exception(admin, owner, series, 2)
    known = await versions(admin, series)
    later = [
        {"id": str(two), "original_start_time": str(FIRST + 3 * DAY), "location": "There"},
        {"id": str(one), "original_start_time": str(FIRST + 2 * DAY)},
        {"id": str(series), "title": "Later"},
    ]
    before = await admin.fetch("select * from calendar_events order by id")
    for stale in (known | {str(one): 7}, {str(series): 1}, known | {str(other): 1}):
        async with acting_as(admin, "authenticated", owner):
            with pytest.raises(asyncpg.PostgresError) as caught:
                await change(admin, series, stale, None, later)
            assert caught.value.sqlstate == "PT409"
    async with acting_as(admin, "authenticated", other):
        with pytest.raises(asyncpg.PostgresError):
            await change(admin, series, known, None, later)
    with pytest.raises(asyncpg.PostgresError, match="time_zone"):
        await change(admin, series, known, None, [*later, {"id": str(series), "time_zone": "X"}])
    with pytest.raises(asyncpg.UniqueViolationError):
        await change(admin, series, known, None, later[::-1])
    assert await admin.fetch("select * from calendar_events order by id") == before
    async with acting_as(admin, "authenticated", owner):
        (row,) = await change(admin, series, known, None, later)
        assert (row["id"], row["title"], row["version"]) == (series, "Later", 2)
        rows = await admin.fetch(
            "select * from calendar_events where series_id = $1 order by start_time, id", series
        )
        assert {row["id"]: row["original_start_time"] - FIRST for row in rows} == {
            one: 2 * DAY,
            two: 3 * DAY,
        }


async def test_the_rest_of_a_series_becomes_one_of_its_own(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    series = await add_series(admin, owner, calendar_id=calendar)
    exception = await add_exception(admin, owner, series, 3)
    await add_mapping(admin, owner, exception, calendar)
    await admin.execute("delete from sync_queue")
    old = await admin.fetchrow("select to_jsonb(e) from calendar_events e where id = $1", series)
    assert old is not None
    rest = uuid4()
    new = json.loads(old[0]) | {"id": str(rest), "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}
    changes = [
        {"id": str(exception), "series_id": str(rest)},
        {"id": str(series), "recurrence": ["RRULE:FREQ=DAILY;COUNT=2"], "send_updates": "all"},
    ]
    (row,) = await change(admin, series, await versions(admin, series), new, changes)
    assert (row["id"], row["user_id"], row["version"]) == (rest, owner, 1)
    assert await versions(admin, rest) == {str(rest): 1, str(exception): 2}
    assert {(row[1], row[5]) for row in await queue(admin)} == {
        (rest, "created"),
        (exception, "updated"),
        (series, "updated"),
    }
    wishes = await admin.fetch("select event_id, version from private.update_wishes")
    assert [tuple(row.values()) for row in wishes] == [(series, 2)]
