"""What each answer of Google means to the engine, row by row."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from sync_service import errors
from sync_service.providers.google.errors import Operation, classify, read_envelope


def backend(code: int, reason: str, location: str = "") -> bytes:
    """The envelope of the Calendar backend."""
    entry: dict[str, Any] = {"domain": "calendar", "reason": reason, "message": "m"}
    if location:
        entry |= {"locationType": "parameter", "location": location}
    return msgspec.json.encode({"error": {"errors": [entry], "code": code, "message": "m"}})


def front_end(code: int, reason: str, detail: str) -> bytes:
    """The envelope of the API front end."""
    return msgspec.json.encode(
        {
            "error": {
                "code": code,
                "message": "m",
                "errors": [{"domain": "global", "reason": reason, "message": "m"}],
                "status": "PERMISSION_DENIED",
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail}
                ],
            }
        }
    )


@pytest.mark.parametrize(
    ("operation", "status", "body", "expected", "code"),
    [
        ("insert", 400, backend(400, "timeRangeEmpty"), errors.Rejected, "provider_rejected"),
        ("list", 400, backend(400, "invalid", "syncToken"), errors.ResyncRequired, None),
        ("watch", 400, backend(400, "pushNotSupportedForRequestedResource"), errors.PushUnsupported, None),
        ("get", 401, backend(401, "authError"), errors.ReauthRequired, "reconnect_needed"),
        ("insert", 403, backend(403, "rateLimitExceeded"), errors.Throttled, "throttled"),
        ("insert", 403, backend(403, "userRateLimitExceeded"), errors.Throttled, "throttled"),
        ("insert", 403, front_end(403, "rateLimitExceeded", "RATE_LIMIT_EXCEEDED"), errors.Throttled, None),
        ("insert", 403, backend(403, "quotaExceeded"), errors.WritesLocked, "quota_exceeded"),
        ("list", 403, backend(403, "quotaExceeded"), errors.Throttled, "quota_exceeded"),
        ("update", 403, backend(403, "dailyLimitExceeded"), errors.Throttled, "quota_exceeded"),
        ("delete", 429, front_end(429, "rateLimitExceeded", "RATE_LIMIT_EXCEEDED"), errors.Throttled, "throttled"),
        ("list", 403, front_end(403, "insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), errors.MissingScope, "missing_scope"),
        ("update", 403, backend(403, "requiredAccessLevel"), errors.ContainerGone, "calendar_read_only"),
        ("update", 403, backend(403, "forbiddenForNonOrganizer"), errors.Forbidden, None),
        ("list", 404, backend(404, "notFound"), errors.ContainerGone, None),
        ("insert", 404, backend(404, "notFound"), errors.ContainerGone, None),
        ("update", 404, backend(404, "notFound"), errors.Gone, None),
        ("insert", 409, backend(409, "duplicate"), errors.ChangedMeanwhile, "duplicate"),
        ("update", 409, backend(409, "conflict"), errors.ChangedMeanwhile, "changed_meanwhile"),
        ("list", 410, backend(410, "fullSyncRequired", "syncToken"), errors.ResyncRequired, None),
        ("delete", 410, backend(410, "deleted"), errors.Gone, None),
        ("update", 412, backend(412, "conditionNotMet", "If-Match"), errors.ChangedMeanwhile, None),
        ("list", 412, b"Precondition check failed.", errors.ProviderUnavailable, None),
        ("list", 429, backend(429, "rateLimitExceeded"), errors.Throttled, None),
        ("list", 500, backend(500, "backendError"), errors.ProviderUnavailable, None),
        ("insert", 503, b"<html>sorry</html>", errors.MayHaveHappened, "outcome_unknown"),
        ("list", 502, b"", errors.ProviderUnavailable, None),
        ("list", 418, b"", errors.Rejected, None),
    ],
)  # fmt: skip
def test_classify(
    operation: Operation,
    status: int,
    body: bytes,
    expected: type[errors.SyncError],
    code: str | None,
) -> None:
    found = classify(operation, status, body, {})
    assert type(found) is expected
    assert code is None or found.code == code


@pytest.mark.parametrize("operation", get_args(Operation))
@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b"{", b'{"error":7}', b'{"error":{"errors":3}}']
)
def test_no_body_breaks_it(operation: Operation, body: bytes) -> None:
    for status in range(400, 600):
        assert isinstance(classify(operation, status, body, {}), errors.SyncError)


def test_retry_after_is_obeyed_in_both_forms() -> None:
    seconds = classify("list", 429, b"", {"retry-after": "7"})
    assert seconds.retry_after_s == 7
    date = classify("list", 503, b"", {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"})
    assert date.retry_after_s == 0
    assert classify("list", 503, b"", {"retry-after": "soon"}).retry_after_s is None


def test_an_oauth_error_is_read_too() -> None:
    assert read_envelope(b'{"error":"invalid_grant","error_description":"gone"}') == (
        frozenset({"invalid_grant"}),
        "",
        "gone",
    )
