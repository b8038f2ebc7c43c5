"""An emulated Google: OAuth and Calendar API v3, in memory, faithful to the public behaviour.

`Emulator` is a state machine without I/O; `create_app` puts it behind ASGI; `serve` and `run`
listen on a port.
"""

from sync_service.emulators.google.app import App, DroppedConnectionError, create_app
from sync_service.emulators.google.clock import Clock
from sync_service.emulators.google.emulator import Emulator
from sync_service.emulators.google.seed import (
    ADA,
    CLIENT_ID,
    CLIENT_SECRET,
    GRACE,
    HOLIDAYS,
    TEAM,
)
from sync_service.emulators.google.server import Server, run, serve, serving
from sync_service.emulators.google.switches import Switches

__all__ = [
    "ADA",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "GRACE",
    "HOLIDAYS",
    "TEAM",
    "App",
    "Clock",
    "DroppedConnectionError",
    "Emulator",
    "Server",
    "Switches",
    "create_app",
    "run",
    "serve",
    "serving",
]
