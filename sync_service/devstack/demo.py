"""`calsync demo`: a scripted tour of the whole stack, told as it happens, verified at its end."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sync_service.devstack import ports, stack
from sync_service.devstack.sides import App, Google, connect, open_sides
from sync_service.engine.hub import open_hub
from sync_service.engine.verify import Report, verify
from sync_service.settings import load_settings
from sync_service.store.pool import open_pool

FOLDER = Path(".calsync/demo")
_ROUNDS = 20
_SILENCE_ROUNDS = 3
_ZONE = "Europe/Berlin"
_NOTHING_WAITS = (
    "select not exists (select from sync_queue where status in ('pending', 'processing'))"
)


@dataclass
class _Tour:
    """The two sides, what is said, and every latency measured, in milliseconds."""

    app: App
    google: Google
    say: Callable[[str], None]
    out_ms: list[float] = field(default_factory=list[float])
    in_ms: list[float] = field(default_factory=list[float])

    def tell(self, who: str, what: str, where: str, milliseconds: float) -> None:
        """Say one step: who did what, and when it was where."""
        self.say(f"  {who:<22} {what:<44} → {where:<15} {milliseconds:5.0f} ms")

    async def goes_out(self, who: str, what: str, event_id: UUID, since: datetime) -> None:
        """Wait until Google has the change of *event_id* made after *since*, and say so."""
        external_id = await self._external_id(event_id)
        arrived = await self.google.write_after(since, external_id)
        took = (arrived - await self.app.changed_at(event_id)).total_seconds() * 1000
        self.out_ms.append(took)
        self.tell(who, what, "Google", took)

    async def comes_in(
        self, who: str, what: str, since: datetime, event_id: UUID | None = None
    ) -> UUID:
        """Wait until the app's database has what was changed on Google at *since*."""
        arrived_id, arrived = await self.app.arrivals.after(since, event_id)
        took = (arrived - since).total_seconds() * 1000
        self.in_ms.append(took)
        self.tell(who, what, "the app", took)
        return arrived_id

    async def _external_id(self, event_id: UUID) -> str:
        async with asyncio.timeout(20):
            while True:
                found = await self.app.sql.fetchval(
                    "select external_id from event_mappings where event_id = $1", event_id
                )
                if found is not None:
                    return str(found)
                await asyncio.sleep(0.002)


async def run(
    *, once: bool, port_base: int, say: Callable[[str], None], show: Callable[..., None]
) -> bool:
    """Run the tour; answers whether both sides ended equal and silent.

    *show* prints the reports of the verification.

    Unless *once*, the stack keeps running afterwards until this is cancelled.
    """
    options = stack.Options(
        folder=FOLDER, port_base=_free(port_base), ephemeral=True, environment={}
    )
    say("Starting Postgres, Valkey, Supabase Lite, an emulated Google, the API and a worker …")
    async with stack.running(options, say) as running:
        async with open_sides(running.info) as (app, google):
            tour = _Tour(app, google, say)
            try:
                await _travel(tour)
                reports = await _verified(tour, dict(running.environment))
                show(reports, say)
                equal = bool(reports) and all(report.equal for report in reports)
                quiet = await _silent(tour)
            except TimeoutError:
                say(f"That did not happen in time. The logs are in {FOLDER / 'logs'}.")
                return False
        _summarise(tour, equal=equal, quiet=quiet)
        if not once:
            say("")
            say(f"The console:  {running.info.console_url}")
            say(f"The API:      {running.info.api_url}/schema")
            say(f"Google:       {running.info.google_url}/_emulator")
            say("Everything keeps running. Ctrl-C stops it.")
            await asyncio.Event().wait()
        return equal and quiet


