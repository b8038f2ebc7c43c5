"""Whatever a client sends, it gets an answer in the API's own words."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_service.emulators.google import ADA, Emulator
from sync_service.emulators.google.front import handle
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.resource import WRITABLE
from sync_service.emulators.google.wire import Request
from tests.emulators.google.client import meeting

PATH = "/calendar/v3/calendars/primary/events"
TEXTS = [
    "2026-11-24T10:00:00Z",
    "2026-11-24",
    "0001-01-01T00:00:00Z",
    "9999-12-31",
    "Europe/Berlin",
    "RRULE:FREQ=DAILY;INTERVAL=0",
    "RRULE:FREQ=SECONDLY",
    "RDATE:2026",
    "EXDATE;TZID=No/Zone:20260101T000000",
    "cancelled",
    "private",
    "https://[x",
    ADA,
]
NAMES = [
    *("email", "date", "dateTime", "timeZone", "private", "shared", "overrides", "method"),
    *("useDefault", "minutes", "createRequest", "requestId", "entryPoints", "uri", "url", "id"),
    *("type", "address", "token", "params", "ttl", "expiration", "resourceId", "fileUrl"),
]
leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(TEXTS)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)
bodies = st.dictionaries(
    st.sampled_from([*sorted(WRITABLE), *NAMES, "iCalUID", "items", "timeMin"]), values, max_size=3
)
calls = st.sampled_from(
    [
        ("POST", PATH),
        ("POST", f"{PATH}/import"),
        ("POST", f"{PATH}/watch"),
        ("PUT", f"{PATH}/abcde12345"),
        ("PATCH", f"{PATH}/abcde12345"),
        ("POST", "/calendar/v3/channels/stop"),
        ("POST", "/calendar/v3/freeBusy"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(calls, bodies, st.booleans())
def test_no_request_breaks_the_emulator(
    call: tuple[str, str], body: dict[str, Any], on_top: bool
) -> None:
    world = Emulator()
    world.person(ADA).insert({**meeting(), "id": "abcde12345"})
    bearer, _ = world.issue_tokens(ADA, ["calendar"])
    request = Request(
        *call,
        Query.parse("conferenceDataVersion=1&supportsAttachments=true"),
        {"authorization": f"Bearer {bearer}"},
        json.dumps({**(meeting() if on_top else {}), **body}).encode(),
    )
    reply = handle(world, request)
    assert reply.status in {200, 204, 400, 403, 404, 409, 410}
    for expanded in ("true", "false"):
        query = Query.parse(f"singleEvents={expanded}&showDeleted=true")
        listed = handle(world, Request("GET", PATH, query, request.headers))
        assert listed.status == 200
