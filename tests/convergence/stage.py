"""Where a history is played: one user and one emulated Google, put back to the start at will."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
import httpx
import structlog
from redis.asyncio import Redis

from sync_service.emulators.google import ADA, Emulator, create_app
from sync_service.emulators.google.channels import Message
from sync_service.emulators.google.limits import Limits
from sync_service.engine import connections
from sync_service.engine.hub import Hub, open_hub
from sync_service.providers.google import GoogleProvider
from sync_service.settings import Settings
from sync_service.store import queue
from sync_service.store.pool import open_pool
from tests.convergence.ledger import Found
from tests.convergence.sides import guests_of_google, guests_of_row, of_google, of_row, tag_of
from tests.convergence.workers import Line, Worker
from tests.engine.world import WRITES, World, pointing_to

Row = dict[str, Any]

_CALENDAR = "select id from calendars where enabled"
_CLEAN = """
delete from event_mappings; delete from calendar_events; delete from sync_queue;
delete from sync_conflicts; delete from sync_audit; delete from sync_notifications;
update calendars set state = 'healthy', state_reason = null, last_error = null;
"""


class Stage:
    """The world, the user's own door to the database, and the way back to the beginning."""

    def __init__(self, world: World, user_door: asyncpg.Connection[Any], redis: Redis) -> None:
        self.world = world
        self.notices: list[Message] = []
        self.unexpected: list[str] = []
        self._user_door = user_door
        self._redis = redis
        self._snapshot = world.google.dump()
        self._advanced_s = 0.0
        self._tags: dict[UUID, str] = {}
        self._cursor: str = ""

    async def remember(self) -> None:
        """Keep the present as the beginning of every history."""
        self._snapshot = self.world.google.dump()
        self._cursor = await self.world.pool.fetchval("select cursor from private.calendar_feeds")

    async def begin(self, policy: str, switches: dict[str, Any]) -> None:
        """Go back to two empty sides that are connected and in sync."""
        world = self.world
        await world.pool.execute(_CLEAN)
        await world.pool.execute("update calendars set conflict_policy = $1", policy)
        await world.pool.execute(
            "update private.calendar_feeds set cursor = $1, cursor_key = '1', wants_full = false,"
            " pass_id = null, pass_page = null, pass_started_at = null",
            self._cursor,
        )
        google = world.google
        google.restore(self._snapshot)
        google.faults.clear()
        google.limits = Limits()
        google.calls.clear()
        google.clock.advance(-self._advanced_s)
        self._advanced_s = 0.0
        google.configure(**switches)
        self.notices.clear()
        self._tags.clear()
        self.unexpected.clear()

    def skew(self, seconds: float) -> None:
        """Let Google's clock jump ahead of the database's."""
        self.world.google.clock.advance(seconds)
        self._advanced_s += seconds

    # The app's side

    async def as_user(self, statement: str, *values: Any) -> Any:
        """Run *statement* as the data API does for the signed-in user."""
        return await self._user_door.fetchval(statement, *values)

    async def as_service(self, statement: str, *values: Any) -> Any:
        """Run *statement* as another program with access to the tables does."""
        return await self.world.pool.fetchval(statement, *values)

    async def rows(self) -> list[Row]:
        """Return every row of the user's events, deleted ones included, by tag."""
        rows = await self.world.pool.fetch("select * from calendar_events")
        found = [dict(row.items()) for row in rows]
        self._tags |= {row["id"]: tag_of(of_row(row)) for row in found}
        return sorted(found, key=lambda row: (tag_of(of_row(row)), row["deleted_at"] is not None))

    # Google's side

    def resources(self) -> list[Row]:
        """Return every event that Google stores, tombstones included, by tag."""
        found = self.world.google.events(ADA)
        return sorted(found, key=lambda body: tag_of(of_google(body)))

    def writes(self) -> tuple[int, int]:
        """Return how many writes Google carried out, and how many failed."""
        asked = [call.status for call in self.world.google.calls if call.operation in WRITES]
        done = sum(1 for status in asked if 200 <= status < 300)
        return done, len(asked) - done

    # Between them

    async def claim(self, kind: str, which: int | str) -> Worker | None:
        """Claim one pending row of *kind*: by place in the order of tags, or by its event's tag."""
        await self.rows()
        pending = await self.world.pool.fetch(
            "select id, event_id from sync_queue where status = 'pending' and kind = $1", kind
        )
        ordered = sorted(pending, key=lambda row: (self._tags.get(row["event_id"], ""), row["id"]))
        if isinstance(which, str):
            ordered = [row for row in ordered if self._tags.get(row["event_id"]) == which]
        if not ordered:
            return None
        chosen = ordered[0 if isinstance(which, str) else which % len(ordered)]["id"]
        await self.world.pool.execute(
            "update sync_queue set run_at = case id when $1 then now() else 'infinity' end"
            " where status = 'pending'",
            chosen,
        )
        # Workers in slow motion have been at it for long: nobody waits for them any more.
        await self.world.pool.execute(
            "update sync_queue set updated_at = now() - interval '1 minute'"
            " where status = 'processing'"
        )
        await self.world.pool.execute("update calendar_connections set rest_until = null")
        [task] = await queue.claim_batch(self.world.pool, 1, 60)
        return Worker(self.world.hub, task)

    async def request_pull(self) -> None:
        """Ask for a pull, as the poll does."""
        await queue.request_pulls(self.world.pool, [self.world.calendar_id], "poll")

    async def deliver(self, notice: Message) -> None:
        """Let a notice of Google's arrive."""
        headers = {name.lower(): value for name, value in notice.headers.items()}
        await self.world.pool.fetchval(
            "select record_google_notice($1, $2, $3, $4)",
            notice.channel_id,
            headers.get("x-goog-channel-token", ""),
            headers.get("x-goog-resource-id", ""),
            notice.number,
        )

    async def lapse(self, worker: Worker) -> None:
        """Let the lease of *worker* run out."""
        await self.world.pool.execute(
            "update sync_queue set lease_until = now() - interval '1 second'"
            " where lease_token = $1",
            worker.task.lease_token,
        )
        await queue.release_expired(self.world.pool)

    async def drain(self) -> int:
        """Carry out every pending row, one after the other; answers how many there were."""
        done = 0
        while worker := await self.claim("pull", 0) or await self.claim("push", 0):
            await worker.advance(None)
            done += 1
            assert done < 300, "the queue does not empty"
        return done

    async def converge(self) -> None:
        """Clear what goes wrong, then poll and drain until nothing is left to do."""
        self.world.google.faults.clear()
        await self._redis.flushall()  # pyright: ignore[reportUnknownMemberType]
        for _ in range(12):
            await self.request_pull()
            await self.drain()
            if not await self.world.pool.fetchval(
                "select count(*) from sync_queue where status <> 'completed'"
            ):
                return

    async def found(self) -> tuple[list[Found], list[Found]]:
        """Return what both sides show now."""
        rows = [row for row in await self.rows() if row["deleted_at"] is None]
        live = [body for body in self.resources() if body["status"] != "cancelled"]
        return (
            [Found(of_row(row), guests_of_row(row)) for row in rows],
            [Found(of_google(body), guests_of_google(body)) for body in live],
        )


