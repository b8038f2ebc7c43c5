"""The emulator behind a real server: webhooks and cut connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from sync_service.emulators.google import ADA, Emulator, serving
from tests.emulators.google.client import meeting
from tests.emulators.google.hook import Hook

EVENTS = "/calendar/v3/calendars/primary/events"


@pytest.fixture
async def http(emulator: Emulator, base: str) -> AsyncGenerator[httpx.AsyncClient]:
    bearer, _ = emulator.issue_tokens(ADA, ["calendar"])
    headers = {"Authorization": f"Bearer {bearer}"}
    async with httpx.AsyncClient(base_url=base, headers=headers) as client:
        yield client


async def test_messages_leave_at_once_and_never_block_the_answer(
    emulator: Emulator, http: httpx.AsyncClient, hook: Hook
) -> None:
    channel = {"id": "c1", "type": "web_hook", "address": hook.address, "token": "t"}
    assert (await http.post(f"{EVENTS}/watch", json=channel)).status_code == 200
    await asyncio.wait_for(hook.arrived.get(), 5)
    assert b"x-goog-resource-state: sync" in hook.requests[0].lower()
    emulator.configure(user_units_per_minute=None)
    lags: list[float] = []
    for _ in range(20):
        began = asyncio.get_running_loop().time()
        emulator.person(ADA).insert(meeting())
        lags.append(await asyncio.wait_for(hook.arrived.get(), 5) - began)
    assert min(lags) < 0.01
    assert (await http.post(EVENTS, json=meeting())).status_code == 200
    await asyncio.wait_for(hook.arrived.get(), 5)
    assert b"content-length: 0" in hook.requests[-1].lower()
    log = (await http.get("/_emulator/webhooks")).json()["items"]
    assert {entry["outcome"] for entry in log} == {"delivered"}
    assert min(entry["overhead_ms"] for entry in log) < 5


async def test_a_person_in_another_thread_sends_messages_too(
    emulator: Emulator, http: httpx.AsyncClient, hook: Hook
) -> None:
    channel = {"id": "c1", "type": "web_hook", "address": hook.address}
    await http.post(f"{EVENTS}/watch", json=channel)
    await asyncio.wait_for(hook.arrived.get(), 5)
    thread = threading.Thread(target=lambda: emulator.person(ADA).insert(meeting()))
    thread.start()
    await asyncio.wait_for(hook.arrived.get(), 5)
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
    http: httpx.AsyncClient, emulator: Emulator, hook: Hook
) -> None:
    emulator.configure(conference_delay_s=0.05)
    await http.post(
        f"{EVENTS}/watch", json={"id": "c", "type": "web_hook", "address": hook.address}
    )
    ask = {"createRequest": {"requestId": "r"}}
    url = f"{EVENTS}?conferenceDataVersion=1"
    await http.post(url, json=meeting(conferenceData=ask))
    for _ in range(3):
        await asyncio.wait_for(hook.arrived.get(), 5)
    assert "hangoutLink" in (await http.get(EVENTS)).json()["items"][0]


async def test_a_port_in_use_is_reported(base: str) -> None:
    port = int(base.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        async with serving(Emulator(), port=port):
            pass
