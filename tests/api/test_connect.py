"""Connecting an account, and where the browser may be sent afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sync_service.api.return_to import UnsafeReturn, check_return_to, with_outcome
from sync_service.engine import connections
from sync_service.engine.connections import Finished
from tests.api.conftest import Backend, Person, Sql, serving

People = Callable[[], Awaitable[Person]]
OURS = "https://sync.example.com"
LISTED = ("https://app.example.com", "http://localhost:3000")


@pytest.mark.parametrize(
    "good",
    [
        "/",
        "/settings?tab=1#calendars",
        "https://sync.example.com",
        "https://sync.example.com:443/x",
        "https://SYNC.example.com/x",
        "https://app.example.com/a//b?next=//evil.example",
        "http://localhost:3000/done",
    ],
)
def test_a_known_place_is_accepted(good: str):
    assert check_return_to(good, OURS, LISTED) == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "settings",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n",
        " /settings",
        "/a b",
        "\x7f/",
        "https://evil.example",
        "https://sync.example.com.evil.example",
        "https://sync.example.com@evil.example",
        "https://user:pass@sync.example.com/",
        "https://sync.example.com:8443/",
        "http://sync.example.com/",
        "https:/evil.example",
        "https:evil.example",
        "https://",
        "https://[::1",
        "https://sync.example.com:port/",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://localhost:3001/",
        "/" + "x" * 3000,
    ],
)
def test_every_other_place_is_refused(bad: str):
    with pytest.raises(UnsafeReturn):
        check_return_to(bad, OURS, LISTED)


@pytest.mark.parametrize(
    ("return_to", "expected"),
    [
        ("/a", "/a?status=connected"),
        ("/a?b=1&status=old#c", "/a?b=1&status=connected#c"),
        ("https://app.example.com/a?b=", "https://app.example.com/a?b=&status=connected"),
    ],
)
def test_the_outcome_joins_the_query(return_to: str, expected: str):
    assert with_outcome(return_to, status="connected") == expected


def query_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


async def test_connect_answers_the_consent_page_of_this_user(person: People, sql: Sql):
    ann = await person()
    answer = await ann.call("POST", "/connect/google", json={"return_to": "/done"})
    assert answer.status_code == 200, answer.text
    query = query_of(answer.json()["authorization_url"])
    assert query["client_id"] == ["test-client"]
    assert query["access_type"] == ["offline"]
    assert query["code_challenge_method"] == ["S256"]
    row = await sql.fetchrow("select * from private.oauth_states where user_id = $1", ann.id)
    assert row is not None
    assert row["return_to"] == "/done"
    assert query["state"][0].encode() not in row["state_hash"]


async def test_connect_needs_no_body(person: People):
    ann = await person()
    assert (await ann.call("POST", "/connect/google")).status_code == 200


async def test_connect_refuses_an_unsafe_way_back(person: People, sql: Sql):
    ann = await person()
    answer = await ann.call("POST", "/connect/google", json={"return_to": "//evil.example"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "return_to"
    assert not await sql.fetchval(
        "select count(*) from private.oauth_states where user_id = $1", ann.id
    )


async def test_connect_says_when_the_provider_is_not_set_up(backend: Backend, person: People):
    ann = await person()
    async with serving(backend.settings(google_client_id="")) as client:
        ann.client = client
        answer = await ann.call("POST", "/connect/google")
    assert answer.status_code == 503
    assert answer.json()["code"] == "provider_not_set_up"


async def test_tokens_of_a_sign_in_are_both_needed_and_looked_at(person: People, sql: Sql):
    ann = await person()
    path = "/connect/google/tokens"
    half = await ann.call("POST", path, json={"provider_token": "ya29.x"})
    assert half.status_code == 422
    assert half.json()["errors"][0]["field"] == "provider_refresh_token"
    tokens = {"provider_token": "ya29.x", "provider_refresh_token": "1//x"}
    answer = await ann.call("POST", path, json=tokens)
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
    assert (await ann.call("POST", "/connect/outlook/tokens", json=tokens)).status_code == 404
    assert not await sql.fetchval(
        "select count(*) from calendar_connections where user_id = $1", ann.id
    )


async def state_of(ann: Person, **body: str) -> str:
    answer = await ann.call("POST", "/connect/google", json=body)
    return query_of(answer.json()["authorization_url"])["state"][0]


async def test_a_refusal_sends_the_browser_back_once(person: People):
    ann = await person()
    state = await state_of(ann, return_to="/settings?tab=2")
    query = {"state": state, "error": "access_denied", "scope": "x", "authuser": "0"}
    answer = await ann.client.get("/auth/google/callback", params=query)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/settings?tab=2&status=denied"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    again = await ann.client.get("/auth/google/callback", params=query)
    assert again.status_code == 400
    assert again.headers["content-type"].startswith("text/html")
    assert "too old" in again.text


async def test_a_failed_exchange_has_its_reason(person: People):
    ann = await person()
    state = await state_of(ann, return_to="/settings")
    answer = await ann.client.get(
        "/auth/google/callback", params={"state": state, "code": "4/code"}
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/settings?status=provider_unavailable"


@pytest.mark.parametrize("query", [{}, {"state": "invented"}, {"code": "x"}, {"error": "<b>"}])
async def test_an_unknown_state_gets_a_plain_page(client: httpx.AsyncClient, query: dict[str, str]):
    answer = await client.get("/auth/google/callback", params=query)
    assert answer.status_code == 400
    assert "not connected" in answer.text
    assert "<b>" not in answer.text


async def test_success_carries_the_connection(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    made = uuid.uuid4()
    back: list[str | None] = ["https://app.example.com/x?y=1", None]

    async def finish(*_: object, **__: object) -> Finished:
        return Finished(back.pop(0), "connected", made, "Connected.")

    monkeypatch.setattr(connections, "finish", finish)
    answer = await client.get("/auth/google/callback", params={"state": "s", "code": "c"})
    assert answer.status_code == 303
    location = urlsplit(answer.headers["location"])
    assert (location.netloc, parse_qs(location.query)) == (
        "app.example.com",
        {"y": ["1"], "status": ["connected"], "connection_id": [str(made)]},
    )
    page = await client.get("/auth/google/callback", params={"state": "s", "code": "c"})
    assert page.status_code == 200
    assert "is connected" in page.text


async def test_an_unknown_provider_is_not_there(client: httpx.AsyncClient):
    answer = await client.get("/auth/outlook/callback", params={"state": "s"})
    assert answer.status_code == 404
