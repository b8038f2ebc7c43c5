"""The emulator's faithfulness checklist, statements 51 to 57: push channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from sync_service.emulators.google import (
    ADA,
    CLIENT_ID,
    GRACE,
    HOLIDAYS,
    TEAM,
    Emulator,
    create_app,
)
from tests.emulators.google.client import Google, Json, event, meeting, reason

HOOK = "http://127.0.0.1:9/hooks/google"
WATCH = "calendars/primary/events/watch"


class Receiver:
    """A webhook endpoint in the same process."""

    def __init__(self) -> None:
        self.received: list[httpx.Request] = []
        self.answers: list[int] = []
        self.robots: str | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/robots.txt":
            return httpx.Response(404 if self.robots is None else 200, text=self.robots or "")
        self.received.append(request)
        return httpx.Response(self.answers.pop(0) if self.answers else 200)

    def headers(self, name: str) -> list[str]:
        return [request.headers[name] for request in self.received]

    def heard(self) -> list[str]:
        """The channels of what has come since the last call."""
        names = sorted(self.headers("x-goog-channel-id"))
        self.received.clear()
        return names

    def numbers(self) -> list[int]:
        return [int(text) for text in self.headers("x-goog-message-number")]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def google(emulator: Emulator, receiver: Receiver) -> AsyncGenerator[Google]:
    app = create_app(emulator, webhook_transport=httpx.MockTransport(receiver))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://google.test") as http:
        yield Google(emulator, app, http)
    await app.close()


def channel(name: str = "c1", **more: Any) -> Json:
    return {"id": name, "type": "web_hook", "address": HOOK, "token": "secret", **more}


async def watch(google: Google, name: str = "c1", path: str = WATCH, **more: Any) -> Json:
    opened = await google.ok("POST", path, channel(name, **more))
    await google.app.courier.settle()
    return opened


async def edit(google: Google, **more: Any) -> None:
    google.emulator.person(ADA).insert(meeting(**more))
    await google.app.courier.settle()


async def test_51_watch_validates(google: Google) -> None:
    refused = [
        (channel(address="http://hooks.example.com/"), "push.webhookUrlNotHttps"),
        ({**channel(), "id": None}, "required"),
        ({**channel(), "type": None}, "required"),
        ({**channel(), "address": None}, "required"),
        (channel("x" * 65), "invalid"),
        (channel("a.b"), "invalid"),
        (channel(token="t" * 257), "invalid"),
        (channel(type="mail"), "invalid"),
        (channel(params={"ttl": "soon"}), "invalid"),
        (channel(expiration=1), "invalid"),
    ]
    for body, expected in refused:
        answer = await google.call("POST", WATCH, body)
        assert reason(answer) == (400, expected), body
    google.emulator.configure(accept_loopback_http=False)
    answer = await google.call("POST", WATCH, channel())
    assert answer.json()["error"]["message"] == f"WebHook callback must be HTTPS: {HOOK}"


async def test_51_watch_answers_with_the_channel(google: Google, emulator: Emulator) -> None:
    emulator.clock.freeze()
    now = emulator.clock.micros() // 1000
    one = await watch(google, "c1", params={"ttl": "3600"})
    two = await watch(google, "c2")
    assert one["kind"] == "api#channel"
    assert (one["id"], one["token"]) == ("c1", "secret")
    assert one["expiration"] == str(now + 3_600_000)
    assert two["expiration"] == str(now + 604_800_000)
    assert one["resourceId"] == two["resourceId"]
    assert one["resourceUri"].startswith(
        "http://google.test/calendar/v3/calendars/ada%40example.com/events?"
    )
    team = await watch(google, "c3", f"calendars/{TEAM}/events/watch")
    assert team["resourceId"] != one["resourceId"]
    far = await watch(google, "c4", expiration=now + 90 * 86_400_000)
    assert far["expiration"] == str(now + 604_800_000)
    answer = await google.call("POST", WATCH, channel("c1"))
    assert reason(answer) == (400, "channelIdNotUnique")
    assert answer.json()["error"]["message"] == "Channel id c1 not unique"
    # Unique within the project, whoever asks.
    someone = await google.call("POST", WATCH, channel("c1"), who=GRACE)
    assert reason(someone) == (400, "channelIdNotUnique")
    await google.ok("POST", "channels/stop", {"id": "c1", "resourceId": one["resourceId"]})
    assert reason(await google.call("POST", WATCH, channel("c1")))[1] == "channelIdNotUnique"
    emulator.configure(reuse_stopped_channel_ids=True)
    await watch(google, "c1")


async def test_52_the_sync_message_comes_first(google: Google, receiver: Receiver) -> None:
    await watch(google)
    for _ in range(10):
        await edit(google)
    assert receiver.headers("x-goog-resource-state") == ["sync"] + ["exists"] * 10
    numbers = receiver.numbers()
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > 11


async def test_52_the_sync_message_can_overtake_the_response(
    google: Google, receiver: Receiver, emulator: Emulator
) -> None:
    emulator.configure(sync_message_before_response=True)
    await google.ok("POST", WATCH, channel())
    assert len(receiver.received) == 1


async def test_53_messages_are_bodyless_posts(google: Google, receiver: Receiver) -> None:
    opened = await watch(google)
    await edit(google)
    request = receiver.received[1]
    assert request.method == "POST"
    assert request.content == b""
    headers = request.headers
    assert headers["content-length"] == "0"
    assert headers["content-type"] == "application/json; utf-8"
    assert headers["user-agent"].startswith("APIs-Google")
    assert headers["x-goog-channel-id"] == "c1"
    assert headers["x-goog-channel-token"] == "secret"
    assert headers["x-goog-resource-id"] == opened["resourceId"]
    assert headers["x-goog-resource-uri"] == opened["resourceUri"]
    until = parsedate_to_datetime(headers["x-goog-channel-expiration"])
    assert abs(until.timestamp() - int(opened["expiration"]) / 1000) < 1
    assert headers["x-goog-channel-expiration"].endswith("GMT")


async def test_53_silence_after_expiry_and_stop(
    google: Google, receiver: Receiver, emulator: Emulator
) -> None:
    one = await watch(google, "c1", params={"ttl": "60"})
    await watch(google, "c2")
    await google.ok("POST", "channels/stop", {"id": "c1", "resourceId": one["resourceId"]})
    await edit(google)
    assert receiver.headers("x-goog-channel-id") == ["c1", "c2", "c2"]
    emulator.clock.advance(604_801)
    await edit(google)
    assert len(receiver.received) == 3


async def test_53_messages_in_flight(
    google: Google, receiver: Receiver, emulator: Emulator
) -> None:
    for allowed, expected in ((False, 0), (True, 1)):
        emulator.configure(in_flight_after_stop=allowed, webhook_delay_s=(0.0, 0.0))
        name = f"c{allowed}"
        opened = await watch(google, name)
        receiver.received.clear()
        emulator.configure(webhook_delay_s=(0.02, 0.02))
        emulator.person(ADA).insert(meeting())
        stop = {"id": name, "resourceId": opened["resourceId"]}
        await google.ok("POST", "channels/stop", stop)
        await google.app.courier.settle()
        assert len(receiver.received) == expected


async def test_53_silence_after_the_grant_is_gone(google: Google, receiver: Receiver) -> None:
    await watch(google)
    google.emulator.person(ADA).revoke(CLIENT_ID)
    await edit(google)
    assert len(receiver.received) == 1
    google.emulator.configure(deliver_after_revoke=True)
    await edit(google)
    assert len(receiver.received) == 2


async def test_53_robots_txt_can_silence_delivery(google: Google, receiver: Receiver) -> None:
    receiver.robots = "User-agent: *\nDisallow: /hooks/"
    await watch(google)
    assert receiver.received == []
    assert google.app.courier.log[-1].outcome == "disallowed"
    google.emulator.configure(honour_robots_txt=False)
    await edit(google)
    assert len(receiver.received) == 1


async def test_54_only_four_statuses_are_retried(
    google: Google, receiver: Receiver, emulator: Emulator
) -> None:
    emulator.configure(webhook_retries_s=(0.01, 0.01))
    await watch(google)
    for status in (500, 502, 503, 504):
        receiver.received.clear()
        receiver.answers = [status, status]
        await edit(google)
        assert len(receiver.received) == 3, status
        assert len(set(receiver.numbers())) == 1
    for status in (102, 200, 201, 202, 204):
        receiver.received.clear()
        receiver.answers = [status]
        await edit(google)
        assert len(receiver.received) == 1, status
        assert google.app.courier.log[-1].outcome == "delivered", status
    for status in (301, 400, 401, 404, 410, 429, 501):
        receiver.received.clear()
        receiver.answers = [status]
        await edit(google)
        assert len(receiver.received) == 1, status
        assert google.app.courier.log[-1].outcome != "delivered", status
    receiver.received.clear()
    receiver.answers = [503] * 9
    await edit(google)
    assert len(receiver.received) == 3
    assert google.app.courier.log[-1].outcome == "gave_up"


async def test_54_retries_wait_in_emulated_time(
    google: Google, receiver: Receiver, emulator: Emulator
) -> None:
    emulator.clock.freeze()
    await watch(google)
    receiver.answers = [503] * 3
    emulator.person(ADA).insert(meeting())
    for expected, pause in ((2, 1), (3, 2), (4, 4)):
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(receiver.received) == expected
        emulator.clock.advance(pause)
    await google.app.courier.settle()
    assert len(receiver.received) == 5
    assert google.app.courier.log[-1].outcome == "delivered"


async def test_55_losses_doubles_delays_and_disorder_are_seeded(emulator: Emulator) -> None:
    async def run(**switches: Any) -> list[int]:
        world = Emulator(seed=3)
        world.configure(**switches)
        receiver = Receiver()
        app = create_app(world, webhook_transport=httpx.MockTransport(receiver))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://google.test"
        ) as http:
            google = Google(world, app, http)
            await google.ok("POST", WATCH, channel())
            for _ in range(30):
                world.person(ADA).insert(meeting())
            await app.courier.settle()
        await app.close()
        return receiver.numbers()

    plain = await run()
    assert len(plain) == 31
    dropped = await run(webhook_drop_rate=0.3)
    assert 10 < len(dropped) < 31
    assert set(dropped) < set(plain)
    assert await run(webhook_drop_rate=0.3) == dropped
    doubled = await run(webhook_duplicate_rate=0.3)
    assert len(doubled) > 31
    assert set(doubled) == set(plain)
    assert sorted(await run(webhook_duplicate_rate=0.3)) == sorted(doubled)
    shuffled = await run(webhook_delay_s=(0.0, 0.05))
    assert shuffled != plain
    assert sorted(shuffled) == plain
    reordered = await run(webhook_reorder_rate=0.2)
    assert reordered != plain
    assert sorted(reordered) == plain


async def test_56_stopping(google: Google) -> None:
    opened = await watch(google)
    good = {"id": "c1", "resourceId": opened["resourceId"]}
    other = google.emulator.register_client("other.apps", "s", project="100000000002")
    for body in ({"id": "c1"}, {"resourceId": opened["resourceId"]}):
        assert reason(await google.call("POST", "channels/stop", body)) == (400, "required")
    for body in ({**good, "resourceId": "x"}, {**good, "id": "c9"}):
        assert reason(await google.call("POST", "channels/stop", body)) == (404, "notFound")
    someone = await google.call("POST", "channels/stop", good, who=GRACE)
    assert reason(someone) == (404, "notFound")
    assert "Channel 'c1' not found for project '" in someone.text
    bearer = google.emulator.issue_tokens(ADA, ["calendar"], other.id)[0]
    foreign = await google.call(
        "POST", "channels/stop", good, headers={"Authorization": f"Bearer {bearer}"}
    )
    assert reason(foreign) == (404, "notFound")
    stopped = await google.call("POST", "channels/stop", good)
    assert (stopped.status_code, stopped.content) == (204, b"")
    assert reason(await google.call("POST", "channels/stop", good)) == (404, "notFound")


async def test_57_generated_calendars_refuse_watch(google: Google) -> None:
    path = f"calendars/{HOLIDAYS.replace('#', '%23')}/events/watch"
    answer = await google.call("POST", path, channel())
    assert reason(answer) == (400, "pushNotSupportedForRequestedResource")
    error = answer.json()["error"]["errors"][0]
    assert error["domain"] == "calendar"
    assert error["message"] == "Push notifications are not supported by this resource."


async def test_51_channels_hear_what_concerns_them(google: Google, receiver: Receiver) -> None:
    await watch(google, "mine")
    await watch(google, "list", "users/me/calendarList/watch")
    receiver.received.clear()
    made = await google.insert(meeting())
    await google.app.courier.settle()
    assert receiver.heard() == ["mine"]
    await google.ok("GET", event(made["id"]))
    refused = await google.call("PATCH", event("abcde12345"), {"summary": "x"})
    assert refused.status_code == 404
    await google.app.courier.settle()
    assert receiver.heard() == []
    google.emulator.person(ADA).entry(TEAM, selected=False)
    await google.app.courier.settle()
    assert receiver.heard() == ["list"]


async def test_29_event_types_filter_channels(google: Google, receiver: Receiver) -> None:
    await watch(google, "all")
    await watch(google, "focus", f"{WATCH}?eventTypes=focusTime")
    receiver.received.clear()
    await edit(google, eventType="focusTime")
    assert receiver.heard() == ["all", "focus"]
    await edit(google)
    assert receiver.heard() == ["all"]


async def test_43_moving_tells_both_calendars(google: Google, receiver: Receiver) -> None:
    await watch(google, "mine")
    await watch(google, "team", f"calendars/{TEAM}/events/watch")
    made = await google.insert(meeting())
    await google.app.courier.settle()
    receiver.received.clear()
    await google.ok("POST", f"{event(made['id'])}/move", destination=TEAM)
    await google.app.courier.settle()
    assert receiver.heard() == ["mine", "team"]
