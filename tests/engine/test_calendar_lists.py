"""The list of calendars is kept current, and nothing is lost when one goes or may less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from jobs import upkeep
from sync_service.emulators.google import ADA, GRACE, Emulator
from sync_service.emulators.google.seed import TEAM
from sync_service.engine import connections
from sync_service.engine.calendar_list import NOT_LISTED
from sync_service.settings import Settings
from sync_service.store import queue
from tests.conftest import UserFactory
from tests.engine.world import World, consent, open_world

SHARED = "shared@group.calendar.google.com"


async def read_lists(world: World) -> None:
    await upkeep.read_lists({"hub": world.hub})
    await world.drain()


async def tomorrow(world: World) -> None:
    """Let a day pass for the lists, so that they are read whole."""
    await world.pool.execute("update private.calendar_lists set full_due_at = now()")
    await read_lists(world)


async def announced(world: World) -> None:
    """Bring the notice of the list's channel, as Google would."""
    await world.pool.execute("update private.calendar_lists set asked = asked + 1")
    await read_lists(world)


async def calendar(world: World, external_id: str) -> dict[str, Any]:
    row = await world.pool.fetchrow("select * from calendars where external_id = $1", external_id)
    assert row is not None
    return dict(row.items())


async def turn_on(world: World, external_id: str, **settings: Any) -> UUID:
    columns = "".join(f", {name} = ${number}" for number, name in enumerate(settings, 2))
    found = await world.pool.fetchval(
        f"update calendars set enabled = true{columns} where external_id = $1 returning id",
        external_id,
        *settings.values(),
    )
    await world.drain()
    return found


def list_calls(world: World) -> int:
    return sum(call.operation == "calendarList.list" for call in world.google.calls)


async def waiting(world: World) -> int:
    return await world.pool.fetchval("select count(*) from sync_queue where status = 'pending'")


async def test_the_list_has_a_channel_of_its_own_and_is_read_on_its_word(world: World) -> None:
    await read_lists(world)
    kinds = sorted(channel.kind for channel in world.google.world.state.channels.values())
    assert kinds == ["calendarList", "events"]
    world.google.create_calendar(ADA, "Sailing", calendar_id=SHARED)
    before = list_calls(world)
    await read_lists(world)
    assert list_calls(world) == before, "nothing was due"
    secret_known = await world.pool.fetchrow(
        "select id, resource_id from private.watch_channels where connection_id is not null"
    )
    assert secret_known is not None
    [channel] = [
        channel
        for channel in world.google.world.state.channels.values()
        if channel.kind == "calendarList"
    ]
    said = "select public.record_google_notice($1, $2, $3, 9)"
    args = (channel.id, str(channel.token), channel.resource_id)
    assert await world.pool.fetchval(said, *args) == "listed"
    assert await world.pool.fetchval(said, channel.id, "wrong", channel.resource_id) == "refused"
    await read_lists(world)
    found = await calendar(world, SHARED)
    assert (found["name"], found["access_role"], found["enabled"]) == ("Sailing", "owner", False)
    assert found["unsyncable_reason"] is None
    last = [call for call in world.google.calls if call.operation == "calendarList.list"][-1]
    assert "syncToken" in str(last.query)


async def test_a_removed_calendar_stops_and_goes_on_when_it_is_back(world: World) -> None:
    team = await turn_on(world, TEAM)
    event = await world.add(title="Ours", calendar_id=team)
    await world.drain()
    world.ada.entry(TEAM, deleted=True)
    await announced(world)
    found = await calendar(world, TEAM)
    assert (found["enabled"], found["state"]) == (True, "paused")
    assert found["unsyncable_reason"] == found["state_reason"] == NOT_LISTED
    assert await world.titles() == ["Ours"]
    told = await world.pool.fetchval("select kind from sync_notifications")
    assert told == "calendar_unavailable"
    await world.edit(event, title="Ours, edited")
    await world.drain()
    assert [each["summary"] for each in world.google.events(TEAM)] == ["Ours"]
    world.ada.entry(TEAM, deleted=False)
    await announced(world)
    await world.drain()
    found = await calendar(world, TEAM)
    assert (found["state"], found["unsyncable_reason"]) == ("healthy", None)
    assert [each["summary"] for each in world.google.events(TEAM)] == ["Ours, edited"]


