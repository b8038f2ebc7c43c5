"""Push channels: opening and stopping them, and the messages that changes give rise to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate
from random import Random
from urllib.parse import quote, urlsplit

from sync_service.emulators.google import oauth
from sync_service.emulators.google.clock import MICROS
from sync_service.emulators.google.errors import (
    ApiError,
    invalid,
    invalid_parameter,
    not_found,
    required,
)
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.resource import EVENT_TYPES
from sync_service.emulators.google.state import Channel, Json, as_object
from sync_service.emulators.google.world import Actor, World, rank

_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_TTL_S = 604_800


@dataclass(frozen=True, slots=True)
class Message:
    """One push message on its way.

    Attributes:
        delay_s: How long it is held back.
        dropped: Lost in normal operation; it is logged, never sent.
    """

    channel_id: str
    number: int
    resource_state: str
    address: str
    headers: dict[str, str]
    delay_s: float = 0.0
    dropped: bool = False


def watch(
    world: World,
    actor: Actor,
    kind: str,
    calendar_id: str | None,
    body: Json,
    query: Query,
    base_url: str,
) -> Channel:
    """Open a channel on a collection."""
    now = world.clock.micros()
    channel_id = _check(world, body)
    if kind == "events" and calendar_id is not None:
        calendar, _ = world.readable(actor, calendar_id)
        if not calendar.watchable:
            raise ApiError(
                400,
                "pushNotSupportedForRequestedResource",
                "Push notifications are not supported by this resource.",
                domain="calendar",
            )
        calendar_id = calendar.id
    kinds = query.many("eventTypes")
    if unknown := set(kinds) - EVENT_TYPES:
        raise invalid_parameter("eventTypes", f"Invalid string value: '{min(unknown)}'.")
    if channel_id in world.state.channels:
        old = world.state.channels[channel_id]
        live = not old.stopped and old.expires > now
        if live or not world.switches.reuse_stopped_channel_ids:
            raise ApiError(400, "channelIdNotUnique", f"Channel id {channel_id} not unique")
    limit = world.switches.max_channels
    live_channels = [c for c in world.state.channels.values() if _alive(world, c)]
    if limit is not None and len(live_channels) >= limit:
        raise ApiError(403, "quotaExceeded", "Too many channels.", domain="usageLimits")
    path = {
        "events": f"calendars/{quote(calendar_id or '', safe='')}/events",
        "calendarList": "users/me/calendarList",
        "settings": "users/me/settings",
    }[kind]
    parameters = "".join(f"&eventTypes={quote(name)}" for name in kinds)
    channel = Channel(
        id=channel_id,
        kind=kind,
        calendar_id=calendar_id,
        sub=actor.sub,
        client_id=actor.client_id or "",
        address=body["address"],
        token=body.get("token"),
        expires=_expires(world, body, now),
        resource_id=_resource_id(world, kind, calendar_id or actor.sub),
        resource_uri=f"{base_url}/calendar/v3/{path}?alt=json{parameters}",
        event_types=kinds,
    )
    world.state.channels[channel_id] = channel
    return channel


def resource(channel: Channel) -> Json:
    """The answer to a watch request."""
    out: Json = {
        "kind": "api#channel",
        "id": channel.id,
        "resourceId": channel.resource_id,
        "resourceUri": channel.resource_uri,
    }
    if channel.token is not None:
        out["token"] = channel.token
    out["expiration"] = str(channel.expires // 1000)
    return out


def stop(world: World, actor: Actor, body: Json) -> None:
    """Close a channel; only the user and client that opened it can."""
    channel_id, resource_id = body.get("id"), body.get("resourceId")
    if not channel_id or not resource_id:
        raise required("Required")
    channel = world.state.channels.get(str(channel_id))
    if (
        channel is None
        or channel.stopped
        or channel.expires <= world.clock.micros()
        or channel.resource_id != resource_id
        or (channel.sub, channel.client_id) != (actor.sub, actor.client_id)
    ):
        project = "unknown"
        if actor.client_id in world.state.clients:
            project = world.state.clients[actor.client_id].project
        raise not_found(f"Channel '{channel_id}' not found for project '{project}'")
    channel.stopped = True


def sync_message(world: World, channel: Channel) -> list[Message]:
    """The message that follows the opening of a channel."""
    return _compose(world, channel, "sync")


def announce(world: World) -> list[Message]:
    """The messages for everything that has changed since the last call."""
    if not (world.changed_events or world.changed_lists or world.changed_settings):
        return []
    messages: list[Message] = []
    for channel in world.state.channels.values():
        if channel.stopped or not _concerns(world, channel) or not _alive(world, channel):
            continue
        messages += _compose(world, channel, "exists")
    world.changed_events = {}
    world.changed_lists = set()
    world.changed_settings = set()
    return messages


def deliverable(world: World, message: Message) -> bool:
    """Whether a message that waited may still go out."""
    channel = world.state.channels.get(message.channel_id)
    if channel is None or channel.expires <= world.clock.micros():
        return False
    if channel.stopped and not world.switches.in_flight_after_stop:
        return False
    return world.switches.deliver_after_revoke or _permitted(world, channel)


def _check(world: World, body: Json) -> str:
    channel_id, address = body.get("id"), body.get("address")
    if not channel_id:
        raise required("Required")
    if not isinstance(channel_id, str) or not _ID.fullmatch(channel_id):
        raise invalid("Invalid channel id.")
    if body.get("type") not in ("web_hook", "webhook"):
        raise required("Required") if not body.get("type") else invalid("Invalid channel type.")
    if not isinstance(address, str) or not address:
        raise required("Required")
    try:
        parts = urlsplit(address)
    except ValueError:
        raise invalid("Invalid channel address.") from None
    local = parts.hostname in _LOOPBACK and world.switches.accept_loopback_http
    allowed = local or world.switches.accept_any_http
    if parts.scheme != "https" and not (parts.scheme == "http" and allowed):
        text = f"WebHook callback must be HTTPS: {address}"
        raise ApiError(400, "push.webhookUrlNotHttps", text)
    token = body.get("token")
    if token is not None and (not isinstance(token, str) or len(token) > 256):
        raise invalid("Invalid channel token.")
    return channel_id


def _expires(world: World, body: Json, now: int) -> int:
    lifetime = _DEFAULT_TTL_S * MICROS
    parameters = as_object(body.get("params")) or {}
    try:
        if "ttl" in parameters:
            lifetime = int(parameters["ttl"]) * MICROS
        if body.get("expiration") is not None:
            until = int(body["expiration"]) * 1000 - now
            lifetime = min(lifetime, until) if "ttl" in parameters else until
    except (TypeError, ValueError):
        raise invalid("Invalid channel expiration.") from None
    if lifetime <= 0:
        raise invalid("Invalid channel expiration.")
    return now + min(lifetime, world.switches.channel_max_lifetime_s * MICROS)


def _resource_id(world: World, kind: str, subject: str) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789_-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    source = Random(f"{world.state.seed}:{kind}:{subject}")  # noqa: S311
    return "".join(source.choices(letters, k=27))


def _concerns(world: World, channel: Channel) -> bool:
    if channel.kind == "calendarList":
        return channel.sub in world.changed_lists
    if channel.kind == "settings":
        return channel.sub in world.changed_settings
    kinds = world.changed_events.get(channel.calendar_id or "")
    return kinds is not None and (not channel.event_types or bool(kinds & {*channel.event_types}))


def _alive(world: World, channel: Channel) -> bool:
    if channel.stopped or channel.expires <= world.clock.micros():
        return False
    return world.switches.deliver_after_revoke or _permitted(world, channel)


def _permitted(world: World, channel: Channel) -> bool:
    account = world.state.accounts.get(channel.sub)
    if account is None or not oauth.has_grant(world, channel.sub, channel.client_id):
        return False
    if channel.calendar_id is None:
        return True
    calendar = world.state.calendars.get(channel.calendar_id)
    if calendar is None:
        return False
    return rank(world.role(Actor(account.sub, account.email), calendar)) >= rank("freeBusyReader")


def _compose(world: World, channel: Channel, state: str) -> list[Message]:
    switches = world.switches
    random = world.random("message")
    gap = random.randint(0, switches.message_number_gap) if channel.number else 0
    channel.number += 1 + gap
    headers = {
        "X-Goog-Channel-ID": channel.id,
        "X-Goog-Channel-Expiration": formatdate(channel.expires / MICROS, usegmt=True),
        "X-Goog-Message-Number": str(channel.number),
        "X-Goog-Resource-ID": channel.resource_id,
        "X-Goog-Resource-State": state,
        "X-Goog-Resource-URI": channel.resource_uri,
    }
    if channel.token is not None:
        headers["X-Goog-Channel-Token"] = channel.token
    copies = 2 if random.random() < switches.webhook_duplicate_rate else 1
    messages: list[Message] = []
    for _ in range(copies):
        low, high = switches.webhook_delay_s
        delay = random.uniform(low, high)
        if random.random() < switches.webhook_reorder_rate:
            delay += random.uniform(0.05, 0.5)
        messages.append(
            Message(
                channel.id,
                channel.number,
                state,
                channel.address,
                headers,
                delay,
                dropped=random.random() < switches.webhook_drop_rate,
            )
        )
    return messages
