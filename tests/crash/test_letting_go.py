"""A process dies while it lets an account go or replaces a channel."""

from __future__ import annotations

from uuid import UUID

import pytest

from jobs import upkeep
from sync_service.engine import connections
from sync_service.engine.hub import Hub
from sync_service.store import connections as connection_rows
from tests.crash.invariants import (
    assert_given_back,
    assert_one_channel,
    assert_one_channel_after_renewal,
    assert_works,
    is_active,
)
from tests.crash.sweep import Scenario, Sweeper
from tests.engine.world import consent


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
        if await is_active(self.world):
            await connections.disconnect(hub, self.connection)

    async def check(self) -> None:
        await assert_given_back(self.world)


class MendDisconnect(Disconnect):
    """The disconnect died half-way, and so does the schedule that finishes it."""

    name = "disconnect finished by the schedule"
    points = (*Disconnect.points, "db:job_leases.give_back:before")

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
        await assert_works(self.world)
        await assert_one_channel(self.world)


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
    at_least = 26

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
    [Disconnect, MendDisconnect, DisconnectThenConnect, Renewal],
    ids=lambda kind: kind.name,
)
async def test_killed_anywhere(sweeper: Sweeper, scenario: type[Scenario]) -> None:
    await sweeper.sweep(scenario)
