"""What follows from three versions of an event. No clock, no network, every case enumerable.

| | remote = base | remote ≠ base | remote deleted |
| --- | --- | --- | --- |
| **local = base** | nothing | apply remote | delete local |
| **local ≠ base** | push local | merge | edit wins: push local |
| **local deleted** | delete remote | edit wins: restore local | nothing |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sync_service.core.event import Content
from sync_service.core.merge import Winner, equal, merge


@dataclass(frozen=True)
class Clash:
    """What both sides did differently: the *units* concerned, and who won for now."""

    units: tuple[str, ...]
    winner: Winner


@dataclass(frozen=True)
class Plan:
    """What the local row becomes: new content, `keep` or `delete`; and whether to push after.

    The base afterwards is always what the remote side holds now; *push* says that the local side
    then still differs from it.
    """

    local: Content | Literal["keep", "delete"]
    push: bool
    clash: Clash | None = None


def plan(
    base: Content | None,
    local: Content | None,
    remote: Content | None,
    units: frozenset[str],
    *,
    prefer: Winner,
) -> Plan:
    """Decide for one event; None stands for deleted (on the local or the remote side)."""
    if remote is None:
        return _remote_deleted(base, local, units)
    if local is None:
        if base is not None and equal(base, remote, units):
            return Plan("keep", push=True)
        return Plan(remote, push=False, clash=Clash(("deleted",), "remote"))
    merged = merge(base, local, remote, units, prefer=prefer)
    clash = Clash(tuple(sorted(merged.conflicts)), prefer) if merged.conflicts else None
    return Plan(
        "keep" if equal(merged.content, local, units) else merged.content,
        push=not equal(merged.content, remote, units),
        clash=clash,
    )


def _remote_deleted(base: Content | None, local: Content | None, units: frozenset[str]) -> Plan:
    if local is None:
        return Plan("keep", push=False)
    if base is not None and equal(base, local, units):
        return Plan("delete", push=False)
    # Without a base nobody had agreed on anything that a deletion could contradict.
    clash = Clash(("deleted",), "local") if base is not None else None
    return Plan("keep", push=True, clash=clash)
