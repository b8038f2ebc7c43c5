"""What happened to an event is kept, and any earlier version can be put back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

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


async def history(admin: Connection, event: UUID) -> list[tuple[str, str]]:
    """Return (action, source) of everything that happened to the event."""
    rows = await admin.fetch(
        "select action, source from sync_audit where event_id = $1 order by id", event
    )
    return [(row["action"], row["source"]) for row in rows]


async def restored(admin: Connection, event: UUID, version: int | None = None) -> dict[str, Any]:
    """Restore an event and return its row."""
    row = await admin.fetchrow("select * from restore_event($1, $2)", event, version)
    assert row is not None
    return dict(row.items())


async def test_every_change_is_told_with_its_source(
    database: Database, admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    event = await add_event(admin, owner)
    worker = await asyncpg.connect(database.service_url)
    async with worker.transaction():
        await worker.execute(
            "select set_config('calsync.origin', $1, true), set_config('calsync.source', 'google', true)",
            str(calendar),
        )
        await worker.execute("update calendar_events set title = 'Theirs'")
    await worker.close()
    await admin.execute("update calendar_events set deleted_at = now()")
    assert await history(admin, event) == [
        ("event.created", "app"),
        ("event.updated", "google"),
        ("event.deleted", "app"),
    ]


async def test_the_last_change_is_undone(admin: Connection, user: UserFactory) -> None:
    event = await add_event(admin, (await user()).id)
    await admin.execute("update calendar_events set title = 'Wrong', location = 'Nowhere'")
    row = await restored(admin, event)
    assert (row["title"], row["location"], row["version"]) == ("Planning", None, 3)


async def test_any_version_comes_back(admin: Connection, user: UserFactory) -> None:
    event = await add_event(admin, (await user()).id)
    for title in ("Second", "Third", "Fourth"):
        await admin.execute("update calendar_events set title = $1", title)
    assert (await restored(admin, event, 2))["title"] == "Second"
    assert (await restored(admin, event, 1))["title"] == "Planning"
    assert (await restored(admin, event, 4))["title"] == "Fourth"


@pytest.mark.parametrize(
    "deletion", ["delete from calendar_events", "update calendar_events set deleted_at = now()"]
)
async def test_a_deletion_is_undone_and_pushed(
    admin: Connection, user: UserFactory, deletion: str
) -> None:
    owner = (await user()).id
    calendar = await add_calendar(admin, owner)
    event = await add_event(admin, owner)
    await add_mapping(admin, owner, event, calendar)
    await admin.execute(deletion)
    await admin.execute("delete from sync_queue")
    row = await restored(admin, event)
    assert (row["id"], row["title"], row["deleted_at"]) == (event, "Planning", None)
    assert [entry[:3] for entry in await queue(admin)] == [("push", event, calendar)]


async def test_nobody_restores_what_is_not_theirs(admin: Connection, user: UserFactory) -> None:
    one, other = (await user()).id, (await user()).id
    event = await add_event(admin, one)
    await admin.execute("update calendar_events set title = 'Changed'")
    async with acting_as(admin, "authenticated", other):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await restored(admin, event)
        assert caught.value.sqlstate == "PT404"
    async with acting_as(admin, "authenticated", one):
        assert (await restored(admin, event))["title"] == "Planning"


async def test_there_may_be_nothing_to_put_back(admin: Connection, user: UserFactory) -> None:
    event = await add_event(admin, (await user()).id)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await restored(admin, event)
    assert caught.value.sqlstate == "PT409"


async def test_the_same_calendar_through_two_accounts_is_synced_once(
    admin: Connection, user: UserFactory
) -> None:
    owner = (await user()).id
    await add_calendar(admin, owner, external_id="shared@example.com")
    second = await add_calendar(
        admin, owner, external_id="shared@example.com", enabled=False, default_target=False
    )
    with pytest.raises(asyncpg.PostgresError) as caught:
        await admin.execute("update calendars set enabled = true where id = $1", second)
    assert caught.value.sqlstate == "PT422"


async def test_a_calendar_says_whether_it_is_on(admin: Connection, user: UserFactory) -> None:
    calendar = await add_calendar(admin, (await user()).id)
    await admin.execute("update calendars set enabled = false")
    row = await admin.fetchrow(
        "select state, default_target from calendars where id = $1", calendar
    )
    assert row is not None
    assert tuple(row.values()) == ("paused", False)
    await admin.execute("update calendars set enabled = true")
    assert await admin.fetchval("select state from calendars") == "catching_up"
