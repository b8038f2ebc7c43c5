"""Which port each part listens on, and whether it is free."""

from __future__ import annotations

import socket

from sync_service.errors import Misconfigured

LOOPBACK = "127.0.0.1"

OFFSETS = {
    "api": 0,
    "supabase": 1,
    "postgres": 2,
    "valkey": 3,
    "google": 4,
    "notion": 5,
    "functions": 6,
}
"""Distance of every part's port from the port base."""


def assign(base: int) -> dict[str, int]:
    """Return the port of every part, counted from *base*; any free ports when *base* is 0."""
    if base:
        return {part: base + offset for part, offset in OFFSETS.items()}
    return dict(zip(OFFSETS, free_ports(len(OFFSETS)), strict=True))


def free_ports(count: int) -> list[int]:
    """Return *count* different loopback ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind((LOOPBACK, 0))
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()


def require_free(ports: dict[str, int]) -> None:
    """Raise `Misconfigured` naming every port of *ports* that somebody else listens on."""
    taken = [f"{port} ({part})" for part, port in ports.items() if not _is_free(port)]
    if taken:
        plural = "ports are" if len(taken) > 1 else "port is"
        raise Misconfigured(
            f"the {plural} taken: {', '.join(taken)}; "
            "stop what listens there or move the stack with --port-base"
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
