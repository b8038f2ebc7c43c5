"""Other people's clients at work with the emulator: what suits them is likelier Google's behaviour."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build  # pyright: ignore[reportUnknownVariableType]
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from sync_service.devstack.lite import deno, deno_environment
from sync_service.emulators.google import ADA, CLIENT_ID, CLIENT_SECRET, TEAM, Emulator
from tests.emulators.google.client import ids, meeting, timed, weekly
from tests.emulators.google.hook import Hook

NPM = Path(__file__).parent / "npm"


def credentials(emulator: Emulator, base: str) -> Any:
    """Credentials that must refresh before their first call."""
    _, refresh = emulator.issue_tokens(ADA, ["calendar"])
    found: Any = Credentials(  # pyright: ignore[reportUnknownVariableType]
        token=None,
        refresh_token=refresh,
        token_uri=f"{base}/token",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )
    return found


def service(emulator: Emulator, base: str) -> Any:
    """google-api-python-client for the emulator."""
    return build(
        "calendar",
        "v3",
        credentials=credentials(emulator, base),
        static_discovery=True,
        client_options={"api_endpoint": f"{base}/calendar/v3/"},
    )


def refusal(call: Any) -> tuple[int, str]:
    """The status and reason that a call ends in."""
    with pytest.raises(HttpError) as caught:
        call.execute()
    details: Any = caught.value.error_details
    return caught.value.status_code, details[0]["reason"]


async def test_google_api_python_client(emulator: Emulator, base: str, hook: Hook) -> None:
    loop = asyncio.get_running_loop()

    def session() -> None:
        with service(emulator, base) as google:
            events = google.events()
            made = [
                events.insert(calendarId="primary", body=meeting(summary=f"{n}")).execute()["id"]
                for n in range(5)
            ]
            request, token = events.list(calendarId="primary", maxResults=2), ""
            sizes: list[int] = []
            while request is not None:
                page = request.execute()
                sizes.append(len(page["items"]))
                token = page.get("nextSyncToken", "")
                request = events.list_next(request, page)
            assert sizes == [2, 2, 1]

            one: dict[str, Any] = {"calendarId": "primary", "eventId": made[0]}
            before = events.get(**one).execute()
            changed = events.patch(**one, body={"summary": "b"}).execute()
            stale = events.update(**one, body=changed)
            stale.headers["If-Match"] = before["etag"]
            assert refusal(stale) == (412, "conditionNotMet")
            events.delete(calendarId="primary", eventId=made[1]).execute()
            again = events.delete(calendarId="primary", eventId=made[1])
            assert refusal(again) == (410, "deleted")
            moved = events.move(calendarId="primary", eventId=made[2], destination=TEAM).execute()
            assert moved["organizer"]["email"] == TEAM
            delta = events.list(calendarId="primary", syncToken=token).execute()
            assert {i["id"]: i["status"] for i in delta["items"]} == {
                made[0]: "confirmed",
                made[1]: "cancelled",
                made[2]: "cancelled",
            }
            emulator.expire_sync_tokens(ADA)
            dead = events.list(calendarId="primary", syncToken=token)
            assert refusal(dead) == (410, "fullSyncRequired")

            channel = {"id": "c-1", "type": "web_hook", "address": hook.address}
            opened = events.watch(calendarId="primary", body=channel).execute()
            series = events.insert(calendarId="primary", body=weekly(3)).execute()["id"]
            of = {"calendarId": "primary", "eventId": series}
            found = events.instances(**of).execute()["items"]
            second = found[1] | {"summary": "just this one"}
            edited = events.update(
                calendarId="primary", eventId=second["id"], body=second
            ).execute()
            assert (edited["id"], edited["recurringEventId"]) == (found[1]["id"], series)
            events.delete(calendarId="primary", eventId=found[2]["id"]).execute()
            left = events.instances(**of).execute()["items"]
            assert [i.get("summary") for i in left] == [None, "just this one"]
            # The sync message, the series, the edited and the cancelled occurrence.
            for _ in range(4):
                asyncio.run_coroutine_threadsafe(hook.arrived.get(), loop).result(5)
            stop = {"id": opened["id"], "resourceId": opened["resourceId"]}
            google.channels().stop(body=stop).execute()
            assert len(google.calendarList().list().execute()["items"]) == 3

            answers: dict[str, Any] = {}

            def note(name: str, answer: Any, error: Any) -> None:
                answers[name] = error or answer

            batch: Any = BatchHttpRequest(callback=note, batch_uri=f"{base}/batch/calendar/v3")
            batch.add(events.get(**of), request_id="good")
            batch.add(events.get(calendarId="primary", eventId="nothing123"), request_id="bad")
            batch.execute()
            assert answers["good"]["id"] == series
            assert answers["bad"].status_code == 404

    await asyncio.to_thread(session)


async def test_googleapis_for_node(emulator: Emulator, base: str) -> None:
    _, refresh = emulator.issue_tokens(ADA, ["calendar"])
    process = await asyncio.create_subprocess_exec(
        str(deno()),
        "run",
        "--cached-only",
        "--frozen",
        "--quiet",
        "--allow-all",
        "session.ts",
        base,
        CLIENT_ID,
        CLIENT_SECRET,
        refresh,
        TEAM,
        cwd=NPM,
        env={"NO_COLOR": "1", "HOME": os.environ["HOME"], "PATH": os.environ["PATH"]}
        | deno_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def test_gcsa(emulator: Emulator, base: str) -> None:
    module: Any = importlib.import_module("gcsa.google_calendar")
    event_type: Any = importlib.import_module("gcsa.event").Event
    rules: Any = importlib.import_module("gcsa.recurrence")

    def tour(google: Any) -> None:
        first = datetime(2026, 11, 24, 10)
        window = {"time_min": date(2026, 11, 1), "time_max": date(2027, 2, 1)}
        berlin = {"timezone": "Europe/Berlin"}
        for n in range(5):
            google.add_event(event_type(f"{n}", start=first + timedelta(hours=n), **berlin))
        listed = list(google.get_events(**window, maxResults=2, order_by="updated"))
        assert [e.summary for e in listed] == ["0", "1", "2", "3", "4"]
        changed = listed[0]
        changed.summary, changed.location = "renamed", "here"
        changed.add_popup_reminder(minutes_before_start=5)
        changed.default_reminders = False
        stored = google.update_event(changed)
        assert (stored.summary, stored.location) == ("renamed", "here")
        assert [r.minutes_before_start for r in stored.reminders] == [5]
        google.delete_event(listed[1])
        with pytest.raises(HttpError) as caught:
            google.delete_event(listed[1])
        assert caught.value.status_code == 410
        assert google.move_event(listed[2], TEAM).organizer.email == TEAM
        assert len(list(google.get_events(**window, query="renamed"))) == 1

        rule = rules.Recurrence.rule(freq="WEEKLY", count=3)
        series = google.add_event(event_type("s", start=first, recurrence=[rule], **berlin))
        found = list(google.get_instances(series, **window))
        assert [e.start.date().isoformat() for e in found] == [
            "2026-11-24",
            "2026-12-01",
            "2026-12-08",
        ]
        found[1].summary = "just this one"
        assert google.update_event(found[1]).recurring_event_id == series.event_id
        google.delete_event(found[2])
        left = google.get_instances(series, **window)
        assert [e.summary for e in left] == ["s", "just this one"]
        day = google.add_event(event_type("day", start=date(2026, 12, 24)))
        assert (day.start, day.end) == (date(2026, 12, 24), date(2026, 12, 25))
        assert len(list(google.get_calendar_list())) == 3
        assert google.get_calendar().timezone == "Europe/Berlin"
        assert google.get_settings().timezone == "Europe/Berlin"
        busy = google.get_free_busy(time_min=first, time_max=first + timedelta(days=1), **berlin)
        assert len(busy.calendars["primary"]) > 0

    def session() -> None:
        google = module.GoogleCalendar(credentials=credentials(emulator, base))
        with service(emulator, base) as google.service:
            tour(google)

    await asyncio.to_thread(session)


@pytest.fixture
async def gcal_sync(emulator: Emulator, base: str) -> AsyncGenerator[Any]:
    """gcal_sync's service for the emulator."""
    aiohttp: Any = importlib.import_module("aiohttp")
    auth: Any = importlib.import_module("gcal_sync.auth")
    api: Any = importlib.import_module("gcal_sync.api")
    bearer, _ = emulator.issue_tokens(ADA, ["calendar"])

    class Auth(auth.AbstractAuth):
        async def async_get_access_token(self) -> str:
            return bearer

    async with aiohttp.ClientSession() as session:
        yield api.GoogleCalendarService(Auth(session, f"{base}/calendar/v3"))


