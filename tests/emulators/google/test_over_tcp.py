"""The emulator behind a real server: webhooks, cut connections, Google's own client library."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build  # pyright: ignore[reportUnknownVariableType]
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from sync_service.emulators.google import ADA, TEAM, Emulator, serving
from tests.emulators.google.client import meeting, weekly

EVENTS = "/calendar/v3/calendars/primary/events"


@pytest.fixture
async def base(emulator: Emulator) -> AsyncGenerator[str]:
    async with serving(emulator) as url:
        yield url


@pytest.fixture
async def http(emulator: Emulator, base: str) -> AsyncGenerator[httpx.AsyncClient]:
    bearer, _ = emulator.issue_tokens(ADA, ["calendar"])
    headers = {"Authorization": f"Bearer {bearer}"}
    async with httpx.AsyncClient(base_url=base, headers=headers) as client:
        yield client


class Hook:
    """A minimal HTTP server that notes requests and answers 200."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.arrived: asyncio.Queue[float] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if not head.startswith(b"GET /robots.txt"):
                    self.requests.append(head)
                    self.arrived.put_nowait(asyncio.get_running_loop().time())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def hook() -> AsyncGenerator[tuple[Hook, str]]:
    receiver = Hook()
    server = await asyncio.start_server(receiver, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield receiver, f"http://127.0.0.1:{port}/hooks/google"
    server.close()
    await server.wait_closed()


async def test_messages_leave_at_once_and_never_block_the_answer(
    emulator: Emulator, http: httpx.AsyncClient, hook: tuple[Hook, str]
) -> None:
    receiver, address = hook
    channel = {"id": "c1", "type": "web_hook", "address": address, "token": "t"}
    assert (await http.post(f"{EVENTS}/watch", json=channel)).status_code == 200
    await asyncio.wait_for(receiver.arrived.get(), 5)
    assert b"x-goog-resource-state: sync" in receiver.requests[0].lower()
    emulator.configure(user_units_per_minute=None)
    lags: list[float] = []
    for _ in range(20):
        began = asyncio.get_running_loop().time()
        emulator.person(ADA).insert(meeting())
        lags.append(await asyncio.wait_for(receiver.arrived.get(), 5) - began)
    assert min(lags) < 0.01
    assert (await http.post(EVENTS, json=meeting())).status_code == 200
    await asyncio.wait_for(receiver.arrived.get(), 5)
    assert b"content-length: 0" in receiver.requests[-1].lower()
    log = (await http.get("/_emulator/webhooks")).json()["items"]
    assert {entry["outcome"] for entry in log} == {"delivered"}
    assert min(entry["overhead_ms"] for entry in log) < 5


async def test_a_person_in_another_thread_sends_messages_too(
    emulator: Emulator, http: httpx.AsyncClient, hook: tuple[Hook, str]
) -> None:
    receiver, address = hook
    channel = {"id": "c1", "type": "web_hook", "address": address}
    await http.post(f"{EVENTS}/watch", json=channel)
    await asyncio.wait_for(receiver.arrived.get(), 5)
    thread = threading.Thread(target=lambda: emulator.person(ADA).insert(meeting()))
    thread.start()
    await asyncio.wait_for(receiver.arrived.get(), 5)
    thread.join()


async def test_a_dead_receiver_harms_nobody(http: httpx.AsyncClient, emulator: Emulator) -> None:
    channel = {"id": "c1", "type": "web_hook", "address": "http://127.0.0.1:1/"}
    assert (await http.post(f"{EVENTS}/watch", json=channel)).status_code == 200
    assert (await http.post(EVENTS, json=meeting())).status_code == 200
    log: list[Any] = []
    for _ in range(100):
        log = (await http.get("/_emulator/webhooks")).json()["items"]
        if len(log) == 2:
            break
        await asyncio.sleep(0.01)
    assert [entry["outcome"] for entry in log] == ["failed", "failed"]


async def test_cut_connections(http: httpx.AsyncClient, emulator: Emulator) -> None:
    for kind, expected in (("drop_before", 0), ("drop_after", 1)):
        emulator.add_fault(kind, operation="events.insert")
        with pytest.raises(httpx.TransportError):
            await http.post(EVENTS, json=meeting())
        assert len(emulator.events(ADA)) == expected
    assert (await http.get(EVENTS)).status_code == 200


async def test_conferences_finish_by_themselves(
    http: httpx.AsyncClient, emulator: Emulator, hook: tuple[Hook, str]
) -> None:
    receiver, address = hook
    emulator.configure(conference_delay_s=0.05)
    await http.post(f"{EVENTS}/watch", json={"id": "c", "type": "web_hook", "address": address})
    ask = {"createRequest": {"requestId": "r"}}
    url = f"{EVENTS}?conferenceDataVersion=1"
    await http.post(url, json=meeting(conferenceData=ask))
    for _ in range(3):
        await asyncio.wait_for(receiver.arrived.get(), 5)
    assert "hangoutLink" in (await http.get(EVENTS)).json()["items"][0]


async def test_a_port_in_use_is_reported(base: str) -> None:
    port = int(base.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        async with serving(Emulator(), port=port):
            pass


async def test_googles_own_client_library(emulator: Emulator, base: str) -> None:
    bearer, _ = emulator.issue_tokens(ADA, ["calendar"])

    def tour() -> None:
        credentials: Any = Credentials(token=bearer)  # pyright: ignore[reportUnknownVariableType]
        service: Any = build(
            "calendar",
            "v3",
            credentials=credentials,
            static_discovery=True,
            client_options={"api_endpoint": f"{base}/calendar/v3/"},
        )
        with service:
            events = service.events()
            made = events.insert(calendarId="primary", body=meeting(summary="a")).execute()
            page = events.list(calendarId="primary").execute()
            assert [item["id"] for item in page["items"]] == [made["id"]]
            token = page["nextSyncToken"]
            changed = events.patch(
                calendarId="primary", eventId=made["id"], body={"summary": "b"}
            ).execute()
            assert changed["summary"] == "b"
            stale = events.update(calendarId="primary", eventId=made["id"], body=changed)
            stale.headers["If-Match"] = made["etag"]
            with pytest.raises(HttpError) as caught:
                stale.execute()
            assert caught.value.status_code == 412
            moved = events.move(calendarId="primary", eventId=made["id"], destination=TEAM)
            assert moved.execute()["organizer"]["email"] == TEAM
            delta = events.list(calendarId="primary", syncToken=token).execute()
            assert [item["status"] for item in delta["items"]] == ["cancelled"]
            series = events.insert(calendarId="primary", body=weekly(3)).execute()
            found = events.instances(calendarId="primary", eventId=series["id"]).execute()
            assert len(found["items"]) == 3
            channel = {"id": "c-1", "type": "web_hook", "address": "http://127.0.0.1:1/"}
            opened = events.watch(calendarId="primary", body=channel).execute()
            service.channels().stop(
                body={"id": opened["id"], "resourceId": opened["resourceId"]}
            ).execute()
            assert len(service.calendarList().list().execute()["items"]) == 3
            answers: dict[str, Any] = {}

            def note(name: str, answer: Any, error: Any) -> None:
                answers[name] = error or answer

            uri = f"{base}/batch/calendar/v3"
            batch: Any = BatchHttpRequest(callback=note, batch_uri=uri)
            batch.add(events.get(calendarId="primary", eventId=series["id"]), request_id="good")
            batch.add(events.get(calendarId="primary", eventId="nothing123"), request_id="bad")
            batch.execute()
            assert answers["good"]["id"] == series["id"]
            assert answers["bad"].status_code == 404
            events.delete(calendarId="primary", eventId=series["id"]).execute()

    await asyncio.to_thread(tour)
