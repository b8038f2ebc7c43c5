"""Google's requests: built by `google-api-python-client`, sent with httpx, failures classified.

The library builds (URL, method, body) from its bundled discovery document, without network; its own
transport is synchronous and not used. One request budget and one token source serve every call.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import httplib2
import httpx
import msgspec
from googleapiclient.discovery import (
    build,  # pyright: ignore[reportUnknownVariableType]  # the stubs name an untyped class
)

from sync_service.errors import MayHaveHappened, ProviderUnavailable, ReauthRequired, SyncError
from sync_service.providers.base import Account
from sync_service.providers.google.errors import Operation, classify

if TYPE_CHECKING:
    from googleapiclient.http import HttpRequest

_USER_AGENT = "calsync/0.1 (gzip)"
_WEIGHTS: dict[str, int] = {"PATCH": 3}
"""Units that a call costs (Calendar API guide, 'Usage limits'); others cost one."""
_EVENTS_OF = re.compile(r"/calendars/([^/]+)/events(/.*)?$")


class Resources:
    """The request builders of Calendar API v3, made once a process."""

    def __init__(self, base_url: str) -> None:
        service = build(
            "calendar",
            "v3",
            http=httplib2.Http(),
            static_discovery=True,
            cache_discovery=False,
            client_options={"api_endpoint": f"{base_url}/calendar/v3/"},
        )
        self.events = service.events()
        self.calendar_list = service.calendarList()
        self.channels = service.channels()


class Client:
    """Sends one account's requests."""

    def __init__(self, http: httpx.AsyncClient, account: Account) -> None:
        self._http = http
        self._account = account

    async def send(
        self, operation: Operation, request: HttpRequest, *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Send *request* and return the decoded answer ({} where there is none).

        A refused token is renewed once. Raises the errors of `classify`, and `ProviderUnavailable`
        or `MayHaveHappened` when there was no answer.
        """
        token = await self._account.access_token()
        answer = await self._once(operation, request, token, if_match)
        if answer.status_code == 401:
            token = await self._account.access_token(rejected=token)
            answer = await self._once(operation, request, token, if_match)
        if not answer.is_success:
            raise _failure(operation, answer)
        if not answer.content:
            return {}
        try:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.MsgspecError as fault:
            raise ProviderUnavailable("Google's answer was not the JSON it should be.") from fault

    async def _once(
        self, operation: Operation, request: HttpRequest, token: str, if_match: str | None
    ) -> httpx.Response:
        method = str(request.method)
        await self._account.admit(_WEIGHTS.get(method, 1), writes_to=_written(request))
        headers = {
            **{str(name): str(value) for name, value in (request.headers or {}).items()},
            "user-agent": _USER_AGENT,
            "authorization": f"Bearer {token}",
        }
        if if_match is not None:
            headers["if-match"] = if_match
        try:
            return await self._http.request(
                method, str(request.uri), headers=headers, content=request.body
            )
        except httpx.ConnectError as fault:
            raise ProviderUnavailable("Google could not be reached.") from fault
        except httpx.HTTPError as fault:
            if operation in ("insert", "update", "delete"):
                raise MayHaveHappened("Google's answer did not arrive.") from fault
            raise ProviderUnavailable("Google did not answer in time.") from fault


def _written(request: HttpRequest) -> str | None:
    """Return the calendar whose events *request* changes, None when it changes none."""
    found = _EVENTS_OF.search(urlsplit(str(request.uri)).path)
    if found is None or request.method == "GET" or found[2] == "/watch":
        return None
    return unquote(found[1])


def _failure(operation: Operation, answer: httpx.Response) -> SyncError:
    failure = classify(operation, answer.status_code, answer.content, answer.headers)
    if isinstance(failure, ReauthRequired):
        failure.context["status"] = answer.status_code
    return failure
