"""Kills a process at each point of a scenario, each time in a fresh world, and looks what becomes.

A scenario is run undisturbed first: that gives the points. Then, for each of them, the process dies
there, another one starts, time passes, the schedules do what they do, and nothing may show.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import UUID, uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from jobs import upkeep
from jobs.drain import Drainer
from sync_service.emulators.google import ADA, Emulator
from sync_service.engine.hub import Hub, open_hub
from sync_service.settings import Settings
from sync_service.store.pool import Pool, open_pool
from tests.crash.invariants import judge
from tests.crash.probe import VICTIM, Happening, Killed, Probe, process
from tests.engine.world import World, consent
from tests.servers import Database

_ROUNDS = 8


class Scenario:
    """What is so before, what the process does, and what must be true in the end."""

    name: ClassVar[str]
    points: ClassVar[tuple[str, ...]]
    """Points that must be among the recorded ones."""
    at_least: ClassVar[int]
    """How many points there must be."""
    around_redis: ClassVar[bool] = False
    """Whether to kill around Redis commands too: they only count calls, so some scenarios do."""
    connected: ClassVar[bool] = True
    """Whether the account is connected beforehand."""

    titles: Sequence[str] = ()
    """What both sides show in the end."""
    ever: int | None = None
    """How many events Google ever held, deleted ones included; default: as many as it shows."""
    conflicts: int = 0
    """How many events went two ways."""
    notices: Sequence[str] = ()
    """What the user is told."""
    repeated: Sequence[str] = ()
    """Actions that rightly happen to one event more than once."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def prepare(self) -> None:
        """Make the world as it is when the process begins."""

    async def act(self, hub: Hub) -> None:
        """Do what the process does; by default it drains the queue, one row after the other."""
        await Drainer(hub, slots=1).drain()

    def happenings(self) -> Mapping[str, Happening]:
        """Return what others do while the process is at a point, by point."""
        return {}

    async def meanwhile(self) -> None:
        """Do what others do after the kill and before the restart."""

    async def again(self, hub: Hub) -> None:
        """Do what the user does on seeing that it did not work."""

    async def check(self) -> None:
        """Assert what is particular to the scenario."""


class Sweeper:
    """Runs scenarios on one database and one Google, which are emptied before each run."""

    def __init__(
        self, database: Database, settings: Settings, google: Emulator, subtests: pytest.Subtests
    ) -> None:
        self._database = database
        self._settings = settings
        self._google = google
        self._subtests = subtests

    async def sweep(self, scenario: type[Scenario]) -> None:
        """Kill at every point of *scenario*; each is a subtest under its name."""
        points = await self.run(scenario, Probe())
        moments = _moments(points, around_redis=scenario.around_redis)
        head = f"{scenario.name}: {len(points)} points at {len(moments)} moments"
        print(head, *moments.values(), sep="\n  ")
        assert set(scenario.points) <= set(points), "a side effect was not recorded"
        assert len(points) >= scenario.at_least, "side effects were not recorded"
        for number, name in moments.items():
            with self._subtests.test(msg=f"{scenario.name}, killed at {name}"):
                passed = await self.run(scenario, Probe(kill_at=number))
                assert passed == points[: number + 1], "the process took another way"

    async def run(self, kind: type[Scenario], probe: Probe) -> list[str]:
        """Run a scenario once, dead or alive, judge what became of it, and answer its points."""
        async with self._world(kind) as world:
            scenario = kind(world)
            await scenario.prepare()
            probe.arm(scenario.happenings())
            async with process(world.hub.settings, probe) as hub:
                await _until_dead(scenario, hub, probe)
            await _wait_until_gone(world.pool)
            await scenario.meanwhile()
            async with _restarted(world):
                await scenario.again(world.hub)
                await _recover(world)
                await scenario.check()
                await judge(
                    world,
                    titles=scenario.titles,
                    ever=scenario.ever,
                    conflicts=scenario.conflicts,
                    notices=scenario.notices,
                    repeated=scenario.repeated,
                )
        return probe.points

    @asynccontextmanager
    async def _world(self, kind: type[Scenario]) -> AsyncGenerator[World]:
        self._google.reset()
        self._google.auto_consent(ADA)
        user_id = await self._empty()
        async with _opened(self._settings) as hub:
            world = World(hub, self._google, user_id, UUID(int=0))
            if kind.connected:
                await connect(world)
            yield world

    async def _empty(self) -> UUID:
        """Empty the database and Redis, and answer the one user that there is now."""
        user_id = uuid4()
        server = await asyncpg.connect(self._database.superuser_url)
        try:
            # Neither triggers nor foreign keys: the tables are emptied, not worked with.
            await server.execute("set session_replication_role = replica")
            tables = await server.fetch(
                "select format('%I.%I', schemaname, tablename) as name from pg_tables"
                " where schemaname in ('public', 'private')"
            )
            for name in ("auth.users", *(row["name"] for row in tables)):
                await server.execute(f"delete from {name}")
            await server.execute(
                "insert into auth.users (id, email) values ($1, 'user@example.com')", user_id
            )
        finally:
            await server.close()
        redis_url = self._settings.redis_url.get_secret_value()
        async with Redis.from_url(redis_url) as client:  # pyright: ignore[reportUnknownMemberType]
            await client.flushall()  # pyright: ignore[reportUnknownMemberType]
            await client.script_flush()  # pyright: ignore[reportUnknownMemberType]
        return user_id


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[Hub]:
    pool = await open_pool(settings)
    try:
        async with open_hub(settings, pool) as hub:
            yield hub
    finally:
        await pool.close()


