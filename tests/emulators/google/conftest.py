from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest

from sync_service.emulators.google import Clock, Emulator, create_app
from tests.emulators.google.client import Google

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
