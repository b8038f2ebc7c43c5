"""Connecting an account and letting it go: OAuth with PKCE, calendars listed, grants given back."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog

from sync_service.engine import calendar_list, channels, reconnect
from sync_service.engine.accounts import seal, unseal
from sync_service.engine.hub import Hub
from sync_service.errors import (
    Misconfigured,
    MissingScope,
    ProviderUnavailable,
    ReauthRequired,
    Rejected,
    SyncError,
)
from sync_service.providers.base import Grant, Tokens
from sync_service.store import calendar_lists, calendars, connections, queue, trail
from sync_service.store import channels as channel_rows
from sync_service.store.channels import Target
from sync_service.store.pool import transaction

_VERIFIER = "oauth_states.code_verifier"
_PATIENCE_MS = 22_000
"""A refresh holds the tokens for as long as the provider takes; who comes back waits for it."""
_BUSY = "The account is busy at this moment; connect again."
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Finished:
    """How a consent ended: *status* is `connected` or a reason; *detail* says it in words."""

    return_to: str | None
    status: str
    connection_id: UUID | None
    detail: str


async def start(
    hub: Hub, *, provider: str, user_id: UUID, return_to: str | None, preview: bool
) -> str:
    """Return the consent page to send the user to.

    The state is random, used once, good for ten minutes, bound to the user, and kept as a hash.
    Raises `Rejected` for an unknown provider and `Misconfigured` without a client id.
    """
    require_set_up(hub, provider)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    state_hash = _hash(state)
    challenge = base64.urlsafe_b64encode(_hash(verifier)).rstrip(b"=").decode()
    await connections.save_state(
        hub.pool,
        state_hash=state_hash,
        user_id=user_id,
        provider=provider,
        sealed_verifier=hub.vault.seal(verifier, place=_VERIFIER, row=state_hash.hex()),
        return_to=return_to,
        preview=preview,
    )
    return hub.providers[provider].authorization_url(
        state=state, code_challenge=challenge, login_hint=None
    )


def require_set_up(hub: Hub, provider: str) -> None:
    """Raise `Rejected` for an unknown provider and `Misconfigured` without a client id."""
    if provider not in hub.providers:
        raise Rejected(f"There is no provider called {provider}.", code="unknown_provider")
    if not getattr(hub.settings, f"{provider}_client_id"):
        raise Misconfigured(
            f"{provider.upper()}_CLIENT_ID is not set; see the README.", code="provider_not_set_up"
        )


async def finish(
    hub: Hub, *, provider: str, state: str, code: str | None, error: str | None
) -> Finished:
    """Take the user back from the consent page; never raises for what they or the provider did."""
    consent = None
    if provider in hub.providers:
        consent = await connections.consume_state(hub.pool, _hash(state), provider)
    if consent is None or not consent.fresh:
        return Finished(
            consent.return_to if consent else None,
            "invalid_state",
            None,
            "This link was used already or is too old; connect again.",
        )
    if code is None:
        status = "denied" if error == "access_denied" else "refused"
        return Finished(consent.return_to, status, None, "Access was not granted.")
    verifier = hub.vault.open(consent.code_verifier, place=_VERIFIER, row=_hash(state).hex())
    try:
        grant = await hub.providers[provider].exchange(code=code, code_verifier=verifier)
    except ProviderUnavailable as fault:
        return Finished(consent.return_to, "provider_unavailable", None, fault.detail)
    except SyncError as fault:
        return Finished(consent.return_to, "exchange_failed", None, fault.detail)
    lacking = hub.providers[provider].shortfall(grant.scopes)
    if lacking is not None:
        await _turn_down(hub, provider, consent.user_id, grant, lacking)
        return Finished(consent.return_to, "missing_scope", None, lacking.detail)
    try:
        connection_id = await _save(hub, provider, consent.user_id, grant, preview=consent.preview)
    except asyncpg.LockNotAvailableError:
        return Finished(consent.return_to, "provider_unavailable", None, _BUSY)
    # Where that fails the sweep lists the calendars later; the account itself is connected.
    await try_to_open(hub, connection_id)
    return Finished(consent.return_to, "connected", connection_id, "Connected.")


async def adopt(hub: Hub, *, provider: str, user_id: UUID, tokens: Tokens, preview: bool) -> UUID:
    """Connect with the tokens of a sign-in elsewhere; answers the connection.

    Raises `Rejected` unless they are of our client, `MissingScope` where they allow too little, and
    `ProviderUnavailable`; then nothing is kept. They are not given back: the sign-in may need them.
    """
    require_set_up(hub, provider)
    grant = await hub.providers[provider].recognise(tokens)
    lacking = hub.providers[provider].shortfall(grant.scopes)
    if lacking is not None:
        raise lacking
    try:
        connection_id = await _save(hub, provider, user_id, grant, preview=preview)
    except asyncpg.LockNotAvailableError:
        raise ProviderUnavailable(_BUSY) from None
    await try_to_open(hub, connection_id)
    return connection_id


async def _turn_down(
    hub: Hub, provider: str, user_id: UUID, grant: Grant, lacking: MissingScope
) -> None:
    """Give back a grant that will not be used, unless that ends one in use: they end together."""
    known = await connections.of_account(hub.pool, provider, grant.account_id)
    for connection_id, owner in known:
        if owner == user_id:
            await connections.note_lacking(hub.pool, connection_id, lacking)
    if not known:
        try:
            await hub.providers[provider].revoke(grant.tokens)
        except SyncError as fault:
            _log.warning("grant_not_revoked", error=str(fault))


async def try_to_open(hub: Hub, connection_id: UUID) -> None:
    """Do `open_connection`; why it fails is shown on the connection."""
    connection = await connections.read(hub.pool, connection_id)
    if connection is None:
        return
    try:
        await open_connection(hub, connection_id)
    except SyncError as fault:
        _log.warning("calendars_not_listed", error=str(fault))
        await reconnect.show(hub.pool, connection, fault)


async def keep_fresh(hub: Hub, connection_id: UUID) -> None:
    """Refresh a token that ends soon; a grant that is dead is shown before work meets it."""
    connection = await connections.read(hub.pool, connection_id)
    if connection is None:
        return
    try:
        await hub.account(connection).access_token()
    except ReauthRequired as fault:
        await reconnect.show(hub.pool, connection, fault)


async def open_connection(hub: Hub, connection_id: UUID) -> None:
    """List the account's calendars, turn on what was on or the primary one, ask for a pull.

    Repeatable.
    """
    connection = await connections.read(hub.pool, connection_id)
    if connection is None or connection.status != "active":
        return
    asked = await calendar_lists.asked(hub.pool, connection_id)
    listing = await calendar_list.read_whole(hub, connection)
    async with transaction(hub.pool) as store:
        await calendar_list.take_over(store, connection, listing, first=True)
        await calendars.enable_remembered(store, connection_id)
        await calendars.enable_primary(store, connection_id)
        enabled = await calendars.enabled_of_connection(store, connection_id)
        for calendar_id in enabled:
            await calendars.ensure_feed(store, calendar_id)
            await calendars.set_state(store, calendar_id, "catching_up")
        await queue.request_pulls(store, enabled, "connected")
        await queue.release_waiting(store, enabled)
        await calendar_list.save(hub, store, connection_id, listing, answered=asked)
        await connections.note_error(store, connection_id, calendar_list.limit_of(listing))


async def disconnect(hub: Hub, connection_id: UUID) -> None:
    """Stop channels, give the grant back, wipe the tokens. Events and mappings stay.

    The connection counts as disconnected from the first commit on; a process that dies after it is
    finished by the sweep.
    """
    async with transaction(hub.pool) as store:
        await connections.set_status(store, connection_id, "disconnected")
    await finish_disconnect(hub, connection_id)


async def finish_disconnect(hub: Hub, connection_id: UUID) -> None:
    """Do what a disconnect has still to do. Repeatable."""
    connection = await connections.read(hub.pool, connection_id)
    if connection is None or connection.status != "disconnected":
        return
    session = hub.session(connection)
    await channels.stop(hub, session, Target(connection_id), keep_newest=False)
    for calendar_id in await connections.calendars_of(hub.pool, connection_id):
        target = Target(connection_id, calendar_id)
        await channels.stop(hub, session, target, keep_newest=False)
    if not await connections.lock_disconnected(hub.pool, connection_id):
        return  # Connected anew meanwhile: the grant and the tokens are no longer the old ones.
    sealed = await connections.read_tokens(hub.pool, connection_id)
    if sealed is not None and not await connections.shares_account(hub.pool, connection_id):
        try:
            await hub.providers[connection.provider].revoke(
                unseal(hub.vault, connection_id, sealed)
            )
        except SyncError as fault:
            # The grant may outlive us at the provider; our copy of it does not.
            _log.warning("grant_not_revoked", error=str(fault))
    async with transaction(hub.pool) as store:
        if not await connections.lock_disconnected(store, connection_id):
            return  # Connected again meanwhile: the tokens are new ones.
        await connections.wipe_tokens(store, connection_id)
        await calendars.disconnect(store, connection_id)
        await trail.audit(
            store,
            [
                trail.Deed(
                    user_id=connection.user_id,
                    action="connection.disconnected",
                    source=connection.provider,
                    connection_id=connection_id,
                )
            ],
        )
    hub.account(connection).forget()


async def _save(hub: Hub, provider: str, user_id: UUID, grant: Grant, *, preview: bool) -> UUID:
    async with transaction(hub.pool, patience_ms=_PATIENCE_MS) as store:
        connection_id = await connections.save_connection(
            store,
            user_id=user_id,
            provider=provider,
            account_id=grant.account_id,
            account_email=grant.account_email,
            scopes=grant.scopes,
            preview=preview,
        )
        await connections.save_tokens(
            store, connection_id, seal(hub.vault, connection_id, grant.tokens)
        )
        await channel_rows.distrust(store, connection_id)
        # Should this process die before it lists the calendars, others do, and nothing waits.
        await calendar_lists.ask(store, connection_id)
        enabled = await calendars.enabled_of_connection(store, connection_id)
        await queue.request_pulls(store, enabled, "connected")
        await queue.release_waiting(store, enabled)
        await trail.audit(
            store,
            [
                trail.Deed(
                    user_id=user_id,
                    action="connection.connected",
                    source=provider,
                    connection_id=connection_id,
                )
            ],
        )
    connection = await connections.read(hub.pool, connection_id)
    if connection is not None:
        hub.account(connection).forget()
    return connection_id


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
