"""Google's OAuth 2.0 for web servers, with PKCE (RFC 7636) and granular consent.

The exchange and the revocation are plain calls; refreshing is done by `google-auth`. Endpoints come
from the settings, so an emulator is reached by the same code.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

import google.auth.transport.requests
import httpx
import jwt
import msgspec
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.oauth2.credentials import Credentials

from sync_service.errors import (
    ProviderUnavailable,
    ReauthRequired,
    Rejected,
    SyncError,
)
from sync_service.providers.base import Grant, Tokens
from sync_service.providers.google.scopes import SCOPES
from sync_service.settings import Settings

_ISSUERS = ["https://accounts.google.com", "accounts.google.com"]
_KEYS_FRESH_S = 3600.0


class GoogleOAuth:
    """Consent page, code exchange, refresh and revocation of one registered client."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self._keys: dict[str, jwt.PyJWK] = {}
        self._keys_read_at = -_KEYS_FRESH_S

    def authorization_url(self, *, state: str, code_challenge: str, login_hint: str | None) -> str:
        """Return the consent page; `prompt=consent` so that a refresh token is always given."""
        query = {
            "client_id": self._settings.google_client_id,
            "redirect_uri": self._settings.google_redirect_uri,
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "access_type": "offline",
            "prompt": "consent",
            "include_granted_scopes": "false",
            "state": state,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        if login_hint:
            query["login_hint"] = login_hint
        return f"{self._settings.google_auth_url}?{urlencode(query)}"

    async def exchange(self, *, code: str, code_verifier: str) -> Grant:
        """Turn *code* into tokens and the account they belong to (`sub`, never the address)."""
        answer = await self._post(
            self._settings.google_token_url,
            {
                "grant_type": "authorization_code",
                "code": code,
                "client_id": self._settings.google_client_id,
                "client_secret": self._settings.google_client_secret.get_secret_value(),
                "redirect_uri": self._settings.google_redirect_uri,
                "code_verifier": code_verifier,
            },
        )
        body = _decode(answer)
        if answer.status_code != 200:
            if answer.status_code >= 500:
                raise ProviderUnavailable("Google's token endpoint is not available.")
            raise Rejected(
                f"Google refused the authorization code: {body.get('error', answer.status_code)}",
                code="exchange_failed",
            )
        scopes = frozenset(str(body.get("scope", "")).split())
        claims = await self._verify(str(body.get("id_token", "")))
        tokens = Tokens(
            access_token=str(body["access_token"]),
            refresh_token=cast("str | None", body.get("refresh_token")),
            expires_at=_expiry(body),
        )
        return Grant(
            account_id=str(claims["sub"]),
            account_email=cast("str | None", claims.get("email")),
            scopes=scopes,
            tokens=tokens,
        )

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Return fresh tokens; only `invalid_grant` means that the user must connect again."""
        credentials = Credentials(  # pyright: ignore[reportUnknownVariableType]
            token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            token_uri=self._settings.google_token_url,
            client_id=self._settings.google_client_id,
            client_secret=self._settings.google_client_secret.get_secret_value(),
        )
        transport = google.auth.transport.requests.Request()
        answers: list[bytes] = []

        def request(*args: Any, **options: Any) -> Any:
            # The library keeps what was granted to itself unless scopes are asked for anew.
            answer: Any = transport(*args, **{**options, "timeout": 20})
            answers.append(answer.data)
            return answer

        try:
            await asyncio.to_thread(cast("Any", credentials).refresh, request)
        except RefreshError as fault:
            raise _refresh_failure(fault) from None
        except GoogleAuthError:
            raise ProviderUnavailable("Google's token endpoint could not be reached.") from None
        renewed = cast("Any", credentials)
        return Tokens(
            access_token=str(renewed.token),
            refresh_token=cast("str | None", renewed.refresh_token) or tokens.refresh_token,
            expires_at=cast("datetime", renewed.expiry).replace(tzinfo=UTC)
            if renewed.expiry
            else None,
            scopes=_scopes(answers[-1]) if answers else None,
        )

    async def recognise(self, tokens: Tokens) -> Grant:
        """Return whose *tokens* are, made fresh; both must be of our client and of one account."""
        account, _ = await self._inspect(tokens.access_token)
        try:
            fresh = await self.refresh(tokens)
        except ReauthRequired as fault:
            raise Rejected(
                "Google does not accept this refresh token; sign in again.", code="token_refused"
            ) from fault
        claims, scopes = await self._inspect(fresh.access_token)
        if claims["sub"] != account["sub"]:
            raise Rejected("The two tokens belong to two accounts.", code="token_refused")
        email = cast("str | None", claims.get("email"))
        return Grant(str(claims["sub"]), email, scopes, fresh)

    async def _inspect(self, access_token: str) -> tuple[dict[str, Any], frozenset[str]]:
        """Return what Google says of a token: its account, and what it allows."""
        try:
            answer = await self._http.get(
                self._settings.google_tokeninfo_url, params={"access_token": access_token}
            )
        except httpx.HTTPError as fault:
            raise ProviderUnavailable("Google could not be reached.") from fault
        if answer.status_code >= 500:
            raise ProviderUnavailable("Google's token endpoint is not available.")
        claims = _decode(answer)
        if answer.status_code != 200 or "sub" not in claims:
            raise Rejected(
                "Google does not know this token, or no longer; sign in again, with the scopes "
                "openid and email.",
                code="token_refused",
            )
        if claims.get("aud") != self._settings.google_client_id:
            raise Rejected(
                "The token was given to another OAuth client than GOOGLE_CLIENT_ID; both sign-in "
                "and Calsync have to use the same.",
                code="token_of_another_client",
            )
        return claims, frozenset(str(claims.get("scope", "")).split())

    async def revoke(self, tokens: Tokens) -> None:
        """Give the grant back. A grant that Google no longer knows counts as given back."""
        token = tokens.refresh_token or tokens.access_token
        answer = await self._post(self._settings.google_revoke_url, {"token": token})
        if answer.status_code >= 500:
            raise ProviderUnavailable("Google's revocation endpoint is not available.")

    async def _verify(self, id_token: str) -> dict[str, Any]:
        try:
            kid = str(jwt.get_unverified_header(id_token).get("kid"))
            key = await self._key(kid)
            return jwt.decode(
                id_token,
                key,
                algorithms=["RS256"],
                audience=self._settings.google_client_id,
                issuer=_ISSUERS,
                leeway=60,
            )
        except jwt.PyJWTError as fault:
            raise Rejected(
                "Google's answer did not prove whose account it is.", code="exchange_failed"
            ) from fault

    async def _key(self, kid: str) -> jwt.PyJWK:
        stale = time.monotonic() - self._keys_read_at > _KEYS_FRESH_S
        if stale or kid not in self._keys:
            try:
                answer = await self._http.get(self._settings.google_certs_url)
                answer.raise_for_status()
            except httpx.HTTPError as fault:
                raise ProviderUnavailable("Google's keys could not be read.") from fault
            self._keys = {str(key.key_id): key for key in jwt.PyJWKSet.from_json(answer.text).keys}
            self._keys_read_at = time.monotonic()
        if kid not in self._keys:
            raise jwt.InvalidKeyError("unknown key id")
        return self._keys[kid]

    async def _post(self, url: str, form: dict[str, str]) -> httpx.Response:
        try:
            return await self._http.post(url, data=form)
        except httpx.HTTPError as fault:
            raise ProviderUnavailable("Google could not be reached.") from fault


def _refresh_failure(fault: RefreshError) -> SyncError:
    body: object = fault.args[1] if len(fault.args) > 1 else None
    error = cast("dict[str, Any]", body).get("error") if isinstance(body, dict) else None
    if error == "invalid_grant":
        return ReauthRequired("Google no longer accepts this grant; connect the account again.")
    return ProviderUnavailable(f"Google did not renew the token: {error or 'no reason given'}")


def _decode(answer: httpx.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}


def _scopes(body: bytes) -> frozenset[str] | None:
    try:
        granted = msgspec.json.decode(body, type=dict[str, Any]).get("scope")
    except msgspec.MsgspecError:
        return None
    return frozenset(str(granted).split()) if granted else None


def _expiry(body: dict[str, Any]) -> datetime | None:
    seconds = body.get("expires_in")
    return datetime.now(UTC) + timedelta(seconds=float(seconds)) if seconds else None
