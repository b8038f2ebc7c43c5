"""`calsync doctor`: what is wrong with the configuration, and how to mend it.

Nothing printed here holds a secret: values are named, not shown.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import asyncpg
import httpx
import redis.asyncio
import redis.exceptions
from postgrest.exceptions import APIError
from pydantic_core import PydanticUndefined
from supabase import AsyncClientOptions, SupabaseException, acreate_client

from sync_service.errors import Misconfigured
from sync_service.settings import Settings, is_loopback, load_settings
from sync_service.store import migrate
from sync_service.store.pool import SERVICE_ROLE, behind_transaction_pooler

TIMEOUT_S = 8.0
REFUSED_BY_GRANT = "42501"
"""The key was accepted and the role behind it found: it merely may not read this table."""
NO_SUCH_TABLE = "PGRST205"


@dataclass(frozen=True)
class Finding:
    """The state of one thing; *mend* says what to do unless it is ok."""

    subject: str
    state: Literal["ok", "note", "wrong"]
    detail: str
    mend: str = ""


Check = Callable[[Settings], AsyncGenerator[Finding]]


async def examine() -> AsyncGenerator[Finding]:
    """Check every setting and everything that they point to."""
    settings, faulty = _read()
    for name, message in faulty.items():
        yield Finding(name, "wrong", message, "set it in the environment or in .env")
    if not faulty:
        yield Finding("settings", "ok", "all present and well-formed")
    for subject, (check, needed) in CHECKS.items():
        if settings is None or not faulty.keys().isdisjoint(needed):
            continue
        try:
            async for finding in check(settings):
                yield finding
        except (OSError, httpx.HTTPError, httpx.InvalidURL) as fault:
            yield Finding(subject, "wrong", f"does not answer ({type(fault).__name__})", REACH)


def _read() -> tuple[Settings | None, dict[str, str]]:
    """Return the settings and what is wrong with which; a faulty one has a stand-in's value."""
    try:
        return load_settings(), {}
    except Misconfigured as fault:
        faulty: dict[str, str] = fault.context
    stand_ins: dict[str, Any] = {}
    for name in faulty:
        field = Settings.model_fields.get(name.lower())
        default = PydanticUndefined if field is None else field.default
        stand_ins[name.lower()] = (
            STAND_INS.get(name, "stand-in") if default is PydanticUndefined else default
        )
    try:
        return load_settings(**stand_ins), faulty
    except Misconfigured:
        return None, faulty


STAND_INS = {
    "SUPABASE_URL": "http://127.0.0.1",
    "DATABASE_URL": "postgresql://127.0.0.1",
    "REDIS_URL": "redis://127.0.0.1",
    "PUBLIC_URL": "http://127.0.0.1",
    "TOKENS_ENCRYPTION_KEY": "00" * 32,
}
"""Values with which the others can be checked: no check that needs a faulty setting is made."""


REACH = "check the address, that it is up, and that this machine may reach it"


async def _database(settings: Settings) -> AsyncGenerator[Finding]:
    url = settings.database_url.get_secret_value()
    try:
        connection = await asyncpg.connect(url, timeout=TIMEOUT_S, statement_cache_size=0)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as fault:
        # The driver's messages name user and database, never the password.
        yield Finding("DATABASE_URL", "wrong", str(fault), "check user, password and database")
        return
    try:
        yield await _role(connection)
        if behind_transaction_pooler(url):
            yield Finding(
                "DATABASE_URL",
                "wrong",
                "leads through a transaction pooler, on which nothing can be heard",
                "use the direct connection or the session pooler (port 5432)",
            )
        try:
            missing = await migrate.pending(connection)
        except Misconfigured as fault:
            yield Finding("migrations", "wrong", fault.detail, "run calsync migrate")
        else:
            if missing:
                detail = f"{len(missing)} not applied, the first is {missing[0]}"
                yield Finding("migrations", "wrong", detail, "run calsync migrate")
            else:
                yield Finding("migrations", "ok", "all applied")
    finally:
        await connection.close()


