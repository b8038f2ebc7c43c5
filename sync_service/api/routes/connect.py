"""Connecting an account: out to the provider's consent page and back again."""

from __future__ import annotations

import html
from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Redirect

from sync_service import doorbell
from sync_service.api.account_schemas import (
    ConnectAnswer,
    ConnectedAnswer,
    ConnectRequest,
    ConnectTokens,
)
from sync_service.api.auth import Caller
from sync_service.api.problems import FAILURES, FieldError, described, invalid, not_found
from sync_service.api.return_to import UnsafeReturn, check_return_to, with_outcome
from sync_service.api.services import Services
from sync_service.engine import connections
from sync_service.providers.base import Tokens

_TOO_LITTLE = described(_409="The tokens allow too little: a permission was not given.")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title></head>
<body><main><h1>{title}</h1><p>{text}</p></main></body></html>
"""


class ConnectController(Controller):
    """The way out, for a signed-in user."""

    path = "/connect"
    tags = ("Integrations",)

    @post("/{provider:str}", status_code=200, summary="Connect an account", responses=FAILURES)
    async def connect(
        self,
        request: Request[Caller, str, State],
        provider: FromPath[str],
        services: NamedDependency[Services],
        data: JSONBody[ConnectRequest | None] = None,
    ) -> ConnectAnswer:
        """Return the provider's consent page, to which the browser has to go."""
        _require_known(services, provider)
        asked = data or ConnectRequest()
        if asked.return_to is not None:
            _require_safe(services, asked.return_to)
        url = await connections.start(
            services.hub,
            provider=provider,
            user_id=request.user.id,
            return_to=asked.return_to,
            preview=asked.preview,
        )
        return ConnectAnswer(authorization_url=url)

    @post(
        "/{provider:str}/tokens",
        status_code=200,
        summary="Connect with the tokens of a sign-in",
        responses=FAILURES | _TOO_LITTLE,
    )
    async def connect_with_tokens(
        self,
        request: Request[Caller, str, State],
        provider: FromPath[str],
        services: NamedDependency[Services],
        data: JSONBody[ConnectTokens],
    ) -> ConnectedAnswer:
        """Connect the account that the caller signed in with through Supabase Auth.

        Sign-in has to use the OAuth client that Calsync uses, and to ask for the calendar scopes.
        """
        _require_known(services, provider)
        connection_id = await connections.adopt(
            services.hub,
            provider=provider,
            user_id=request.user.id,
            tokens=Tokens(data.provider_token, data.provider_refresh_token),
            preview=data.preview,
        )
        await services.hub.meter.write()
        await doorbell.ring(services.redis, doorbell.DRAIN, job_id=doorbell.DRAIN)
        return ConnectedAnswer(connection_id=connection_id)


class CallbackController(Controller):
    """The way back: a browser arrives, without a bearer token; the state says whose it is."""

    path = "/auth"
    tags = ("Integrations",)

    @get(
        "/{provider:str}/callback",
        summary="Return from the consent page",
        responses=described(_404="There is no such provider."),
    )
    async def callback(
        self,
        provider: FromPath[str],
        services: NamedDependency[Services],
        oauth_state: Annotated[str | None, QueryParameter(name="state")] = None,
        code: FromQuery[str | None] = None,
        error: FromQuery[str | None] = None,
    ) -> Response[Any]:
        """Finish the connection and send the browser back to where it was started."""
        _require_known(services, provider)
        finished = await connections.finish(
            services.hub, provider=provider, state=oauth_state or "", code=code, error=error
        )
        if finished.connection_id is not None:
            await services.hub.meter.write()
            await doorbell.ring(services.redis, doorbell.DRAIN, job_id=doorbell.DRAIN)
        if finished.return_to is None:
            return _page(finished.status, finished.detail)
        outcome = {"status": finished.status}
        if finished.connection_id is not None:
            outcome["connection_id"] = str(finished.connection_id)
        return Redirect(with_outcome(finished.return_to, **outcome), status_code=303)


def _require_known(services: Services, provider: str) -> None:
    if provider not in services.hub.providers:
        raise not_found("provider")


def _require_safe(services: Services, return_to: str) -> None:
    settings = services.settings
    try:
        check_return_to(return_to, settings.public_url, settings.allowed_return_origins)
    except UnsafeReturn as fault:
        raise invalid(FieldError("return_to", str(fault))) from None


def _page(status: str, detail: str) -> Response[str]:
    connected = status == "connected"
    title = "Your calendar is connected" if connected else "Your calendar is not connected"
    text = "You can close this window." if connected else detail
    return Response(
        _PAGE.format(title=html.escape(title), text=html.escape(text)),
        status_code=200 if connected else 400,
        media_type="text/html",
    )
