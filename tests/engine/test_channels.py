"""Push channels: renewed in time and apart, replaced when they fall silent, given up with a word."""

from __future__ import annotations

from typing import Any

import pytest

from jobs import upkeep
from sync_service.emulators.google import ADA
from sync_service.emulators.google.seed import HOLIDAYS
from sync_service.engine import connections
from sync_service.engine.channels import TRIES
from sync_service.store import queue
from tests.crash.invariants import live_channels
from tests.engine.world import World


async def renew(world: World) -> None:
    await upkeep.renew_channels({"hub": world.hub})
    await world.drain()


async def time_passes(world: World, seconds: float) -> None:
    """Let our clock and Google's go on by *seconds*."""
    world.google.clock.advance(seconds)
    for table, columns in {
        "private.calendar_feeds": ("last_pull_at", "no_push_until"),
        "private.watch_channels": ("created_at", "expires_at", "last_message_at"),
        "public.sync_queue": ("run_at",),
    }.items():
        changes = ", ".join(f"{name} = {name} - make_interval(secs => $1)" for name in columns)
        await world.pool.execute(f"update {table} set {changes}", seconds)


async def happened_long_ago(world: World, there: str, seconds: float = 600) -> None:
    """Let what Google holds have been changed *seconds* ago, and nobody have told."""
    calendar = world.google.calendar(ADA)
    calendar.events[there].updated -= int(seconds * 1_000_000)
    await world.pool.execute(
        "update private.watch_channels set created_at = created_at - interval '1 day'"
    )


async def deliver(world: World, number: int = 7) -> str:
    """Bring a notice of the calendar's newest channel, as Google would."""
    channel = list(world.google.world.state.channels.values())[-1]
    return await world.pool.fetchval(
        "select public.record_google_notice($1, $2, $3, $4)",
        channel.id,
        channel.token,
        channel.resource_id,
        number,
    )


async def poll(world: World) -> int:
    """Do what the schedule does; answers how often the calendar was listed."""
    before = sum(call.operation == "events.list" for call in world.google.calls)
    await upkeep.poll({"hub": world.hub})
    await world.drain()
    return sum(call.operation == "events.list" for call in world.google.calls) - before


async def actions(world: World) -> list[str]:
    rows = await world.pool.fetch(
        "select action from sync_audit where action like 'channel.%' order by id"
    )
    return [row["action"] for row in rows]


async def notices(world: World) -> list[str]:
    rows = await world.pool.fetch("select kind from sync_notifications order by created_at")
    return [row["kind"] for row in rows]


async def test_with_every_notice_dropped_a_change_is_here_within_the_poll_interval(
    world: World,
) -> None:
    world.google.configure(webhook_drop_rate=1.0)
    for number in range(3):
        world.add_there(f"Change {number}")
        assert await poll(world) == 0, "it was read a moment ago"
        await time_passes(world, 1.25 * world.hub.settings.google_poll_seconds)
        assert await poll(world) == 1
        assert f"Change {number}" in await world.titles()
        await world.assert_equal()


async def test_a_channel_that_did_not_tell_is_replaced_and_that_is_on_record(world: World) -> None:
    [before] = live_channels(world, "events")
    await happened_long_ago(world, world.add_there("Untold"))
    await world.poll()
    assert await world.titles() == ["Untold"]
    assert await actions(world) == ["channel.silent"]
    await renew(world)
    [after] = live_channels(world, "events")
    assert after != before
    assert await notices(world) == []
    status = "select status from private.watch_channels where id = $1"
    assert await world.pool.fetchval(status, before) == "stopped"


async def test_a_channel_that_told_of_it_is_not_to_blame(world: World) -> None:
    there = world.add_there("Told")
    await happened_long_ago(world, there)
    assert await deliver(world) == "recorded"
    await world.drain()
    world.ada.patch(there, {"location": "Just now"})
    await world.poll()
    assert await actions(world) == []


async def test_three_silent_channels_in_a_row_leave_it_to_the_poll_and_tell_the_user(
    world: World,
) -> None:
    for number in range(TRIES):
        await happened_long_ago(world, world.add_there(str(number)), 600 - number)
        await world.poll()
        await renew(world)
    assert await actions(world) == ["channel.silent"] * TRIES
    assert await notices(world) == ["push_unavailable"]
    assert not await world.pool.fetchval(
        "select exists (select from private.watch_channels where status = 'open'"
        " and calendar_id is not null and expires_at > now())"
    )
    # Without a channel a fifth of the interval is long enough.
    await time_passes(world, 0.26 * world.hub.settings.google_poll_seconds)
    assert await poll(world) == 1
    # A day later it gets another chance; what it tells counts.
    await time_passes(world, 86_400)
    await renew(world)
    assert len(live_channels(world, "events")) == 1
    assert await deliver(world) == "recorded"
    assert await world.pool.fetchval("select max(push_silences) from private.calendar_feeds") == 0


