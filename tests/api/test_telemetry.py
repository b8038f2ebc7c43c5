"""No secret leaves through the logs, and the doorbell forgives a dead Redis."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import httpx
import pytest
import structlog
from arq.jobs import deserialize_job

from sync_service import doorbell
from sync_service.telemetry import REDACTED, configure_logging, redact
from tests.api.conftest import Backend, serving

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "secret",
    [
        "ya29.a0AfH6SMBx-abc_DEF",
        "1//0gabcdefghijklmnopqrstuv",
        "4/0AY0e-g7abcdefghijklmnop",
        JWT,
        "GOCSPX-abcdef123",
        "sb_secret_abcdef",
        "v1.0a1b2c3d.abcdefghijklmnopqrstuv",
        "https://x.example/cb?state=verysecret",
        "https://x.example/cb?a=1&code=verysecret",
        "grant_type=x&refresh_token=verysecret",
        "Authorization: Bearer verysecret",
        "postgresql://user:verysecret@host/db",
    ],
)
def test_what_looks_like_a_secret_is_replaced(secret: str):
    cleaned = redact(f"before {secret} after")
    assert REDACTED in cleaned
    assert "verysecret" not in cleaned
    assert secret not in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")


@pytest.mark.parametrize(
    "key",
    [
        "authorization",
        "Authorization",
        "access_token",
        "X-Goog-Channel-Token",
        "apikey",
        "code",
        "client_secret",
        "password",
        "accessToken",
        "code_verifier",
        "api_key",
    ],
)
def test_what_is_called_a_secret_is_replaced(key: str):
    assert redact({"a": [{key: "plain"}]}) == {"a": [{key: REDACTED}]}


@pytest.mark.parametrize(
    "innocent",
    [
        {"codec": "x", "encoded": "y", "status": "ok", "fault_code": "42501"},
        {"path": "/api/calendar/events/6f1b5a86-0e9f-4a52-8f43-1d8a3c1c5b11"},
        {"time": "2027-01-01T12:00:00Z", "count": 7, "share": 0.5, "none": None},
        {"error": {"code": "throttled", "scope": "connection"}},
        {"row": {"last_error": {"code": "provider_unavailable"}}},
        {"problem": [{"code": "not_found", "detail": "There is no such event."}]},
    ],
)
def test_what_is_no_secret_stays(innocent: dict[str, object]):
    assert redact(innocent) == innocent


@pytest.mark.parametrize(
    "holder",
    [
        {"code": "verysecret", "state": ""},
        {"error": {"code": "4f2a9c31-verysecret"}},
        {"error": {"code": "4%2Fverysecret", "detail": "x"}},
        {"grant": {"code": "verysecret", "grant_type": "authorization_code"}},
    ],
)
def test_an_oauth_code_is_never_taken_for_an_errors(holder: dict[str, object]):
    assert REDACTED in str(redact(holder))
    assert "verysecret" not in str(redact(holder))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the process logs, configured as in production."""
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    configure_logging("test")
    yield output
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_logs_are_redacted_json_lines(written: io.StringIO):
    structlog.get_logger("x").info("hello", token="plain", note=f"with {JWT}")
    logging.getLogger("library").warning("sent %s", "Bearer verysecret")
    logging.getLogger("httpx").info("GET https://x.example/?code=verysecret")
    logging.getLogger("arq.worker").info("0.01s ← cron:sweep ●")
    try:
        raise ValueError("refused ya29.verysecret")
    except ValueError as fault:
        structlog.get_logger("x").error("failed", exc_info=fault)
    text = written.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == ["hello", f"sent Bearer {REDACTED}", "failed"]
    assert lines[0]["token"] == REDACTED
    assert lines[0]["service"] == "test"
    assert "ValueError" in lines[2]["exception"]
    assert "verysecret" not in text
    assert JWT not in text


async def test_a_request_is_logged_without_query_and_headers(
    backend: Backend, written: io.StringIO
):
    async with serving(backend.settings()) as client:
        await client.get(
            "/auth/google/callback",
            params={"state": "verysecret", "code": "4/verysecret"},
            headers={"Authorization": f"Bearer {JWT}"},
        )
    text = written.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    [request] = [line for line in lines if line["event"] == "request"]
    assert (request["method"], request["path"]) == ("GET", "/auth/google/callback")
    assert request["status"] == 400
    assert request["request_id"]
    assert "verysecret" not in text
    assert JWT not in text


async def test_a_bug_is_logged_and_not_shown(
    backend: Backend, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
):
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ya29.verysecret in the details")

    monkeypatch.setattr("sync_service.engine.connections.finish", broken)
    async with serving(backend.settings()) as client:
        answer: httpx.Response = await client.get("/auth/google/callback?state=x")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "details" not in answer.text
    assert "RuntimeError" in written.getvalue()
    assert "verysecret" not in written.getvalue()


async def test_a_ring_reaches_redis_as_json(backend: Backend):
    async with doorbell.open_doorbell(backend.settings()) as redis:
        assert await doorbell.ring(redis, doorbell.SWEEP, "an-id", job_id="once")
        assert await doorbell.ring(redis, doorbell.SWEEP, "an-id", job_id="once")
        stored = await redis.get("arq:job:once")
        await redis.delete("arq:job:once", "arq:queue")
    job = json.loads(stored)
    assert (job["f"], job["a"]) == ("sweep", ["an-id"])
    assert deserialize_job(stored, deserializer=doorbell.deserialize).function == "sweep"


async def test_a_dead_redis_is_no_failure(backend: Backend):
    settings = backend.settings(redis_url="redis://127.0.0.1:9/0")
    async with doorbell.open_doorbell(settings) as redis:
        assert not await doorbell.ring(redis, doorbell.DRAIN)
