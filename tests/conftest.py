"""Fixtures for tests that need a real database, Valkey or the whole stack."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import asyncpg
import jwt
import pytest
import redis
from pydantic import SecretStr

from sync_service.devstack.stackfile import StackFile
from sync_service.settings import Settings, load_settings
from tests.servers import Database, Dev, Servers

JWT_SECRET = "test-secret-of-at-least-thirty-two-bytes"


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody with a row in `auth.users`."""

    id: uuid.UUID
    email: str
    token: str
    """An access token as Supabase issues it, signed with the test settings' secret."""


UserFactory = Callable[[], Awaitable[User]]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Postgres and one Valkey for this test process."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.stop()


@pytest.fixture
def database(servers: Servers) -> Iterator[Database]:
    """A fresh database with every migration applied."""
    with servers.database() as database:
        yield database


@pytest.fixture
def empty_database(servers: Servers) -> Iterator[Database]:
    """A fresh database with nothing at all in it."""
    with servers.database(template="template0") as database:
        yield database


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """A Valkey without keys."""
    with redis.Redis.from_url(servers.redis_url) as client:  # pyright: ignore[reportUnknownMemberType]
        client.execute_command("FLUSHALL")  # pyright: ignore[reportUnknownMemberType]
    return servers.redis_url


@pytest.fixture
def settings(database: Database, redis_url: str) -> Settings:
    """The service's settings on the test's own servers; providers point to a closed port."""
    nowhere = "http://127.0.0.1:9"
    return load_settings(
        _env_file=None,
        supabase_url=nowhere,
        supabase_publishable_key="sb_publishable_test",
        supabase_secret_key=SecretStr("sb_secret_test"),
        supabase_jwt_secret=SecretStr(JWT_SECRET),
        database_url=SecretStr(database.service_url),
        redis_url=SecretStr(redis_url),
        public_url="http://127.0.0.1:8000",
        tokens_encryption_key=SecretStr("0f" * 32),
        google_client_id="test-client",
        google_client_secret=SecretStr("test-client-secret"),
        google_api_base_url=nowhere,
        google_auth_url=f"{nowhere}/o/oauth2/v2/auth",
        google_token_url=f"{nowhere}/token",
        google_revoke_url=f"{nowhere}/revoke",
        google_userinfo_url=f"{nowhere}/oauth2/v3/userinfo",
        google_tokeninfo_url=f"{nowhere}/tokeninfo",
        google_certs_url=f"{nowhere}/oauth2/v3/certs",
    )


@pytest.fixture
def user(database: Database) -> UserFactory:
    """Makes users: `await user()`."""

    async def make() -> User:
        number = uuid.uuid4()
        email = f"{number.hex[:12]}@example.com"
        connection = await asyncpg.connect(database.admin_url)
        try:
            await connection.execute(
                "insert into auth.users (id, email) values ($1, $2)", number, email
            )
        finally:
            await connection.close()
        return User(id=number, email=email, token=access_token(number, email))

    return make


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFile]:
    """The whole of `calsync dev`, empty at first, on ports of its own."""
    dev = Dev(tmp_path_factory.mktemp("stack"), "--ephemeral", "--port-base", "0")
    try:
        yield dev.wait_until_up()
    finally:
        dev.stop()


def access_token(user_id: uuid.UUID, email: str = "", *, expires_in_s: float = 3600) -> str:
    """Sign an access token for *user_id* with the test settings' secret."""
    now = int(time.time())
    claims = {
        "sub": str(user_id),
        "aud": "authenticated",
        "role": "authenticated",
        "email": email,
        "iat": now,
        "exp": now + int(expires_in_s),
    }
    return jwt.encode(claims, JWT_SECRET, algorithm="HS256")
