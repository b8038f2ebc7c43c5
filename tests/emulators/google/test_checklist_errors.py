"""The emulator's faithfulness checklist, statement 62: every error body, exactly."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sync_service.emulators.google import ADA, GRACE, HOLIDAYS, TEAM
from tests.emulators.google.client import Google, Json, event, meeting, reason, weekly

EVENTS = "calendars/primary/events"
HOOK = "http://127.0.0.1:9/hook"
RULE = "Invalid recurrence rule."
ZONE = "Invalid time zone definition for start time."
NO_ZONE = "Missing time zone definition for start time."
RESTRICTED = "Sync token cannot be used with other request restrictions."
LEVEL = "You need to have writer access to this calendar."
UNSUPPORTED = "Push notifications are not supported by this resource."
TAKEN = "The requested identifier already exists."
FULL_SYNC = "Sync token is no longer valid, a full sync is required."
TOO_LONG_AGO = "The requested minimum modification time lies too far in the past."
RANGE = "Invalid value '0'. Values must be within the range: [1, 2147483647]"


def channel(**more: Any) -> Json:
    return {"id": "c1", "type": "web_hook", "address": HOOK, **more}


def without(name: str, **more: Any) -> Json:
    return {k: v for k, v in meeting(**more).items() if k != name}


def at(text: str, zone: str | None = None) -> Json:
    return {"dateTime": text, **({"timeZone": zone} if zone else {})}


Row = tuple[str, str, Any, Json, int, str, str, str, str | None]
ROWS: list[Row] = [
    # method, path, body, query, then: status, domain, reason, message, parameter
    (
        "GET", EVENTS, None, {"timeMin": "2026-11-02T00:00:00Z", "timeMax": "2026-11-01T00:00:00Z"},
        400, "calendar", "timeRangeEmpty", "The specified time range is empty.", "timeMax",
    ),
    (
        "POST", EVENTS, meeting() | {"end": at("2026-11-24T09:00:00Z")}, {},
        400, "calendar", "timeRangeEmpty", "The specified time range is empty.", "timeMax",
    ),
    ("POST", EVENTS, without("end"), {}, 400, "global", "required", "Missing end time.", None),
    ("POST", EVENTS, without("start"), {}, 400, "global", "required", "Missing start time.", None),
    (
        "POST", EVENTS, meeting() | {"start": at("2026-11-24T10:00:00")}, {},
        400, "global", "required", NO_ZONE, None,
    ),
    ("POST", f"{EVENTS}/watch", channel(id=None), {}, 400, "global", "required", "Required", None),
    ("POST", EVENTS, meeting(id="no-good"), {}, 400, "global", "invalid", "Invalid resource id value.", None),
    (
        "POST", EVENTS, meeting() | {"start": at("2026-11-24T10:00:00", "UTC+2")}, {},
        400, "global", "invalid", ZONE, None,
    ),
    ("POST", EVENTS, meeting(recurrence=["RRULE:X"]), {}, 400, "global", "invalid", RULE, None),
    ("GET", EVENTS, None, {"maxResults": 0}, 400, "global", "invalidParameter", RANGE, "maxResults"),
    ("GET", EVENTS, None, {"syncToken": "x", "q": "y"}, 400, "global", "invalid", RESTRICTED, "q"),
    (
        "GET", EVENTS, None, {"orderBy": "startTime"}, 400, "global", "badRequest",
        "The requested ordering is not available for the particular query.", None,
    ),
    (
        "POST", f"{EVENTS}/watch", channel(address="http://far.example.com/"), {}, 400, "global",
        "push.webhookUrlNotHttps", "WebHook callback must be HTTPS: http://far.example.com/", None,
    ),
    (
        "POST", f"calendars/{HOLIDAYS.replace('#', '%23')}/events/watch", channel(), {},
        400, "calendar", "pushNotSupportedForRequestedResource", UNSUPPORTED, None,
    ),
    ("GET", event("nope12345"), None, {}, 404, "global", "notFound", "Not Found", None),
    ("GET", "calendars/nobody@x.org/events", None, {}, 404, "global", "notFound", "Not Found", None),
    ("GET", EVENTS, None, {"syncToken": "x"}, 410, "calendar", "fullSyncRequired", FULL_SYNC, "syncToken"),
    (
        "GET", EVENTS, None, {"updatedMin": "2026-01-01T00:00:00Z"},
        410, "calendar", "updatedMinTooLongAgo", TOO_LONG_AGO, "updatedMin",
    ),
]  # fmt: skip


def body_a(
    status: int, domain: str, name: str, message: str, location: str | None, kind: str = "parameter"
) -> Json:
    """Envelope A."""
    item: Json = {"domain": domain, "reason": name, "message": message}
    if location is not None:
        item |= {"locationType": kind, "location": location}
    return {"error": {"errors": [item], "code": status, "message": message}}


def check(
    answer: httpx.Response,
    status: int,
    domain: str,
    name: str,
    message: str,
    location: str | None = None,
    kind: str = "parameter",
) -> None:
    assert answer.json() == body_a(status, domain, name, message, location, kind)
    assert answer.status_code == status


@pytest.mark.parametrize("row", ROWS)
async def test_62_refusals_of_a_single_call(google: Google, row: Row) -> None:
    method, path, body, query, status, domain, name, message, location = row
    answer = await google.call(method, path, body, query=query)
    check(answer, status, domain, name, message, location)


async def test_62_refusals_that_depend_on_what_is_there(google: Google) -> None:
    made = await google.insert(meeting(summary="m", attendees=[{"email": GRACE}]))
    path = event(made["id"])
    stale = await google.call("PATCH", path, {}, headers={"If-Match": '"1"'})
    check(stale, 412, "global", "conditionNotMet", "Precondition Failed", "If-Match", "header")
    again = await google.call("POST", EVENTS, meeting(id=made["id"]))
    check(again, 409, "global", "duplicate", TAKEN)
    flags = await google.call("PATCH", path, {"guestsCanModify": True}, who=GRACE)
    text = "Shared properties can only be changed by the organizer of the event."
    check(flags, 403, "calendar", "forbiddenForNonOrganizer", text)
    await google.ok("DELETE", path)
    twice = await google.call("DELETE", path)
    check(twice, 410, "global", "deleted", "Resource has been deleted")
    google.emulator.configure(revive_tombstones=False)
    revived = await google.call("PATCH", path, {"status": "confirmed"})
    check(revived, 403, "global", "forbidden", "Forbidden")
    google.emulator.share(TEAM, GRACE, "reader")
    written = await google.call("POST", f"calendars/{TEAM}/events", meeting(), who=GRACE)
    check(written, 403, "calendar", "requiredAccessLevel", LEVEL)
    await google.ok("POST", f"{EVENTS}/watch", channel())
    watched = await google.call("POST", f"{EVENTS}/watch", channel())
    check(watched, 400, "global", "channelIdNotUnique", "Channel id c1 not unique")
    series = (await google.insert(weekly(2)))["id"]
    off = await google.call("GET", event(f"{series}_20261125T090000Z"))
    check(off, 404, "global", "notFound", "Not Found")
    google.emulator.account(ADA).uses_calendar = False
    nobody = await google.call("GET", "users/me/calendarList")
    text = "The user must be signed up for Google Calendar."
    check(nobody, 403, "calendar", "notACalendarUser", text)


async def test_62_not_json(google: Google) -> None:
    headers = {"Authorization": f"Bearer {google.token()}"}
    url = f"/calendar/v3/{EVENTS}"
    answer = await google.http.post(url, content=b"{", headers=headers)
    check(answer, 400, "global", "parseError", "Parse Error")


@pytest.mark.parametrize(
    ("switches", "name", "message"),
    [
        ({"user_units_per_minute": 0}, "userRateLimitExceeded", "User Rate Limit Exceeded"),
        ({"project_units_per_minute": 0}, "rateLimitExceeded", "Rate Limit Exceeded"),
        ({"calendar_writes_per_second": 0.001}, "rateLimitExceeded", "Rate Limit Exceeded"),
        ({"event_creations_limit": 0}, "quotaExceeded", "Calendar usage limits exceeded."),
    ],
)
async def test_62_limits(google: Google, switches: Json, name: str, message: str) -> None:
    await google.insert(meeting())
    google.emulator.configure(**switches, minute_limit_envelope="A")
    answer = await google.call("POST", EVENTS, meeting())
    check(answer, 403, "usageLimits", name, message)


async def test_62_the_front_ends_envelope(google: Google) -> None:
    unknown = await google.call("GET", EVENTS, headers={"Authorization": "Bearer ya29.x"})
    error = unknown.json()["error"]
    assert (unknown.status_code, error["code"], error["status"]) == (401, 401, "UNAUTHENTICATED")
    assert error["errors"] == [
        {
            "domain": "global",
            "reason": "authError",
            "message": "Invalid Credentials",
            "locationType": "header",
            "location": "Authorization",
        }
    ]
    narrow = await google.call("POST", EVENTS, meeting(), scopes=("calendar.readonly",))
    assert narrow.json()["error"] == {
        "code": 403,
        "message": "Request had insufficient authentication scopes.",
        "errors": [
            {
                "domain": "global",
                "reason": "insufficientPermissions",
                "message": "Insufficient Permission",
            }
        ],
        "status": "PERMISSION_DENIED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                "domain": "googleapis.com",
                "metadata": {
                    "service": "calendar-json.googleapis.com",
                    "method": "calendar.v3.Events.Insert",
                },
            }
        ],
    }
    google.emulator.configure(user_units_per_minute=0, minute_limit_status=429)
    limited = (await google.call("GET", EVENTS)).json()["error"]
    assert (limited["code"], limited["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert limited["errors"][0]["reason"] == "userRateLimitExceeded"
    assert limited["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("status", "domain", "name", "message"),
    [
        (500, "global", "backendError", "Backend Error"),
        (503, "global", "backendError", "Backend Error"),
        (409, "global", "conflict", "Conflict"),
        (403, "usageLimits", "dailyLimitExceeded", "Daily Limit Exceeded"),
        (401, "global", "push.webhookUrlUnauthorized", "Unauthorized WebHook callback channel: x"),
    ],
)
async def test_62_what_only_happens_on_command(
    google: Google, status: int, domain: str, name: str, message: str
) -> None:
    google.emulator.add_fault("error", status=status, reason=name, message=message, domain=domain)
    answer = await google.call("GET", EVENTS)
    check(answer, status, domain, name, message)
    assert reason(answer) == (status, name)
    await google.list()
