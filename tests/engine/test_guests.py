"""Guests: our answers to others' invitations, our own guest lists, and who is told of a change."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import pytest

from sync_service.emulators.google import ADA, GRACE
from sync_service.store import queue
from tests.engine.world import END, START, World

TIMES = {
    "start": {"dateTime": START, "timeZone": "Europe/Berlin"},
    "end": {"dateTime": END, "timeZone": "Europe/Berlin"},
}


async def invited(world: World) -> UUID:
    """Have Grace invite Ada and somebody else; answers Ada's event here."""
    guests = [{"email": ADA}, {"email": "third@example.com", "comment": "Maybe"}]
    world.google.person(GRACE).insert({"summary": "At Grace's", "attendees": guests, **TIMES})
    await world.poll()
    return await world.only_event()


def answers(world: World, calendar: str = GRACE) -> dict[str, str]:
    [event] = [each for each in world.google.events(calendar) if each["status"] != "cancelled"]
    return {guest["email"]: guest["responseStatus"] for guest in event["attendees"]}


def wishes(world: World) -> list[str]:
    """Return what every write said about telling guests."""
    return [
        parse_qs(call.query).get("sendUpdates", ["missing"])[0]
        for call in world.google.calls
        if call.write
    ]


async def respond(world: World, event: UUID, response: str) -> None:
    row = await world.row(event)
    guests = [
        guest | ({"response": response} if guest["email"] == ADA else {})
        for guest in row["attendees"]
    ]
    await world.edit(event, attendees=guests)


# Others' events


async def test_an_answer_reaches_the_organizer(world: World) -> None:
    event = await invited(world)
    await respond(world, event, "accepted")
    await world.converge()
    assert answers(world) == {ADA: "accepted", "third@example.com": "needsAction"}
    [theirs] = world.google.events(GRACE)
    assert theirs["attendees"][1]["comment"] == "Maybe"
    await world.assert_silent()


async def test_a_guest_changes_what_is_their_own(world: World) -> None:
    event = await invited(world)
    reminders = {"use_default": False, "overrides": [{"method": "popup", "minutes": 5}]}
    await world.edit(
        event, color="4", transparency="transparent", reminders=reminders, metadata={"deal": "D"}
    )
    await world.converge()
    [mine] = world.live()
    assert (mine["colorId"], mine["transparency"]) == ("4", "transparent")
    assert mine["extendedProperties"]["private"] == {"calsync.deal": "D"}
    [theirs] = world.google.events(GRACE)
    assert "colorId" not in theirs and "extendedProperties" not in theirs
    await world.assert_silent()


async def test_what_is_the_organizers_is_refused_and_holds_nothing_back(world: World) -> None:
    event = await invited(world)
    await world.edit(event, title="Mine now", color="4")
    await world.drain()
    await world.drain()
    [mine] = world.live()
    assert (mine["summary"], mine["colorId"]) == ("At Grace's", "4")
    failed = (await world.mapping(event))["last_error"]
    assert "organizer" in failed["detail"]
    await world.edit(event, title="At Grace's")
    await world.converge()
    assert (await world.mapping(event))["status"] == "synced"


async def test_a_guest_cannot_change_the_list(world: World) -> None:
    event = await invited(world)
    row = await world.row(event)
    await world.edit(event, attendees=[*row["attendees"], {"email": "fourth@example.com"}])
    await world.drain()
    assert "beyond your own answer" in (await world.mapping(event))["last_error"]["detail"]
    assert set(answers(world)) == {ADA, "third@example.com"}


async def test_deleting_an_invitation_declines_it(world: World) -> None:
    event = await invited(world)
    await world.remove(event)
    await world.converge()
    assert answers(world)[ADA] == "declined"
    assert world.live() == []
    await world.assert_silent()


async def test_the_organizers_changes_come_in(world: World) -> None:
    event = await invited(world)
    [theirs] = world.google.events(GRACE)
    world.google.person(GRACE).patch(theirs["id"], {"summary": "At Grace's, later"})
    await world.converge()
    assert (await world.row(event))["title"] == "At Grace's, later"
    await world.assert_silent()


# Calendars that mirror


