"""The console is served whole, under a policy that runs nothing but its own files."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.api.conftest import Backend


@pytest.mark.parametrize("path", ["/console", "/console/"])
async def test_the_page_and_everything_it_names_is_served(client: httpx.AsyncClient, path: str):
    page = await client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", page.text)
    waiting = set(re.findall(r'(?:href|src)="(/[^"]+)"', page.text))
    served: set[str] = set()
    while waiting:
        name = waiting.pop()
        answer = await client.get(name)
        assert answer.status_code == 200, name
        served.add(name)
        imports = re.findall(r'from "\./([^"]+)"', answer.text)
        waiting |= {f"/console/{found}" for found in imports} - served
    assert "/console/views.js" in served


@pytest.mark.parametrize("path", ["/console", "/console/views.js", "/healthz"])
async def test_probes_may_ask_without_a_body(client: httpx.AsyncClient, path: str):
    assert (await client.head(path)).status_code == 200


async def test_the_policy_allows_own_files_and_the_project_only(
    client: httpx.AsyncClient, backend: Backend
):
    policy = (await client.get("/console")).headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert f"connect-src 'self' {backend.info.supabase_url};" in policy


async def test_the_page_learns_where_the_project_is(client: httpx.AsyncClient, backend: Backend):
    config = (await client.get("/console/config.json")).json()
    assert config == {
        "supabase_url": backend.info.supabase_url,
        "publishable_key": backend.info.publishable_key,
    }


@pytest.mark.parametrize(
    "path", ["/console/../api/app.py", "/console/%2e%2e/__init__.py", "/console/%00", "/console/x"]
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str):
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
