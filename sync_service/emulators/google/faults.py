"""Faults on demand: which request they hit, and what goes wrong."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from sync_service.emulators.google.errors import ApiError
from sync_service.emulators.google.wire import Reply, html_reply, json_reply
from sync_service.emulators.google.world import World

Kind = Literal[
    "error",
    "delay",
    "drop_before",
    "drop_after",
    "error_after",
    "html",
    "lag",
    "expire_sync_token",
    "pages",
    "revoke",
]


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that goes wrong, for the first *count* requests that match.

    Attributes:
        kind: What happens. `error`, `html` and `drop_before` replace the request; `drop_after` and
            `error_after` let it take effect first; the others change how it is answered.
        operation: A method id such as `events.insert`, or `oauth.token`; a regular expression.
        method: The HTTP method.
        path: A regular expression searched in the decoded path.
        account: Only this person's requests.
        calendar: Only requests on this calendar (as spelled in the path).
        skip: Let this many matching requests pass first.
        count: How many requests are hit; None never ends.
        probability: Chance for each matching request, from the seed.
        status: For `error`, `error_after` and `html`.
        reason: Goes to `errors[].reason`, or is the `error` of an OAuth answer.
        envelope: "A" of the Calendar backend or "B" of the API front end.
        retry_after: Seconds for a `Retry-After` header.
        seconds: For `delay` (real time) and `lag` (emulated time).
        sizes: For `pages`: the largest size of each successive page, 0 for an empty one.
    """

    kind: Kind
    operation: str | None = None
    method: str | None = None
    path: str | None = None
    account: str | None = None
    calendar: str | None = None
    skip: int = 0
    count: int | None = 1
    probability: float = 1.0
    status: int = 503
    reason: str = "backendError"
    message: str = "Backend Error"
    domain: str = "global"
    location: str | None = None
    location_type: str | None = None
    envelope: Literal["A", "B"] = "A"
    retry_after: int | None = None
    seconds: float = 0.0
    sizes: list[int] = []
    body: str | None = None
    id: int = 0
    hits: int = 0


class Subject(msgspec.Struct, frozen=True):
    """What a fault can match on."""

    operation: str
    method: str
    path: str
    account: str | None
    calendar: str | None


class Faults:
    """The ordered list of faults; each request is hit by every fault that matches it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._next = 1

    def add(self, fault: Fault) -> Fault:
        """Arm a fault."""
        fault.id = self._next
        self._next += 1
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int) -> bool:
        """Disarm one fault."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault.id != fault_id]
        return len(self._faults) < before

    def clear(self) -> None:
        """Disarm all."""
        self._faults = []

    def armed(self) -> list[Fault]:
        """The faults still to come."""
        return list(self._faults)

    def take(self, world: World, subject: Subject) -> list[Fault]:
        """The faults that hit this request; spent ones disappear."""
        if not self._faults:
            return []
        hit: list[Fault] = []
        for fault in self._faults:
            if not _matches(fault, subject):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.probability < 1 and world.random("fault").random() >= fault.probability:
                continue
            fault.hits += 1
            hit.append(fault)
        self._faults = [f for f in self._faults if f.count is None or f.hits < f.count]
        return hit


def _matches(fault: Fault, subject: Subject) -> bool:
    return (
        (fault.operation is None or re.fullmatch(fault.operation, subject.operation) is not None)
        and (fault.method is None or fault.method.upper() == subject.method)
        and (fault.path is None or re.search(fault.path, subject.path) is not None)
        and (fault.account is None or fault.account == subject.account)
        and (fault.calendar is None or fault.calendar == subject.calendar)
    )


def answer(fault: Fault, operation: str) -> Reply:
    """The reply of a fault that answers in the service's place."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.kind in {"drop_before", "drop_after"}:
        return Reply(fault.status, drop=True)
    if fault.kind == "html":
        page = fault.body or f"<html><title>Error {fault.status}</title><p>Server Error</p></html>"
        reply = html_reply(page, fault.status)
        reply.headers |= headers
        return reply
    if operation.startswith("oauth."):
        body = {"error": fault.reason, "error_description": fault.message}
        return json_reply(body, fault.status, headers=headers)
    error = ApiError(
        fault.status,
        fault.reason,
        fault.message,
        domain=fault.domain,
        location=fault.location,
        location_type=fault.location_type,
        envelope=fault.envelope,
    )
    if fault.envelope == "B" and fault.domain == "usageLimits":
        error.detail = {"reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com"}
    return json_reply(error.body(), fault.status, pretty=True, headers=headers)