def instant(value: datetime | date) -> datetime | date:
    """A time that compares as an instant."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


class Mirror:
    """What gcal_sync keeps of a calendar, and works out from it by itself."""

    def __init__(self, google: Any) -> None:
        self.api: Any = importlib.import_module("gcal_sync.api")
        sync: Any = importlib.import_module("gcal_sync.sync")
        self.manager: Any = sync.CalendarEventSyncManager(google, ADA)

    async def read(self) -> list[tuple[datetime | date, str]]:
        """Bring it up to date; everything that takes place, in order."""
        await self.manager.run()
        request = self.api.LocalListEventsRequest(
            start_time=datetime(2026, 1, 1, tzinfo=UTC), end_time=datetime(2028, 1, 1, tzinfo=UTC)
        )
        found = await self.manager.store_service.async_list_events(request)
        return [(instant(e.start.value), e.summary) for e in found.events]


async def expanded(google: Any) -> list[tuple[datetime | date, str]]:
    """The same as the emulator expands it."""
    api: Any = importlib.import_module("gcal_sync.api")
    request = api.ListEventsRequest(
        calendar_id=ADA,
        start_time=datetime(2026, 1, 1, tzinfo=UTC),
        end_time=datetime(2028, 1, 1, tzinfo=UTC),
    )
    found: list[tuple[datetime | date, str]] = []
    async for page in await google.async_list_events(request):
        found += [(instant(e.start.value), e.summary) for e in page.items]
    return found


async def test_gcal_sync(emulator: Emulator, gcal_sync: Any) -> None:
    ada, mirror = emulator.person(ADA), Mirror(gcal_sync)
    emulator.configure(page_items=2)
    for n in range(5):
        ada.insert(meeting(hour=8 + n, summary=f"{n}"))
    assert [summary for _, summary in await mirror.read()] == ["0", "1", "2", "3", "4"]
    model: Any = importlib.import_module("gcal_sync.model")
    start = {"dateTime": "2026-11-25T10:00:00", "timeZone": "Europe/Berlin"}
    end = {**start, "dateTime": "2026-11-25T11:00:00"}
    store = mirror.manager.store_service
    rule = ["RRULE:FREQ=WEEKLY;COUNT=5"]
    await store.async_add_event(model.Event(summary="s", start=start, end=end, recurrence=rule))
    await gcal_sync.async_patch_event(ADA, emulator.events(ADA)[0]["id"], {"summary": "renamed"})
    await gcal_sync.async_delete_event(ADA, emulator.events(ADA)[0]["id"])
    summaries = [summary for _, summary in await mirror.read()]
    assert summaries == ["renamed", "2", "3", "4", *["s"] * 5]

    (series,) = [e for e in emulator.events(ADA) if "recurrence" in e]
    one, two = (f"{series['id']}_{day}T090000Z" for day in ("20261202", "20261209"))
    ada.patch(one, timed("2026-12-03T15:00:00", "2026-12-03T16:00:00", summary="moved"))
    await store.async_delete_event(series["iCalUID"], two)
    assert emulator.person(ADA).get(two)["status"] == "cancelled"
    assert await mirror.read() == await expanded(gcal_sync)
    shorter = {"recurrence": ["RRULE:FREQ=WEEKLY;UNTIL=20261215T235959Z"]}
    await gcal_sync.async_patch_event(ADA, series["id"], shorter)
    assert await mirror.read() == await expanded(gcal_sync)
    assert [summary for _, summary in await mirror.read()][-2:] == ["s", "moved"]
    # A dead token: it starts anew by itself.
    emulator.expire_sync_tokens(ADA)
    assert await mirror.read() == await expanded(gcal_sync)
    await store.async_delete_event(series["iCalUID"])
    assert [summary for _, summary in await mirror.read()] == ["renamed", "2", "3", "4"]
    assert len(ids(emulator.events(ADA))) > 4


@pytest.mark.parametrize(
    "body",
    [
        timed(
            "2026-03-20T02:30:00", "2026-03-20T03:00:00", recurrence=["RRULE:FREQ=DAILY;COUNT=20"]
        ),
        timed(
            "2026-10-19T15:00:00",
            "2026-10-19T16:00:00",
            "America/New_York",
            recurrence=["RRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;UNTIL=20261130T235959Z"],
        ),
        meeting(recurrence=["RRULE:FREQ=MONTHLY;BYDAY=-1TU;COUNT=6"]),
        meeting(
            recurrence=["RRULE:FREQ=WEEKLY;COUNT=5", "EXDATE;TZID=Europe/Berlin:20261201T100000"]
        ),
        meeting(recurrence=["RRULE:FREQ=DAILY;INTERVAL=2;COUNT=4", "RDATE:20261125T150000Z"]),
        {
            "start": {"date": "2026-11-30"},
            "end": {"date": "2026-12-02"},
            "recurrence": ["RRULE:FREQ=MONTHLY;BYMONTHDAY=30;UNTIL=20270701"],
        },
        {
            "start": {"date": "2026-01-06"},
            "end": {"date": "2026-01-07"},
            "recurrence": ["RRULE:FREQ=YEARLY", "EXDATE;VALUE=DATE:20270106"],
        },
    ],
)
async def test_another_expansion_agrees(
    emulator: Emulator, gcal_sync: Any, body: dict[str, Any]
) -> None:
    """gcal_sync expands series with a library of its own."""
    emulator.person(ADA).insert({**body, "summary": "s"})
    theirs = await Mirror(gcal_sync).read()
    assert theirs
    assert theirs == await expanded(gcal_sync)
