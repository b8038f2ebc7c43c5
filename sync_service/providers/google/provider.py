"""The `google` provider: its capability sheet, its ids, and how accounts are connected."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import httpx

from sync_service.core.event import Content
from sync_service.errors import MissingScope
from sync_service.providers.base import Account, Capabilities, Grant, Tokens
from sync_service.providers.google import codec
from sync_service.providers.google.client import Client, Resources
from sync_service.providers.google.oauth import GoogleOAuth
from sync_service.providers.google.scopes import shortfall
from sync_service.providers.google.session import ID_ALPHABET, WRITE_ROLES, GoogleSession
from sync_service.settings import Settings


class GoogleProvider:
    """Google Calendar, or an emulator of it where the settings point to one."""

    name = "google"

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._http = http
        self._oauth = GoogleOAuth(settings, http)
        self._resources = Resources(settings.google_api_base_url)

    def capabilities(self, access_role: str) -> Capabilities:
        """Return what a calendar can do for somebody with *access_role*."""
        return Capabilities(
            units=codec.UNITS,
            conditional_writes=True,
            chosen_ids=True,
            absence_is_deletion=True,
            push_channels=True,
            writable=access_role in WRITE_ROLES,
            occurrences=True,
        )

    def refusals(
        self,
        content: Content,
        units: frozenset[str],
        *,
        base: Content | None,
        data: Mapping[str, Any],
    ) -> dict[str, str]:
        """Return those of *units* that Google would not hold, each with why."""
        return codec.refusals(content, units, base, data)

    def new_external_id(self, mapping_id: UUID, attempt: int) -> str:
        """Derive 32 base32hex letters (160 bits) from the mapping's id."""
        digest = hashlib.sha256(b"%s:%d" % (mapping_id.bytes, attempt)).digest()[:20]
        number = int.from_bytes(digest, "big")
        return "".join(ID_ALPHABET[number >> shift & 31] for shift in range(155, -1, -5))

    def authorization_url(self, *, state: str, code_challenge: str, login_hint: str | None) -> str:
        """Return Google's consent page."""
        return self._oauth.authorization_url(
            state=state, code_challenge=code_challenge, login_hint=login_hint
        )

    async def exchange(self, *, code: str, code_verifier: str) -> Grant:
        """Turn a code into a grant."""
        return await self._oauth.exchange(code=code, code_verifier=code_verifier)

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Return fresh tokens."""
        return await self._oauth.refresh(tokens)

    async def recognise(self, tokens: Tokens) -> Grant:
        """Return whose tokens these are."""
        return await self._oauth.recognise(tokens)

    def shortfall(self, scopes: frozenset[str]) -> MissingScope | None:
        """Say what is missing of the granted scopes."""
        return shortfall(scopes)

    async def revoke(self, tokens: Tokens) -> None:
        """Give the grant back."""
        await self._oauth.revoke(tokens)

    def session(self, account: Account) -> GoogleSession:
        """Return a session on behalf of *account*."""
        return GoogleSession(self._resources, Client(self._http, account), account.address)
