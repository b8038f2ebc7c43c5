"""Every failure as RFC 9457 problem details: one table from what went wrong to what is answered.

`code` is stable and never reused; `title` goes with the code, `detail` with the occasion. Nothing
of an unexpected exception leaves the process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import asyncpg
import httpx
import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi import ResponseSpec
from postgrest.exceptions import APIError

from sync_service import telemetry
from sync_service.errors import Disposition, SyncError

MEDIA_TYPE = "application/problem+json"
_MISSING = re.compile(r"Missing required \w+ parameter '([^']+)'")
_TYPE = "urn:calsync:problem:"
_log = structlog.get_logger(__name__)


class FieldError(msgspec.Struct, frozen=True):
    """One fault in what was sent. *field* is a path such as `attendees[0].email`."""

    field: str
    message: str


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every failing answer holds."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    checks: dict[str, str] | None = None


class Problem(Exception):
    """An answer other than success, known when it is raised."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        checks: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.checks = checks


def not_found(what: str) -> Problem:
    """Return the answer for something that is not there, or not the caller's: no telling which."""
    return Problem(404, "not_found", f"There is no such {what}.")


def invalid(*errors: FieldError) -> Problem:
    """Return the answer to input that cannot be used, naming each field."""
    names = ", ".join(dict.fromkeys(error.field for error in errors))
    return Problem(422, "validation_failed", f"Please check: {names}.", errors=errors)


_BY_STATUS: dict[int, tuple[str, str]] = {
    400: ("bad_request", "The request cannot be read."),
    401: ("not_authenticated", "A valid access token is needed."),
    403: ("not_allowed", "This is not allowed."),
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This method is not offered here."),
    406: ("not_acceptable", "This cannot be answered in an accepted form."),
    413: ("body_too_large", "The body is too large."),
    415: ("unsupported_media_type", "The body must be JSON."),
    429: ("too_many_requests", "Too many requests; slow down."),
}

_BY_DISPOSITION: dict[Disposition, int] = {
    Disposition.RETRY: 503,
    Disposition.SNOOZE: 503,
    Disposition.GIVE_UP: 422,
    Disposition.SETTLE: 404,
    Disposition.REPLAN: 409,
    Disposition.RESYNC: 503,
    Disposition.PAUSE: 409,
    Disposition.STOP: 503,
}

# First match wins: codes of PostgREST and SQLSTATEs, by prefix.
_BY_DATA_API_CODE: tuple[tuple[str, int, str, str], ...] = (
    ("PGRST30", 401, "not_authenticated", "The access token was refused."),
    ("PGRST00", 503, "store_unavailable", "The database did not answer; try again."),
    ("PGRST116", 404, "not_found", "There is no such thing."),
    ("PGRST", 502, "data_api_error", "The data API did not understand us."),
    ("42501", 403, "not_allowed", "This is not allowed."),
    ("23505", 409, "already_exists", "Something like this exists already."),
    ("23503", 422, "validation_failed", "Something that is referred to does not exist."),
    ("23", 422, "validation_failed", "The database refuses these values."),
    ("22", 422, "validation_failed", "The database cannot hold these values."),
    ("40", 503, "store_unavailable", "The database was busy; try again."),
    ("53", 503, "store_unavailable", "The database was busy; try again."),
    ("55P03", 503, "store_unavailable", "The database was busy; try again."),
    ("57", 503, "store_unavailable", "The database did not answer; try again."),
    ("08", 503, "store_unavailable", "The database did not answer; try again."),
)
# An answer without a body has its HTTP status in place of a code.
_BY_DATA_API_STATUS: tuple[tuple[str, int, str, str], ...] = (
    ("401", 401, "not_authenticated", "The access token was refused."),
    ("5", 503, "data_api_unavailable", "The data API did not answer; try again."),
)
_UNKNOWN_CODE = ("", 502, "data_api_error", "The data API failed unexpectedly.")


def from_data_api(error: APIError) -> Problem:
    """Translate what PostgREST answered. Only messages of our own (PTxyz) are passed on."""
    code = error.code or ""
    if code.startswith("PT") and code[2:].isdigit():
        status, message = int(code[2:]), error.message or ""
        field = error.details if isinstance(error.details, str) else ""
        if status == 422 and field:
            return invalid(FieldError(field, message.removeprefix(f"{field}: ")))
        slug = _BY_STATUS.get(status, ("refused", ""))[0]
        return Problem(status, slug, message)
    table = _BY_DATA_API_STATUS if len(code) == len("503") else _BY_DATA_API_CODE
    _, status, slug, detail = next(
        (entry for entry in table if code.startswith(entry[0])), _UNKNOWN_CODE
    )
    if status >= 500:
        _log.error("data_api.failed", fault_code=code, message=error.message, answer=status)
    return Problem(status, slug, detail, headers=_headers_for(status))


def from_sync_error(error: SyncError) -> Problem:
    """Translate a failure of the engine by its disposition."""
    headers = _headers_for(_BY_DISPOSITION[error.disposition])
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return Problem(_BY_DISPOSITION[error.disposition], error.code, error.detail, headers=headers)


