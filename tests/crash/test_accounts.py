"""A process dies while it connects an account, refreshes its token or lets it go."""

from __future__ import annotations

from uuid import UUID

import pytest

from jobs import upkeep
from jobs.drain import Drainer
from sync_service.engine import connections
from sync_service.engine.hub import Hub
from sync_service.store import connections as connection_rows
from tests.crash.invariants import assert_given_back, assert_one_channel
from tests.crash.sweep import Scenario, Sweeper
from tests.engine.world import World, consent


class Connect(Scenario):
    """A new account with events, from the button to the first pull."""

    name = "connect"
    points = (
        "db:connections.save_state:after",
        "db:connections.consume_state:before",
        "db:connections.consume_state:after",
        "provider:oauth.token:before",
        "provider:oauth.token:after",
        "provider:calendarList.list:after",
        "db:channels.register:before",
        "db:channels.register:after",
        "provider:events.watch:before",
        "provider:events.watch:after",
        "provider:events.list:after",
    )
    at_least = 30
    connected = False
    titles = ("One", "Two")

    async def prepare(self) -> None:
        for title in self.titles:
            self.world.add_there(title)

    async def act(self, hub: Hub) -> None:
        await consent(hub, self.world.user_id)
        await super().act(hub)

    async def again(self, hub: Hub) -> None:
        if not await _active(self.world):
            await consent(hub, self.world.user_id)
        self.world.calendar_id = await self.world.pool.fetchval("select id from calendars limit 1")

    async def check(self) -> None:
        await _assert_works(self.world)
        await assert_one_channel_after_renewal(self.world)


class Refresh(Scenario):
    """The access token is over when the next push comes."""

    name = "token refresh"
    points = (
        "provider:oauth.token(refresh):before",
        "provider:oauth.token(refresh):after",
        "db:commit(connections.save_tokens):before",
        "db:commit(connections.save_tokens):after",
    )
    at_least = 14
    titles = ("Planning",)

    async def prepare(self) -> None:
        await self.world.add()
        await self.world.pool.execute(
            "update private.connection_tokens set expires_at = now() - interval '1 minute'"
        )

    async def check(self) -> None:
        await _assert_works(self.world)


class RefreshAhead(Refresh):
    """The schedule refreshes tokens before they end."""

    name = "token refresh on schedule"
    at_least = 4
    titles = ()

    async def prepare(self) -> None:
        await self.world.pool.execute(
            "update private.connection_tokens set expires_at = now() + interval '2 minutes'"
        )

    async def act(self, hub: Hub) -> None:
        await upkeep.mend({"hub": hub})


class Disconnect(Scenario):
    """The user lets the account go; a channel, a grant and tokens have to be given back."""

    name = "disconnect"
    points = (
        "provider:channels.stop:before",
        "provider:channels.stop:after",
        "db:channels.stopped:after",
        "provider:oauth.revoke:before",
        "provider:oauth.revoke:after",
    )
    at_least = 12
    titles = ("Planning",)
    connection: UUID

    async def prepare(self) -> None:
        await self.world.add()
        await self.world.drain()
        self.connection = await self.world.pool.fetchval("select id from calendar_connections")

    async def act(self, hub: Hub) -> None:
        await connections.disconnect(hub, self.connection)

    async def again(self, hub: Hub) -> None:
        if await _active(self.world):
            await connections.disconnect(hub, self.connection)

    async def check(self) -> None:
        await assert_given_back(self.world)


class MendDisconnect(Disconnect):
    """The disconnect died half-way, and so does the schedule that finishes it."""

    name = "disconnect finished by the schedule"
    points = (*Disconnect.points, "db:select_pg_advisory_unlock:before")

    async def prepare(self) -> None:
        await super().prepare()
        await connection_rows.set_status(self.world.pool, self.connection, "disconnected")
        await self.world.pool.execute(
            "update calendar_connections set updated_at = now() - interval '1 hour'"
        )

    async def act(self, hub: Hub) -> None:
        await upkeep.mend({"hub": hub})


class DisconnectThenConnect(Disconnect):
    """The user connects again before the schedule has finished a disconnect that died."""

    name = "disconnect, then connected again"

    async def again(self, hub: Hub) -> None:
        await consent(hub, self.world.user_id)

    async def check(self) -> None:
        await _assert_works(self.world)
        await assert_one_channel(self.world)


class Reconnect(Connect):
    """The account was disconnected; both sides were edited since."""

    name = "reconnect"
    connected = True
    at_least = 30
    titles = ("Ours", "Ours, new", "Theirs, edited", "Theirs, new")
    disconnected = True

    async def prepare(self) -> None:
        world = self.world
        theirs, ours = world.add_there("Theirs"), await world.add(title="Our first")
        await world.poll()
        if self.disconnected:
            connection = await world.pool.fetchval("select id from calendar_connections")
            await connections.disconnect(world.hub, connection)
        else:
            world.ada.revoke(world.hub.settings.google_client_id)
        world.ada.patch(theirs, {"summary": "Theirs, edited"})
        await world.edit(ours, title="Ours")
        world.add_there("Theirs, new")
        await world.add(title="Ours, new")
        await world.drain()


class ReconnectRevoked(Reconnect):
    """The user had taken the grant away at Google, and both sides were edited since."""

    name = "reconnect after the grant was revoked"
    disconnected = False
    notices = ("reconnect_needed",)


async def _active(world: World) -> bool:
    return bool(
        await world.pool.fetchval(
            "select exists (select from calendar_connections where status = 'active')"
        )
    )


async def _assert_works(world: World) -> None:
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


class Renewal(Scenario):
    """A channel is about to end."""

    name = "channel renewal"
    points = (
        "db:channels.register:before",
        "db:channels.register:after",
        "provider:events.watch:before",
        "provider:events.watch:after",
        "provider:channels.stop:before",
        "provider:channels.stop:after",
        "db:channels.stopped:before",
        "db:queue.request_pulls:before",
        "db:queue.request_pulls:after",
    )
    at_least = 24

    async def prepare(self) -> None:
        await self.world.pool.execute(
            "update private.watch_channels set expires_at = now() + interval '1 hour'"
        )

    async def act(self, hub: Hub) -> None:
        await upkeep.renew_channels({"hub": hub})
        await super().act(hub)

    async def check(self) -> None:
        await assert_one_channel_after_renewal(self.world)


@pytest.mark.parametrize(
    "scenario",
    [
        Connect,
        Refresh,
        RefreshAhead,
        Disconnect,
        MendDisconnect,
        DisconnectThenConnect,
        Reconnect,
        ReconnectRevoked,
        Renewal,
    ],
    ids=lambda kind: kind.name,
)
async def test_killed_anywhere(sweeper: Sweeper, scenario: type[Scenario]) -> None:
    await sweeper.sweep(scenario)
