"""Google's authorization server: consent, code exchange, refresh, revocation (RFC 6749, 7636)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from sync_service.emulators.google import identity
from sync_service.emulators.google.clock import MICROS
from sync_service.emulators.google.errors import OAuthError
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.scopes import is_sign_in, normalise
from sync_service.emulators.google.state import (
    Access,
    Account,
    Client,
    Code,
    Grant,
    Json,
    Refresh,
)
from sync_service.emulators.google.world import Actor, World

_TIDY_ABOVE = 1000


@dataclass(frozen=True, slots=True)
class ConsentFault:
    """A request that Google refuses on its own page, never at the redirect URI."""

    error: str
    detail: str


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """A request for authorization whose client and redirect URI are in order."""

    client: Client
    redirect_uri: str
    scopes: list[str]
    query: Query

    @property
    def prompts(self) -> set[str]:
        """The words of the *prompt* parameter."""
        return set((self.query.text("prompt") or "").split())


def consent_request(world: World, query: Query) -> ConsentRequest | ConsentFault:
    """Check an authorization request."""
    client = world.state.clients.get(query.text("client_id") or "")
    if client is None:
        return ConsentFault("invalid_client", "The OAuth client was not found.")
    redirect_uri = query.text("redirect_uri") or ""
    if redirect_uri not in client.redirect_uris:
        return ConsentFault(
            "redirect_uri_mismatch",
            f"The redirect URI {redirect_uri!r} is not registered for this client.",
        )
    if query.text("response_type") != "code":
        return ConsentFault("invalid_request", "Only response_type=code is supported.")
    scopes = list(dict.fromkeys((query.text("scope") or "").split()))
    if not scopes:
        return ConsentFault("invalid_request", "Missing required parameter: scope.")
    method = query.text("code_challenge_method")
    if method not in {None, "plain", "S256"}:
        return ConsentFault("invalid_request", "Invalid code_challenge_method.")
    return ConsentRequest(client, redirect_uri, scopes, query)


def silent_answer(world: World, request: ConsentRequest) -> str | None:
    """The redirect that needs nobody at the screen: auto-consent, or an earlier consent."""
    query, auto = request.query, world.state.auto_consent
    hint = query.text("login_hint")
    hinted = None if hint is None else _account(world, hint)
    if auto.enabled or query.text("emulator_auto") == "1":
        account = hinted or _account(world, auto.account or "")
        account = account or next(iter(world.state.accounts.values()), None)
        if account is None or auto.deny:
            return refuse(request)
        return approve(world, request, account, auto.scopes)
    if hinted is not None and not request.prompts - {"none"}:
        granted = _granted(world, hinted.sub, request.client.id)
        if {normalise(s) for s in request.scopes} <= granted:
            return approve(world, request, hinted, None)
    if "none" in request.prompts:
        return refuse(request, "interaction_required")
    return None


def approve(
    world: World, request: ConsentRequest, account: Account, chosen: Iterable[str] | None
) -> str:
    """Record the consent and return the redirect that carries the code."""
    asked = [normalise(s) for s in request.scopes]
    picked = None if chosen is None else {normalise(s) for s in chosen}
    scopes = [s for s in asked if picked is None or is_sign_in(s) or s in picked]
    before = _granted(world, account.sub, request.client.id)
    fresh = not before or not set(scopes) <= before or "consent" in request.prompts
    query = request.query
    if query.text("include_granted_scopes") == "true":
        scopes += sorted(before - set(scopes))
    _set_grant(world, account.sub, request.client.id, before | set(scopes))
    code = "4/0" + world.token("code", 36)
    world.state.codes[code] = Code(
        client_id=request.client.id,
        sub=account.sub,
        redirect_uri=request.redirect_uri,
        scopes=scopes,
        expires=world.clock.micros() + world.switches.code_lifetime_s * MICROS,
        offline=query.text("access_type") == "offline",
        fresh_consent=fresh,
        challenge=query.text("code_challenge"),
        challenge_method=query.text("code_challenge_method") or "plain",
        nonce=query.text("nonce"),
    )
    answer = {"code": code, "scope": " ".join(sorted(scopes)), "authuser": "0"}
    answer["prompt"] = "consent" if fresh else "none"
    return _redirect(request, answer)


def refuse(request: ConsentRequest, error: str = "access_denied") -> str:
    """The redirect after the person said no."""
    return _redirect(request, {"error": error})


def token(world: World, form: Query, basic: tuple[str, str] | None) -> Json:
    """The token endpoint: exchange a code, or refresh."""
    client = _authenticated_client(world, form, basic)
    grant_type = form.text("grant_type")
    if grant_type == "authorization_code":
        return _exchange(world, client, form)
    if grant_type == "refresh_token":
        return _refresh(world, client, form)
    if grant_type is None:
        raise OAuthError(400, "invalid_request", "Required parameter is missing: grant_type")
    raise OAuthError(400, "unsupported_grant_type", f"Invalid grant_type: {grant_type}")


def revoke(world: World, text: str | None) -> None:
    """End the whole grant that a token belongs to."""
    held = world.state.accesses.get(text or "") or world.state.refreshes.get(text or "")
    if held is None:
        raise OAuthError(400, "invalid_token", "Token expired or revoked")
    end_grant(world, held.sub, held.client_id)


def end_grant(world: World, sub: str, client_id: str) -> None:
    """Withdraw everything one account has granted to one client's project."""
    state = world.state
    project = state.clients[client_id].project
    clients = {c.id for c in state.clients.values() if c.project == project}
    state.grants = [g for g in state.grants if g.sub != sub or g.client_id not in clients]
    for held in (state.accesses, state.refreshes, state.codes):
        for text in [t for t, v in held.items() if v.sub == sub and v.client_id in clients]:
            del held[text]


