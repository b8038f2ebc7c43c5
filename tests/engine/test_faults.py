"""What goes wrong at Google ends well: nothing lost, nothing doubled, the user told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sync_service.providers.base import Tokens
from tests.engine.world import World, consent


@pytest.mark.parametrize("kind", ["drop_after", "error_after", "html", "drop_before"])
@pytest.mark.parametrize("operation", ["events.insert", "events.patch", "events.delete"])
async def test_a_write_without_an_answer_happens_once(
    world: World, operation: str, kind: str
) -> None:
    event = await world.add()
    if operation != "events.insert":
        await world.drain()
        await (
            world.edit(event, title="New") if operation == "events.patch" else world.remove(event)
        )
    world.google.add_fault(kind, operation=operation)
    await world.drain()
    await world.converge()
    expected = {"events.insert": ["Planning"], "events.patch": ["New"], "events.delete": []}
    assert world.summaries() == expected[operation]
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_an_insert_that_came_through_is_found_again_with_a_later_edit(world: World) -> None:
    event = await world.add()
    world.google.add_fault("drop_after", operation="events.insert")
    await world.drain()
    await world.edit(event, title="Edited since")
    await world.converge()
    assert world.summaries() == ["Edited since"]
    assert await world.conflicts() == []


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "userRateLimitExceeded"])
async def test_a_rate_limit_waits_and_costs_no_attempt(world: World, reason: str) -> None:
    await world.add()
    world.google.add_fault(
        "error", operation="events.insert", status=403, reason=reason, domain="usageLimits"
    )
    await world.drain()
    row = await world.pool.fetchrow(
        "select status, attempts, last_error from sync_queue where kind = 'push'"
    )
    assert row is not None
    assert (row["status"], row["attempts"], row["last_error"]["code"]) == (
        "pending",
        0,
        "throttled",
    )
    assert await world.pool.fetchval("select state from calendars where enabled") == "delayed"
    await world.converge()
    assert world.summaries() == ["Planning"]
    assert await world.pool.fetchval("select state from calendars where enabled") == "healthy"


async def test_retry_after_closes_the_account_for_everybody(world: World) -> None:
    await world.add()
    world.google.add_fault(
        "error", operation="events.insert", status=429, reason="rateLimitExceeded", retry_after=30
    )
    await world.drain()
    calls = len(world.google.calls)
    await world.add(title="Another")
    await world.drain()
    assert len(world.google.calls) == calls, "nobody calls before the time is over"


async def test_refused_for_good_is_shown_and_mended_by_an_edit(world: World) -> None:
    event = await world.add(attendees=[{"email": "nobody"}])
    await world.drain()
    row = await world.pool.fetchrow("select status, last_error from sync_queue where kind = 'push'")
    assert row is not None
    assert (row["status"], row["last_error"]["code"]) == ("failed", "provider_rejected")
    mapping = await world.mapping(event)
    assert mapping["last_error"]["code"] == "provider_rejected"
    assert await world.pool.fetchval("select kind from sync_notifications") == "event_not_synced"
    await world.edit(event, attendees=[])
    await world.converge()
    assert (await world.mapping(event))["status"] == "synced"


async def test_a_copy_that_was_refused_is_not_taken_for_made(world: World) -> None:
    event = await world.add()
    world.google.add_fault("error", operation="events.insert", status=400, reason="invalid")
    await world.drain()
    # A change that Google cannot hold asks for the push again.
    await world.edit(event, notes="seen")
    await world.converge()
    assert world.summaries() == ["Planning"]
    assert (await world.mapping(event))["status"] == "synced"


async def test_a_refused_update_is_not_tried_for_ever(world: World) -> None:
    event = await world.add()
    await world.drain()
    world.google.add_fault(
        "error", operation="events.patch", status=400, reason="invalid", count=None
    )
    for title in ("Bad", "Worse"):
        await world.edit(event, title=title)
        await world.drain()
    patches = [call for call in world.google.calls if call.operation == "events.patch"]
    assert len(patches) == 2


async def test_after_the_last_attempt_the_row_is_kept(world: World) -> None:
    await world.add()
    world.google.add_fault("error", operation="events.insert", status=500, count=None)
    for _ in range(world.hub.settings.push_max_attempts):
        await world.hurry()
        await world.drain()
    row = await world.pool.fetchrow("select status, attempts from sync_queue where kind = 'push'")
    assert row is not None
    assert tuple(row.values()) == ("failed", world.hub.settings.push_max_attempts)


async def test_a_dead_sync_token_starts_a_full_sync(world: World) -> None:
    kept = world.add_there("Kept")
    gone = world.add_there("Gone")
    await world.poll()
    ours = await world.add(title="Ours")
    await world.drain()
    world.ada.patch(kept, {"summary": "Kept, edited"})
    world.ada.delete(gone)
    await world.edit(ours, title="Ours, unsent")
    world.google.expire_sync_tokens()
    world.google.purge_tombstones("ada@example.com")
    await world.converge()
    assert await world.titles() == ["Kept, edited", "Ours, unsent"]
    assert world.summaries() == ["Kept, edited", "Ours, unsent"]
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_deleting_what_is_deleted_is_no_reason_to_list_everything(world: World) -> None:
    event = await world.add()
    await world.drain()
    world.ada.delete(world.live()[0]["id"])
    await world.remove(event)
    before = _lists(world)
    await world.drain()
    assert _lists(world) == before
    await world.assert_equal()


async def test_pages_may_be_short_or_empty(world: World) -> None:
    for number in range(12):
        world.add_there(f"Event {number:02}")
    world.google.add_fault("pages", operation="events.list", sizes=[0, 3, 0, 5])
    await world.poll()
    assert len(await world.titles()) == 12


async def test_a_broken_page_repeats_nothing(world: World) -> None:
    for number in range(6):
        world.add_there(f"Event {number}")
    world.google.add_fault("pages", operation="events.list", sizes=[2, 2, 2])
    world.google.add_fault("error", operation="events.list", status=503, skip=1)
    await world.poll()
    await world.converge()
    assert len(await world.titles()) == 6


async def test_a_token_that_google_refuses_is_renewed_once(world: World) -> None:
    await world.add()
    world.google.clock.advance(timedelta(hours=2).total_seconds())
    await world.drain()
    assert world.summaries() == ["Planning"]
    refreshes = [call for call in world.google.calls if call.status == 401]
    assert len(refreshes) == 1


async def test_parallel_pushes_refresh_once(world: World) -> None:
    for number in range(8):
        await world.add(title=str(number))
    world.google.clock.advance(timedelta(hours=2).total_seconds())
    world.hub.accounts.clear()
    await world.pool.execute("update private.connection_tokens set expires_at = now()")
    issued = _tokens(world)
    await world.drain()
    assert len(world.live()) == 8
    assert _tokens(world) == issued + 1


async def test_a_revoked_grant_needs_a_reconnect_and_loses_nothing(world: World) -> None:
    event = await world.add()
    await world.drain()
    world.ada.revoke(world.hub.settings.google_client_id)
    await world.edit(event, title="While away")
    await world.add(title="Another")
    await world.drain()
    row = await world.pool.fetchrow("select status, last_error from calendar_connections")
    assert row is not None
    assert (row["status"], row["last_error"]["code"]) == ("reconnect_needed", "reconnect_needed")
    await world.edit(event, title="While away, again")
    await world.drain()
    notices = await world.pool.fetch("select kind, occurrences from sync_notifications")
    assert [tuple(notice.values()) for notice in notices] == [("reconnect_needed", 1)]
    finished = await consent(world.hub, world.user_id)
    assert finished.status == "connected"
    await world.converge()
    assert world.summaries() == ["Another", "While away, again"]
    assert await world.pool.fetchval("select count(*) from calendar_connections") == 1
    await world.assert_silent()


@pytest.mark.parametrize("status", [500, 401])
async def test_a_failing_token_endpoint_is_no_reason_to_reconnect(
    world: World, status: int
) -> None:
    await world.add()
    await world.pool.execute("update private.connection_tokens set expires_at = now()")
    world.hub.accounts.clear()
    reason = "invalid_client" if status == 401 else "internal_failure"
    world.google.add_fault("error", operation="oauth.token", status=status, reason=reason, count=4)
    await world.drain()
    assert await world.pool.fetchval("select status from calendar_connections") == "active"
    world.google.faults.clear()
    await world.converge()
    assert world.summaries() == ["Planning"]


async def test_losing_the_calendar_deletes_nothing(world: World) -> None:
    event = await world.add()
    await world.drain()
    team = await world.pool.fetchval("select id from calendars where name = 'Team'")
    await world.pool.execute("update calendars set enabled = true where id = $1", team)
    await world.drain()
    world.google.share("ada@example.com", "ada@example.com", "none")
    await world.edit(event, title="Unsent")
    for _ in range(2):
        await world.hurry()
        await world.poll()
    assert await world.titles() == ["Unsent"]
    row = await world.pool.fetchrow("select state, last_error from calendars where is_primary")
    assert row is not None
    assert (row["state"], row["last_error"]["code"]) == ("action_required", "calendar_unavailable")
    world.google.share("ada@example.com", "ada@example.com", "owner")
    await world.converge()
    assert world.summaries() == ["Unsent"]


async def test_a_calendar_without_channels_is_polled(world: World) -> None:
    holidays = await world.pool.fetchval(
        "select id from calendars where external_id like '%holiday%'"
    )
    await world.pool.execute("update calendars set enabled = true where id = $1", holidays)
    await world.drain()
    asked = _watches(world)
    await world.poll()
    await world.drain()
    assert _watches(world) == asked
    assert (
        await world.pool.fetchval("select state from calendars where id = $1", holidays)
        == "healthy"
    )


def test_tokens_do_not_show() -> None:
    shown = repr(Tokens(access_token="ya29.secret", refresh_token="1//secret"))
    assert "secret" not in shown


def _lists(world: World) -> int:
    return sum(1 for call in world.google.calls if call.operation == "events.list")


def _watches(world: World) -> int:
    return sum(1 for call in world.google.calls if call.operation == "events.watch")


def _tokens(world: World) -> int:
    return len(world.google.world.state.accesses)