async def test_a_failing_renewal_is_tried_three_times_then_told(world: World) -> None:
    await world.pool.execute("update private.watch_channels set expires_at = now()")
    world.google.add_fault("error", operation="events.watch", status=503, count=None)
    tries = "select push_failures from private.calendar_feeds"
    for number in range(TRIES):
        assert await notices(world) == []
        await renew(world)
        await renew(world)
        assert await world.pool.fetchval(tries) == number + 1
        await time_passes(world, 700)
    assert await notices(world) == ["push_unavailable"]
    await renew(world)
    assert await world.pool.fetchval(tries) == TRIES, "it rests for a day"
    world.google.faults.clear()
    await time_passes(world, 86_400)
    await renew(world)
    assert await world.pool.fetchval(tries) == 0
    assert len(live_channels(world, "events")) == 1


async def test_renewals_spread_and_never_come_later_than_the_margin(world: World) -> None:
    found: set[float] = set()
    for _ in range(5):
        await world.pool.execute("update private.watch_channels set expires_at = now()")
        await renew(world)
        found.add(
            await world.pool.fetchval(
                "select extract(epoch from renew_ahead)::float8 from private.watch_channels"
                " where status = 'open' and calendar_id is not null and expires_at > now()"
            )
        )
    margin = world.hub.settings.channel_renew_margin_seconds
    assert len(found) == 5
    assert all(margin <= seconds <= 1.25 * margin for seconds in found)


async def test_a_short_lived_channel_is_not_renewed_all_the_time(world: World) -> None:
    world.google.configure(channel_max_lifetime_s=3600)
    await world.pool.execute("update private.watch_channels set expires_at = now()")
    await renew(world)
    watched = [call for call in world.google.calls if call.operation == "events.watch"]
    for _ in range(3):
        await renew(world)
        await world.poll()
    assert watched == [call for call in world.google.calls if call.operation == "events.watch"]


async def test_what_is_due_is_replaced_with_overlap_and_read(world: World) -> None:
    [before] = live_channels(world, "events")
    world.add_there("Between the channels")
    await world.pool.execute(
        "update private.watch_channels set expires_at = now() + interval '1 hour'"
    )
    await renew(world)
    [after] = live_channels(world, "events")
    assert after != before
    assert await world.titles() == ["Between the channels"]
    order = [
        call.operation
        for call in world.google.calls
        if call.operation in ("events.watch", "channels.stop", "events.list")
    ]
    assert order[-3:] == ["events.watch", "channels.stop", "events.list"]


async def test_a_stop_that_failed_is_tried_again(world: World) -> None:
    await world.pool.execute(
        "update private.watch_channels set expires_at = now() + interval '1 hour'"
    )
    world.google.add_fault("error", operation="channels.stop", status=503)
    await renew(world)
    assert len(live_channels(world, "events")) == 1
    assert (
        await world.pool.fetchval(
            "select count(*) from private.watch_channels where status = 'open'"
        )
        == 1
    )


async def test_a_calendar_that_is_turned_off_keeps_no_channel(world: World) -> None:
    await world.pool.execute("update calendars set enabled = false")
    assert await deliver(world) == "ignored"
    await renew(world)
    assert live_channels(world, "events") == set()
    await world.pool.execute("update calendars set enabled = true where id = $1", world.calendar_id)
    await world.drain()
    assert len(live_channels(world, "events")) == 1


async def test_a_calendar_that_refuses_watch_is_asked_again_after_a_week(world: World) -> None:
    holidays = await world.pool.fetchval(
        "update calendars set enabled = true where external_id = $1 returning id", HOLIDAYS
    )
    await world.drain()

    def asked() -> int:
        return sum(
            call.operation == "events.watch" and call.calendar == HOLIDAYS and call.status == 400
            for call in world.google.calls
        )

    assert asked() == 1
    await renew(world)
    await queue.request_pulls(world.pool, [holidays], "test")
    await world.drain()
    assert asked() == 1
    await time_passes(world, 8 * 86_400)
    await renew(world)
    assert asked() == 2
    assert await notices(world) == []


async def test_disconnecting_stops_every_channel_before_the_grant_goes(world: World) -> None:
    await upkeep.read_lists({"hub": world.hub})
    assert len(live_channels(world)) == 2
    connection = await world.pool.fetchval("select id from calendar_connections")
    await connections.disconnect(world.hub, connection)
    assert all(channel.stopped for channel in world.google.world.state.channels.values())
    statuses = await world.pool.fetch("select distinct status from private.watch_channels")
    assert [row["status"] for row in statuses] == ["stopped"]


@pytest.mark.parametrize(
    ("told", "opened", "after", "due"),
    [
        (True, True, 0.7, False),
        (True, True, 1.26, True),
        (False, True, 0.35, False),
        (False, True, 0.63, True),
        (False, False, 0.14, False),
        (False, False, 0.26, True),
    ],
)
async def test_how_often_a_calendar_is_polled_depends_on_its_channel(
    world: World, told: bool, opened: bool, after: float, due: bool
) -> None:
    channel: dict[str, Any] = {"status": "open" if opened else "stopped"}
    await world.pool.execute(
        "update private.watch_channels set status = $1, last_message_number = $2",
        channel["status"],
        9 if told else 1,
    )
    await world.pool.execute(
        "update private.calendar_feeds set last_pull_at = now() - make_interval(secs => $1)",
        after * world.hub.settings.google_poll_seconds,
    )
    asked = await queue.request_due_pulls(
        world.pool, "google", world.hub.settings.google_poll_seconds
    )
    assert asked == int(due)
