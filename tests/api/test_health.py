"""Health, metrics, the OpenAPI document, and the headers that every answer has."""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from sync_service.errors import StoreUnavailable
from tests.api.conftest import Backend, Sql, serving

SNAPSHOT = Path(__file__).with_name("openapi.json")


async def test_health_says_what_answers(client: httpx.AsyncClient):
    assert (await client.get("/healthz")).json()["status"] == "ok"
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "checks": {"database": "ok", "migrations": "ok", "redis": "ok"},
    }


async def test_readiness_names_migrations_that_are_missing(client: httpx.AsyncClient, sql: Sql):
    history = "supabase_migrations.schema_migrations"
    newest = await sql.fetchrow(f"select * from {history} order by version desc limit 1")
    assert newest is not None
    await sql.execute(f"delete from {history} where version = $1", newest["version"])
    try:
        answer = await client.get("/readyz")
        alive = await client.get("/healthz")
    finally:
        await sql.execute(
            f"insert into {history} (version, statements, name) values ($1, $2, $3)",
            newest["version"],
            newest["statements"],
            newest["name"],
        )
    assert answer.status_code == 503
    assert answer.json()["code"] == "not_ready"
    assert newest["version"] in answer.json()["checks"]["migrations"]
    assert alive.status_code == 200


async def test_without_a_database_the_process_says_so_and_ends(backend: Backend):
    nowhere = SecretStr("postgresql://calsync_service:x@127.0.0.1:9/postgres")
    with pytest.RaisesGroup(StoreUnavailable):
        async with serving(backend.settings(database_url=nowhere)):
            pass


async def test_metrics_count_by_route_and_not_by_path(client: httpx.AsyncClient):
    await client.get("/api/calendar/events/6f1b5a86-0e9f-4a52-8f43-1d8a3c1c5b11")
    await client.get("/some/unknown/path")
    text = (await client.get("/metrics")).text
    assert 'route="/api/calendar/events/{event_id}"' in text
    assert "6f1b5a86" not in text
    assert "/some/unknown/path" not in text
    assert "calsync_pushes_total" in text


async def test_every_answer_has_its_safety_headers(client: httpx.AsyncClient):
    for path in ("/healthz", "/nowhere", "/api/calendar/events", "/auth/google/callback"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-request-id"]
    named = await client.get("/healthz", headers={"X-Request-ID": "trace-12345"})
    assert named.headers["x-request-id"] == "trace-12345"
    odd = await client.get("/healthz", headers={"X-Request-ID": "a b\tc"})
    assert odd.headers["x-request-id"] != "a b\tc"


async def test_only_listed_origins_may_read_answers(backend: Backend):
    settings = backend.settings(allowed_return_origins="https://app.example.com")
    async with serving(settings) as client:
        ask = {
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,if-match",
        }
        path = "/api/calendar/events"
        fine = await client.options(path, headers={"Origin": "https://app.example.com"} | ask)
        assert fine.headers["access-control-allow-origin"] == "https://app.example.com"
        other = await client.options(path, headers={"Origin": "https://evil.example"} | ask)
        assert "access-control-allow-origin" not in other.headers


async def test_the_openapi_document_is_the_reviewed_one(client: httpx.AsyncClient):
    answer = await client.get("/schema")
    assert answer.status_code == 200
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    document["info"]["version"] = "0"
    found = msgspec.json.format(msgspec.json.encode(document, order="sorted")) + b"\n"
    if not SNAPSHOT.exists():
        SNAPSHOT.write_bytes(found)
    assert found == SNAPSHOT.read_bytes(), (
        f"the HTTP API changed: if it was meant, delete {SNAPSHOT.name} and run again"
    )
    operations = [
        operation for methods in document["paths"].values() for operation in methods.values()
    ]
    assert all(operation.get("tags") and operation.get("summary") for operation in operations)
