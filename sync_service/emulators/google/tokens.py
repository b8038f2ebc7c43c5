"""Sync tokens and page tokens: opaque to clients, self-contained for the server."""

from __future__ import annotations

import base64
import zlib

import msgspec


class SyncToken(msgspec.Struct, array_like=True):
    """A position in a change feed, bound to collection, user and parameters."""

    collection: str
    sub: str
    parameters: str
    position: int
    serial: int
    issued: int
    window: tuple[str | None, str | None] = (None, None)


class PageToken(msgspec.Struct, array_like=True):
    """A place inside one listing, with what the final sync token will need."""

    collection: str
    sub: str
    parameters: str
    snapshot: int
    issued: int
    after: list[str | int] | None = None


def seal(token: SyncToken | PageToken) -> str:
    """The token's text, with padding, as clients have to expect it."""
    packed = msgspec.json.encode(token)
    return base64.b64encode(zlib.crc32(packed).to_bytes(4, "big") + packed).decode()


def open_sync(text: str) -> SyncToken | None:
    """The sync token behind a text, or None."""
    packed = _unseal(text)
    try:
        return None if packed is None else msgspec.json.decode(packed, type=SyncToken)
    except msgspec.MsgspecError:
        return None


def open_page(text: str) -> PageToken | None:
    """The page token behind a text, or None."""
    packed = _unseal(text)
    try:
        return None if packed is None else msgspec.json.decode(packed, type=PageToken)
    except msgspec.MsgspecError:
        return None


def _unseal(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    packed = raw[4:]
    return packed if zlib.crc32(packed).to_bytes(4, "big") == raw[:4] else None