@asynccontextmanager
async def open_stage(settings: Settings, user_id: UUID, admin_url: str) -> AsyncGenerator[Stage]:
    """Connect *user_id* to a Google in this process, and keep that as the beginning."""
    google = Emulator(redirect_uris=[f"{settings.public_url}/auth/google/callback"])
    google.auto_consent(ADA)
    google.configure(
        access_token_lifetime_s=10**8, user_units_per_minute=None, project_units_per_minute=None
    )
    app = create_app(google)
    quiet = settings.model_copy(
        update={
            "google_user_calls_per_minute": 10**7,
            "google_project_calls_per_minute": 10**7,
        }
    )
    configured = pointing_to(quiet, "http://google.test")
    pool = await open_pool(configured, max_size=10)
    user_door = await asyncpg.connect(admin_url)
    redis = Redis.from_url(settings.redis_url.get_secret_value())  # pyright: ignore[reportUnknownMemberType]
    try:
        async with (
            open_hub(configured, pool) as opened,
            httpx.AsyncClient(transport=Line(app)) as line,
        ):
            hub = replace(opened, http=line, providers={"google": GoogleProvider(configured, line)})
            await _connect(hub, user_id, line)
            world = World(hub, google, user_id, await pool.fetchval(_CALENDAR))
            await world.drain()
            stage = Stage(world, user_door, redis)
            google.on_message = stage.notices.append
            await user_door.execute("set role authenticated")
            await user_door.execute(
                "select set_config('request.jwt.claims', $1, false)",
                f'{{"sub": "{user_id}", "role": "authenticated"}}',
            )
            await stage.remember()
            with _only_the_unexpected(stage.unexpected):
                yield stage
    finally:
        await redis.aclose()
        await user_door.close()
        await pool.close()


async def _connect(hub: Hub, user_id: UUID, browser: httpx.AsyncClient) -> None:
    url = await connections.start(
        hub, provider="google", user_id=user_id, return_to=None, preview=False
    )
    back = parse_qs(urlsplit((await browser.get(url)).headers["location"]).query)
    finished = await connections.finish(
        hub, provider="google", state=back["state"][0], code=back["code"][0], error=None
    )
    assert finished.status == "connected", finished


@contextmanager
def _only_the_unexpected(heard: list[str]) -> Generator[None]:
    """Keep the log silent, and note in *heard* what the engine calls unexpected."""

    def note(_: Any, __: str, entry: MutableMapping[str, Any]) -> NoReturn:
        heard.append(str(entry))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        processors=[structlog.processors.format_exc_info, note],
    )
    try:
        yield
    finally:
        structlog.configure(**before)
