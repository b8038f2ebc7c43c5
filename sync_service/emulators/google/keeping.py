"""Keeping an emulator's world in a file, so that it outlives its process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

from sync_service.emulators.google import seed
from sync_service.emulators.google.app import App, Receive, Send
from sync_service.emulators.google.emulator import Emulator

DELAY_S = 0.1
"""What changes together is written once, and a kill loses no more than this."""


class KeptApp(App):
    """An application that writes the world to a file after requests that changed it."""

    def __init__(self, emulator: Emulator, path: Path) -> None:
        super().__init__(emulator)
        self._path = path
        self._asked = asyncio.Event()
        self._written = b""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._asked.set()

    async def keep(self) -> None:
        """Save whenever something may have changed, for ever."""
        while True:
            await self._asked.wait()
            await asyncio.sleep(DELAY_S)
            self._asked.clear()
            self.save()

    def save(self) -> None:
        """Write the world whole and readable by the owner alone, if it has changed."""
        world = self.emulator.dump()
        if world == self._written:
            return
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(world)
        draft.replace(self._path)
        self._written = world


def load(emulator: Emulator, path: Path, redirect_uris: Sequence[str]) -> None:
    """Go on from *path* if it is there, with *redirect_uris* registered as well."""
    try:
        world = path.read_bytes()
    except FileNotFoundError:
        return
    emulator.restore(world)
    client = emulator.world.state.clients.get(seed.CLIENT_ID)
    if client is not None:
        known = client.redirect_uris
        known += [uri for uri in redirect_uris if uri not in known]
    # What came due meanwhile.
    emulator.tick()
