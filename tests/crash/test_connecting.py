"""A process dies while it connects an account or refreshes its token."""

from __future__ import annotations

import pytest

from jobs import upkeep
from sync_service.engine import connections
from sync_service.engine.hub import Hub
from tests.crash.invariants import assert_one_channel_after_renewal, assert_works, is_active
from tests.crash.sweep import Scenario, Sweeper
from tests.engine.world import consent


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
    at_least = 36
    connected = False
    titles = ("One", "Two")

    async def prepare(self) -> None:
        for title in self.titles:
            self.world.add_there(title)

    async def act(self, hub: Hub) -> None:
        await consent(hub, self.world.user_id)
        await super().act(hub)

    async def again(self, hub: Hub) -> None:
        if not await is_active(self.world):
            await consent(hub, self.world.user_id)
        self.world.calendar_id = await self.world.pool.fetchval("select id from calendars limit 1")

    async def check(self) -> None:
        await assert_works(self.world)
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
        await assert_works(self.world)


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


class Reconnect(Connect):
    """The account was disconnected; both sides were edited since."""

    name = "reconnect"
    connected = True
    at_least = 50
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
    at_least = 60
    disconnected = False
    notices = ("reconnect_needed",)


@pytest.mark.parametrize(
    "scenario",
    [Connect, Reconnect, ReconnectRevoked, Refresh, RefreshAhead],
    ids=lambda kind: kind.name,
)
async def test_killed_anywhere(sweeper: Sweeper, scenario: type[Scenario]) -> None:
    await sweeper.sweep(scenario)
