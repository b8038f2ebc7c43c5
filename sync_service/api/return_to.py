"""Where a browser may be sent after connecting: nowhere that we do not know."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_MAX_LENGTH = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}


class UnsafeReturn(ValueError):
    """The address is not one that a browser may be sent to; the message says why."""


def check_return_to(value: str, public_url: str, allowed_origins: Sequence[str] = ()) -> str:
    """Return *value* if it is a path here, or lies on our own or a listed origin.

    Raises `UnsafeReturn` for everything else.
    """
    if not value or len(value) > _MAX_LENGTH:
        raise UnsafeReturn(f"must have between 1 and {_MAX_LENGTH} characters")
    # Browsers drop some control characters and read a backslash as a slash, so `/\evil.example`
    # would leave the site.
    if "\\" in value or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in value):
        raise UnsafeReturn("must not hold spaces, control characters or backslashes")
    if value.startswith("/"):
        if value.startswith("//"):
            raise UnsafeReturn("must be a path with a single leading slash, or a whole URL")
        return value
    found = origin(value)
    if found is None:
        raise UnsafeReturn("must be a path, or an http(s) URL without user information")
    if found not in {origin(known) for known in (public_url, *allowed_origins)}:
        raise UnsafeReturn("must be on this service's own origin or a listed one")
    return value


def origin(url: str) -> str | None:
    """Return scheme, host and port of *url* in one spelling; None if it has no safe origin."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def with_outcome(return_to: str, **outcome: str) -> str:
    """Add *outcome* to the query of *return_to*, in place of parameters of the same names."""
    parts = urlsplit(return_to)
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in outcome
    ]
    return urlunsplit(parts._replace(query=urlencode([*kept, *outcome.items()])))
