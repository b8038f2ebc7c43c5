"""From Google's answers to our kinds of failure, in one place.

Google answers in two envelopes, and some 5xx carry HTML or nothing (Calendar API guide, 'Handle API
errors'). A reason may stand in `errors[].reason` or, upper-case, in `details[].reason`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast

import msgspec

from sync_service.errors import (
    ChangedMeanwhile,
    ContainerGone,
    Forbidden,
    Gone,
    MayHaveHappened,
    MissingScope,
    ProviderUnavailable,
    PushUnsupported,
    ReauthRequired,
    Rejected,
    ResyncRequired,
    SyncError,
    Throttled,
    WritesLocked,
)
from sync_service.providers.google.scopes import EVENTS_MISSING

Operation = Literal[
    "calendars", "list", "get", "insert", "update", "delete", "watch", "stop", "calendar"
]

_RATE_REASONS = {"ratelimitexceeded", "userratelimitexceeded", "rate_limit_exceeded"}
_SCOPE_REASONS = {"insufficientpermissions", "access_token_scope_insufficient"}
_WRITES = {"insert", "update", "delete"}
_HOUR_S = 3600.0


def classify(
    operation: Operation, status: int, body: bytes, headers: Mapping[str, str]
) -> SyncError:
    """Return the failure that an answer of *status* to *operation* means."""
    reasons, location, message = read_envelope(body)
    delay = retry_after_s(headers)
    said = f"Google answered {status} {'/'.join(sorted(reasons)) or 'without a reason'}"
    if message:
        said = f"{said}: {message}"

    match status:
        case 400:
            return _bad_request(operation, reasons, location, said)
        case 401:
            if "push.webhookurlunauthorized" in reasons:
                return Rejected(said, code="webhook_address_refused")
            return ReauthRequired(said)
        case 403 | 429:
            return _refused(operation, status, reasons, said, delay)
        case 404:
            if operation in ("list", "insert", "watch", "calendar"):
                return ContainerGone(said)
            return Gone(said)
        case 409:
            return ChangedMeanwhile(said, code="duplicate" if "duplicate" in reasons else None)
        case 410:
            if operation in ("list", "calendars"):
                return ResyncRequired(said)
            return Gone(said)
        case 412:
            if "conditionnotmet" in reasons or operation in _WRITES:
                return ChangedMeanwhile(said)
            return ProviderUnavailable(said, retry_after_s=delay)
        case 408 | 500 | 502 | 503 | 504:
            if operation in _WRITES:
                return MayHaveHappened(said, retry_after_s=delay)
            return ProviderUnavailable(said, retry_after_s=delay)
        case _ if status >= 500:
            return ProviderUnavailable(said, retry_after_s=delay)
        case _:
            return Rejected(said)


def read_envelope(body: bytes) -> tuple[frozenset[str], str, str]:
    """Return the reasons (lower case), the location and the message of an error body, if any."""
    try:
        decoded: object = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return frozenset(), "", ""
    error = _mapping(decoded).get("error")
    if isinstance(error, str):
        return frozenset({error.lower()}), "", str(_mapping(decoded).get("error_description", ""))
    details = _mapping(error)
    entries = [
        _mapping(entry) for key in ("errors", "details") for entry in _list(details.get(key))
    ]
    reasons = frozenset(str(entry["reason"]).lower() for entry in entries if "reason" in entry)
    location = next((str(entry["location"]) for entry in entries if "location" in entry), "")
    return reasons, location, str(details.get("message", ""))[:300]


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`: seconds or an HTTP date (RFC 9110 §10.2.3)."""
    value = headers.get("retry-after")
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except ValueError:
        return None


def _bad_request(
    operation: Operation, reasons: frozenset[str], location: str, said: str
) -> SyncError:
    if operation in ("list", "calendars") and location in ("syncToken", "pageToken"):
        return ResyncRequired(said)
    if operation == "watch" and "pushnotsupportedforrequestedresource" in reasons:
        return PushUnsupported(said)
    return Rejected(said)


def _refused(
    operation: Operation, status: int, reasons: frozenset[str], said: str, delay: float | None
) -> SyncError:
    if "quotaexceeded" in reasons and operation in _WRITES:
        # Use limits against abuse: an account that made too many changes may only read for hours.
        return WritesLocked(said, retry_after_s=delay)
    if reasons & {"quotaexceeded", "dailylimitexceeded"}:
        return Throttled(said, code="quota_exceeded", retry_after_s=max(delay or 0.0, _HOUR_S))
    if status == 429 or reasons & _RATE_REASONS:
        return Throttled(said, retry_after_s=delay)
    if reasons & _SCOPE_REASONS:
        return MissingScope(EVENTS_MISSING)
    if "requiredaccesslevel" in reasons:
        return ContainerGone(said, code="calendar_read_only")
    if "accessnotconfigured" in reasons or "service_disabled" in reasons:
        return ContainerGone(said, code="google_api_disabled")
    return Forbidden(said)


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
