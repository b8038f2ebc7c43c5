"""The emulator's faithfulness checklist, statements 58 to 61: limits, transport, control."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from sync_service.emulators.google import (
    ADA,
    GRACE,
    HOLIDAYS,
    TEAM,
    Clock,
    DroppedConnectionError,
    Emulator,
)
from tests.emulators.google.client import Google, event, ids, meeting, reason

EVENTS = "calendars/primary/events"


async def test_58_units_per_minute(google: Google) -> None:
    google.emulator.configure(user_units_per_minute=5)
    made = await google.insert(meeting())
    await google.ok("PATCH", event(made["id"]), {"summary": "x"})
    refused = await google.call("PATCH", event(made["id"]), {"summary": "y"})
    assert reason(refused) == (403, "userRateLimitExceeded")
    error = refused.json()["error"]
    assert error["errors"][0]["domain"] == "usageLimits"
    assert error["errors"][0]["message"] == "User Rate Limit Exceeded"
    assert error["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert (await google.call("GET", EVENTS, who=GRACE)).status_code == 200
    google.emulator.clock.advance(61)
    assert (await google.ok("GET", event(made["id"])))["summary"] == "x"


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("envelope", ["A", "B"])
async def test_58_the_project_limit_in_every_guise(
    google: Google, status: int, envelope: str
) -> None:
    google.emulator.configure(
        project_units_per_minute=1, minute_limit_status=status, minute_limit_envelope=envelope
    )
    await google.list()
    refused = await google.call("GET", EVENTS)
    assert reason(refused) == (status, "rateLimitExceeded")
    assert ("details" in refused.json()["error"]) == (envelope == "B")


async def test_58_refused_calls_count_unless_told(google: Google) -> None:
    google.emulator.configure(user_units_per_minute=2)
    for _ in range(4):
        await google.call("GET", EVENTS)
    assert google.emulator.limits.spent(google.emulator.world)["user:100000000001:" + ADA] == 4
    google.emulator.clock.advance(61)
    google.emulator.configure(count_refused_calls=False)
    for _ in range(4):
        await google.call("GET", EVENTS)
    assert google.emulator.limits.spent(google.emulator.world)["user:100000000001:" + ADA] == 2


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("envelope", ["A", "B"])
async def test_58_the_write_limiter_of_one_calendar(
    google: Google, status: int, envelope: str
) -> None:
    google.emulator.configure(
        calendar_writes_per_second=2,
        calendar_limit_status=status,
        calendar_limit_envelope=envelope,
    )
    await google.insert(meeting())
    await google.insert(meeting())
    refused = await google.call("POST", EVENTS, meeting())
    assert reason(refused) == (status, "rateLimitExceeded")
    assert ("details" in refused.json()["error"]) == (envelope == "B")
    await google.list()
    await google.insert(meeting(), TEAM)
    google.emulator.clock.advance(1.1)
    await google.insert(meeting())


async def test_58_use_limits_make_calendars_read_only(google: Google) -> None:
    google.emulator.configure(event_creations_limit=2)
    made = await google.insert(meeting())
    await google.insert(meeting())
    for _ in range(2):
        refused = await google.call("POST", EVENTS, meeting())
        assert reason(refused) == (403, "quotaExceeded")
        error = refused.json()["error"]["errors"][0]
        assert (error["domain"], error["message"]) == (
            "usageLimits",
            "Calendar usage limits exceeded.",
        )
    assert reason(await google.call("DELETE", event(made["id"])))[1] == "quotaExceeded"
    await google.list()
    google.emulator.clock.advance(3601)
    bearer = google.emulator.issue_tokens(ADA, ["calendar"])[0]
    headers = {"Authorization": f"Bearer {bearer}"}
    assert (await google.call("POST", EVENTS, meeting(), headers=headers)).status_code == 200


async def batch(google: Google, parts: list[tuple[str, str]], **headers: str) -> httpx.Response:
    lines: list[str] = []
    for name, request in parts:
        lines += ["--b1", "Content-Type: application/http", f"Content-ID: <{name}>", "", request]
    lines += ["--b1--", ""]
    return await google.http.post(
        "/batch/calendar/v3",
        content="\r\n".join(lines).encode(),
        headers={
            "Authorization": f"Bearer {google.token()}",
            "Content-Type": "multipart/mixed; boundary=b1",
            **headers,
        },
    )


def statuses(answer: httpx.Response) -> list[tuple[str, int]]:
    assert answer.status_code == 200
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    found: list[tuple[str, int]] = []
    for chunk in answer.text.split(f"--{boundary}")[1:-1]:
        head = chunk.strip("\r\n").split("\r\n")
        assert head[0] == "Content-Type: application/http"
        status = next(line for line in head if line.startswith("HTTP/1.1"))
        found.append((head[1].removeprefix("Content-ID: "), int(status.split(" ")[1])))
    return found


async def test_59_batches(google: Google) -> None:
    made = await google.insert(meeting())
    path = f"/calendar/v3/calendars/{ADA.replace('@', '%40')}/events/{made['id']}"
    before = google.emulator.limits.spent(google.emulator.world)["project:100000000001"]
    body = '{"summary":"x"}'
    patch = f"PATCH {path} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}"
    stale = f'DELETE {path} HTTP/1.1\r\nIf-Match: "1"\r\n'
    parts = [
        ("one", f"GET {path} HTTP/1.1\r\n"),
        ("two", patch),
        ("three", stale),
        ("four", "GET /calendar/v3/calendars/primary/events/nope12345 HTTP/1.1\r\n"),
        ("five", "GET /drive/v3/files HTTP/1.1\r\n"),
    ]
    answer = await batch(google, parts)
    assert statuses(answer) == [
        ("<response-one>", 200),
        ("<response-two>", 200),
        ("<response-three>", 412),
        ("<response-four>", 404),
        ("<response-five>", 400),
    ]
    assert (await google.ok("GET", event(made["id"])))["summary"] == "x"
    spent = google.emulator.limits.spent(google.emulator.world)["project:100000000001"]
    assert spent - before == 1 + 3 + 1 + 1 + 1
    google.emulator.configure(shuffle_batch=True)
    orders = {tuple(n for n, _ in statuses(await batch(google, parts[:4]))) for _ in range(6)}
    assert len(orders) > 1
    google.emulator.configure(batch_limit=3)
    assert (await batch(google, parts)).status_code == 400


async def test_60_partial_responses(google: Google) -> None:
    made = await google.insert(meeting(summary="a", attendees=[{"email": "x@example.org"}]))
    page = await google.list(fields="kind,items(id,attendees/email),nextPageToken")
    assert page == {
        "kind": "calendar#events",
        "items": [{"id": made["id"], "attendees": [{"email": "x@example.org"}]}],
    }
    assert await google.ok("GET", event(made["id"]), fields="start/*") == {"start": made["start"]}
    bad = await google.call("GET", EVENTS, fields="items(id")
    assert reason(bad) == (400, "invalidParameter")
    written = await google.insert(meeting(), fields="id,etag")
    assert written.keys() == {"id", "etag"}


async def test_60_gzip_headers_and_paths(google: Google) -> None:
    made = await google.insert(meeting(summary="a"))
    both = {"Accept-Encoding": "gzip", "User-Agent": "tests (gzip)"}
    zipped = await google.call("GET", EVENTS, headers=both)
    assert zipped.headers["content-encoding"] == "gzip"
    assert ids(zipped.json()["items"]) == [made["id"]]
    plain = await google.call("GET", EVENTS, headers={"Accept-Encoding": "gzip", "User-Agent": "t"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["content-type"] == "application/json; charset=UTF-8"
    assert plain.headers["etag"] == plain.json()["etag"]
    for name in ("primary", "ada%40example.com", ADA):
        answer = await google.ok("GET", f"calendars/{name}/events/{made['id']}")
        assert answer["id"] == made["id"]
    holidays = await google.list(HOLIDAYS)
    assert holidays["accessRole"] == "reader"
    small = await google.call("GET", EVENTS, prettyPrint="false")
    assert b"\n" not in small.content
    nowhere = await google.call("GET", "calendars/primary/nothing")
    assert nowhere.status_code == 404
    assert nowhere.headers["content-type"].startswith("text/html")


async def test_60_faults_before_and_after_the_commit(google: Google) -> None:
    body = {**meeting(), "id": "abcde12345"}
    fault = google.emulator.add_fault
    fault("drop_before", operation="events.insert")
    with pytest.raises(DroppedConnectionError):
        await google.call("POST", EVENTS, body)
    assert google.emulator.events(ADA) == []
    fault("drop_after", operation="events.insert")
    with pytest.raises(DroppedConnectionError):
        await google.call("POST", EVENTS, body)
    assert ids(google.emulator.events(ADA)) == ["abcde12345"]
    fault("error_after", method="DELETE", status=502)
    assert (await google.call("DELETE", event("abcde12345"))).status_code == 502
    assert google.emulator.events(ADA)[0]["status"] == "cancelled"
    fault("html", path="/events$", status=503, retry_after=7)
    answer = await google.call("GET", EVENTS)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.text.startswith("<html>")
    assert [entry.status for entry in google.emulator.calls] == [0, 0, 502, 503]


async def test_60_faults_match_skip_and_count(google: Google) -> None:
    google.emulator.add_fault(
        "error",
        operation="events\\.(list|get)",
        calendar="primary",
        account=ADA,
        skip=1,
        count=2,
        status=429,
        reason="rateLimitExceeded",
        message="Rate Limit Exceeded",
        domain="usageLimits",
        envelope="B",
    )
    found = [(await google.call("GET", EVENTS)).status_code for _ in range(5)]
    assert found == [200, 429, 429, 200, 200]
    assert google.emulator.faults.armed() == []
    google.emulator.add_fault(
        "error", operation="oauth.token", status=500, reason="internal_failure"
    )
    answer = await google.http.post("/token", data={})
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_failure")
    google.emulator.add_fault("revoke", operation="events.list")
    assert (await google.call("GET", EVENTS)).status_code == 401
    bearer = google.emulator.issue_tokens(ADA, ["calendar"])[0]
    headers = {"Authorization": f"Bearer {bearer}"}
    token = (await google.call("GET", EVENTS, headers=headers)).json()["nextSyncToken"]
    google.emulator.add_fault("expire_sync_token", operation="events.list")
    dead = await google.call("GET", EVENTS, headers=headers, syncToken=token)
    assert reason(dead) == (410, "fullSyncRequired")


async def test_60_read_lag(google: Google) -> None:
    old = await google.insert(meeting(summary="before"))
    google.emulator.clock.advance(10)
    token = await google.sync_token()
    await google.ok("PATCH", event(old["id"]), {"summary": "after"})
    new = await google.insert(meeting())
    google.emulator.add_fault("lag", count=4, seconds=5)
    page = await google.list(syncToken=token)
    assert page["items"] == []
    (stale,) = await google.items()
    assert stale["summary"] == "before"
    assert (await google.ok("GET", event(old["id"])))["etag"] == stale["etag"]
    assert reason(await google.call("GET", event(new["id"]))) == (404, "notFound")
    later = await google.items(syncToken=page["nextSyncToken"])
    assert ids(later) == sorted([old["id"], new["id"]])


async def test_60_delays(google: Google) -> None:
    google.emulator.add_fault("delay", seconds=0.05)
    started = asyncio.get_running_loop().time()
    await google.list()
    assert asyncio.get_running_loop().time() - started >= 0.05


async def test_61_time_chance_and_state_are_under_control(google: Google) -> None:
    async def run() -> tuple[bytes, list[str]]:
        world = Emulator(seed=11, clock=Clock(1_800_000_000, frozen=True))
        bearer, _ = world.issue_tokens(ADA, ["calendar"])
        ada = world.person(ADA)
        made = [ada.insert(meeting(summary=str(n)))["id"] for n in range(3)]
        ada.delete(made[0])
        return world.dump(), [bearer, *made]

    first, second = await run(), await run()
    assert first == second
    world = google.emulator
    made = await google.insert(meeting(summary="kept"))
    token = await google.sync_token()
    saved = world.dump()
    await google.ok("DELETE", event(made["id"]))
    world.restore(saved)
    assert (await google.ok("GET", event(made["id"])))["summary"] == "kept"
    assert await google.items(syncToken=token) == []
    world.reset()
    assert world.events(ADA) == []
    assert (await google.call("GET", EVENTS)).status_code == 401
    world.clock.freeze(1_900_000_000)
    assert world.person(ADA).insert(meeting())["updated"] == "2030-03-17T17:46:40.000Z"


async def test_60_free_busy_settings_and_colors(google: Google) -> None:
    await google.insert(meeting(hour=10))
    await google.insert(meeting(hour=11))
    await google.insert(meeting(hour=15, transparency="transparent"))
    body = {
        "timeMin": "2026-11-24T00:00:00Z",
        "timeMax": "2026-11-25T00:00:00Z",
        "timeZone": "Europe/Berlin",
        "items": [{"id": "primary"}, {"id": "nobody@example.com"}],
    }
    answer = (await google.ok("POST", "freeBusy", body))["calendars"]
    assert answer["primary"]["busy"] == [
        {"start": "2026-11-24T10:00:00+01:00", "end": "2026-11-24T12:00:00+01:00"}
    ]
    assert answer["nobody@example.com"]["errors"] == [{"domain": "global", "reason": "notFound"}]
    setting = await google.ok("GET", "users/me/settings/timezone")
    assert setting["value"] == "Europe/Berlin"
    page = await google.ok("GET", "users/me/settings")
    assert len(page["items"]) == 5
    again = await google.ok("GET", "users/me/settings", syncToken=page["nextSyncToken"])
    assert again["items"] == []
    palette = await google.ok("GET", "colors")
    assert (len(palette["event"]), len(palette["calendar"])) == (11, 24)
    calendar = await google.ok("GET", "calendars/primary")
    assert calendar["timeZone"] == "Europe/Berlin"
