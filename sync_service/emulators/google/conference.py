"""Conferences are made a moment after the write that asks for them."""

from __future__ import annotations

from sync_service.emulators.google.state import Json, Timer
from sync_service.emulators.google.world import World

_ALPHABET = "abcdefghijkmnopqrstuvwxyz"


def request(world: World, calendar_id: str, event_id: str, body: Json, old: Json | None) -> Json:
    """Mark a conference that *body* asks for as pending; asking again with the same id is void."""
    wanted: Json | None = body.get("conferenceData", {}).get("createRequest")
    if not wanted or "requestId" not in wanted:
        return body
    before: Json = (old or {}).get("conferenceData", {})
    if before.get("createRequest", {}).get("requestId") == wanted["requestId"]:
        return {**body, "conferenceData": before}
    pending: Json = {
        "requestId": wanted["requestId"],
        "conferenceSolutionKey": wanted.get("conferenceSolutionKey", {"type": "hangoutsMeet"}),
        "status": {"statusCode": "pending"},
    }
    world.later(world.switches.conference_delay_s, calendar_id, event_id, wanted["requestId"])
    return {**body, "conferenceData": {"createRequest": pending}}


def finish_due(world: World) -> bool:
    """Make the conferences whose time has come; says whether anything changed."""
    now = world.clock.micros()
    due = [t for t in world.state.timers if t.due <= now]
    if not due:
        return False
    world.state.timers = [t for t in world.state.timers if t.due > now]
    for timer in due:
        _finish(world, timer)
    return True


def _finish(world: World, timer: Timer) -> None:
    calendar = world.state.calendars.get(timer.calendar_id)
    record = calendar.events.get(timer.event_id) if calendar else None
    if calendar is None or record is None or record.cancelled:
        return
    asked: Json = record.body.get("conferenceData", {}).get("createRequest", {})
    if asked.get("requestId") != timer.request_id:
        return
    random = world.random("conference")
    code = "-".join("".join(random.choices(_ALPHABET, k=size)) for size in (3, 4, 3))
    made: Json = {
        "createRequest": {**asked, "status": {"statusCode": "success"}},
        "entryPoints": [
            {
                "entryPointType": "video",
                "uri": f"https://meet.google.com/{code}",
                "label": f"meet.google.com/{code}",
            }
        ],
        "conferenceSolution": {"key": asked["conferenceSolutionKey"], "name": "Google Meet"},
        "conferenceId": code,
    }
    world.change(calendar, record, {**record.body, "conferenceData": made})
