"""Where providers announce changes. What is accepted is durable before it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import asyncpg
import structlog
from litestar import Controller, Request, Response, post
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State
from litestar.di import NamedDependency

from sync_service import doorbell, telemetry
from sync_service.api.problems import Problem, described
from sync_service.api.services import Services

_PATIENCE_S = 0.8
_MAX_LENGTH = 1024
_WAKES = {"recorded": doorbell.DRAIN, "listed": doorbell.READ_LISTS}
"""Who does something about a notice, by what it asked for."""
_log = structlog.get_logger(__name__)


class WebhookController(Controller):
    """Notices of providers, which carry their own proof instead of a bearer token."""

    path = "/webhooks"
    tags = ("Webhooks",)
    opt = {"exclude_from_auth": True}  # noqa: RUF012  # the framework's own declaration

    @post(
        "/google",
        status_code=200,
        summary="Notice from Google Calendar",
        security=[{}],
        responses=described(_401="Not a notice for us.", _503="Not recorded; send it again."),
    )
    async def google_notice(
        self, request: Request[None, None, State], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Record that a calendar changed. The headers say all; a body is not read.

        Whatever is wrong with a notice, the answer is the same 401. 503 makes Google repeat it.
        """
        notice = _parse(request.headers)
        outcome = await _record(services, notice) if notice else "refused"
        telemetry.webhooks.labels("google", outcome).inc()
        if outcome == "refused":
            raise Problem(401, "notice_refused", "This notice is not for a channel of ours.")
        name = _WAKES.get(outcome)
        ring = BackgroundTask(doorbell.ring, services.redis, name, job_id=name) if name else None
        return Response(b"", background=ring)


def _parse(headers: Mapping[str, str]) -> tuple[str, str, str, int] | None:
    channel = headers.get("x-goog-channel-id", "")
    token = headers.get("x-goog-channel-token", "")
    resource = headers.get("x-goog-resource-id", "")
    state = headers.get("x-goog-resource-state", "")
    number = headers.get("x-goog-message-number", "")
    for value in (channel, token, resource, state):
        if not value or len(value) > _MAX_LENGTH or "\0" in value:
            return None
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        return None
    return channel, token, resource, int(number)


async def _record(services: Services, notice: tuple[str, str, str, int]) -> str:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await services.pool.fetchval(
                "select public.record_google_notice($1, $2, $3, $4)", *notice
            )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        telemetry.webhooks.labels("google", "lost").inc()
        _log.error("webhook.not_recorded", fault=type(fault).__name__)
        raise Problem(
            503,
            "store_unavailable",
            "The notice could not be recorded; send it again.",
            headers={"Retry-After": "2"},
        ) from None
