"""Every answer gets its id, its headers, its log line and its place in the metrics.

Logged are method, path and status: query strings carry authorization codes, headers tokens, bodies
people's calendars.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Any, cast

import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from sync_service import telemetry

_KNOWN_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_UNKNOWN_ROUTE = "(none)"
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_CONSOLE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self' {supabase}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_log = structlog.get_logger(__name__)


class Observe(ASGIMiddleware):
    """Names the request and starts its clock."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Bind the request's id to every log line until the answer is given."""
        scope["state"]["started_at"] = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=_request_id(scope)):
            await next_app(scope, receive, send)


class Finish:
    """Completes every answer on its way out, those that no route gave included."""

    def __init__(self, *, supabase_origin: str, https: bool) -> None:
        self._console_policy = _CONSOLE_POLICY.format(supabase=supabase_origin)
        self._https = https

    async def __call__(self, message: Message, scope: Scope) -> None:
        """Add the headers, write the log line, count."""
        if message["type"] != "http.response.start":
            return
        path = scope["path"]
        headers = MutableScopeHeaders.from_message(message)
        headers["X-Request-ID"] = _request_id(scope)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Content-Security-Policy"] = (
            self._console_policy if path.startswith("/console") else _API_POLICY
        )
        if self._https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if path.startswith(("/api/", "/auth/")):
            headers["Cache-Control"] = "no-store"
        _record(scope, path, message["status"])


def _record(scope: Scope, path: str, status: int) -> None:
    known = cast("dict[str, Any]", scope)
    method = known.get("method", "")
    route = known.get("path_template") or _UNKNOWN_ROUTE
    telemetry.http_requests.labels(method, route, str(status)).inc()
    started_at = scope["state"].get("started_at")
    elapsed = time.perf_counter() - started_at if started_at is not None else None
    if elapsed is not None:
        telemetry.http_seconds.labels(method, route).observe(elapsed)
    if path not in _QUIET:
        _log.info(
            "request",
            method=method,
            path=path,
            status=status,
            request_id=_request_id(scope),
            duration_ms=None if elapsed is None else round(elapsed * 1000, 1),
        )


def _request_id(scope: Scope) -> str:
    state = scope["state"]
    if "request_id" not in state:
        asked = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"").decode(
            "latin-1"
        )
        state["request_id"] = asked if _KNOWN_ID.fullmatch(asked) else secrets.token_hex(8)
    return state["request_id"]
