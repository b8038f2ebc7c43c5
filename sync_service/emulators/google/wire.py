"""Requests and replies, independent of the server that carries them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

from sync_service.emulators.google.errors import ApiError
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.state import Json, as_object

JSON_TYPE = "application/json; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        path: Still percent-encoded, so that ids may hold slashes.
        headers: By lower-case name.
    """

    method: str
    path: str
    query: Query
    headers: dict[str, str]
    body: bytes = b""
    base_url: str = "http://emulator"

    def segments(self) -> list[str]:
        """The decoded parts of the path."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def bearer(self) -> str | None:
        """The access token, from the header or the query."""
        scheme, _, text = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and text:
            return text.strip()
        return self.query.text("access_token") or self.query.text("oauth_token")

    def json(self) -> Json:
        """The body as a JSON object."""
        if not self.body:
            return {}
        try:
            value: Any = msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            raise ApiError(400, "parseError", "Parse Error") from None
        fields = as_object(value)
        if fields is None:
            raise ApiError(400, "parseError", "Parse Error")
        return fields


@dataclass(slots=True)
class Reply:
    """An HTTP response, and how it reaches the client.

    Attributes:
        delay_s: Held back this long, in real time.
        drop: The connection ends without any answer.
        settle: Push messages are delivered before the answer goes out.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay_s: float = 0.0
    drop: bool = False
    settle: bool = False


def json_reply(
    value: Any, status: int = 200, *, pretty: bool = False, headers: dict[str, str] | None = None
) -> Reply:
    """A reply with a JSON document."""
    body = msgspec.json.encode(value)
    if pretty:
        body = msgspec.json.format(body, indent=1) + b"\n"
    return Reply(status, body, headers=dict(headers or {}))


def html_reply(text: str, status: int = 200) -> Reply:
    """A reply with a page."""
    return Reply(status, text.encode(), "text/html; charset=UTF-8")


def redirect(location: str) -> Reply:
    """A reply that sends the browser elsewhere."""
    return Reply(302, headers={"Location": location})
