"""Serves the console, and tells it where the project is."""

from __future__ import annotations

import mimetypes
from importlib import resources

import msgspec
from litestar import Controller, HttpMethod, Response, get, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from sync_service.api.problems import not_found
from sync_service.api.services import Services


class ConsoleConfig(msgspec.Struct, frozen=True):
    """What the page needs to sign people in; both are public by design."""

    supabase_url: str
    publishable_key: str


_FILES = {
    file.name: (file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain")
    for file in (resources.files("sync_service.console") / "static").iterdir()
}
"""The page and its modules: few and small, so no request ever names a path on the disk."""


_READ = (HttpMethod.GET, HttpMethod.HEAD)


class ConsoleController(Controller):
    """A static page over the HTTP API; no token needed to load it."""

    path = "/console"
    include_in_schema = False

    @route("/", http_method=_READ, status_code=200, sync_to_thread=False)
    def page(self) -> Response[bytes]:
        """Return the page."""
        return _file("index.html")

    @get("/config.json", sync_to_thread=False)
    def config(self, services: NamedDependency[Services]) -> ConsoleConfig:
        """Say where the Supabase project is."""
        settings = services.settings
        return ConsoleConfig(settings.supabase_url, settings.supabase_publishable_key)

    @route("/{name:str}", http_method=_READ, status_code=200, sync_to_thread=False)
    def file(self, name: FromPath[str]) -> Response[bytes]:
        """Return one of the page's files."""
        return _file(name)


def _file(name: str) -> Response[bytes]:
    found = _FILES.get(name)
    if found is None:
        raise not_found("file")
    content, media_type = found
    return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})
