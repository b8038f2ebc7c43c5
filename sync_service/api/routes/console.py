"""Serves the console, and tells it where the project is."""

from __future__ import annotations

from pathlib import Path

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.static_files import (  # pyright: ignore[reportUnknownVariableType]
    create_static_files_router,  # pyright: ignore[reportUnknownVariableType]
)

from sync_service import console
from sync_service.api.services import Services


class ConsoleConfig(msgspec.Struct, frozen=True):
    """What the page needs to sign people in; both are public by design."""

    supabase_url: str
    publishable_key: str


@get("/console/config.json", include_in_schema=False)
async def console_config(services: NamedDependency[Services]) -> ConsoleConfig:
    """Say where the Supabase project is."""
    settings = services.settings
    return ConsoleConfig(settings.supabase_url, settings.supabase_publishable_key)


def console_files() -> Router:
    """Serve the page and its modules, and nothing else of the folder."""
    return create_static_files_router(
        path="/console",
        directories=[Path(console.__file__).parent / "static"],
        html_mode=True,
        include_in_schema=False,
        name="console",
    )
