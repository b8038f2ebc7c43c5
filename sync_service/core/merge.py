"""Three versions become one: the base on which both sides agreed, ours now, theirs now.

A unit that only one side changed is taken from that side. A unit that both changed alike is no
conflict. Guests merge by address, attachments by theirs, metadata by key, reminders and recurrence
lines by themselves, so two people adding different guests both succeed. A conference that was asked
for and then made is one change, not two. Only a unit that went two ways is a conflict; *prefer*
says who wins it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import msgspec

from sync_service.core.event import Attendee, Content, Reminder, Reminders, take_units
from sync_service.core.fingerprint import (
    canonical,
    changed_units,
    conference_state,
    json_text,
    recurrence_line,
)

Winner = Literal["local", "remote"]
V = TypeVar("V")
_ABSENT: Any = object()
_NOTHING = Content(start=datetime.fromtimestamp(0, UTC), end=datetime.fromtimestamp(0, UTC))


@dataclass(frozen=True)
class Merged:
    """The merged *content*; *conflicts* names the units that went two ways."""

    content: Content
    conflicts: frozenset[str]


def merge(
    base: Content | None,
    local: Content,
    remote: Content,
    units: frozenset[str],
    *,
    prefer: Winner,
) -> Merged:
    """Merge what changed since *base* on both sides, looking at *units* only.

    The other units stay as they are locally. Without a base (two events meet for the first time)
    an empty value gives way to a filled one, and all else that differs is a conflict.
    """
    agreed = base or Content(start=local.start, end=local.end)
    ours = changed_units(agreed, local, units)
    theirs = changed_units(agreed, remote, units)
    if base is None and changed_units(local, remote, frozenset({"time"})):
        ours, theirs = ours | {"time"}, theirs | {"time"}
    both = ours & theirs & changed_units(local, remote, units)

    content = take_units(local, remote, theirs - ours)
    conflicts: set[str] = set()
    for unit in sorted(both):
        content, clash = _merge_unit(unit, agreed, local, remote, content, prefer)
        if clash:
            conflicts.add(unit)
    return Merged(content, frozenset(conflicts & units))


def with_landed(
    base: Content | None, sent: Content, remote: Content, units: frozenset[str]
) -> Content:
    """Return *base* (nothing, where there was none) moved on by what we sent, as far as it shows.

    The answer to a write was lost. A unit that reads there as we sent it is our own doing and no
    edit of theirs; the others never arrived, or were edited since.
    """
    return take_units(base or _NOTHING, sent, units - changed_units(sent, remote, units))


def _merge_unit(
    unit: str, base: Content, local: Content, remote: Content, into: Content, prefer: Winner
) -> tuple[Content, bool]:
    if unit == "attendees":
        guests, clash = _merge_keyed(
            _by_address(base), _by_address(local), _by_address(remote), prefer
        )
        return msgspec.structs.replace(into, attendees=tuple(guests.values())), clash
    if unit == "metadata":
        metadata, clash = _merge_keyed(base.metadata, local.metadata, remote.metadata, prefer)
        return msgspec.structs.replace(into, metadata=metadata), clash
    if unit == "attachments":
        files, clash = _merge_keyed(_by_url(base), _by_url(local), _by_url(remote), prefer)
        return msgspec.structs.replace(into, attachments=tuple(files.values())), clash
    if unit == "conference" and (side := _unconcerned(base, local, remote)):
        return take_units(into, side, frozenset({unit})), False
    if unit == "recurrence":
        lines, clash = _merge_keyed(_by_rule(base), _by_rule(local), _by_rule(remote), prefer)
        return msgspec.structs.replace(into, recurrence=tuple(lines.values()) or None), clash
    if unit == "reminders" and _own_reminders(local) and _own_reminders(remote):
        kept, _ = _merge_keyed(_by_moment(base), _by_moment(local), _by_moment(remote), prefer)
        reminders = Reminders(use_default=False, overrides=tuple(kept.values()))
        return msgspec.structs.replace(into, reminders=reminders), False
    winner = local if prefer == "local" else remote
    return take_units(into, winner, frozenset({unit})), True


def _merge_keyed(
    base: Mapping[str, V], local: Mapping[str, V], remote: Mapping[str, V], prefer: Winner
) -> tuple[dict[str, V], bool]:
    merged: dict[str, V] = {}
    clash = False
    for key in [*local, *(key for key in remote if key not in local)]:
        was, ours, theirs = (side.get(key, _ABSENT) for side in (base, local, remote))
        if _same(was, theirs):
            chosen = ours
        elif _same(was, ours) or _same(ours, theirs):
            chosen = theirs
        else:
            clash = True
            chosen = ours if prefer == "local" else theirs
        if chosen is not _ABSENT:
            merged[key] = chosen
    return merged, clash


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Attendee) and isinstance(other, Attendee):
        return (one.response, one.optional) == (other.response, other.optional)
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return json_text(one) == json_text(other)


def _unconcerned(base: Content, local: Content, remote: Content) -> Content | None:
    """Return the side whose conference stands although both differ from the base, if one does.

    What a provider made (or failed to make) of a wish answers that wish and contradicts nothing
    that was decided meanwhile.
    """
    was, ours, theirs = (conference_state(each) for each in (base, local, remote))
    if {ours, theirs} == {"wanted", "there"}:
        return local if ours == "there" else remote
    if was == "wanted":
        answered = [_is_answer(each) for each in (local, remote)]
        if answered[0] != answered[1]:
            return remote if answered[0] else local
    return None


def _is_answer(content: Content) -> bool:
    """Whether a conference is what a provider made of a wish: such keep what was wished for."""
    asked_for = bool((content.conference or {}).get("create"))
    return asked_for and conference_state(content) in ("there", "failed")


def _by_rule(content: Content) -> dict[str, str]:
    """Key rules by their names and dates by themselves: two added exceptions both hold."""
    rules: dict[str, str] = {}
    for line in map(recurrence_line, content.recurrence or ()):
        name = line.partition(":")[0]
        rules[name if name in ("RRULE", "EXRULE") else line] = line
    return rules


def _by_url(content: Content) -> dict[str, dict[str, Any]]:
    """Key attachments by their address; parts without a value are as good as absent."""
    return {
        str(file.get("url", "")): {name: value for name, value in file.items() if value}
        for file in content.attachments
    }


def _own_reminders(content: Content) -> bool:
    return content.reminders is not None and not content.reminders.use_default


def _by_moment(content: Content) -> dict[str, Reminder]:
    if not _own_reminders(content) or content.reminders is None:
        return {}
    return {f"{each.method}:{each.minutes}": each for each in content.reminders.overrides}


def _by_address(content: Content) -> dict[str, Attendee]:
    return {guest.email.strip().casefold(): guest for guest in content.attendees}


def equal(one: Content, other: Content, units: frozenset[str]) -> bool:
    """Say whether the two agree in all of *units*."""
    return canonical(one, units) == canonical(other, units)