async def _travel(tour: _Tour) -> None:
    app, google, say = tour.app, tour.google, tour.say
    say("")
    name = await connect(app, google)
    say(f"A new user signed up and connected the Google calendar “{name}” (OAuth, PKCE).")
    say("")
    say("From the app to Google, through each of its doors:")
    lunch = await _app_adds(tour)
    trip = await _data_api_adds(tour)
    standup = await _sql_adds(tour)
    await _app_edits_and_deletes(tour, lunch, trip)
    say("")
    say("From Google to the app:")
    dentist, external_id = await _google_adds(tour)
    await _google_edits_and_deletes(tour, dentist, external_id)
    say("")
    say("Both at once:")
    await _both_edit(tour, standup)
    say("")
    say(f"{_ROUNDS} more changes each way, one after the other …")
    await _many(tour, standup)


async def _app_adds(tour: _Tour) -> UUID:
    since = datetime.now(UTC)
    body = _hour(1, title="Lunch with Grace", location="Canteen", time_zone=_ZONE)
    event_id = UUID((await tour.app.call("POST", "events", json=body))["id"])
    await tour.goes_out("The app's HTTP API", "adds “Lunch with Grace”", event_id, since)
    return event_id


async def _data_api_adds(tour: _Tour) -> UUID:
    since = datetime.now(UTC)
    row = _hour(2, title="Trip to Lisbon", time_zone=_ZONE)
    table: Any = tour.app.supabase.table("calendar_events")
    answer = await table.insert(row).execute()
    event_id = UUID(answer.data[0]["id"])
    await tour.goes_out("supabase-py", "adds “Trip to Lisbon”", event_id, since)
    return event_id


async def _sql_adds(tour: _Tour) -> UUID:
    since = datetime.now(UTC)
    event_id: UUID = await tour.app.sql.fetchval(
        "insert into calendar_events (user_id, title, start_time, end_time, time_zone)"
        " values ($1, 'Stand-up', $2, $3, $4) returning id",
        tour.app.user_id,
        _moment(3),
        _moment(3) + timedelta(minutes=15),
        _ZONE,
    )
    await tour.goes_out("plain SQL", "adds “Stand-up”", event_id, since)
    return event_id


async def _app_edits_and_deletes(tour: _Tour, lunch: UUID, trip: UUID) -> None:
    since = datetime.now(UTC)
    await tour.app.call("PATCH", f"events/{lunch}", json={"title": "Lunch with Grace and Bob"})
    await tour.goes_out("The app's HTTP API", "renames it “Lunch with Grace and Bob”", lunch, since)
    since = datetime.now(UTC)
    await tour.app.call("DELETE", f"events/{trip}")
    await tour.goes_out("The app's HTTP API", "deletes “Trip to Lisbon”", trip, since)


async def _google_adds(tour: _Tour) -> tuple[UUID, str]:
    hour = _hour(4)
    stored = await tour.google.insert(
        {
            "summary": "Dentist",
            "start": {"dateTime": hour["start_time"], "timeZone": _ZONE},
            "end": {"dateTime": hour["end_time"], "timeZone": _ZONE},
        }
    )
    event_id = await tour.comes_in("Ada, on Google", "adds “Dentist”", _updated(stored))
    return event_id, str(stored["id"])


async def _google_edits_and_deletes(tour: _Tour, dentist: UUID, external_id: str) -> None:
    stored = await tour.google.patch(external_id, {"summary": "Dentist, 2nd floor"})
    await tour.comes_in(
        "Ada, on Google", "renames it “Dentist, 2nd floor”", _updated(stored), dentist
    )
    since = datetime.now(UTC)
    await tour.google.delete(external_id)
    await tour.comes_in("Ada, on Google", "deletes it", since, dentist)


async def _both_edit(tour: _Tour, standup: UUID) -> None:
    there = next(event for event in await tour.google.events() if event["summary"] == "Stand-up")
    since = datetime.now(UTC)
    await asyncio.gather(
        tour.app.call("PATCH", f"events/{standup}", json={"title": "Stand-up, sharp"}),
        tour.google.patch(there["id"], {"location": "Room 7"}),
    )
    await _until(lambda: _holds_both(tour, standup, there["id"]))
    took = (datetime.now(UTC) - since).total_seconds() * 1000
    tour.tell("The app", "renames “Stand-up” while …", "both", took)
    tour.tell("Ada, on Google", "… gives it a room: both edits survive", "both", took)


