"""What somebody's single edits cost while somebody else moves thousands of events.

`python -m bench.beside_bulk` starts the whole stack. Ada edits her few events in turn, first
alone, then while Bob's 10,000 Google events are imported, then while 10,000 rows of his app go out.
Told are the percentiles of her commit → Google, as ratios of the quiet ones, and the most quota
units that any 60 seconds of the call log hold. Written to `bench/results.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from sync_service.devstack import stack
from sync_service.devstack.sides import ADA, App, Google, connect, open_sides
from sync_service.devstack.stackfile import StackFile

BOB = "bob@example.com"
RESULTS = Path("bench/results.json")
_EVENTS = 8
"""Enough that no single one is edited faster than people do (the guard against loops)."""
_EDIT_EVERY_S = 0.5
_FILLERS = 20


@dataclass
class Ada:
    """Somebody who edits their events in turn, and what that took."""

    app: App
    google: Google
    events: list[tuple[UUID, str]]
    edits: int = 0

    async def edit(self) -> float:
        """Change a description; answers the milliseconds from commit to Google."""
        self.edits += 1
        event_id, external_id = self.events[self.edits % len(self.events)]
        since = datetime.now(UTC)
        await self.app.sql.execute(
            "update calendar_events set description = $2 where id = $1",
            event_id,
            f"Edit {self.edits}",
        )
        arrived = await self.google.write_after(since, external_id)
        return (arrived - await self.app.changed_at(event_id)).total_seconds() * 1000

    async def edit_while(self, going_on: Callable[[], Awaitable[bool]]) -> list[float]:
        """Edit at a person's best pace for as long as something goes on."""
        took: list[float] = []
        while await going_on():
            began = time.monotonic()
            took.append(await self.edit())
            await asyncio.sleep(max(0.0, _EDIT_EVERY_S - (time.monotonic() - began)))
        return took


async def run(events: int, edits: int, push_s: float) -> dict[str, Any]:
    """Measure once; answers what is written to the results."""
    options = stack.Options(
        folder=Path(".calsync/bench"), port_base=0, ephemeral=True, environment={}
    )
    async with stack.running(options, print) as running, _people(running.info) as (ada, bob):
        control = f"{running.info.google_url}/_emulator"
        async with httpx.AsyncClient(base_url=control, trust_env=False, timeout=60) as google:
            print(f"Bob gets {events} events on Google …")
            await _fill(google, events)
            await ada.edit_while(_times(10))
            quiet = await ada.edit_while(_times(edits))
            print(f"quiet: {_percentiles(quiet)}")
            began = time.monotonic()
            await _connect_bob(google, bob)
            importing = await ada.edit_while(lambda: _lacks(bob, events))
            import_s = time.monotonic() - began
            print(f"while importing ({import_s:.0f} s): {_percentiles(importing)}")
            await bob.sql.execute(
                "insert into calendar_events (user_id, title, start_time, end_time, time_zone)"
                " select $1, 'Ours ' || n, now() + n * interval '1 hour',"
                " now() + (n + 1) * interval '1 hour', 'UTC' from generate_series(1, $2::int) n",
                bob.user_id,
                events,
            )
            until = time.monotonic() + push_s
            pushing = await ada.edit_while(lambda: _is_before(until))
            print(f"while pushing: {_percentiles(pushing)}")
            calls = (await google.get("/calls")).json()["items"]
    return {
        "events": events,
        "quiet_ms": _percentiles(quiet),
        "importing_ms": _percentiles(importing),
        "pushing_ms": _percentiles(pushing),
        "import_s": round(import_s, 1),
        "p95_importing_to_quiet": _ratio(importing, quiet),
        "p95_pushing_to_quiet": _ratio(pushing, quiet),
        "pushed": sum(
            1 for c in calls if c["account"] == BOB and c["operation"] == "events.insert"
        ),
        "most_units_in_a_minute": {
            "project": _busiest(calls, None),
            ADA: _busiest(calls, ADA),
            BOB: _busiest(calls, BOB),
        },
    }


@asynccontextmanager
async def _people(info: StackFile) -> AsyncGenerator[tuple[Ada, App]]:
    async with (
        open_sides(info, "ada-user@example.com") as (app, google),
        open_sides(info, "bob-user@example.com") as (bob, _),
    ):
        await connect(app, google)
        for number in range(_EVENTS):
            start = datetime.now(UTC) + timedelta(days=1 + number)
            body = {
                "title": f"Event {number}",
                "start_time": start.isoformat(),
                "end_time": (start + timedelta(hours=1)).isoformat(),
            }
            await app.call("POST", "events", json=body, headers={"prefer": "wait=10"})
        rows = await app.sql.fetch(
            "select event_id, external_id from event_mappings where user_id = $1", app.user_id
        )
        yield Ada(app, google, [(row["event_id"], row["external_id"]) for row in rows]), bob


async def _fill(google: httpx.AsyncClient, events: int) -> None:
    (await google.post("/accounts", json={"email": BOB})).raise_for_status()
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=100)
    numbers = iter(range(events))

    async def fill() -> None:
        for number in numbers:
            at = start + timedelta(minutes=30 * number)
            event = {
                "summary": f"Theirs {number}",
                "start": {"dateTime": at.isoformat(), "timeZone": "UTC"},
                "end": {"dateTime": (at + timedelta(minutes=30)).isoformat(), "timeZone": "UTC"},
            }
            answer = await google.post(f"/people/{BOB}/events", json={"event": event})
            answer.raise_for_status()

    await asyncio.gather(*(fill() for _ in range(_FILLERS)))


async def _connect_bob(google: httpx.AsyncClient, bob: App) -> None:
    await google.put("/auto-consent", json={"enabled": True, "account": BOB})
    answer = await bob.call("POST", "connect/google")
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False, timeout=30) as browser:
        (await browser.get(answer["authorization_url"])).raise_for_status()


async def _lacks(bob: App, events: int) -> bool:
    here = await bob.sql.fetchval(
        "select count(*) from calendar_events where user_id = $1", bob.user_id
    )
    return int(here) < events


async def _is_before(until: float) -> bool:
    return time.monotonic() < until


def _times(count: int) -> Callable[[], Awaitable[bool]]:
    left = iter(range(count))

    async def again() -> bool:
        return next(left, None) is not None

    return again


def _percentiles(took: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=20) if len(took) > 1 else [*took] * 19
    return {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1), "edits": len(took)}


def _ratio(busy: list[float], quiet: list[float]) -> float:
    return round(_percentiles(busy)["p95"] / _percentiles(quiet)["p95"], 2)


def _busiest(calls: list[dict[str, Any]], account: str | None) -> int:
    mine = [call for call in calls if account in (None, call["account"])]
    most = units = first = 0
    for call in mine:
        units += call["units"]
        while mine[first]["at"] <= call["at"] - 60:
            units -= mine[first]["units"]
            first += 1
        most = max(most, units)
    return most


def main() -> None:
    """Run it and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--edits", type=int, default=60)
    parser.add_argument("--push-seconds", type=float, default=90.0)
    given = parser.parse_args()
    results = asyncio.run(run(given.events, given.edits, given.push_seconds))
    RESULTS.write_text(json.dumps({"beside_bulk": results}, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
