"""What the user leaves unticked is named; tokens of a sign-in elsewhere are taken if they are ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sync_service.emulators.google import ADA
from sync_service.engine import connections
from sync_service.errors import MissingScope, Rejected
from sync_service.providers.base import Tokens
from sync_service.providers.google.scopes import EVENTS_SCOPE, LIST_SCOPE, SCOPES
from sync_service.settings import Settings
from tests.conftest import UserFactory
from tests.engine.world import World, consent, open_world

SIGN_IN = ["openid", "email"]


@pytest.fixture
async def fresh(settings: Settings, user: UserFactory) -> AsyncIterator[World]:
    """A world in which nothing is connected yet."""
    owner = await user()
    async with open_world(settings, owner.id, connect=False) as world:
        yield world


async def test_without_the_events_permission_nothing_is_connected_and_the_grant_goes_back(
    fresh: World,
) -> None:
    fresh.google.auto_consent(ADA, scopes=[*SIGN_IN, LIST_SCOPE])
    finished = await consent(fresh.hub, fresh.user_id)
    assert finished.status == "missing_scope"
    assert "view and edit events" in finished.detail
    assert await fresh.pool.fetchval("select count(*) from calendar_connections") == 0
    assert fresh.google.world.state.grants == []


async def test_without_the_list_permission_the_primary_calendar_is_synced(fresh: World) -> None:
    fresh.google.auto_consent(ADA, scopes=[*SIGN_IN, EVENTS_SCOPE])
    finished = await consent(fresh.hub, fresh.user_id)
    assert finished.status == "connected"
    row = await fresh.pool.fetchrow("select status, last_error from calendar_connections")
    assert row is not None
    assert (row["status"], row["last_error"]["code"]) == ("active", "calendar_list_not_granted")
    assert "Only the primary calendar" in row["last_error"]["detail"]
    calendars = await fresh.pool.fetch("select id, external_id, enabled from calendars")
    assert [(found["external_id"], found["enabled"]) for found in calendars] == [(ADA, True)]
    fresh.calendar_id = calendars[0]["id"]
    event = await fresh.add(title="Ours")
    fresh.add_there("Theirs")
    await fresh.converge()
    assert fresh.summaries() == ["Ours", "Theirs"]
    await fresh.remove(event)
    await fresh.converge()
    fresh.google.auto_consent(ADA)
    assert (await consent(fresh.hub, fresh.user_id)).status == "connected"
    assert await fresh.pool.fetchval("select last_error from calendar_connections") is None
    assert await fresh.pool.fetchval("select count(*) from calendars") > 1


async def test_a_grant_that_shrank_needs_a_reconnect_that_names_what_is_missing(
    world: World,
) -> None:
    await world.add(title="Waits")
    for held in world.google.world.state.refreshes.values():
        held.scopes = [scope for scope in held.scopes if scope != EVENTS_SCOPE]
    await world.pool.execute("update private.connection_tokens set expires_at = now()")
    world.hub.accounts.clear()
    await world.drain()
    row = await world.pool.fetchrow("select status, last_error, scopes from calendar_connections")
    assert row is not None
    assert (row["status"], row["last_error"]["code"]) == ("reconnect_needed", "missing_scope")
    assert EVENTS_SCOPE not in row["scopes"]
    message = await world.pool.fetchval("select message from sync_notifications")
    assert "view and edit events" in message

    world.google.auto_consent(ADA, scopes=[*SIGN_IN, LIST_SCOPE])
    assert (await consent(world.hub, world.user_id)).status == "missing_scope"
    assert world.google.world.state.grants != [], "revoking would end the grant in use as well"
    world.google.auto_consent(ADA)
    assert (await consent(world.hub, world.user_id)).status == "connected"
    await world.converge()
    assert world.summaries() == ["Waits"], "what waited is sent"
    assert await world.pool.fetchval("select count(*) from calendar_connections") == 1


async def test_a_refusal_for_want_of_a_scope_is_a_reconnect_state(world: World) -> None:
    await world.add()
    for held in world.google.world.state.accesses.values():
        held.scopes = [scope for scope in held.scopes if scope != EVENTS_SCOPE]
    await world.drain()
    asked = len(world.google.calls)
    await world.drain()
    assert len(world.google.calls) == asked, "no endless retries"
    row = await world.pool.fetchrow("select status, last_error from calendar_connections")
    assert row is not None
    assert (row["status"], row["last_error"]["code"]) == ("reconnect_needed", "missing_scope")


async def adopt(world: World, tokens: Tokens) -> None:
    connection_id = await connections.adopt(
        world.hub, provider="google", user_id=world.user_id, tokens=tokens, preview=False
    )
    assert connection_id
    world.calendar_id = await world.pool.fetchval("select id from calendars where enabled")


async def test_the_tokens_of_a_sign_in_connect_the_account(fresh: World) -> None:
    fresh.add_there("Theirs")
    await adopt(fresh, Tokens(*fresh.google.issue_tokens(ADA, list(SCOPES))))
    await fresh.add(title="Ours")
    await fresh.converge()
    assert fresh.summaries() == await fresh.titles() == ["Ours", "Theirs"]
    row = await fresh.pool.fetchrow("select * from calendar_connections")
    assert row is not None
    account = next(iter(fresh.google.world.state.accounts.values()))
    assert (row["account_id"], row["account_email"]) == (account.sub, ADA)
    assert set(row["scopes"]) >= {EVENTS_SCOPE, LIST_SCOPE}
    await adopt(fresh, Tokens(*fresh.google.issue_tokens(ADA, list(SCOPES))))
    assert await fresh.pool.fetchval("select count(*) from calendar_connections") == 1


async def test_tokens_that_are_not_ours_connect_nothing(fresh: World) -> None:
    other = fresh.google.register_client("other-client", "secret", redirect_uris=["http://x/cb"])
    ours = Tokens(*fresh.google.issue_tokens(ADA, list(SCOPES)))
    theirs = Tokens(*fresh.google.issue_tokens(ADA, list(SCOPES), client_id=other.id))
    fresh.google.create_account("bob@example.com")
    bobs = Tokens(*fresh.google.issue_tokens("bob@example.com", list(SCOPES)))
    refused = {
        "token_of_another_client": theirs,
        "token_refused": replace(ours, access_token="ya29.invented"),
    }
    for code, tokens in refused.items():
        with pytest.raises(Rejected) as fault:
            await adopt(fresh, tokens)
        assert fault.value.code == code
    for tokens in (
        replace(ours, refresh_token=theirs.refresh_token),
        replace(ours, refresh_token=bobs.refresh_token),
    ):
        with pytest.raises(Rejected) as fault:
            await adopt(fresh, tokens)
        assert fault.value.code == "token_refused"
    assert await fresh.pool.fetchval("select count(*) from calendar_connections") == 0


async def test_a_sign_in_without_the_calendar_permission_connects_nothing(fresh: World) -> None:
    tokens = Tokens(*fresh.google.issue_tokens(ADA, SIGN_IN))
    with pytest.raises(MissingScope):
        await adopt(fresh, tokens)
    assert await fresh.pool.fetchval("select count(*) from calendar_connections") == 0
    assert fresh.google.world.state.grants != [], "the sign-in may need it"


async def test_what_is_near_in_time_is_shown_before_the_rest(fresh: World) -> None:
    day = 86_400
    now = int(fresh.google.clock.seconds())
    for days in (-100, -50, -20, 3, 10, 90):
        start = now + days * day
        fresh.add_there(f"{days}", start=_at(start), end=_at(start + 3600))
    fresh.add_there("Too old", start=_at(now - 300 * day), end=_at(now - 300 * day + 3600))
    assert (await consent(fresh.hub, fresh.user_id)).status == "connected"
    fresh.calendar_id = await fresh.pool.fetchval("select id from calendars where enabled")
    # The first listing is of what is near; the process dies in the next one.
    fresh.google.add_fault("error", operation="events.list", status=503, skip=1)
    await fresh.drain()
    assert await fresh.titles() == ["10", "3"]
    assert await fresh.pool.fetchval("select cursor from private.calendar_feeds") is None
    state = await fresh.pool.fetchval("select state from calendars where enabled")
    assert state == "delayed"
    await fresh.converge()
    assert await fresh.titles() == sorted(["-100", "-50", "-20", "3", "10", "90"])
    assert await fresh.pool.fetchval("select count(*) from event_mappings") == 6
    await fresh.assert_silent()


async def test_of_series_what_is_near_is_shown_first_too(fresh: World) -> None:
    """An occurrence may be near while its series is not, and come before it."""
    now, day = int(fresh.google.clock.seconds()), 86_400

    def add_weekly(summary: str, days: int) -> list[str]:
        """Answer the ids of its occurrences."""
        starts = [now + (days + 7 * week) * day for week in range(4)]
        series = fresh.add_there(
            summary,
            start=_at(starts[0]),
            end=_at(starts[0] + 3600),
            recurrence=["RRULE:FREQ=WEEKLY;COUNT=4"],
        )
        return [f"{series}_{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}" for at in starts]

    far = add_weekly("Far", 60)
    near = add_weekly("Near", 3)
    soon = {"start": _at(now + 5 * day), "end": _at(now + 5 * day + 3600)}
    fresh.ada.patch(far[1], {"summary": "Brought forward", **soon})
    fresh.ada.patch(near[1], {"summary": "Changed"})
    fresh.ada.delete(near[2])
    fresh.add_there("Later", start=_at(now + 90 * day), end=_at(now + 90 * day + 3600))
    fresh.google.configure(page_items=1, list_order="reversed")
    assert (await consent(fresh.hub, fresh.user_id)).status == "connected"
    fresh.calendar_id = await fresh.pool.fetchval("select id from calendars where enabled")
    # Four pages are of what is near: a series and two of its occurrences, one of the other.
    fresh.google.add_fault("error", operation="events.list", status=503, skip=4)
    await fresh.drain()
    assert await fresh.titles() == ["Brought forward", "Changed", "Far", "Near"]
    cancelled = "select title from calendar_events where deleted_at is not null"
    assert await fresh.pool.fetchval(cancelled) == "Near"
    # What it leaves out is not taken for gone, nor what it names for a part of the full sync.
    assert not await fresh.pool.fetchval(
        "select exists (select from event_mappings where seen_pass is not null or stale)"
    )
    assert await fresh.pool.fetchval("select cursor from private.calendar_feeds") is None
    await fresh.converge()
    assert await fresh.titles() == ["Brought forward", "Changed", "Far", "Later", "Near"]
    assert await fresh.pool.fetchval("select count(*) from calendar_events") == 6
    await fresh.assert_silent()


def _at(seconds: int) -> dict[str, str]:
    return {"dateTime": datetime.fromtimestamp(seconds, UTC).isoformat(), "timeZone": "UTC"}
