"""The sweeper that kills."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest

from sync_service.emulators.google import Emulator, serving
from sync_service.settings import Settings
from tests.crash.sweep import Sweeper
from tests.engine.world import pointing_to
from tests.servers import Database


@pytest.fixture
async def sweeper(
    database: Database,
    settings: Settings,
    subtests: pytest.Subtests,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Sweeper]:
    # Every process reads the certificate store at its start, which takes longer than all its work.
    shared = ssl.create_default_context()

    def read_before(*_: object, **__: object) -> ssl.SSLContext:
        return shared

    monkeypatch.setattr(ssl, "create_default_context", read_before)
    google = Emulator(redirect_uris=[f"{settings.public_url}/auth/google/callback"])
    async with serving(google) as url:
        yield Sweeper(database, pointing_to(settings, url), google, subtests)
