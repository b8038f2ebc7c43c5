"""One stage for all histories of a test process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import asyncpg
import pytest

from sync_service.settings import Settings
from tests.convergence.machine import Histories
from tests.convergence.stage import open_stage
from tests.servers import Database


@pytest.fixture
def histories(settings: Settings, database: Database) -> Iterator[type[Histories]]:
    """The state machine, on a stage that stays open between its histories."""
    loop = asyncio.new_event_loop()
    user_id = uuid4()

    async def add_user() -> None:
        connection = await asyncpg.connect(database.admin_url)
        await connection.execute(
            "insert into auth.users (id, email) values ($1, 'ada@app.test')", user_id
        )
        await connection.close()

    loop.run_until_complete(add_user())
    opened = open_stage(settings, user_id, database.admin_url)
    Histories.loop = loop
    Histories.stage = loop.run_until_complete(opened.__aenter__())
    Histories.histories = 0
    try:
        yield Histories
    finally:
        loop.run_until_complete(opened.__aexit__(None, None, None))
        loop.close()
