"""Who may call: forged, expired and foreign tokens are all refused alike."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import SecretStr

from sync_service.api.auth import KeySet, Verifier
from sync_service.api.problems import Problem
from tests.api.conftest import Backend, Person, event_body

People = Callable[[], Awaitable[Person]]
SECRET = "a-shared-secret-of-more-than-sixty-four-bytes-so-that-every-hash-will-do"
USER = uuid.UUID("11111111-2222-4333-8444-555555555555")


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"sub": str(USER), "aud": "authenticated", "role": "authenticated", "exp": now + 60}
    return {name: value for name, value in (made | changes).items() if value is not None}


def unsigned(payload: dict[str, Any], algorithm: str = "none") -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(payload)}."


@pytest.fixture
def verifier(backend: Backend) -> Verifier:
    settings = backend.settings(supabase_jwt_secret=SecretStr(SECRET))
    return Verifier(settings, httpx.AsyncClient())


async def refuse(verifier: Verifier, authorization: str | None) -> Problem:
    with pytest.raises(Problem) as caught:
        await verifier.verify(authorization)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")
    return caught.value


async def test_a_good_token_names_its_user(verifier: Verifier):
    token = jwt.encode(claims(), SECRET, algorithm="HS256")
    for _ in range(2):
        caller = await verifier.verify(f"Bearer {token}")
        assert caller.id == USER
        assert caller.token == token
    assert (await verifier.verify(f"bearer   {token}")).id == USER


BAD_CLAIMS: list[dict[str, Any]] = [
    {"exp": 1},
    {"exp": None},
    {"exp": "soon"},
    {"aud": "anon"},
    {"aud": None},
    {"aud": ["anon", "service_role"]},
    {"role": "anon"},
    {"role": "service_role"},
    {"role": None},
    {"sub": None},
    {"sub": "somebody"},
    {"sub": 7},
    {"nbf": 4_000_000_000},
]


@pytest.mark.parametrize("changes", BAD_CLAIMS, ids=str)
async def test_a_token_with_wrong_claims_is_refused(verifier: Verifier, changes: dict[str, Any]):
    token = jwt.encode(claims(), SECRET, algorithm="HS256")
    assert await verifier.verify(f"Bearer {token}")
    # Encoded by hand: the library refuses to make some of these.
    signing = jwt.PyJWS()
    bad = signing.encode(json.dumps(claims(**changes)).encode(), SECRET, algorithm="HS256")
    await refuse(verifier, f"Bearer {bad}")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer garbage",
        "Bearer a.b.c",
        pytest.param("Bearer " + "x" * 10_000, id="very long"),
        "Bearer \udcff",
    ],
)
async def test_what_is_no_token_is_refused(verifier: Verifier, authorization: str | None):
    await refuse(verifier, authorization)


# Made when the test runs: a token holds the time, and a test's name must not.
FORGERIES: dict[str, Callable[[], str]] = {
    "unsigned": lambda: unsigned(claims()),
    "unsigned, spelled otherwise": lambda: unsigned(claims(), "None"),
    "signature missing": lambda: unsigned(claims(), "HS256"),
    "another secret": lambda: jwt.encode(claims(), SECRET + "x", algorithm="HS256"),
    "another hash": lambda: jwt.encode(claims(), SECRET, algorithm="HS384"),
}


@pytest.mark.parametrize("kind", FORGERIES)
async def test_a_token_that_is_not_ours_is_refused(verifier: Verifier, kind: str):
    await refuse(verifier, f"Bearer {FORGERIES[kind]()}")


async def test_a_token_may_be_slightly_too_old(verifier: Verifier):
    just = jwt.encode(claims(exp=int(time.time()) - 3), SECRET, algorithm="HS256")
    assert (await verifier.verify(f"Bearer {just}")).id == USER
    old = jwt.encode(claims(exp=int(time.time()) - 15), SECRET, algorithm="HS256")
    assert "expired" in (await refuse(verifier, f"Bearer {old}")).detail


class Project:
    """A project's key set, and how often it was asked for."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.asked = 0
        self.down = False

    def add(self, kid: str, key: Any) -> None:
        rsa_key = isinstance(key, rsa.RSAPrivateKey)
        codec = RSAAlgorithm if rsa_key else ECAlgorithm
        public = json.loads(codec.to_jwk(key.public_key()))  # pyright: ignore
        algorithm = "RS256" if rsa_key else "ES256"
        self.keys[kid] = public | {"kid": kid, "alg": algorithm, "use": "sig"}

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        assert request.url.path == "/auth/v1/.well-known/jwks.json"
        if self.down:
            return httpx.Response(500)
        return httpx.Response(200, json={"keys": [*self.keys.values(), {"kty": "oct", "k": "eA"}]})

    def verifier(self, backend: Backend) -> Verifier:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return Verifier(backend.settings(supabase_jwt_secret=None), http)


