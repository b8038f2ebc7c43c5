"""Who signed in: OpenID Connect id tokens, keys, user info and provider metadata."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from sync_service.emulators.google.state import Account, Json
from sync_service.emulators.google.world import Actor, World

_ISSUER = "https://accounts.google.com"


def id_token(world: World, account: Account, client_id: str, access: str, nonce: str | None) -> str:
    """A signed statement about the account."""
    now = int(world.clock.seconds())
    half = hashlib.sha256(access.encode()).digest()[:16]
    claims: Json = {
        "iss": _ISSUER,
        "azp": client_id,
        "aud": client_id,
        "sub": account.sub,
        "email": account.email,
        "email_verified": True,
        "at_hash": base64.urlsafe_b64encode(half).decode().rstrip("="),
        "name": account.name,
        "iat": now,
        "exp": now + 3600,
    }
    if nonce is not None:
        claims["nonce"] = nonce
    key = _key(world)
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": _key_id(key)})


def certificates(world: World) -> Json:
    """The public keys as a JWK set (RFC 7517)."""
    key = _key(world)
    numbers = key.public_key().public_numbers()
    jwk: Json = {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": _key_id(key),
        "n": _integer(numbers.n),
        "e": _integer(numbers.e),
    }
    return {"keys": [jwk]}


def user_info(world: World, actor: Actor) -> Json:
    """The claims of the signed-in account."""
    account = world.account(actor)
    return {
        "sub": account.sub,
        "name": account.name,
        "email": account.email,
        "email_verified": True,
    }


def metadata(base_url: str) -> Json:
    """OpenID provider metadata, with every endpoint at this server."""
    return {
        "issuer": _ISSUER,
        "authorization_endpoint": f"{base_url}/o/oauth2/v2/auth",
        "token_endpoint": f"{base_url}/token",
        "revocation_endpoint": f"{base_url}/revoke",
        "userinfo_endpoint": f"{base_url}/openidconnect/v1/userinfo",
        "jwks_uri": f"{base_url}/oauth2/v3/certs",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
    }


def _key(world: World) -> RSAPrivateKey:
    if world.state.signing_key is None:
        world.state.signing_key = _process_key()
    return _load(world.state.signing_key)


@lru_cache(maxsize=1)
def _process_key() -> str:
    """One key per process: making them is slow, and no test depends on its bits."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@lru_cache(maxsize=8)
def _load(pem: str) -> RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("the signing key is not an RSA key")
    return key


def _key_id(key: RSAPrivateKey) -> str:
    return hashlib.sha256(_integer(key.public_key().public_numbers().n).encode()).hexdigest()[:40]


def _integer(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
