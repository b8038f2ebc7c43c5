"""Why an event is, or is not, in a calendar: one plain sentence from what is on record.

What stands in the way of everything else comes first: the connection, then the calendar, then this
event's copy and its work in the queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class EventFacts:
    """The event itself: *gone* when it is deleted or called off here."""

    gone: bool
    ends_at: datetime | None = None
    repeats: bool = False


@dataclass(frozen=True)
class CalendarFacts:
    """A calendar and its connection.

    *belongs* says that it should hold the event, *reading* that it is being read or soon will be.
    """

    name: str
    belongs: bool
    reading: bool = False
    account: str | None = None
    connection: str = "active"
    enabled: bool = True
    direction: str = "two_way"
    state: str = "healthy"
    state_reason: str | None = None
    unsyncable_reason: str | None = None


@dataclass(frozen=True)
class Fault:
    """What went wrong last: a stable code and a sentence."""

    code: str
    detail: str


@dataclass(frozen=True)
class CopyFacts:
    """The mapping: *status* is pending, synced, conflict, failed or deleted."""

    status: str
    synced_at: datetime | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class WorkFacts:
    """The queue row that is not completed: *status* is pending, processing or failed."""

    status: str
    since: datetime
    next_try_at: datetime
    reason: str | None = None
    attempts: int = 0
    fault: Fault | None = None


NO_ACCOUNT = "It is only here: no calendar account is connected."
NO_TARGET = (
    "It is only here: it names no calendar, and none is the default target; choose one of the two."
)
GONE_HERE = "It is deleted here, and no calendar holds a copy."

_BECAUSE = {
    "created": "it was created",
    "updated": "it was changed",
    "deleted": "it was deleted",
    "merged": "changes of both sides were merged",
    "adopted": "the calendar began to take it",
    "look_again": "the other side has to be read once more",
    "resolved": "a conflict was settled",
    "brought_back": "its deletion was refused",
}
_REMEDIES = {
    "provider_forbidden": "Check how the calendar is shared, then retry.",
    "remote_read_only": "Undo the change here.",
    "ids_exhausted": "Copy the event and delete this one.",
    "moves_too_often": "Find what keeps changing it, then retry.",
}
_ANY_REMEDY = "Edit the event, or retry."
_READING = frozenset({"connecting", "importing", "catching_up"})


def explain(
    event: EventFacts,
    calendar: CalendarFacts,
    copy: CopyFacts | None,
    work: WorkFacts | None,
    *,
    now: datetime,
    window_start: datetime,
) -> str:
    """Say in one sentence how it stands between *event* and *calendar*.

    Events that ended before *window_start* are not brought to a calendar by themselves.
    """
    held = copy is not None and copy.status in ("synced", "failed", "conflict")
    if work is None and copy is not None and event.gone and copy.status == "deleted":
        return f"It is deleted in “{calendar.name}” too{_at(copy.synced_at)}."
    if hindrance := _hindrance(calendar):
        return hindrance + (" The copy there stays as it is meanwhile." if held else "")
    if copy is not None and copy.status == "conflict":
        return (
            f"Here and in “{calendar.name}” it was changed differently; neither side moves until "
            "you settle the conflict."
        )
    if work is not None and work.status == "failed":
        return _failed(calendar, work.fault or (copy.fault if copy else None))
    if calendar.direction == "pull":
        return _read_only(event, calendar, copy if held else None)
    if work is not None:
        return _waiting(calendar, work, now)
    if copy is not None and copy.status == "failed":
        return _failed(calendar, copy.fault)
    if copy is not None and copy.status == "synced":
        return f"It is in sync with “{calendar.name}”{_at(copy.synced_at, 'last ')}."
    return _absent(event, calendar, window_start)


def _hindrance(calendar: CalendarFacts) -> str | None:
    """What keeps the whole calendar from working."""
    name = f"“{calendar.name}”"
    account = calendar.account or "its account"
    if calendar.connection == "disconnected" or calendar.state == "disconnected":
        return f"{name} is disconnected; connect {account} again to go on."
    if calendar.connection == "reconnect_needed":
        return f"{name} waits: {account} must be connected again."
    if calendar.unsyncable_reason is not None:
        return f"{name} cannot be synced: {_ended(calendar.unsyncable_reason)}"
    if not calendar.enabled:
        return f"{name} is turned off; turn it on to sync it."
    if calendar.state == "paused":
        reason = calendar.state_reason or "resume it to go on."
        return f"{name} is paused: {_ended(reason)}"
    if calendar.state == "action_required":
        reason = calendar.state_reason or "it is out of reach."
        return f"{name} needs you: {_ended(reason)}"
    return None


def _failed(calendar: CalendarFacts, fault: Fault | None) -> str:
    if fault is None:
        return f"“{calendar.name}” did not take it. {_ANY_REMEDY}"
    remedy = _REMEDIES.get(fault.code, _ANY_REMEDY)
    return f"“{calendar.name}” did not take it: {_ended(fault.detail)} {remedy}"


def _read_only(event: EventFacts, calendar: CalendarFacts, held: CopyFacts | None) -> str:
    name = f"“{calendar.name}”"
    if held is None:
        return f"{name} is only read, so events from here are not sent there."
    if event.gone:
        return f"It is deleted here; {name} is only read, so the copy there stays."
    return (
        f"It is as {name} has it{_at(held.synced_at, 'last read ')}; that calendar is only read, "
        "so changes made here stay here."
    )


def _waiting(calendar: CalendarFacts, work: WorkFacts, now: datetime) -> str:
    if work.status == "processing":
        return f"It is being sent to “{calendar.name}” right now."
    because = _BECAUSE.get(work.reason or "")
    said = f"It waits to be sent to “{calendar.name}” since {_moment(work.since)}"
    if because:
        said += f", because {because}"
    if work.fault is not None:
        tries = f" (tried {_times(work.attempts)})" if work.attempts else ""
        said += f"; the last try met: {_ended(work.fault.detail)[:-1]}{tries}"
    elif calendar.state == "delayed" and calendar.state_reason:
        said += f"; the calendar is delayed: {_ended(calendar.state_reason)[:-1]}"
    following = (
        f"next try at {_moment(work.next_try_at)}" if work.next_try_at > now else "it is due"
    )
    return f"{said}; {following}."


def _absent(event: EventFacts, calendar: CalendarFacts, window_start: datetime) -> str:
    name = f"“{calendar.name}”"
    if event.gone:
        return f"It is deleted here and was never in {name}."
    if not calendar.belongs:
        return f"It does not belong to {name}."
    ended = event.ends_at is not None and event.ends_at <= window_start and not event.repeats
    if ended:
        return f"It ended before {window_start:%Y-%m-%d}, where syncing with {name} begins."
    if calendar.state == "delayed" and calendar.state_reason:
        return f"It is not in {name} yet, which is delayed: {_ended(calendar.state_reason)}"
    if calendar.reading or calendar.state in _READING:
        return f"It is not in {name} yet, which is being read first; the event follows."
    return f"It is not in {name} and nothing waits; sync the calendar now, or edit the event."


def _at(moment: datetime | None, words: str = "") -> str:
    return "" if moment is None else f", {words}at {_moment(moment)}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ended(text: str) -> str:
    """Return *text* as a sentence's end."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
