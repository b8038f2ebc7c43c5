"""The worlds an emulator can start with."""

from __future__ import annotations

from sync_service.emulators.google.state import (
    Account,
    Calendar,
    Client,
    Entry,
    State,
)
from sync_service.emulators.google.world import World

CLIENT_ID = "calsync-dev.apps.googleusercontent.com"
CLIENT_SECRET = "calsync-dev-secret"  # noqa: S105
REDIRECT_URIS = (
    "http://localhost:8000/auth/google/callback",
    "http://127.0.0.1:8000/auth/google/callback",
)
ADA = "ada@example.com"
GRACE = "grace@example.com"
TEAM = "team-ada@group.calendar.google.com"
HOLIDAYS = "en.german#holiday@group.v.calendar.google.com"
_POPUP = {"method": "popup", "minutes": 10}


def add_account(world: World, email: str, name: str, time_zone: str, sub: str | None) -> Account:
    """A person with a primary calendar."""
    if world.state.account_by_email(email) is not None:
        raise ValueError(f"there is already an account {email}")
    random = world.random("account")
    sub = sub or "1" + "".join(str(random.randrange(10)) for _ in range(20))
    now = world.stamp()
    settings = {
        "timezone": time_zone,
        "locale": "en",
        "weekStart": "1",
        "format24HourTime": "true",
        "defaultEventLength": "60",
    }
    account = Account(
        sub=sub,
        email=email,
        name=name,
        settings=settings,
        settings_changed=dict.fromkeys(settings, now),
    )
    world.state.accounts[sub] = account
    calendar = add_calendar(world, account, email, email, time_zone)
    calendar.primary = True
    account.entries[email].default_reminders = [dict(_POPUP)]
    return account


def add_calendar(
    world: World,
    owner: Account,
    calendar_id: str | None,
    summary: str,
    time_zone: str,
    *,
    watchable: bool = True,
    role: str = "owner",
) -> Calendar:
    """A calendar in its owner's list; with a lower *role*, a subscription to a generated one."""
    now = world.stamp()
    calendar_id = calendar_id or f"c_{world.event_id()}@group.calendar.google.com"
    calendar = world.state.calendars.get(calendar_id)
    if calendar is None:
        calendar = Calendar(
            id=calendar_id,
            owner=owner.email,
            summary=summary,
            time_zone=time_zone,
            revision=now,
            updated=now,
            watchable=watchable,
            public_role=None if role == "owner" else role,
        )
        world.state.calendars[calendar_id] = calendar
    calendar.acl[owner.email.casefold()] = role
    color = str(len(owner.entries) % 24 + 1)
    owner.entries[calendar_id] = Entry(calendar_id, now, now, color_id=color)
    world.list_changed(owner)
    return calendar


def add_client(
    world: World,
    client_id: str = CLIENT_ID,
    secret: str = CLIENT_SECRET,
    redirect_uris: tuple[str, ...] = REDIRECT_URIS,
) -> Client:
    """A registered OAuth client."""
    client = Client(client_id, secret, list(redirect_uris))
    world.state.clients[client_id] = client
    return client


def demo(world: World) -> None:
    """Ada with three calendars, Grace with one, the development client; no events."""
    add_client(world)
    ada = add_account(world, ADA, "Ada Lovelace", "Europe/Berlin", "100000000000000000001")
    add_calendar(world, ada, TEAM, "Team", "Europe/Berlin")
    add_calendar(
        world,
        ada,
        HOLIDAYS,
        "Holidays in Germany",
        "Europe/Berlin",
        watchable=False,
        role="reader",
    )
    add_account(world, GRACE, "Grace Hopper", "America/New_York", "100000000000000000002")


def blank(seed: int) -> State:
    """A world with nobody in it."""
    return State(seed=seed)
