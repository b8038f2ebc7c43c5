"""Google's error envelopes, with the reasons and messages the live API uses.

Envelope "A" is what the Calendar backend sends; "B" is what the API front end sends for
credentials, scopes and per-minute quota. OAuth endpoints have a third shape (RFC 6749, 5.2).
"""

from __future__ import annotations

from typing import Any

_STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class ApiError(Exception):
    """A refusal by the Calendar API, ready to be written in either envelope."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: str | None = None,
        location_type: str | None = None,
        envelope: str = "A",
        detail: dict[str, Any] | None = None,
        headline: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.domain = domain
        self.location = location
        self.location_type = location_type or ("parameter" if location else None)
        self.envelope = envelope
        self.detail = detail
        self.headline = headline or message
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The JSON document that goes to the client."""
        item: dict[str, Any] = {"domain": self.domain, "reason": self.reason}
        item["message"] = self.message
        if self.location is not None:
            item["locationType"] = self.location_type
            item["location"] = self.location
        if self.envelope == "A":
            return {"error": {"errors": [item], "code": self.status, "message": self.headline}}
        error: dict[str, Any] = {
            "code": self.status,
            "message": self.headline,
            "errors": [item],
            "status": _STATUS_WORDS.get(self.status, "UNKNOWN"),
        }
        if self.detail is not None:
            error["details"] = [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", **self.detail}
            ]
        return {"error": error}


class OAuthError(Exception):
    """A refusal by an OAuth endpoint."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(f"{status} {error}: {description}")
        self.status = status
        self.error = error
        self.description = description

    def body(self) -> dict[str, Any]:
        """The JSON document that goes to the client."""
        return {"error": self.error, "error_description": self.description}


def invalid(message: str, location: str | None = None) -> ApiError:
    """A value that the API does not understand."""
    return ApiError(400, "invalid", message, location=location)


def required(message: str) -> ApiError:
    """Something mandatory is missing."""
    return ApiError(400, "required", message)


def bad_request(message: str = "Bad Request") -> ApiError:
    """The generic 400."""
    return ApiError(400, "badRequest", message)


def out_of_range(name: str, value: str, low: int, high: int) -> ApiError:
    """A numeric parameter outside its range."""
    text = f"Invalid value '{value}'. Values must be within the range: [{low}, {high}]"
    return ApiError(400, "invalidParameter", text, location=name)


def invalid_parameter(name: str, message: str) -> ApiError:
    """A parameter value that cannot be parsed."""
    return ApiError(400, "invalidParameter", message, location=name)


def time_range_empty() -> ApiError:
    """End before start, or timeMin not before timeMax."""
    return ApiError(
        400,
        "timeRangeEmpty",
        "The specified time range is empty.",
        domain="calendar",
        location="timeMax",
    )


def not_found(message: str = "Not Found") -> ApiError:
    """Unknown, or not visible to this user: Google does not say which."""
    return ApiError(404, "notFound", message)


def forbidden() -> ApiError:
    """The plain refusal."""
    return ApiError(403, "forbidden", "Forbidden")


def required_access_level() -> ApiError:
    """The user's role on this calendar is too low."""
    return ApiError(
        403,
        "requiredAccessLevel",
        "You need to have writer access to this calendar.",
        domain="calendar",
    )


def duplicate() -> ApiError:
    """The identifier is in use, perhaps by a deleted event."""
    return ApiError(409, "duplicate", "The requested identifier already exists.")


def gone() -> ApiError:
    """Deleting what is deleted."""
    return ApiError(410, "deleted", "Resource has been deleted")


def full_sync_required() -> ApiError:
    """The sync token is dead."""
    return ApiError(
        410,
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        domain="calendar",
        location="syncToken",
    )


def condition_not_met() -> ApiError:
    """If-Match named another version."""
    return ApiError(
        412,
        "conditionNotMet",
        "Precondition Failed",
        location="If-Match",
        location_type="header",
    )


def auth_error() -> ApiError:
    """The bearer token is missing, expired, revoked or garbage."""
    return ApiError(
        401,
        "authError",
        "Invalid Credentials",
        location="Authorization",
        location_type="header",
        envelope="B",
        headline=(
            "Request had invalid authentication credentials. Expected OAuth 2 access token, "
            "login cookie or other valid authentication credential."
        ),
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'},
    )


def insufficient_scopes(operation: str) -> ApiError:
    """The token lacks every scope that this method accepts."""
    resource, _, method = operation.partition(".")
    name = f"calendar.v3.{resource[:1].upper()}{resource[1:]}.{method[:1].upper()}{method[1:]}"
    return ApiError(
        403,
        "insufficientPermissions",
        "Insufficient Permission",
        envelope="B",
        headline="Request had insufficient authentication scopes.",
        detail={
            "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "domain": "googleapis.com",
            "metadata": {"service": "calendar-json.googleapis.com", "method": name},
        },
    )


_USAGE_MESSAGES = {
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "quotaExceeded": "Calendar usage limits exceeded.",
    "dailyLimitExceeded": "Daily Limit Exceeded",
}


def usage_limit(reason: str, status: int = 403, envelope: str = "A") -> ApiError:
    """One of the usage limits, by its reason."""
    return ApiError(
        status,
        reason,
        _USAGE_MESSAGES[reason],
        domain="usageLimits",
        envelope=envelope,
        detail={
            "reason": "RATE_LIMIT_EXCEEDED",
            "domain": "googleapis.com",
            "metadata": {"service": "calendar-json.googleapis.com"},
        },
    )