async def test_a_mirror_gets_neither_guests_nor_conference(world: World) -> None:
    team = await world.pool.fetchval("select id from calendars where name ilike 'team%'")
    external = await world.pool.fetchval("select external_id from calendars where id = $1", team)
    await world.pool.execute(
        "update calendars set enabled = true, mirror = 'all' where id = $1", team
    )
    await world.drain()
    await world.add(
        attendees=[{"email": GRACE}],
        conference={"url": "https://call.example.com/1"},
        location="Room",
    )
    await world.converge()
    [copy] = [each for each in world.google.events(external) if each["status"] != "cancelled"]
    assert copy["location"] == "Room"
    assert "attendees" not in copy and "conferenceData" not in copy
    [original] = world.live()
    assert original["attendees"][0]["email"] == GRACE
    await world.assert_silent()


# Telling guests


async def ask(world: World, event: UUID, send_updates: str, **columns: Any) -> None:
    await world.edit(event, send_updates=send_updates, **columns)


async def test_nobody_is_told_unless_asked(world: World) -> None:
    event = await world.add(attendees=[{"email": GRACE}])
    await world.drain()
    await world.edit(event, title="Two")
    await world.drain()
    await world.remove(event)
    await world.drain()
    assert wishes(world) == ["none", "none", "none"]


async def test_a_wish_goes_with_its_change_alone(world: World) -> None:
    event = await world.add(attendees=[{"email": GRACE}], send_updates="all")
    await world.drain()
    await world.edit(event, title="Two")
    await world.drain()
    await ask(world, event, "external_only", title="Three")
    await world.drain()
    await world.edit(event, title="Four")
    await world.drain()
    await ask(world, event, "all", deleted_at=(await world.row(event))["created_at"])
    await world.drain()
    assert wishes(world) == ["all", "none", "externalOnly", "none", "all"]
    assert (await world.row(event))["send_updates"] is None


async def test_changes_that_travel_together_tell_as_many_as_one_of_them_asked(
    world: World,
) -> None:
    event = await world.add()
    await world.drain()
    await ask(world, event, "external_only", title="Two")
    await ask(world, event, "all", title="Three")
    await world.edit(event, title="Four")
    await world.drain()
    await ask(world, event, "none", title="Five")
    await world.drain()
    assert wishes(world) == ["none", "all", "none"]


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
async def test_a_push_that_is_repeated_keeps_the_wish(world: World, fault: str) -> None:
    event = await world.add()
    await world.drain()
    await ask(world, event, "all", title="Two")
    world.google.add_fault(fault, operation="events.patch")
    await world.drain()
    await world.hurry()
    await world.drain()
    await world.edit(event, title="Three")
    await world.converge()
    arrived = ["all", "all"] if fault == "drop_before" else ["all"]
    assert wishes(world) == ["none", *arrived, "none"]


async def test_a_worker_that_dies_leaves_the_wish(world: World) -> None:
    event = await world.add()
    await world.drain()
    await ask(world, event, "all", title="Two")
    await world.claim_one()
    await world.pool.execute("update sync_queue set lease_until = now() - interval '1 s'")
    await queue.release_expired(world.pool)
    await world.drain()
    assert wishes(world) == ["none", "all"]


async def test_a_wish_that_came_during_a_push_goes_with_the_next(world: World) -> None:
    event = await world.add()
    await world.drain()
    await world.edit(event, title="Two")
    task = await world.claim_one()
    await ask(world, event, "all", title="Three")
    await world.run(task)
    await world.drain()
    [there] = world.live()
    assert there["summary"] == "Three"
    assert wishes(world) == ["none", "all"]


async def test_an_upsert_may_ask_too(world: World) -> None:
    event = await world.add()
    await world.drain()
    await world.pool.execute(
        """
        insert into calendar_events (id, user_id, title, start_time, end_time, send_updates)
        values ($1, $2, 'Two', now(), now(), 'all')
        on conflict (id) do update set title = excluded.title, send_updates = excluded.send_updates
        """,
        event,
        world.user_id,
    )
    await world.drain()
    await world.edit(event, title="Three")
    await world.drain()
    assert wishes(world) == ["none", "all", "none"]


async def test_asking_changes_nothing_by_itself(world: World) -> None:
    event = await world.add()
    await world.drain()
    version = (await world.row(event))["version"]
    await ask(world, event, "all", title="Planning")
    await world.drain()
    assert (await world.row(event))["version"] == version
    await world.edit(event, title="Two")
    await world.drain()
    assert wishes(world) == ["none", "none"]


async def test_a_wish_that_nobody_knows_is_refused(world: World) -> None:
    with pytest.raises(Exception, match="send_updates: must be all, external_only or none"):
        await world.add(send_updates="everybody")
