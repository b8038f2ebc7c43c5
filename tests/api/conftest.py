"""One embedded stack for the folder, the application in this process, and its users."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import httpx
import jwt
import msgspec
import pytest
from pydantic import SecretStr

from sync_service.api.app import create_app
from sync_service.devstack.stackfile import StackFile
from sync_service.settings import Settings, load_settings
from tests.servers import Dev

if TYPE_CHECKING:
    Sql = asyncpg.Connection[asyncpg.Record]
else:
    Sql = asyncpg.Connection


@dataclass(frozen=True)
class Backend:
    """Postgres, Valkey and Lite, with the secret that signs access tokens."""

    info: StackFile
    jwt_secret: str

    def settings(self, **overrides: Any) -> Settings:
        """Return settings for a service on this backend; Google is out of reach."""
        nowhere = "http://127.0.0.1:9"
        values: dict[str, Any] = {
            "supabase_url": self.info.supabase_url,
            "supabase_publishable_key": self.info.publishable_key,
            "supabase_secret_key": SecretStr(self.info.secret_key),
            "supabase_jwt_secret": SecretStr(self.jwt_secret),
            "database_url": SecretStr(self.info.service_database_url),
            "redis_url": SecretStr(self.info.redis_url),
            "public_url": "http://127.0.0.1:8000",
            "tokens_encryption_key": SecretStr("0f" * 32),
            "google_client_id": "test-client",
            "google_client_secret": SecretStr("test-client-secret"),
            "google_api_base_url": nowhere,
            "google_auth_url": f"{nowhere}/o/oauth2/v2/auth",
            "google_token_url": f"{nowhere}/token",
            "google_revoke_url": f"{nowhere}/revoke",
            "google_userinfo_url": f"{nowhere}/oauth2/v3/userinfo",
            "google_tokeninfo_url": f"{nowhere}/tokeninfo",
            "google_certs_url": f"{nowhere}/oauth2/v3/certs",
        }
        return load_settings(_env_file=None, **(values | overrides))


class Person:
    """A signed-up user, calling the API with their token."""

    def __init__(self, client: httpx.AsyncClient, user_id: uuid.UUID, token: str) -> None:
        self.client = client
        self.id = user_id
        self.token = token

    async def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request below `/api/calendar`."""
        authorization = {"Authorization": f"Bearer {self.token}"}
        return await self.client.request(
            method, f"/api/calendar{path}", headers=authorization | (headers or {}), **options
        )

    async def create(self, **fields: Any) -> dict[str, Any]:
        """Create an event, an hour on New Year's Day unless *fields* say otherwise."""
        answer = await self.call("POST", "/events", json=event_body(**fields))
        assert answer.status_code == 201, answer.text
        return answer.json()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """Start the application in this event loop; the framework's own client would block it."""
    app = create_app(settings)
    started, stopping = asyncio.Event(), asyncio.Event()

    # A task of its own, since a fixture is torn down in another task than it was set up in.
    async def live() -> None:
        async with app.lifespan():
            started.set()
            await stopping.wait()

    life = asyncio.create_task(live())
    starting = asyncio.create_task(started.wait())
    await asyncio.wait({life, starting}, return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    if life.done():
        await life
    transport = httpx.ASGITransport(cast("Any", app))
    try:
        async with httpx.AsyncClient(
            transport=transport, base_url=settings.public_url, timeout=20
        ) as client:
            yield client
    finally:
        stopping.set()
        await life


def event_body(**fields: Any) -> dict[str, Any]:
    """Return the body of an event."""
    return {
        "title": "Lunch",
        "start_time": "2027-01-01T12:00:00Z",
        "end_time": "2027-01-01T13:00:00Z",
    } | fields


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Postgres, Valkey and Lite, without the service's own processes."""
    folder = tmp_path_factory.mktemp("api")
    elsewhere = {"GOOGLE_API_BASE_URL": "http://127.0.0.1:9"}
    dev = Dev(folder, "--ephemeral", "--port-base", "0", "--no-app", environment=elsewhere)
    try:
        info = dev.wait_until_up()
        keys = msgspec.json.decode((folder / "ephemeral" / "keys.json").read_bytes())
        yield Backend(info, keys["jwt_secret"])
    finally:
        dev.stop()


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    """The application, started."""
    async with serving(backend.settings()) as client:
        yield client


@pytest.fixture
async def sql(backend: Backend) -> AsyncIterator[Sql]:
    """A connection of the tables' owner."""
    connection = await asyncpg.connect(backend.info.database_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def person(
    backend: Backend, client: httpx.AsyncClient, sql: Sql
) -> Callable[[], Awaitable[Person]]:
    """Makes signed-in people: `await person()`."""

    async def make() -> Person:
        user_id = uuid.uuid4()
        email = f"{user_id.hex[:12]}@example.com"
        await sql.execute("insert into auth.users (id, email) values ($1, $2)", user_id, email)
        claims = {
            "sub": str(user_id),
            "aud": "authenticated",
            "role": "authenticated",
            "email": email,
            "exp": int(time.time()) + 3600,
        }
        return Person(client, user_id, jwt.encode(claims, backend.jwt_secret, algorithm="HS256"))

    return make


async def connect_account(sql: Sql, person: Person, **calendar: Any) -> tuple[uuid.UUID, uuid.UUID]:
    """Give *person* a connected account with one enabled calendar; return the ids of both."""
    connection_id = await sql.fetchval(
        "insert into calendar_connections (user_id, provider, account_id, account_email)"
        " values ($1, 'google', $2, 'me@example.com') returning id",
        person.id,
        uuid.uuid4().hex,
    )
    return connection_id, await add_calendar(sql, person, connection_id, **calendar)


async def add_calendar(
    sql: Sql, person: Person, connection_id: uuid.UUID, **fields: Any
) -> uuid.UUID:
    """Add a calendar to the connection: enabled and the default target unless *fields* differ."""
    values: dict[str, Any] = {
        "user_id": person.id,
        "connection_id": connection_id,
        "provider": "google",
        "external_id": uuid.uuid4().hex,
        "name": "Primary",
        "access_role": "owner",
        "is_primary": True,
        "enabled": True,
        "default_target": True,
        "state": "healthy",
    } | fields
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    return await sql.fetchval(
        f"insert into calendars ({', '.join(values)}) values ({places}) returning id",
        *values.values(),
    )


async def finish_push(
    sql: Sql,
    event: dict[str, Any],
    calendar_id: uuid.UUID,
    *,
    status: str = "synced",
    error: str | None = None,
) -> None:
    """Do to the database what a worker does after a push, and announce it as it does."""
    async with sql.transaction():
        await sql.execute(
            "insert into event_mappings (user_id, event_id, calendar_id, external_id, html_link,"
            " status, last_synced_at, last_error)"
            " select user_id, id, $2, 'remote1', 'https://calendar.example/remote1', $3, now(), $4"
            " from calendar_events where id = $1"
            " on conflict (event_id, calendar_id) do update set status = excluded.status,"
            " last_synced_at = now(), last_error = excluded.last_error",
            uuid.UUID(event["id"]),
            calendar_id,
            status,
            error,
        )
        await sql.execute(
            "update sync_queue set status = 'completed', completed_at = now() where event_id = $1",
            uuid.UUID(event["id"]),
        )
        payload = {"user_id": None, "event_id": event["id"]}
        await sql.execute(
            "select pg_notify('calsync_events', $1)", msgspec.json.encode(payload).decode()
        )