async def test_what_no_delta_tells_is_read_once_a_day(world: World) -> None:
    world.google.calendar(TEAM).summary = "Crew"
    world.google.calendar(TEAM).time_zone = "Asia/Tokyo"
    await announced(world)
    assert (await calendar(world, TEAM))["name"] == "Team"
    await tomorrow(world)
    found = await calendar(world, TEAM)
    assert (found["name"], found["time_zone"]) == ("Crew", "Asia/Tokyo")


async def test_a_dead_position_starts_the_list_anew(world: World) -> None:
    world.google.create_calendar(ADA, "Sailing", calendar_id=SHARED)
    world.google.expire_sync_tokens()
    await announced(world)
    assert (await calendar(world, SHARED))["name"] == "Sailing"


async def test_an_empty_list_is_not_believed(world: World) -> None:
    await turn_on(world, TEAM)
    account = world.google.account(ADA)
    kept = dict(account.entries)
    account.entries.clear()
    await tomorrow(world)
    account.entries.update(kept)
    rows = await world.pool.fetch("select unsyncable_reason from calendars")
    assert {row["unsyncable_reason"] for row in rows} == {None}


async def test_a_failing_list_waits_and_holds_up_nothing(world: World) -> None:
    await read_lists(world)
    world.google.add_fault("error", operation="calendarList.list", status=503, count=None)
    before = list_calls(world)
    await announced(world)
    await read_lists(world)
    assert list_calls(world) == before + 1
    await world.add()
    await world.converge()


async def shared(world: World, role: str) -> UUID:
    """A calendar of Grace's, shared with Ada in *role* and turned on."""
    world.google.create_calendar(GRACE, "Sailing", calendar_id=SHARED)
    world.google.share(SHARED, ADA, role)
    await announced(world)
    return await turn_on(world, SHARED)


async def test_a_lost_role_keeps_what_waits_and_a_regained_one_replays_it(world: World) -> None:
    boats = await shared(world, "writer")
    event = await world.add(title="Regatta", calendar_id=boats)
    await world.drain()
    world.google.share(SHARED, ADA, "reader")
    await tomorrow(world)
    await world.edit(event, title="Regatta, later")
    await world.drain()
    found = await calendar(world, SHARED)
    assert (found["access_role"], found["direction"]) == ("reader", "two_way")
    assert found["state"] == "action_required"
    assert found["last_error"]["code"] == "calendar_read_only"
    assert await waiting(world) == 1
    assert [each["summary"] for each in world.google.events(SHARED)] == ["Regatta"]
    world.google.share(SHARED, ADA, "writer")
    await tomorrow(world)
    await world.drain()
    assert (await calendar(world, SHARED))["state"] == "healthy"
    assert [each["summary"] for each in world.google.events(SHARED)] == ["Regatta, later"]
    assert await waiting(world) == 0


async def test_free_busy_alone_cannot_be_synced_and_says_so(world: World) -> None:
    boats = await shared(world, "writer")
    event = await world.add(title="Regatta", calendar_id=boats)
    await world.drain()
    world.google.share(SHARED, ADA, "freeBusyReader")
    await tomorrow(world)
    found = await calendar(world, SHARED)
    assert found["state"] == "paused" and "free/busy" in found["unsyncable_reason"]
    await world.edit(event, title="Regatta, later")
    await queue.request_pulls(world.pool, [boats], "test")
    await world.drain()
    assert await world.titles() == ["Regatta, later"]
    world.google.share(SHARED, ADA, "writer")
    await tomorrow(world)
    await world.drain()
    assert [each["summary"] for each in world.google.events(SHARED)] == ["Regatta, later"]


