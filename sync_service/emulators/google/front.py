"""The front end: from a request to a reply, through authorisation, quota, faults and the log."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote

from sync_service.emulators.google import batch, channels, consent, identity, limits, oauth
from sync_service.emulators.google.emulator import Emulator, LogEntry
from sync_service.emulators.google.errors import (
    ApiError,
    OAuthError,
    auth_error,
    insufficient_scopes,
)
from sync_service.emulators.google.faults import Fault, Subject, answer
from sync_service.emulators.google.fields import select
from sync_service.emulators.google.operations import Call, Operation, find
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.state import Json
from sync_service.emulators.google.wire import Reply, Request, html_reply, json_reply, redirect
from sync_service.emulators.google.world import Actor

_PREFIX = "/calendar/v3/"
_BATCH = "/batch/calendar/v3"
_INSTEAD = frozenset({"error", "html", "drop_before"})
_AFTERWARDS = frozenset({"error_after", "drop_after"})
_OAUTH = {
    ("GET", "/o/oauth2/v2/auth"): "oauth.authorize",
    ("POST", "/o/oauth2/v2/auth"): "oauth.consent",
    ("POST", "/token"): "oauth.token",
    ("POST", "/revoke"): "oauth.revoke",
    ("GET", "/oauth2/v3/certs"): "oauth.certs",
    ("GET", "/oauth2/v3/userinfo"): "oauth.userinfo",
    ("GET", "/openidconnect/v1/userinfo"): "oauth.userinfo",
    ("GET", "/tokeninfo"): "oauth.tokeninfo",
    ("GET", "/.well-known/openid-configuration"): "oauth.metadata",
}


def handle(emulator: Emulator, request: Request) -> Reply:
    """Answer one request."""
    emulator.tick()
    path = request.path
    if path.startswith(_PREFIX):
        return _calendar_api(emulator, request)
    if path.rstrip("/") == _BATCH and request.method == "POST":
        return batch.handle(emulator, request, lambda part: _calendar_api(emulator, part))
    operation = _OAUTH.get((request.method, path))
    if operation is not None:
        return _with_faults(emulator, request, operation)
    return html_reply("<html><title>Error 404 (Not Found)!!1</title></html>", 404)


def _calendar_api(emulator: Emulator, request: Request) -> Reply:
    world = emulator.world
    segments = [unquote(part) for part in request.path.removeprefix(_PREFIX).split("/")]
    found = find(request.method, segments)
    if found is None:
        return html_reply("<html><title>Error 404 (Not Found)!!1</title></html>", 404)
    operation, ids = found
    actor = oauth.actor_of(world, request.bearer() or "")
    subject = Subject(
        operation.id,
        request.method,
        unquote(request.path),
        None if actor is None else actor.email,
        ids.get("calendar"),
    )
    faults = emulator.faults.take(world, subject)
    entry = LogEntry(
        at=world.clock.seconds(),
        account=subject.account,
        method=request.method,
        path=subject.path,
        query="&".join(f"{name}={value}" for name, value in request.query.pairs),
        operation=operation.id,
        calendar=subject.calendar,
        event=ids.get("event"),
        status=0,
        units=operation.units,
        write=operation.writes,
    )
    emulator.calls.append(entry)
    reply = next((answer(f, operation.id) for f in faults if f.kind in _INSTEAD), None)
    if reply is None:
        call_faults = _CallFaults(emulator, actor, ids, faults)
        try:
            reply = _execute(emulator, request, operation, ids, call_faults)
        except ApiError as error:
            entry.reason = error.reason
            pretty = request.query.text("prettyPrint") != "false"
            reply = json_reply(error.body(), error.status, pretty=pretty, headers=error.headers)
        finally:
            world.lag_s = 0.0
        reply = next((answer(f, operation.id) for f in faults if f.kind in _AFTERWARDS), reply)
    reply.delay_s = sum(f.seconds for f in faults if f.kind == "delay")
    entry.status = 0 if reply.drop else reply.status
    return reply


class _CallFaults:
    """The faults that change how a call is carried out, applied as it begins."""

    def __init__(
        self, emulator: Emulator, actor: Actor | None, ids: dict[str, str], faults: list[Fault]
    ) -> None:
        world = emulator.world
        self.page_items: int | None = None
        for fault in faults:
            if fault.kind == "lag":
                world.lag_s = fault.seconds
            elif fault.kind == "pages" and fault.sizes:
                self.page_items = fault.sizes[min(fault.hits, len(fault.sizes)) - 1]
            elif fault.kind == "revoke" and actor is not None and actor.client_id:
                oauth.end_grant(world, actor.sub, actor.client_id)
            elif fault.kind == "expire_sync_token":
                name = ids.get("calendar")
                name = actor.email if name == "primary" and actor is not None else name
                emulator.expire_sync_tokens(name)


def _execute(
    emulator: Emulator,
    request: Request,
    operation: Operation,
    ids: dict[str, str],
    faults: _CallFaults,
) -> Reply:
    world = emulator.world
    actor = oauth.actor_of(world, request.bearer() or "")
    if actor is None or actor.scopes is None or actor.client_id is None:
        raise auth_error()
    if not actor.scopes & operation.scopes:
        raise insufficient_scopes(operation.id)
    project = world.state.clients[actor.client_id].project
    emulator.limits.charge(world, project, actor.email, operation.units)
    if operation.writes:
        limits.check_use(world, world.account(actor))
        calendar, _ = world.readable(actor, ids["calendar"])
        emulator.limits.count_write(world, calendar.id)
    call = Call(world, actor, ids, request, faults.page_items)
    value = operation.run(call)
    emulator.commit()
    reply = _reply(request, value)
    if call.opened is not None:
        for message in channels.sync_message(world, call.opened):
            emulator.send(message)
        reply.settle = world.switches.sync_message_before_response
    return reply


def _reply(request: Request, value: Json | None) -> Reply:
    if value is None:
        return Reply(204)
    headers: dict[str, str] = {}
    if "etag" in value:
        headers["ETag"] = value["etag"]
        wanted = request.headers.get("if-none-match")
        if request.method == "GET" and wanted is not None and wanted == value["etag"]:
            return Reply(304, headers=headers)
    if selector := request.query.text("fields"):
        value = select(selector, value)
    pretty = request.query.text("prettyPrint") != "false"
    return json_reply(value, pretty=pretty, headers=headers)


def _with_faults(emulator: Emulator, request: Request, operation: str) -> Reply:
    subject = Subject(operation, request.method, request.path, None, None)
    faults = emulator.faults.take(emulator.world, subject)
    reply = next((answer(f, operation) for f in faults if f.kind in _INSTEAD), None)
    if reply is None:
        try:
            reply = _oauth(emulator, request, operation)
        except OAuthError as error:
            reply = json_reply(error.body(), error.status, pretty=True)
        except ApiError as error:
            reply = json_reply(error.body(), error.status, pretty=True, headers=error.headers)
        reply = next((answer(f, operation) for f in faults if f.kind in _AFTERWARDS), reply)
    reply.delay_s = sum(f.seconds for f in faults if f.kind == "delay")
    emulator.calls.append(
        LogEntry(
            at=emulator.clock.seconds(),
            account=None,
            method=request.method,
            path=request.path,
            query="",
            operation=operation,
            calendar=None,
            event=None,
            status=0 if reply.drop else reply.status,
            units=0,
            write=False,
        )
    )
    return reply


def _oauth(emulator: Emulator, request: Request, operation: str) -> Reply:
    world = emulator.world
    if operation == "oauth.authorize":
        return _authorize(emulator, request.query)
    if operation == "oauth.consent":
        return _consent(emulator, Query.parse(request.body.decode()))
    if operation == "oauth.token":
        form = Query.parse(request.body.decode())
        return json_reply(oauth.token(world, form, _basic(request)), pretty=True)
    if operation == "oauth.revoke":
        form = Query.parse(request.body.decode())
        oauth.revoke(world, form.text("token") or request.query.text("token"))
        return json_reply({})
    if operation == "oauth.certs":
        return json_reply(identity.certificates(world), pretty=True)
    if operation == "oauth.tokeninfo":
        text = request.query.text("access_token") or ""
        return json_reply(oauth.token_info(world, text), pretty=True)
    if operation == "oauth.metadata":
        return json_reply(identity.metadata(request.base_url), pretty=True)
    actor = oauth.actor_of(world, request.bearer() or "")
    if actor is None:
        raise OAuthError(401, "invalid_request", "Invalid Credentials")
    return json_reply(identity.user_info(world, actor), pretty=True)


def _authorize(emulator: Emulator, query: Query) -> Reply:
    asked = oauth.consent_request(emulator.world, query)
    if isinstance(asked, oauth.ConsentFault):
        return html_reply(consent.fault_page(asked), 400)
    location = oauth.silent_answer(emulator.world, asked)
    if location is not None:
        return redirect(location)
    return html_reply(consent.consent_page(emulator.world, asked))


def _consent(emulator: Emulator, form: Query) -> Reply:
    world = emulator.world
    asked = oauth.consent_request(world, consent.without_choices(form))
    if isinstance(asked, oauth.ConsentFault):
        return html_reply(consent.fault_page(asked), 400)
    account = world.state.accounts.get(form.text("account") or "")
    if form.text("decision") != "allow" or account is None:
        return redirect(oauth.refuse(asked))
    return redirect(oauth.approve(world, asked, account, form.many("granted")))


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote(name), unquote(secret)
