from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest

from sync_service.emulators.google import Clock, Emulator, create_app, serving
from tests.emulators.google.client import Google
from tests.emulators.google.hook import Hook

NOW = 1_795_251_600.0  # 2026-11-21T09:00:00Z


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(seed=7, clock=Clock(NOW))


@pytest.fixture
async def google(emulator: Emulator) -> AsyncGenerator[Google]:
    app = create_app(emulator)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://google.test") as http:
        yield Google(emulator, app, http)
    await app.close()


@pytest.fixture
async def base(emulator: Emulator) -> AsyncGenerator[str]:
    """The emulator behind a real server."""
    async with serving(emulator) as url:
        yield url


@pytest.fixture
async def hook() -> AsyncGenerator[Hook]:
    receiver = Hook()
    server = await asyncio.start_server(receiver, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receiver.address = f"http://127.0.0.1:{port}/hooks/google"
    yield receiver
    server.close()
    await server.wait_closed()