async def test_a_calendar_that_may_only_be_read_is_not_written(world: World) -> None:
    boats = await shared(world, "reader")
    assert (await calendar(world, SHARED))["direction"] == "pull"
    world.google.person(GRACE).insert(
        {"summary": "Theirs", "start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}},
        SHARED,
    )
    await queue.request_pulls(world.pool, [boats], "test")
    await world.drain()
    assert await world.titles() == ["Theirs"]
    await world.add(title="Ours", calendar_id=boats)
    await world.drain()
    assert [each["summary"] for each in world.google.events(SHARED)] == ["Theirs"]


async def test_masked_events_do_not_replace_real_ones(world: World) -> None:
    boats = await shared(world, "writer")
    world.google.person(GRACE).insert(
        {
            "summary": "Secret",
            "visibility": "private",
            "start": {"date": "2026-12-01"},
            "end": {"date": "2026-12-02"},
        },
        SHARED,
    )
    await queue.request_pulls(world.pool, [boats], "test")
    await world.drain()
    assert await world.titles() == ["Secret"]
    world.google.share(SHARED, ADA, "reader")
    await tomorrow(world)
    for _ in range(3):
        await queue.release_waiting(world.pool, [boats])
        await queue.request_pulls(world.pool, [boats], "test")
        await world.drain()
    assert await world.titles() == ["Secret"]


async def test_disconnected_and_connected_again_everything_is_as_it_was(world: World) -> None:
    await turn_on(world, TEAM, default_target=True, conflict_policy="app_wins", mirror="all")
    before = await calendar(world, TEAM)
    [row] = await world.pool.fetch("select id from calendar_connections")
    await connections.disconnect(world.hub, row["id"])
    assert not await world.pool.fetchval("select exists (select from calendars where enabled)")
    assert (await consent(world.hub, world.user_id)).status == "connected"
    await world.drain()
    names = ("enabled", "direction", "default_target", "mirror", "conflict_policy", "state")
    after = await calendar(world, TEAM)
    assert [after[name] for name in names] == [before[name] for name in names]
    assert (await calendar(world, ADA))["enabled"]
    assert await world.pool.fetchval("select count(*) from calendars where enabled") == 2


async def test_without_leave_to_read_the_list_the_primary_calendar_is_synced(
    apart: World,
) -> None:
    apart.google.auto_consent(
        ADA, scopes=["openid", "email", "https://www.googleapis.com/auth/calendar.events"]
    )
    assert (await consent(apart.hub, apart.user_id)).status == "connected"
    await apart.drain()
    await read_lists(apart)
    rows = await apart.pool.fetch("select id, external_id, enabled, state from calendars")
    assert [tuple(row.values())[1:] for row in rows] == [(ADA, True, "healthy")]
    apart.calendar_id = rows[0]["id"]
    shown = await apart.pool.fetchval("select last_error ->> 'code' from calendar_connections")
    assert shown == "calendar_list_not_granted"
    await apart.add(title="Ours")
    apart.add_there("Theirs")
    await apart.converge()
    assert apart.summaries() == ["Ours", "Theirs"]
    # Granted later, the same row is the primary calendar still.
    apart.google.auto_consent(ADA)
    assert (await consent(apart.hub, apart.user_id)).status == "connected"
    found = await apart.pool.fetch("select id from calendars where is_primary")
    assert [row["id"] for row in found] == [apart.calendar_id]
    assert await apart.pool.fetchval("select last_error from calendar_connections") is None
    assert await apart.pool.fetchval("select count(*) from calendars") == 3


async def test_one_calendar_through_two_accounts_is_synced_once(world: World) -> None:
    boats = await shared(world, "writer")
    world.google.auto_consent(GRACE)
    assert (await consent(world.hub, world.user_id)).status == "connected"
    await world.drain()
    assert await world.pool.fetchval("select count(*) from calendar_connections") == 2
    rows = await world.pool.fetch(
        "select id, enabled, unsyncable_reason from calendars where external_id = $1", SHARED
    )
    [other] = [row for row in rows if row["id"] != boats]
    assert not other["enabled"] and ADA in other["unsyncable_reason"]
    await world.pool.execute("update calendars set enabled = false where id = $1", boats)
    reasons = await world.pool.fetch(
        "select unsyncable_reason from calendars where external_id = $1", SHARED
    )
    assert [row["unsyncable_reason"] for row in reasons] == [None, None]
    await world.pool.execute("update calendars set enabled = true where id = $1", other["id"])
    reason = await world.pool.fetchval(
        "select unsyncable_reason from calendars where id = $1", boats
    )
    assert GRACE in reason


async def test_a_primary_calendar_that_another_account_syncs_is_left_to_it(world: World) -> None:
    """Ada sees Grace's own calendar and syncs it; then Grace's account is connected too."""
    world.google.share(GRACE, ADA, "writer")
    await announced(world)
    await turn_on(world, GRACE)
    world.google.auto_consent(GRACE)
    assert (await consent(world.hub, world.user_id)).status == "connected"
    rows = await world.pool.fetch("select enabled from calendars where external_id = $1", GRACE)
    assert sorted(row["enabled"] for row in rows) == [False, True]


@pytest.fixture
async def apart(settings: Settings, user: UserFactory) -> AsyncIterator[World]:
    async with open_world(settings, (await user()).id, connect=False) as world:
        yield world


def test_the_emulator_has_what_these_tests_need() -> None:
    assert {TEAM, ADA, GRACE} <= set(Emulator().world.state.calendars)