async def _role(connection: asyncpg.Connection[Any]) -> Finding:
    row = await connection.fetchrow(
        """
        select current_user::text as name, rolsuper or rolbypassrls as mighty,
          (select pg_has_role(current_user, oid, 'member') from pg_roles where rolname = $1)
            as member
        from pg_roles where rolname = current_user
        """,
        SERVICE_ROLE,
    )
    name = row["name"] if row else "?"
    if row is None or not row["member"]:
        return Finding(
            "DATABASE_URL",
            "wrong",
            f"the role {name} may not act as {SERVICE_ROLE}",
            f"run calsync migrate, then: alter role {SERVICE_ROLE} login password '…'",
        )
    if name != SERVICE_ROLE and row["mighty"]:
        return Finding(
            "DATABASE_URL",
            "note",
            f"logs in as {name}, which may do more than the service needs",
            f"alter role {SERVICE_ROLE} login password '…' and log in as {SERVICE_ROLE}",
        )
    return Finding("DATABASE_URL", "ok", f"answers, as {name}")


async def _redis(settings: Settings) -> AsyncGenerator[Finding]:
    url = settings.redis_url.get_secret_value()
    try:
        client = redis.asyncio.Redis.from_url(url, socket_timeout=TIMEOUT_S)  # pyright: ignore[reportUnknownMemberType]
    except ValueError as fault:
        yield Finding("REDIS_URL", "wrong", str(fault), "redis://, rediss:// or unix://")
        return
    try:
        await client.execute_command("PING")  # pyright: ignore[reportUnknownMemberType]
        yield Finding("REDIS_URL", "ok", "answers")
    except redis.exceptions.AuthenticationError:
        yield Finding("REDIS_URL", "wrong", "refuses the password", "check user and password")
    except redis.exceptions.RedisError as fault:
        detail = f"does not answer ({type(fault).__name__})"
        yield Finding("REDIS_URL", "wrong", detail, REACH)
    finally:
        await client.aclose()


async def _publishable_key(settings: Settings) -> AsyncGenerator[Finding]:
    key = settings.supabase_publishable_key
    async with _http() as client:
        answer = await client.get(
            f"{settings.supabase_url}/rest/v1/calendar_events?select=id&limit=1",
            headers={"apikey": key},
        )
    code = _json(answer).get("code")
    yield _data_api("SUPABASE_PUBLISHABLE_KEY", None if answer.is_success else str(code))


async def _secret_key(settings: Settings) -> AsyncGenerator[Finding]:
    name, key = "SUPABASE_SECRET_KEY", settings.supabase_secret_key.get_secret_value()
    if key == settings.supabase_publishable_key:
        yield Finding(name, "wrong", "is the publishable key", "take the secret one")
        return
    async with _http() as http:
        options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False)
        try:
            client = await acreate_client(settings.supabase_url, key, options=options)
            await client.table("calendar_events").select("id").limit(1).execute()
        except SupabaseException:
            yield _data_api(name, "refused")
        except APIError as fault:
            yield _data_api(name, fault.code or "refused")
        else:
            yield _data_api(name, None)


def _data_api(name: str, code: str | None) -> Finding:
    if code in (None, REFUSED_BY_GRANT):
        return Finding(name, "ok", "the data API accepts it")
    if code == NO_SUCH_TABLE:
        mend = "run calsync migrate, and list the schema public under Data API in the dashboard"
        return Finding(name, "wrong", "accepted, but calendar_events is not exposed", mend)
    mend = "copy it from the project's API keys; SUPABASE_URL must be of the same project"
    return Finding(name, "wrong", "the data API does not accept it", mend)


async def _tokens(settings: Settings) -> AsyncGenerator[Finding]:
    if settings.supabase_jwt_secret:
        yield Finding("SUPABASE_JWT_SECRET", "ok", "access tokens are checked with it")
        return
    async with _http() as client:
        answer = await client.get(f"{settings.supabase_url}/auth/v1/.well-known/jwks.json")
    if answer.is_success and _json(answer).get("keys"):
        yield Finding("access tokens", "ok", "are checked with the project's public keys")
    else:
        yield Finding(
            "access tokens",
            "wrong",
            "the project publishes no keys",
            "move it to JWT signing keys, or set SUPABASE_JWT_SECRET",
        )