async def connect(world: World) -> None:
    """Connect Ada's account and read its primary calendar once."""
    finished = await consent(world.hub, world.user_id)
    assert finished.status == "connected", finished
    world.calendar_id = await world.pool.fetchval("select id from calendars where is_primary")
    await world.drain()


async def _until_dead(scenario: Scenario, hub: Hub, probe: Probe) -> None:
    asyncio.get_running_loop().set_exception_handler(_pass_over_the_dead)
    try:
        await scenario.act(hub)
    except Killed:
        assert probe.dead
    else:
        assert not probe.dead, "somebody swallowed the kill"


def _pass_over_the_dead(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), Killed | ConnectionError):
        loop.default_exception_handler(context)


async def _wait_until_gone(pool: Pool) -> None:
    """Wait until Postgres has noticed that the process is dead."""
    async with pool.acquire() as connection:
        for _ in range(1000):
            if not await connection.fetchval(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and application_name = $1",
                VICTIM,
            ):
                return
    raise AssertionError("the dead process still has connections")


@asynccontextmanager
async def _restarted(world: World) -> AsyncGenerator[None]:
    """Give the world a new process: nothing in memory, the same database and Redis."""
    async with _opened(world.hub.settings) as hub:
        world.hub = hub
        yield


async def _recover(world: World) -> None:
    """Let time pass and the schedules run until nothing is left to do."""
    for _ in range(_ROUNDS):
        await _let_an_hour_pass(world.pool)
        drainer = Drainer(world.hub)
        ctx: upkeep.Context = {"hub": world.hub, "drainer": drainer}
        await upkeep.mend(ctx)
        await upkeep.read_lists(ctx)
        await upkeep.sweep(ctx)
        await upkeep.poll(ctx)
        await upkeep.renew_channels(ctx)
        await drainer.drain()
        if not await world.pool.fetchval(
            "select count(*) from sync_queue where status in ('pending', 'processing')"
        ):
            return
    raise AssertionError("there is always something left to do")


async def _let_an_hour_pass(pool: Pool) -> None:
    for table, columns in {
        "public.sync_queue": ("run_at", "lease_until"),
        "private.calendar_feeds": ("last_pull_at", "no_push_until"),
        "public.calendar_connections": ("updated_at",),
        "private.watch_channels": ("created_at",),
        "private.calendar_lists": ("next_read_at", "rest_until", "no_push_until", "lease_until"),
        "private.job_leases": ("until",),
    }.items():
        changes = ", ".join(f"{column} = {column} - interval '1 hour'" for column in columns)
        await pool.execute(f"update {table} set {changes}")


def _moments(points: list[str], *, around_redis: bool) -> dict[int, str]:
    """Return where to kill, by number.

    Between one effect and the next a process only reads, and its memory dies with it: after the one
    and before the other are the same moment, named after both.
    """
    seen: Counter[str] = Counter()
    moments: dict[int, str] = {}
    last = 0
    for number, point in enumerate(points):
        seen[point] += 1
        name = point if seen[point] == 1 else f"{point}#{seen[point]}"
        follows = point.endswith(":before") and points[number - 1].endswith(":after")
        if number and (follows or (point.startswith("redis:") and not around_redis)):
            moments[last] += f" = {name}"
        else:
            last = number
            moments[last] = name
    return moments
