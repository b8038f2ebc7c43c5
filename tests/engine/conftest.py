"""The world that engine tests act in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sync_service.settings import Settings
from tests.conftest import UserFactory
from tests.engine.world import World, open_world


@pytest.fixture
async def world(settings: Settings, user: UserFactory) -> AsyncIterator[World]:
    owner = await user()
    async with open_world(settings, owner.id) as world:
        yield world
