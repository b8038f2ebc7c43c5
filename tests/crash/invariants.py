"""What must be true after any crash, once another process has done its part."""

from __future__ import annotations

from collections.abc import Sequence

from jobs import upkeep
from jobs.drain import Drainer
from sync_service.emulators.google import ADA, oauth
from sync_service.emulators.google.state import Channel
from sync_service.store import connections as connection_rows
from tests.engine.world import World


async def judge(
    world: World,
    *,
    titles: Sequence[str],
    ever: int | None,
    conflicts: int,
    notices: Sequence[str],
    repeated: Sequence[str],
) -> None:
    """Assert that both sides hold what they should, that nothing is doubled or leaked, and silence."""
    await world.assert_equal()
    assert await world.titles() == sorted(titles)
    assert world.summaries() == sorted(titles)
    made = len(world.google.events(ADA))
    assert made == (len(titles) if ever is None else ever), "an event was made twice"
    assert len(await world.conflicts()) == conflicts
    told = await world.pool.fetch("select kind from sync_notifications order by kind")
    assert [row["kind"] for row in told] == sorted(notices)
    failed = await world.pool.fetch("select last_error from sync_queue where status = 'failed'")
    assert failed == []
    assert await world.pool.fetchval("select count(*) from calendar_connections") == 1
    done_twice = await world.pool.fetch(
        "select action, event_id from sync_audit where action ~ '(created|deleted)$'"
        " and action <> all($1) group by 1, 2 having count(*) > 1",
        repeated,
    )
    assert done_twice == [], done_twice
    await assert_channels_known(world)
    await world.assert_silent()


async def assert_channels_known(world: World) -> None:
    """Assert that every channel that lives at Google is on record, and the reverse."""
    rows = await world.pool.fetch("select id, status from private.watch_channels")
    recorded = {row["id"]: row["status"] for row in rows}
    live = live_channels(world)
    unknown = {channel for channel in live if recorded.get(channel) not in ("opening", "open")}
    assert unknown == set(), "Google has a channel that we do not know"
    counted_on = {channel for channel, status in recorded.items() if status == "open"}
    assert counted_on <= live, "we count on a channel that Google does not have"


async def assert_one_channel(world: World) -> None:
    """Assert that Google sends once, not twice; the list of calendars aside."""
    live = live_channels(world, "events")
    rows = await world.pool.fetch(
        "select id from private.watch_channels where status = 'open' and calendar_id is not null"
    )
    assert len(live) == 1, "Google has more or less than one channel"
    assert {row["id"] for row in rows} == live


async def assert_given_back(world: World) -> None:
    """Assert that nothing of a disconnected account is left that could be used."""
    assert await world.pool.fetchval("select status from calendar_connections") == "disconnected"
    assert await world.pool.fetchval("select count(*) from private.connection_tokens") == 0
    assert await world.pool.fetchval("select count(*) from calendars where enabled") == 0
    state = world.google.world.state
    assert (state.grants, state.refreshes, state.accesses) == ([], {}, {})
    assert live_channels(world) == set()
    rows = await world.pool.fetch("select status from private.watch_channels")
    assert {row["status"] for row in rows} <= {"stopped", "opening"}


async def is_active(world: World) -> bool:
    return bool(
        await world.pool.fetchval(
            "select exists (select from calendar_connections where status = 'active')"
        )
    )


async def assert_works(world: World) -> None:
    """Assert that the one connection is active and that its stored tokens are good."""
    rows = await world.pool.fetch("select id, status from calendar_connections")
    assert [row["status"] for row in rows] == ["active"]
    assert await world.pool.fetchval("select count(*) from private.connection_tokens") == 1
    assert await world.pool.fetchval("select count(*) from calendars where enabled") == 1
    connection = await connection_rows.read(world.pool, rows[0]["id"])
    assert connection is not None
    world.hub.accounts.clear()
    assert await world.hub.session(connection).list_calendars()
    refreshed = await world.hub.account(connection).access_token(
        rejected=await world.hub.account(connection).access_token()
    )
    assert refreshed in world.google.world.state.accesses


async def assert_one_channel_after_renewal(world: World) -> None:
    """Assert that whatever a crash left is stopped when the channel is renewed the next time."""
    await world.pool.execute(
        "update private.watch_channels set expires_at = now() + interval '1 hour'"
        " where expires_at is not null"
    )
    await upkeep.renew_channels({"hub": world.hub})
    await Drainer(world.hub).drain()
    await assert_one_channel(world)


def live_channels(world: World, kind: str | None = None) -> set[str]:
    """Return the channels (of one *kind*) over which Google would send."""
    google = world.google.world
    now = google.clock.micros()

    def alive(channel: Channel) -> bool:
        return (
            not channel.stopped
            and channel.expires > now
            and oauth.has_grant(google, channel.sub, channel.client_id)
        )

    return {
        channel.id
        for channel in google.state.channels.values()
        if alive(channel) and kind in (None, channel.kind)
    }
