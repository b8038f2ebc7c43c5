"""What cannot be used is refused with the field's name, and changes nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.api.conftest import Person, Sql, connect_account, event_body

People = Callable[[], Awaitable[Person]]

MIDNIGHTS = {"start_time": "2027-01-01T00:00:00Z", "end_time": "2027-01-02T00:00:00Z"}

BAD_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("time_zone", {"time_zone": "Europe/Atlantis"}),
    ("time_zone", {"time_zone": "PST"}),
    ("time_zone", {"time_zone": "../../etc/passwd"}),
    ("time_zone", {"time_zone": 5}),
    ("time_zone", MIDNIGHTS | {"all_day": True, "time_zone": "Europe/Vienna"}),
    ("end_time", {"end_time": "2027-01-01T11:59:59Z"}),
    ("end_time", {"end_time": "2027-01-01T13:00:00+02:00"}),
    ("end_time", {"end_time": None}),
    ("end_time", MIDNIGHTS | {"all_day": True, "end_time": "2027-01-01T00:00:00Z"}),
    ("end_time", MIDNIGHTS | {"all_day": True, "end_time": "2027-01-02T01:00:00Z"}),
    ("start_time", {"start_time": "2027-01-01T12:00:00"}),
    ("start_time", {"start_time": "2027-01-01"}),
    ("start_time", {"start_time": "tomorrow"}),
    ("start_time", {"start_time": 1798800000}),
    ("start_time", {"start_time": "2027-02-30T12:00:00Z"}),
    ("start_time", {"start_time": "1899-12-31T12:00:00Z"}),
    ("start_time", {"start_time": "0001-01-01T00:00:00+14:00"}),
    ("end_time", {"end_time": "2100-01-01T00:00:00Z"}),
    ("end_time", {"end_time": "9999-12-31T23:59:59-14:00"}),
    ("start_time", MIDNIGHTS | {"all_day": True, "start_time": "2027-01-01T00:00:00+01:00"}),
    ("all_day", {"all_day": "false"}),
    ("all_day", {"all_day": 1}),
    ("all_day", {"all_day": None}),
    ("title", {"title": "x" * 1001}),
    ("title", {"title": 7}),
    ("title", {"title": None}),
    ("title", {"title": "a\0b"}),
    ("location", {"location": "x" * 1001}),
    ("description", {"description": "x" * 8001}),
    ("status", {"status": "maybe"}),
    ("visibility", {"visibility": "secret"}),
    ("transparency", {"transparency": "free"}),
    ("attendees[0].email", {"attendees": [{"email": "nobody"}]}),
    ("attendees[0].email", {"attendees": [{"name": "Bea"}]}),
    (
        "attendees[1].response",
        {"attendees": [{"email": "a@b.c"}, {"email": "a@b.c", "response": "no"}]},
    ),
    ("attendees[0].phone", {"attendees": [{"email": "a@b.c", "phone": "1"}]}),
    ("attendees", {"attendees": "a@b.c"}),
    ("attendees", {"attendees": [{"email": "a@b.c"}] * 201}),
    ("reminders.overrides[0].method", {"reminders": {"overrides": [{"method": "fax"}]}}),
    (
        "reminders.overrides[0].minutes",
        {"reminders": {"overrides": [{"method": "popup", "minutes": -1}]}},
    ),
    ("attachments[0].url", {"attachments": [{"url": "javascript:alert(1)"}]}),
    ("attachments[0].url", {"attachments": [{"url": "https://[::1"}]}),
    ("conference.url", {"conference": {"pin": "1"}}),
    ("conference.url", {"conference": {"url": "ftp://example.com"}}),
    ("conference", {"conference": []}),
    ("metadata", {"metadata": []}),
    ("metadata", {"metadata": {"a": "b\0"}}),
    ("metadata", {"metadata": {"a\0": "b"}}),
    ("metadata", {"metadata": {"a": "x" * 20_000}}),
    ("recurrence", {"recurrence": []}),
    ("recurrence", {"recurrence": "RRULE:FREQ=DAILY"}),
    ("recurrence[0]", {"recurrence": ["FREQ=DAILY"], "time_zone": "UTC"}),
    ("recurrence[0]", {"recurrence": ["RRULE:FREQ=SOMETIMES"], "time_zone": "UTC"}),
    ("recurrence[0]", {"recurrence": ["RRULE:FREQ=DAILY;INTERVAL=0"], "time_zone": "UTC"}),
    ("recurrence[0]", {"recurrence": ["RRULE:FREQ=DAILY;COUNT=0"], "time_zone": "UTC"}),
    ("recurrence[0]", {"recurrence": ["RRULE:FREQ=DAILY;UNTIL=soon"], "time_zone": "UTC"}),
    ("recurrence[0]", {"recurrence": ["RRULE:INTERVAL=2"], "time_zone": "UTC"}),
    (
        "recurrence[0]",
        {"recurrence": ["RRULE:FREQ=DAILY;COUNT=2;UNTIL=20270201"], "time_zone": "UTC"},
    ),
    ("recurrence[1]", {"recurrence": ["RRULE:FREQ=DAILY", "EXDATE:never"], "time_zone": "UTC"}),
    ("recurrence[0]", {"recurrence": ["DTSTART:20270101T120000Z"], "time_zone": "UTC"}),
    ("time_zone", {"recurrence": ["RRULE:FREQ=DAILY"]}),
    ("calendar_id", {"calendar_id": "primary"}),
    ("calendar_id", {"calendar_id": str(uuid.UUID(int=1))}),
    ("kind", {"kind": ""}),
    ("color", {"color": "x" * 51}),
    ("version", {"version": 3}),
    ("user_id", {"user_id": str(uuid.UUID(int=1))}),
    ("sync_source", {"sync_source": "google"}),
    ("deleted_at", {"deleted_at": None}),
    ("titel", {"titel": "typo"}),
]


def assert_names(answer: httpx.Response, field: str, status: int = 422) -> None:
    problem = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert problem["code"] == "validation_failed"
    assert problem["status"] == status
    assert problem["type"] and problem["title"] and problem["detail"]
    assert field in [error["field"] for error in problem["errors"]], problem
    assert all(error["message"] for error in problem["errors"])


async def test_a_bad_field_is_named_and_nothing_is_created_or_changed(person: People, sql: Sql):
    ann = await person()
    event = await ann.create()
    for field, values in BAD_FIELDS:
        body = event_body(**values)
        assert_names(await ann.call("POST", "/events", json=body), field)
        changed = await ann.call("PATCH", f"/events/{event['id']}", json=body)
        assert_names(changed, field)
    rows = await sql.fetch("select version from calendar_events where user_id = $1", ann.id)
    assert [row["version"] for row in rows] == [1]


@pytest.mark.parametrize("field", ["start_time", "end_time"])
async def test_a_missing_field_is_named(person: People, field: str):
    ann = await person()
    body = event_body()
    del body[field]
    assert_names(await ann.call("POST", "/events", json=body), field)


async def test_all_faults_are_named_at_once(person: People):
    ann = await person()
    body = event_body(time_zone="X", end_time="2026-01-01T00:00:00Z", recurrence=["nonsense"])
    answer = await ann.call("POST", "/events", json=body)
    fields = {error["field"] for error in answer.json()["errors"]}
    assert fields == {"time_zone", "end_time", "recurrence[0]"}


@pytest.mark.parametrize(
    ("field", "patch"),
    [
        ("end_time", {"end_time": "2026-12-31T00:00:00Z"}),
        ("end_time", {"start_time": "2027-06-01T00:00:00Z"}),
        ("all_day", {"all_day": True}),
        ("time_zone", {"recurrence": ["RRULE:FREQ=DAILY"]}),
    ],
)
async def test_a_change_is_checked_against_what_stays(
    person: People, field: str, patch: dict[str, Any]
):
    ann = await person()
    event = await ann.create()
    assert_names(await ann.call("PATCH", f"/events/{event['id']}", json=patch), field)
    assert (await ann.call("GET", f"/events/{event['id']}")).json() == event


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"", 422, "validation_failed"),
        (b"null", 422, "validation_failed"),
        (b"[]", 422, "validation_failed"),
        (b'"text"', 422, "validation_failed"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b'{"title": "\\ud800"}', 400, "malformed_json"),
        (b'{"metadata": {"a": ' + b"[" * 50_000, 400, "malformed_json"),
        (b'{"metadata": {"a": 1e999}}', 422, "validation_failed"),
        (b'{"metadata": {"a": NaN}}', 400, "malformed_json"),
        (b"title=x", 400, "malformed_json"),
    ],
)
async def test_a_body_that_is_no_event_is_refused(
    person: People, body: bytes, status: int, code: str
):
    ann = await person()
    answer = await ann.call(
        "POST", "/events", content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_body_that_is_too_large_is_refused(person: People):
    ann = await person()
    large = json.dumps(event_body(notes="x" * 300_000)).encode()
    answer = await ann.call("POST", "/events", content=large)
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"

    async def chunks() -> Any:
        for start in range(0, len(large), 8192):
            yield large[start : start + 8192]

    answer = await ann.call("POST", "/events", content=chunks())
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("field", "params"),
    [
        ("start_date", {"end_date": "2027-01-01"}),
        ("end_date", {"start_date": "2027-01-01"}),
        ("start_date", {"start_date": "x", "end_date": "2027-01-01"}),
        ("start_date", {"start_date": "2027-01-01T00:00:00", "end_date": "2027-01-02"}),
        ("end_date", {"start_date": "2027-01-02", "end_date": "2027-01-02"}),
        ("limit", {"limit": "0"}),
        ("limit", {"limit": "251"}),
        ("limit", {"limit": "many"}),
        ("cursor", {"cursor": "x"}),
        ("cursor", {"cursor": "bm90anNvbg"}),
        ("calendar_id", {"calendar_id": "primary"}),
        ("calendar_id", {"calendar_id": str(uuid.UUID(int=1))}),
    ],
)
async def test_a_bad_query_parameter_is_named(person: People, field: str, params: dict[str, str]):
    ann = await person()
    window = {"start_date": "2027-01-01", "end_date": "2027-01-02"} if len(params) == 1 else {}
    if field in ("start_date", "end_date"):
        window = {}
    assert_names(await ann.call("GET", "/events", params=window | params), field)


@pytest.mark.parametrize(
    ("header", "value"),
    [("Prefer", "wait=11"), ("Prefer", "wait=-1"), ("Prefer", "wait=soon"), ("If-Match", '"x"')],
)
async def test_a_bad_header_is_named(person: People, header: str, value: str):
    ann = await person()
    event = await ann.create()
    answer = await ann.call(
        "PATCH", f"/events/{event['id']}", json={"title": "x"}, headers={header: value}
    )
    assert_names(answer, header)
    assert (await ann.call("GET", f"/events/{event['id']}")).json()["title"] == "Lunch"


async def test_somebody_elses_calendar_cannot_be_a_home(person: People, sql: Sql):
    ann, bob = await person(), await person()
    _, calendar_id = await connect_account(sql, bob)
    body = event_body(calendar_id=str(calendar_id))
    assert_names(await ann.call("POST", "/events", json=body), "calendar_id")
    event = await ann.create()
    changed = await ann.call(
        "PATCH", f"/events/{event['id']}", json={"calendar_id": str(calendar_id)}
    )
    assert_names(changed, "calendar_id")


async def test_everything_that_fails_is_problem_details(person: People):
    ann = await person()
    cases = [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/events/not-an-id", 404, "not_found"),
        ("PUT", "/events", 405, "method_not_allowed"),
        ("GET", f"/events/{uuid.uuid4()}", 404, "not_found"),
        ("DELETE", f"/integrations/{uuid.uuid4()}", 404, "not_found"),
        ("POST", f"/integrations/{uuid.uuid4()}/sync", 404, "not_found"),
        ("PATCH", f"/calendars/{uuid.uuid4()}", 404, "not_found"),
        ("POST", f"/notifications/{uuid.uuid4()}/read", 404, "not_found"),
        ("POST", "/connect/outlook", 404, "not_found"),
    ]
    for method, path, status, code in cases:
        body = {"enabled": True} if method == "PATCH" else None
        answer = await ann.call(method, path, json=body)
        assert answer.headers["content-type"].startswith("application/problem+json"), path
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.headers["x-request-id"]