def has_grant(world: World, sub: str, client_id: str) -> bool:
    """Whether the account still allows the client anything."""
    return bool(_granted(world, sub, client_id))


def actor_of(world: World, text: str) -> Actor | None:
    """Whom a bearer token speaks for, while it lives."""
    held = world.state.accesses.get(text)
    if held is None or held.expires <= world.clock.micros():
        return None
    account = world.state.accounts.get(held.sub)
    if account is None:
        return None
    return Actor(account.sub, account.email, held.client_id, frozenset(held.scopes))


def mint(world: World, account: Account, client: Client, scopes: list[str]) -> tuple[str, str]:
    """An access and a refresh token without the ceremony, for tests and demos."""
    scopes = [normalise(s) for s in scopes]
    before = _granted(world, account.sub, client.id)
    _set_grant(world, account.sub, client.id, before | set(scopes))
    refresh = _new_refresh(world, client, account.sub, scopes)
    return _new_access(world, client, account.sub, scopes, refresh), refresh


def token_info(world: World, text: str) -> Json:
    """What an access token is good for."""
    held = world.state.accesses.get(text)
    left = 0 if held is None else (held.expires - world.clock.micros()) // MICROS
    if held is None or left <= 0:
        raise OAuthError(400, "invalid_token", "Invalid Value")
    account = world.state.accounts[held.sub]
    return {
        "azp": held.client_id,
        "aud": held.client_id,
        "sub": account.sub,
        "scope": " ".join(held.scopes),
        "exp": str(held.expires // MICROS),
        "expires_in": str(left),
        "email": account.email,
        "email_verified": "true",
        "access_type": "offline" if held.refresh else "online",
    }


def _exchange(world: World, client: Client, form: Query) -> Json:
    code = world.state.codes.get(form.text("code") or "")
    if code is None or code.client_id != client.id:
        raise OAuthError(400, "invalid_grant", "Malformed auth code.")
    expired = code.expires <= world.clock.micros()
    if code.used or expired or form.text("redirect_uri") != code.redirect_uri:
        raise OAuthError(400, "invalid_grant", "Bad Request")
    if code.challenge is not None and not _verified(code, form.text("code_verifier") or ""):
        raise OAuthError(400, "invalid_grant", "Invalid code verifier.")
    code.used = True
    refresh = None
    if code.offline and code.fresh_consent:
        refresh = _new_refresh(world, client, code.sub, code.scopes)
    access = _new_access(world, client, code.sub, code.scopes, refresh)
    answer = _answer(world, client, code.sub, code.scopes, access, code.nonce)
    if refresh is not None:
        answer["refresh_token"] = refresh
        if client.testing and world.switches.report_refresh_lifetime:
            answer["refresh_token_expires_in"] = world.switches.testing_refresh_lifetime_s - 1
    return answer


def _refresh(world: World, client: Client, form: Query) -> Json:
    text = form.text("refresh_token") or ""
    held = world.state.refreshes.get(text)
    now = world.clock.micros()
    if (
        held is None
        or held.client_id != client.id
        or (held.expires is not None and held.expires <= now)
        or now - held.last_used > world.switches.unused_refresh_lifetime_s * MICROS
    ):
        raise OAuthError(400, "invalid_grant", "Token has been expired or revoked.")
    held.last_used = now
    access = _new_access(world, client, held.sub, held.scopes, text)
    return _answer(world, client, held.sub, held.scopes, access, None)


def _answer(
    world: World, client: Client, sub: str, scopes: list[str], access: str, nonce: str | None
) -> Json:
    answer: Json = {
        "access_token": access,
        "expires_in": world.switches.access_token_lifetime_s,
        "scope": " ".join(sorted(scopes)),
        "token_type": "Bearer",
    }
    if any(is_sign_in(scope) for scope in scopes):
        account = world.state.accounts[sub]
        answer["id_token"] = identity.id_token(world, account, client.id, access, nonce)
    return answer


def _new_access(
    world: World, client: Client, sub: str, scopes: list[str], refresh: str | None
) -> str:
    if len(world.state.accesses) > _TIDY_ABOVE:
        now, held = world.clock.micros(), world.state.accesses
        world.state.accesses = {t: v for t, v in held.items() if v.expires > now}
    text = "ya29." + world.token("access", 48)
    expires = world.clock.micros() + world.switches.access_token_lifetime_s * MICROS
    world.state.accesses[text] = Access(client.id, sub, scopes, expires, refresh)
    return text


def _new_refresh(world: World, client: Client, sub: str, scopes: list[str]) -> str:
    now = world.clock.micros()
    sensitive = not all(is_sign_in(scope) for scope in scopes)
    lifetime = world.switches.testing_refresh_lifetime_s
    expires = now + lifetime * MICROS if client.testing and sensitive else None
    live = [
        text
        for text, held in world.state.refreshes.items()
        if held.sub == sub and held.client_id == client.id
    ]
    for oldest in live[: max(0, len(live) + 1 - world.switches.refresh_tokens_per_client)]:
        del world.state.refreshes[oldest]
    text = "1//0" + world.token("refresh", 48)
    world.state.refreshes[text] = Refresh(client.id, sub, scopes, now, now, expires)
    return text


def _authenticated_client(world: World, form: Query, basic: tuple[str, str] | None) -> Client:
    client_id, secret = basic or (form.text("client_id") or "", form.text("client_secret") or "")
    client = world.state.clients.get(client_id)
    if client is None:
        raise OAuthError(401, "invalid_client", "The OAuth client was not found.")
    if not hmac.compare_digest(client.secret.encode(), secret.encode()):
        raise OAuthError(401, "invalid_client", "Unauthorized")
    return client


def _verified(code: Code, verifier: str) -> bool:
    if code.challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return hmac.compare_digest(verifier.encode(), (code.challenge or "").encode())


def _granted(world: World, sub: str, client_id: str) -> set[str]:
    return {
        scope
        for grant in world.state.grants
        if grant.sub == sub and grant.client_id == client_id
        for scope in grant.scopes
    }


def _set_grant(world: World, sub: str, client_id: str, scopes: set[str]) -> None:
    others = [g for g in world.state.grants if (g.sub, g.client_id) != (sub, client_id)]
    world.state.grants = [*others, Grant(sub, client_id, sorted(scopes))]


def _account(world: World, hint: str) -> Account | None:
    return world.state.accounts.get(hint) or world.state.account_by_email(hint)


def _redirect(request: ConsentRequest, answer: dict[str, str]) -> str:
    state = request.query.text("state")
    if state is not None:
        answer = {"state": state, **answer}
    joint = "&" if "?" in request.redirect_uri else "?"
    return f"{request.redirect_uri}{joint}{urlencode(answer)}"
