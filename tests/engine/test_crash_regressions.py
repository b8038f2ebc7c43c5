"""What the crash-point sweep of `tests/crash` found, each as a plain test."""

from __future__ import annotations

from uuid import UUID

import httpx

from jobs import upkeep
from sync_service.engine import channels, connections
from tests.crash.invariants import assert_one_channel
from tests.engine.world import World, consent


async def test_a_deletion_after_a_lost_create_spares_what_was_edited_there(world: World) -> None:
    """The insert arrived, the worker died; it is edited there, then deleted here."""
    event = await world.add()
    world.google.add_fault("drop_after", operation="events.insert")
    await world.drain()
    world.ada.patch(world.live()[0]["id"], {"summary": "Theirs"})
    await world.remove(event)
    await world.hurry()
    await world.drain()
    await world.converge()
    assert (await world.titles(), world.summaries()) == (["Theirs"], ["Theirs"])
    assert [row["fields"] for row in await world.conflicts()] == [["deleted"]]
    await world.assert_silent()


async def test_a_deletion_after_a_lost_revival_removes_the_copy(world: World) -> None:
    """A deleted event was made again there, the worker died, and it is deleted here once more."""
    event = await world.add()
    await world.drain()
    await world.remove(event)
    await world.drain()
    await world.edit(event, deleted_at=None)
    world.google.add_fault("drop_after", operation="events.update")
    await world.drain()
    assert world.summaries() == ["Planning"]
    await world.remove(event)
    await world.hurry()
    await world.drain()
    assert world.summaries() == []
    await world.converge()
    assert await world.conflicts() == []
    await world.assert_silent()


async def test_a_channel_whose_opening_was_not_recorded_is_stopped_by_the_next(
    world: World,
) -> None:
    """It would live for a week and announce every change once more."""
    soon = "update private.watch_channels set expires_at = now() + interval '1 hour'"
    await world.pool.execute(soon)
    world.google.add_fault("drop_after", operation="events.watch")
    await channels.renew_due(world.hub)
    asked = len(world.google.calls)
    await channels.renew_due(world.hub)
    assert len(world.google.calls) == asked, "a renewal that failed takes a pause"
    # It may still be on its way, so it is left alone at first.
    await world.pool.execute(
        "update private.watch_channels set created_at = created_at - interval '1 hour'"
    )
    await world.pool.execute("update private.calendar_feeds set no_push_until = null")
    await channels.renew_due(world.hub)
    await assert_one_channel(world)


async def test_a_channel_that_a_disconnect_stopped_is_not_counted_on_afterwards(
    world: World,
) -> None:
    """The process dies once Google has stopped it, and the user connects before it is mended."""
    await world.pool.execute("update calendar_connections set status = 'disconnected'")
    for channel in world.google.world.state.channels.values():
        channel.stopped = True
    await consent(world.hub, world.user_id)
    await world.drain()
    await assert_one_channel(world)


async def test_connecting_again_is_finished_by_the_schedule(world: World) -> None:
    """The process dies, or Google is away, before the calendars were listed."""
    await connections.disconnect(world.hub, await _connection(world))
    world.add_there()
    world.google.add_fault("error", operation="calendarList.list", status=503)
    finished = await consent(world.hub, world.user_id)
    assert finished.status == "connected"
    assert await world.pool.fetchval("select count(*) from calendars where enabled") == 0
    await upkeep.mend({"hub": world.hub})
    await world.converge()
    assert await world.titles() == ["From Google"]


async def test_a_late_disconnect_leaves_a_new_connection_alone(world: World) -> None:
    """The user connects again while the rest of a disconnect is under way."""

    async def connect_again(answer: httpx.Response) -> None:
        if answer.request.url.path.endswith("/revoke"):
            await consent(world.hub, world.user_id)

    world.hub.http.event_hooks = {"response": [connect_again]}
    await connections.disconnect(world.hub, await _connection(world))
    assert await world.pool.fetchval("select status from calendar_connections") == "active"
    await world.add()
    await world.converge()
    assert world.summaries() == ["Planning"]


async def _connection(world: World) -> UUID:
    return await world.pool.fetchval("select id from calendar_connections")