async def _holds_both(tour: _Tour, event_id: UUID, external_id: str) -> bool:
    here = await tour.app.sql.fetchrow(
        "select title, location from calendar_events where id = $1", event_id
    )
    there = next(event for event in await tour.google.events() if event["id"] == external_id)
    merged = ("Stand-up, sharp", "Room 7")
    return (
        here is not None
        and tuple(here.values()) == merged
        and (there["summary"], there.get("location")) == merged
    )


async def _many(tour: _Tour, standup: UUID) -> None:
    quiet = replace(tour, say=_nothing)
    there = next(
        event for event in await tour.google.events() if event["summary"] == "Stand-up, sharp"
    )
    for number in range(_ROUNDS):
        since = datetime.now(UTC)
        await tour.app.sql.execute(
            "update calendar_events set description = $2 where id = $1", standup, f"Edit {number}"
        )
        await quiet.goes_out("", "", standup, since)
        await _settled(tour, standup)
        stored = await tour.google.patch(there["id"], {"location": f"Room {number}"})
        await quiet.comes_in("", "", _updated(stored), standup)


async def _settled(tour: _Tour, event_id: UUID) -> None:
    """Wait until nothing of the event is under way."""
    await _until(
        lambda: tour.app.sql.fetchval(
            "select not exists (select from sync_queue where status in ('pending', 'processing')"
            " and (event_id = $1 or kind = 'pull'))",
            event_id,
        )
    )


async def _verified(tour: _Tour, environment: dict[str, str]) -> list[Report]:
    """Read both sides independently and say, event by event, whether they are equal."""
    for event_id in await tour.app.sql.fetch("select id from calendar_events"):
        await _settled(tour, event_id["id"])
    settings = load_settings(
        _env_file=None, **{name.lower(): value for name, value in environment.items()}
    )
    pool = await open_pool(settings)
    try:
        async with open_hub(settings, pool) as hub:
            reports = await verify(hub)
    finally:
        await pool.close()
    tour.say("")
    tour.say("Both sides, read anew and compared:")
    for report in reports:
        _table(report, tour.say)
    return reports


async def _silent(tour: _Tour) -> bool:
    """Have everything polled again: a converged system writes nothing more."""
    before = len(await tour.google.writes())
    for _ in range(_SILENCE_ROUNDS):
        await tour.app.call("POST", "sync")
        await _until(lambda: tour.app.sql.fetchval(_NOTHING_WAITS))
    return len(await tour.google.writes()) == before


def _table(report: Report, say: Callable[[str], None]) -> None:
    for line in report.lines:
        start = line.start.strftime("%Y-%m-%d %H:%M")
        say(f"  {start}  {line.title:<34} {line.verdict}")


def _summarise(tour: _Tour, *, equal: bool, quiet: bool) -> None:
    say = tour.say
    say("")
    out, into = statistics.median(tour.out_ms), statistics.median(tour.in_ms)
    say(f"Median commit → Google:        {out:5.1f} ms   ({len(tour.out_ms)} changes)")
    say(f"Median Google's change → row:  {into:5.1f} ms   ({len(tour.in_ms)} changes)")
    say("Both sides are equal." if equal else "The sides DIFFER.")
    say(
        f"Silence: {_SILENCE_ROUNDS} further polls wrote nothing to Google."
        if quiet
        else "NOT silent: polls made further writes."
    )


async def _until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():  # noqa: ASYNC110  # asks other processes, which set no event here
            await asyncio.sleep(0.002)


def _nothing(_: str) -> None:
    pass


def _free(port_base: int) -> int:
    """Return *port_base* if its ports are free, else 0 for any free ones."""
    try:
        ports.require_free(ports.assign(port_base))
    except Exception:
        return 0
    return port_base


def _hour(days: int, **fields: Any) -> dict[str, Any]:
    start = _moment(days)
    end = start + timedelta(hours=1)
    return {"start_time": start.isoformat(), "end_time": end.isoformat(), **fields}


def _moment(days: int) -> datetime:
    return datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(
        days=days
    )


def _updated(stored: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(str(stored["updated"]))