async def _google(settings: Settings) -> AsyncGenerator[Finding]:
    secret = settings.google_client_secret.get_secret_value()
    async with _http() as client:
        certs = await client.get(settings.google_certs_url)
        if certs.is_success and _json(certs).get("keys"):
            yield Finding("GOOGLE_CERTS_URL", "ok", "answers")
        else:
            yield Finding("GOOGLE_CERTS_URL", "wrong", "shows no keys", REACH)
        api = await client.get(f"{settings.google_api_base_url}/calendar/v3/users/me/calendarList")
        if api.status_code in (401, 403):
            yield Finding("GOOGLE_API_BASE_URL", "ok", "answers")
        else:
            detail = f"answers {api.status_code}, which is not the Calendar API"
            yield Finding("GOOGLE_API_BASE_URL", "wrong", detail, REACH)
        if not settings.google_client_id or not secret:
            yield Finding(
                "GOOGLE_CLIENT_ID",
                "note",
                "or its secret is not set: nobody can connect a Google Calendar",
                "create an OAuth client of type web application in the Google Cloud console",
            )
            return
        # A made-up grant is refused as such only after the client itself was recognised.
        token = await client.post(
            settings.google_token_url,
            data={
                "grant_type": "refresh_token",
                "refresh_token": "made-up-by-calsync-doctor",
                "client_id": settings.google_client_id,
                "client_secret": secret,
            },
        )
    if _json(token).get("error") == "invalid_grant":
        yield Finding("GOOGLE_CLIENT_ID", "ok", "and its secret are accepted")
    else:
        yield Finding(
            "GOOGLE_CLIENT_ID",
            "wrong",
            "or its secret is not accepted",
            "copy both from the OAuth client in the Google Cloud console",
        )


async def _public_url(settings: Settings) -> AsyncGenerator[Finding]:
    local = is_loopback(urlsplit(settings.public_url).hostname)
    real_google = not is_loopback(urlsplit(settings.google_api_base_url).hostname)
    if local and real_google:
        yield Finding(
            "PUBLIC_URL",
            "note",
            "is on loopback, where Google cannot send notices: changes there arrive by polling",
            "set an https address that leads here",
        )
        return
    try:
        async with _http() as client:
            healthy = (await client.get(f"{settings.public_url}/healthz")).is_success
    except httpx.HTTPError:
        healthy = False
    if healthy:
        yield Finding("PUBLIC_URL", "ok", "leads to a running service")
    else:
        yield Finding(
            "PUBLIC_URL",
            "note",
            "leads to no running service at the moment",
            "start calsync serve, or check the address if it is running",
        )


async def _notion(settings: Settings) -> AsyncGenerator[Finding]:
    if not settings.notion_client_id:
        return
    async with _http() as client:
        answer = await client.get(f"{settings.notion_api_base_url}/v1/users/me")
    if answer.status_code in (400, 401):
        yield Finding("NOTION_API_BASE_URL", "ok", "answers")
    else:
        detail = f"answers {answer.status_code}, which is not the Notion API"
        yield Finding("NOTION_API_BASE_URL", "wrong", detail, REACH)


CHECKS: dict[str, tuple[Check, frozenset[str]]] = {
    "DATABASE_URL": (_database, frozenset({"DATABASE_URL"})),
    "REDIS_URL": (_redis, frozenset({"REDIS_URL"})),
    "SUPABASE_URL": (_publishable_key, frozenset({"SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY"})),
    "SUPABASE_SECRET_KEY": (_secret_key, frozenset({"SUPABASE_URL", "SUPABASE_SECRET_KEY"})),
    "access tokens": (_tokens, frozenset({"SUPABASE_URL"})),
    "Google": (
        _google,
        frozenset({"GOOGLE_CERTS_URL", "GOOGLE_API_BASE_URL", "GOOGLE_TOKEN_URL"}),
    ),
    "PUBLIC_URL": (_public_url, frozenset({"PUBLIC_URL", "GOOGLE_API_BASE_URL"})),
    "Notion": (_notion, frozenset({"NOTION_API_BASE_URL"})),
}
"""Every check, by what is named when nothing answers at all, and the settings that it needs."""


def _http() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=TIMEOUT_S)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


async def run(say: Callable[[str], None]) -> bool:
    """Print every finding and return whether nothing is wrong."""
    healthy = True
    async for finding in examine():
        say(f"{finding.state:<6} {finding.subject} {finding.detail}")
        if finding.mend and finding.state != "ok":
            say(f"       → {finding.mend}")
        healthy = healthy and finding.state != "wrong"
    return healthy