def from_http_exception(error: HTTPException) -> Problem:
    """Translate what the framework refused."""
    status = error.status_code
    if isinstance(error, ValidationException):
        # A parameter that is left out is named in the text alone.
        if missing := _MISSING.match(error.detail):
            return invalid(FieldError(missing[1], "is required"))
        return invalid(*_field_errors(error.extra))
    if isinstance(error.__cause__, (msgspec.DecodeError, UnicodeDecodeError, RecursionError)):
        return Problem(400, "malformed_json", "The body is not valid JSON.")
    code, detail = _BY_STATUS.get(status, ("error", HTTPStatus(status).phrase))
    headers = {**(error.headers or {}), **_headers_for(status)}
    return Problem(status, code, detail, headers=headers)


def render(problem: Problem) -> Response[ProblemDetails]:
    """Turn *problem* into the answer."""
    return Response(
        ProblemDetails(
            type=f"{_TYPE}{problem.code}",
            title=problem.code.replace("_", " ").capitalize(),
            status=problem.status,
            code=problem.code,
            detail=problem.detail,
            errors=problem.errors,
            checks=problem.checks,
        ),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def _headers_for(status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": "2"} if status == 503 else {}


def _field_errors(extra: Any) -> list[FieldError]:
    found = [
        FieldError(_field_name(entry), str(entry.get("message", "is not valid")))
        for entry in extra or ()
    ]
    return found or [FieldError("body", "is not valid")]


def _field_name(entry: Mapping[str, Any]) -> str:
    """Return the field that a message is about; an unknown one is named only inside the text."""
    message = str(entry.get("message", ""))
    key = str(entry.get("key", "body"))
    key = "" if key == "data" else key
    quoted = message.split("`")[1] if message.count("`") >= 2 else ""
    if quoted and message.startswith(("Object contains unknown field", "Object missing required")):
        return f"{key}.{quoted}" if key else quoted
    return key or "body"


def _on_problem(_: Request[Any, Any, Any], error: Problem) -> Response[ProblemDetails]:
    return render(error)


def _on_http(_: Request[Any, Any, Any], error: HTTPException) -> Response[ProblemDetails]:
    if error.status_code >= 500:
        return _on_bug(_, error)
    return render(from_http_exception(error))


def _on_sync_error(_: Request[Any, Any, Any], error: SyncError) -> Response[ProblemDetails]:
    if error.disposition is Disposition.STOP:
        _log.error("misconfigured", detail=error.detail)
    return render(from_sync_error(error))


def _on_data_api(_: Request[Any, Any, Any], error: APIError) -> Response[ProblemDetails]:
    return render(from_data_api(error))


def _on_transport(_: Request[Any, Any, Any], error: httpx.HTTPError) -> Response[ProblemDetails]:
    _log.error("upstream.unreachable", fault=type(error).__name__)
    return render(
        Problem(
            503,
            "data_api_unavailable",
            "The data API did not answer; try again.",
            headers=_headers_for(503),
        )
    )


def _on_store(_: Request[Any, Any, Any], error: Exception) -> Response[ProblemDetails]:
    _log.error("store.failed", fault=type(error).__name__, exc_info=error)
    return render(
        Problem(
            503,
            "store_unavailable",
            "The database did not answer; try again.",
            headers=_headers_for(503),
        )
    )


def _on_bug(_: Request[Any, Any, Any], error: Exception) -> Response[ProblemDetails]:
    telemetry.unexpected_errors.labels("api").inc()
    _log.error("unexpected_error", fault=type(error).__name__, exc_info=error)
    return render(Problem(500, "internal_error", "Something went wrong here; it has been noted."))


HANDLERS: Final[dict[int | type[Exception], Any]] = {
    Problem: _on_problem,
    HTTPException: _on_http,
    SyncError: _on_sync_error,
    APIError: _on_data_api,
    httpx.HTTPError: _on_transport,
    asyncpg.PostgresConnectionError: _on_store,
    asyncpg.CannotConnectNowError: _on_store,
    asyncpg.TooManyConnectionsError: _on_store,
    asyncpg.LockNotAvailableError: _on_store,
    asyncpg.DeadlockDetectedError: _on_store,
    asyncpg.QueryCanceledError: _on_store,
    OSError: _on_store,
    Exception: _on_bug,
}


def described(**failures: str) -> dict[int, ResponseSpec]:
    """Return failures, given as `_<status>="when"`, for the OpenAPI document."""
    return {
        int(status.removeprefix("_")): ResponseSpec(
            data_container=ProblemDetails,
            description=description,
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status, description in failures.items()
    }


STALE = described(_412="The event is at another version by now.")
FAILURES = described(
    _400="The body is not JSON.",
    _401="No valid access token.",
    _404="There is no such thing, or it is somebody else's.",
    _422="Input that cannot be used; `errors` names the fields.",
    _503="The database or the data API does not answer; try again.",
)
"""The failures that routes for signed-in users have in common, for the OpenAPI document."""