async def test_tokens_are_checked_against_the_projects_keys(backend: Backend):
    project = Project()
    elliptic = ec.generate_private_key(ec.SECP256R1())
    classic = rsa.generate_private_key(65537, 2048)
    project.add("one", elliptic)
    project.add("two", classic)
    verifier = project.verifier(backend)
    for key, kid, algorithm in ((elliptic, "one", "ES256"), (classic, "two", "RS256")):
        token = jwt.encode(claims(), key, algorithm=algorithm, headers={"kid": kid})
        assert (await verifier.verify(f"Bearer {token}")).id == USER
    assert project.asked == 1

    forged = ec.generate_private_key(ec.SECP256R1())
    for token in (
        jwt.encode(claims(), forged, algorithm="ES256", headers={"kid": "one"}),
        jwt.encode(claims(), elliptic, algorithm="ES256"),
        jwt.encode(claims(), elliptic, algorithm="ES256", headers={"kid": "two"}),
        # The public key used as a shared secret.
        jwt.encode(claims(), "k" * 32, algorithm="HS256", headers={"kid": "one"}),
        unsigned(claims()),
    ):
        await refuse(verifier, f"Bearer {token}")


async def test_a_new_key_is_looked_up_but_not_too_often(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
):
    project = Project()
    old, new = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    project.add("old", old)
    verifier = project.verifier(backend)
    token = jwt.encode(claims(), old, algorithm="ES256", headers={"kid": "old"})
    await verifier.verify(f"Bearer {token}")
    rotated = jwt.encode(claims(), new, algorithm="ES256", headers={"kid": "new"})
    for _ in range(20):
        await refuse(verifier, f"Bearer {rotated}")
    assert project.asked == 1  # within the cooldown
    project.add("new", new)
    monkeypatch.setattr(KeySet, "COOLDOWN_S", 0)
    await verifier.verify(f"Bearer {rotated}")
    assert project.asked == 2


async def test_known_keys_serve_while_the_project_is_down(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
):
    project = Project()
    key = ec.generate_private_key(ec.SECP256R1())
    project.add("one", key)
    verifier = project.verifier(backend)
    project.down = True
    token = jwt.encode(claims(), key, algorithm="ES256", headers={"kid": "one"})
    with pytest.raises(Problem) as caught:
        await verifier.verify(f"Bearer {token}")
    assert caught.value.status == 503

    monkeypatch.setattr(KeySet, "COOLDOWN_S", 0)
    project.down = False
    await verifier.verify(f"Bearer {token}")
    monkeypatch.setattr(KeySet, "MAX_AGE_S", 0)
    project.down = True
    another = jwt.encode(claims(jti="2"), key, algorithm="ES256", headers={"kid": "one"})
    assert (await verifier.verify(f"Bearer {another}")).id == USER


async def test_every_route_asks_for_a_token(client: httpx.AsyncClient):
    schema = (await client.get("/schema")).json()
    asked = 0
    for path, methods in schema["paths"].items():
        if not path.startswith("/api/calendar") or "/webhooks/" in path:
            continue
        for method, operation in methods.items():
            url = path.replace("{provider}", "google")
            for each in operation.get("parameters", []):
                value = "7" if each["schema"].get("type") == "integer" else str(USER)
                url = url.replace(f"{{{each['name']}}}", value)
            for headers in ({}, {"Authorization": f"Bearer {unsigned(claims())}"}):
                answer = await client.request(method.upper(), url, headers=headers)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.json()["code"] == "not_authenticated"
                asked += 1
    assert asked > 30


async def test_an_expired_token_is_refused_over_http(
    client: httpx.AsyncClient, backend: Backend, person: People
):
    ann = await person()
    stale = jwt.encode(
        claims(sub=str(ann.id), exp=int(time.time()) - 60), backend.jwt_secret, algorithm="HS256"
    )
    answer = await client.get(
        "/api/calendar/calendars", headers={"Authorization": f"Bearer {stale}"}
    )
    assert answer.status_code == 401
    assert answer.json()["detail"] == "The access token has expired."


async def test_who_signs_up_can_call(client: httpx.AsyncClient, backend: Backend):
    async with httpx.AsyncClient(base_url=backend.info.supabase_url) as auth:
        session = await auth.post(
            "/auth/v1/signup",
            headers={"apikey": backend.info.publishable_key},
            json={"email": f"{uuid.uuid4().hex}@example.com", "password": uuid.uuid4().hex},
        )
    token = session.json()["access_token"]
    answer = await client.post(
        "/api/calendar/events",
        json=event_body(),
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 201, answer.text
