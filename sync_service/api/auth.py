"""Who is asking: verifies the access tokens that Supabase Auth hands out, without asking it.

Which algorithms are accepted follows from the configuration, never from the token alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import httpx
import jwt
import msgspec
import structlog
from litestar.connection import ASGIConnection
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from sync_service.api.problems import Problem
from sync_service.settings import Settings

AUDIENCE = "authenticated"
ROLE = "authenticated"
LEEWAY_S = 10
_MAX_TOKEN_LENGTH = 8192
_CACHE_SIZE = 4096
# A key that is withdrawn stops working after this, even for tokens seen before.
_CACHE_S = 300
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Caller:
    """A signed-in user and the token that proves it, which the data API wants to see too."""

    id: UUID
    token: str


class KeySet:
    """The project's public signing keys, fetched when needed and kept for a while."""

    ALGORITHMS = ("ES256", "RS256")
    MAX_AGE_S = 600.0
    COOLDOWN_S = 15.0

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = url
        self._http = http
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key named *kid*, after a look at the project if it is not known here.

        Raises `Problem` (503) when no key was ever fetched and none can be now.
        """
        if not self._is_fresh() or kid not in self._keys:
            async with self._lock:
                if not self._is_fresh() or kid not in self._keys:
                    await self._refetch()
        return self._keys.get(kid)

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._fetched_at < self.MAX_AGE_S

    async def _refetch(self) -> None:
        # Forged tokens with invented key ids must not become a stream of requests.
        if time.monotonic() - self._tried_at >= self.COOLDOWN_S:
            self._tried_at = time.monotonic()
            try:
                response = await self._http.get(self._url, timeout=5)
                response.raise_for_status()
                self._keys = _parse_keys(response.content, self.ALGORITHMS)
                self._fetched_at = time.monotonic()
            except (httpx.HTTPError, msgspec.DecodeError) as fault:
                _log.error("auth.keys_unavailable", fault=type(fault).__name__)
        if self._fetched_at == float("-inf"):
            raise Problem(
                503,
                "auth_unavailable",
                "Access tokens cannot be checked at the moment; try again.",
                headers={"Retry-After": "5"},
            )


class Verifier:
    """Turns a bearer token into the `Caller` it proves, or refuses it with a 401."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        secret = settings.supabase_jwt_secret
        self._secret = secret.get_secret_value() if secret else None
        self._keys = KeySet(f"{settings.supabase_url}/auth/v1/.well-known/jwks.json", http)
        self._seen: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    async def verify(self, authorization: str | None) -> Caller:
        """Return who sent the header *authorization*; raises `Problem` (401)."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise _refused("Send `Authorization: Bearer <access token>`.")
        if len(token) > _MAX_TOKEN_LENGTH:
            raise _refused("The access token is not valid.")
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        known = self._seen.get(digest)
        if known and known[1] > time.time():
            self._seen.move_to_end(digest)
            return known[0]
        claims = await self._decode(token)
        caller = _caller(claims, token)
        usable_until = min(float(claims["exp"]) + LEEWAY_S, time.time() + _CACHE_S)
        self._seen[digest] = (caller, usable_until)
        if len(self._seen) > _CACHE_SIZE:
            self._seen.popitem(last=False)
        return caller

    async def _decode(self, token: str) -> dict[str, Any]:
        try:
            key, algorithm = await self._key_for(token)
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=AUDIENCE,
                leeway=LEEWAY_S,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise _refused("The access token has expired.") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise _refused("The access token is not valid.") from None

    async def _key_for(self, token: str) -> tuple[Any, str]:
        if self._secret is not None:
            return self._secret, "HS256"
        kid = jwt.get_unverified_header(token).get("kid")
        key = await self._keys.find(kid) if isinstance(kid, str) else None
        if key is None:
            raise jwt.InvalidKeyError("no such key")
        return key, key.algorithm_name


class Authentication(AbstractAuthenticationMiddleware):
    """Lets a request through only with a caller, unless its route says `exclude_from_auth`."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, exclude_from_auth_key="exclude_from_auth")

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """Put the `Caller` into the request, or answer 401."""
        verifier: Verifier = connection.app.state.services.verifier
        caller = await verifier.verify(connection.headers.get("authorization"))
        return AuthenticationResult(user=caller, auth=caller.token)


def _caller(claims: dict[str, Any], token: str) -> Caller:
    if claims.get("role") != ROLE:
        raise _refused("The access token is not a signed-in user's.")
    try:
        return Caller(UUID(claims["sub"]), token)
    except (ValueError, TypeError, AttributeError):
        raise _refused("The access token is not valid.") from None


def _parse_keys(document: bytes, algorithms: tuple[str, ...]) -> dict[str, jwt.PyJWK]:
    found: dict[str, jwt.PyJWK] = {}
    listing = msgspec.json.decode(document)
    entries = cast("dict[str, Any]", listing).get("keys") if isinstance(listing, dict) else None
    for entry in cast("list[Any]", entries) if isinstance(entries, list) else []:
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if key.key_id and key.algorithm_name in algorithms:
            found[key.key_id] = key
    return found


def _refused(detail: str) -> Problem:
    return Problem(
        401,
        "not_authenticated",
        detail,
        headers={"WWW-Authenticate": "Bearer"},
    )
