"""The control API under `/_emulator`: everything `Emulator` can do, as JSON over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from sync_service.emulators.google.courier import Courier
from sync_service.emulators.google.emulator import Emulator
from sync_service.emulators.google.errors import ApiError
from sync_service.emulators.google.state import AutoConsent, Json
from sync_service.emulators.google.wire import Reply, Request, json_reply

_PREFIX = "/_emulator/"
Handler = Callable[["Control", Json, list[str]], Any]


class Control:
    """Answers control requests for one emulator and its courier."""

    def __init__(self, emulator: Emulator, courier: Courier) -> None:
        self.emulator = emulator
        self.courier = courier

    def handle(self, request: Request) -> Reply:
        """Answer one control request."""
        path = request.path.removeprefix(_PREFIX).strip("/")
        for method, pattern, handler in _ROUTES:
            match = re.fullmatch(pattern, "/".join(request.segments()[1:]))
            if method != request.method or match is None:
                continue
            try:
                body = request.json() | dict(request.query.pairs)
                return json_reply(handler(self, body, list(match.groups())))
            except ApiError as error:
                return json_reply(error.body(), error.status)
            except KeyError as error:
                return json_reply({"error": f"unknown or missing: {error.args[0]}"}, 404)
            except (ValueError, TypeError, AttributeError, msgspec.MsgspecError) as error:
                return json_reply({"error": str(error)}, 400)
        return json_reply({"error": f"no control route {request.method} {path}"}, 404)


def _overview(control: Control, _body: Json, _ids: list[str]) -> Json:
    emulator = control.emulator
    state = emulator.world.state
    return {
        "accounts": [
            {"email": a.email, "sub": a.sub, "name": a.name, "calendars": list(a.entries)}
            for a in state.accounts.values()
        ],
        "calendars": [
            {"id": c.id, "summary": c.summary, "owner": c.owner, "roles": c.acl}
            for c in state.calendars.values()
        ],
        "clients": [msgspec.to_builtins(c) for c in state.clients.values()],
        "channels": [msgspec.to_builtins(c) for c in state.channels.values()],
        "auto_consent": msgspec.to_builtins(state.auto_consent),
        "now": emulator.clock.seconds(),
    }


def _reset(control: Control, _body: Json, _ids: list[str]) -> Json:
    control.emulator.reset()
    control.courier.log.clear()
    return {}


def _create_account(control: Control, body: Json, _ids: list[str]) -> Json:
    account = control.emulator.create_account(
        body["email"], body.get("name"), body.get("time_zone", "UTC"), body.get("sub")
    )
    return {"email": account.email, "sub": account.sub}


def _create_calendar(control: Control, body: Json, _ids: list[str]) -> Json:
    calendar = control.emulator.create_calendar(
        body["owner"],
        body["summary"],
        calendar_id=body.get("id"),
        time_zone=body.get("time_zone", "UTC"),
        watchable=body.get("watchable", True),
        role=body.get("role", "owner"),
    )
    return {"id": calendar.id}


def _delete_calendar(control: Control, _body: Json, ids: list[str]) -> Json:
    control.emulator.delete_calendar(ids[0])
    return {}


def _share(control: Control, body: Json, ids: list[str]) -> Json:
    control.emulator.share(ids[0], body["email"], body["role"], listed=body.get("listed", True))
    return {}


def _purge(control: Control, _body: Json, ids: list[str]) -> Json:
    return {"purged": control.emulator.purge_tombstones(ids[0])}


def _expire(control: Control, body: Json, _ids: list[str]) -> Json:
    control.emulator.expire_sync_tokens(body.get("calendar"))
    return {}


def _events(control: Control, _body: Json, ids: list[str]) -> Json:
    return {"items": control.emulator.events(ids[0])}


def _ui_insert(control: Control, body: Json, ids: list[str]) -> Json:
    person = control.emulator.person(ids[0])
    return person.insert(body["event"], body.get("calendar", "primary"))


def _ui_patch(control: Control, body: Json, ids: list[str]) -> Json:
    person = control.emulator.person(ids[0])
    return person.patch(ids[1], body["changes"], body.get("calendar", "primary"))


def _ui_delete(control: Control, body: Json, ids: list[str]) -> Json:
    control.emulator.person(ids[0]).delete(ids[1], body.get("calendar", "primary"))
    return {}


def _ui_move(control: Control, body: Json, ids: list[str]) -> Json:
    person = control.emulator.person(ids[0])
    return person.move(ids[1], body["destination"], body.get("calendar", "primary"))


def _ui_split(control: Control, body: Json, ids: list[str]) -> Json:
    person = control.emulator.person(ids[0])
    return person.split(ids[1], body["changes"], body.get("calendar", "primary"))


def _ui_delete_following(control: Control, body: Json, ids: list[str]) -> Json:
    person = control.emulator.person(ids[0])
    person.delete_following(ids[1], body.get("calendar", "primary"))
    return {}


def _ui_respond(control: Control, body: Json, ids: list[str]) -> Json:
    person = control.emulator.person(ids[0])
    return person.respond(ids[1], body["response"], body.get("calendar", "primary"))


def _ui_entry(control: Control, body: Json, ids: list[str]) -> Json:
    return control.emulator.person(ids[0]).entry(ids[1], **body)


def _ui_revoke(control: Control, body: Json, ids: list[str]) -> Json:
    control.emulator.person(ids[0]).revoke(body["client_id"])
    return {}


def _register_client(control: Control, body: Json, _ids: list[str]) -> Json:
    client = control.emulator.register_client(**body)
    return {"client_id": client.id}


def _auto_consent(control: Control, body: Json, _ids: list[str]) -> Json:
    consent = msgspec.convert({"enabled": True, **body}, AutoConsent)
    control.emulator.world.state.auto_consent = consent
    return msgspec.to_builtins(consent)


def _tokens(control: Control, body: Json, _ids: list[str]) -> Json:
    emulator = control.emulator
    client = {"client_id": body["client_id"]} if "client_id" in body else {}
    access, refresh = emulator.issue_tokens(body["email"], body["scopes"], **client)
    return {"access_token": access, "refresh_token": refresh}


def _calls(control: Control, body: Json, _ids: list[str]) -> Json:
    calls = [
        call
        for call in control.emulator.calls
        if all(str(getattr(call, name)) == str(value) for name, value in body.items())
    ]
    return {"items": msgspec.to_builtins(calls)}


def _clear_calls(control: Control, _body: Json, _ids: list[str]) -> Json:
    control.emulator.calls.clear()
    return {}


def _webhooks(control: Control, _body: Json, _ids: list[str]) -> Json:
    return {"items": msgspec.to_builtins(list(control.courier.log))}


def _clear_webhooks(control: Control, _body: Json, _ids: list[str]) -> Json:
    control.courier.log.clear()
    return {}


def _quota(control: Control, _body: Json, _ids: list[str]) -> Json:
    return control.emulator.limits.spent(control.emulator.world)


def _faults(control: Control, _body: Json, _ids: list[str]) -> Json:
    return {"items": msgspec.to_builtins(control.emulator.faults.armed())}


def _add_fault(control: Control, body: Json, _ids: list[str]) -> Json:
    return msgspec.to_builtins(control.emulator.add_fault(**body))


def _clear_faults(control: Control, _body: Json, _ids: list[str]) -> Json:
    control.emulator.faults.clear()
    return {}


def _remove_fault(control: Control, _body: Json, ids: list[str]) -> Json:
    return {"removed": control.emulator.faults.remove(int(ids[0]))}


def _switches(control: Control, body: Json, _ids: list[str]) -> Json:
    return msgspec.to_builtins(control.emulator.configure(**body))


def _clock(control: Control, body: Json, _ids: list[str]) -> Json:
    clock = control.emulator.clock
    if "freeze" in body:
        at = body["freeze"]
        clock.freeze(None if isinstance(at, bool) else at)
    if "run" in body:
        at = body["run"]
        clock.run(None if isinstance(at, bool) else at)
    if "advance" in body:
        clock.advance(float(body["advance"]))
    control.emulator.tick()
    return {"now": clock.seconds(), "frozen": clock.frozen}


def _dump(control: Control, _body: Json, _ids: list[str]) -> Any:
    return msgspec.Raw(control.emulator.dump())


def _restore(control: Control, body: Json, _ids: list[str]) -> Json:
    control.emulator.restore(msgspec.json.encode(body))
    return {}


_CALENDAR = "calendars/([^/]+)"
_PERSON = "people/([^/]+)"
_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "", _overview),
    ("POST", "reset", _reset),
    ("GET", "state", _dump),
    ("PUT", "state", _restore),
    ("POST", "accounts", _create_account),
    ("POST", "calendars", _create_calendar),
    ("DELETE", _CALENDAR, _delete_calendar),
    ("POST", _CALENDAR + "/share", _share),
    ("POST", _CALENDAR + "/purge", _purge),
    ("GET", _CALENDAR + "/events", _events),
    ("POST", "sync-tokens/expire", _expire),
    ("POST", _PERSON + "/events", _ui_insert),
    ("PATCH", _PERSON + "/events/([^/]+)", _ui_patch),
    ("DELETE", _PERSON + "/events/([^/]+)", _ui_delete),
    ("POST", _PERSON + "/events/([^/]+)/move", _ui_move),
    ("POST", _PERSON + "/events/([^/]+)/split", _ui_split),
    ("DELETE", _PERSON + "/events/([^/]+)/following", _ui_delete_following),
    ("POST", _PERSON + "/events/([^/]+)/respond", _ui_respond),
    ("PATCH", _PERSON + "/calendar-list/(.+)", _ui_entry),
    ("POST", _PERSON + "/revoke", _ui_revoke),
    ("POST", "clients", _register_client),
    ("PUT", "auto-consent", _auto_consent),
    ("POST", "tokens", _tokens),
    ("GET", "calls", _calls),
    ("DELETE", "calls", _clear_calls),
    ("GET", "webhooks", _webhooks),
    ("DELETE", "webhooks", _clear_webhooks),
    ("GET", "quota", _quota),
    ("GET", "faults", _faults),
    ("POST", "faults", _add_fault),
    ("DELETE", "faults", _clear_faults),
    ("DELETE", r"faults/(\d+)", _remove_fault),
    ("GET", "switches", _switches),
    ("PATCH", "switches", _switches),
    ("POST", "clock", _clock),
    ("GET", "clock", _clock),
)
