"""Who wrote what, having seen what; and what must therefore be found in the end.

A write supersedes the value that its writer saw. Values that nobody superseded are *heads*: each
must survive, or stand in a conflict of its field. A deletion supersedes all that its side showed; an
event without heads is gone on both sides, and one that is gone has no heads left.

Values that can be written twice (an emptied field, a toggle, an event brought back as it was) are
*weak*: an engine that compares versions cannot see them written when they equal the base. They must
survive unless the other side wrote the same field or deleted the event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.convergence.sides import FIELDS, REPEATABLE, Shown, of_content, tag_of

Side = Literal["app", "google"]


@dataclass(frozen=True)
class Found:
    """An event as one side shows it in the end."""

    shown: Shown
    guests: set[str]


@dataclass(frozen=True)
class Write:
    """A value that *side* wrote."""

    side: Side
    value: str
    weak: bool


@dataclass
class _Guest:
    added_by: Side
    removed_by: set[Side] = field(default_factory=set[Side])
    news: bool = True
    """Whether the last edit was never seen by one who deleted the event."""


@dataclass
class Ledger:
    """The edits of one history.

    *edits* counts what people did; *doubts* counts writes of ours whose answer may have been lost:
    then nobody can tell whether the other side had seen them. *late* counts workers that went on
    after their lease had lapsed: a create of theirs may bring back what was deleted meanwhile.
    *forgot* says that Google forgot deletions: then nobody can tell a create that was deleted since
    from one that was never made.
    """

    edits: int = 0
    doubts: int = 0
    faults: int = 0
    late: int = 0
    forgot: bool = False
    tags: list[str] = field(default_factory=list[str])
    deleters: defaultdict[str, set[Side]] = field(default_factory=lambda: defaultdict(set))
    _heads: defaultdict[tuple[str, str], list[Write]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _writers: defaultdict[tuple[str, str], set[Side]] = field(
        default_factory=lambda: defaultdict(set)
    )
    _values: defaultdict[tuple[str, str], set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )
    _guests: defaultdict[str, dict[str, _Guest]] = field(default_factory=lambda: defaultdict(dict))

    # What people do

    def created(self, side: Side, shown: Shown) -> None:
        """*side* made an event that shows this."""
        self.edits += 1
        tag = tag_of(shown)
        self.tags.append(tag)
        for name in FIELDS:
            self._values[tag, name].add(shown[name])
            if shown[name] not in REPEATABLE:
                self._heads[tag, name].append(Write(side, shown[name], weak=False))

    def wrote(self, side: Side, before: Shown, changes: Shown) -> None:
        """*side*, which showed *before*, set *changes*."""
        self.edits += 1
        tag = tag_of(before)
        for name, value in changes.items():
            if before[name] == value:
                continue
            self._supersede(side, tag, name, before[name])
            self._heads[tag, name].append(Write(side, value, weak=value in REPEATABLE))
            self._writers[tag, name].add(side)
            self._values[tag, name].add(value)

    def deleted(self, side: Side, before: Found) -> None:
        """*side*, which showed *before*, deleted the event."""
        self.edits += 1
        tag = tag_of(before.shown)
        self.deleters[tag].add(side)
        for name in FIELDS:
            self._supersede(side, tag, name, before.shown[name])
        for address, guest in self._guests[tag].items():
            if (address in before.guests) is not bool(guest.removed_by):
                guest.news = False

    def brought_back(self, side: Side, shown: Shown) -> None:
        """*side* undid a deletion; the event shows this again."""
        self.edits += 1
        tag = tag_of(shown)
        for name in FIELDS:
            self._supersede(side, tag, name, shown[name])
            self._heads[tag, name].append(Write(side, shown[name], weak=True))
            self._writers[tag, name].add(side)

    def invited(self, side: Side, tag: str, guest: str) -> None:
        """*side* added a guest."""
        self.edits += 1
        self._guests[tag][guest] = _Guest(side)
        self._writers[tag, "attendees"].add(side)

    def uninvited(self, side: Side, tag: str, guest: str) -> None:
        """*side* removed a guest whom it saw."""
        self.edits += 1
        self._guests[tag][guest].removed_by.add(side)
        self._guests[tag][guest].news = True
        self._writers[tag, "attendees"].add(side)

    def _supersede(self, side: Side, tag: str, name: str, value: str) -> None:
        # A weak value of the other side may be the one seen, or one that only looks like it.
        self._heads[tag, name] = [
            head
            for head in self._heads[tag, name]
            if head.value != value or (head.weak and head.side != side)
        ]

    # What must be found

    def complaints(
        self,
        app: Sequence[Found],
        google: Sequence[Found],
        conflicts: Sequence[Mapping[str, Any]],
    ) -> list[str]:
        """Return what is wrong with the end of the history; nothing, one hopes."""
        here, there = _by_tag(app), _by_tag(google)
        records = _Records(conflicts)
        wrong = [f"{tag}: nobody made this" for tag in {*here, *there} - {*self.tags}]
        for tag in self.tags:
            ours, theirs = here.get(tag, []), there.get(tag, [])
            if len(ours) > 1 or len(theirs) > 1:
                wrong.append(f"{tag}: twice ({len(ours)} here, {len(theirs)} there)")
            elif len(ours) != len(theirs):
                wrong.append(f"{tag}: on one side only ({len(ours)} here, {len(theirs)} there)")
            elif ours:
                wrong += self._of_live(tag, ours[0], theirs[0], records)
            else:
                wrong += self._of_gone(tag, records)
        return wrong + self._of_records(records)

    def _of_live(self, tag: str, ours: Found, theirs: Found, records: _Records) -> list[str]:
        wrong: list[str] = []
        grounds = any(
            guest.news and (address in ours.guests) is not bool(guest.removed_by)
            for address, guest in self._guests[tag].items()
        )
        for name in FIELDS:
            value = ours.shown[name]
            if value != theirs.shown[name]:
                wrong.append(f"{tag}.{name}: {value!r} here, {theirs.shown[name]!r} there")
            if value not in self._values[tag, name]:
                wrong.append(f"{tag}.{name}: nobody wrote {value!r}")
            for head in self._heads[tag, name]:
                if head.value == value:
                    grounds = True
                else:
                    wrong += self._lost(tag, name, head, records, f"it is {value!r}")
        # Where both sides removed a guest before one deleted the event, nobody can tell from the
        # tombstone that the other's removal was no news.
        grounds = grounds or any(len(guest.removed_by) == 2 for guest in self._guests[tag].values())
        told = records.tell_of(tag, "deleted")
        excused = self.late or (self.doubts and (told or self.forgot))
        if not grounds and not excused:
            wrong.append(f"{tag}: lives although it was deleted and not edited since")
        return wrong + self._of_guests(tag, ours.guests, theirs.guests)

    def _of_gone(self, tag: str, records: _Records) -> list[str]:
        wrong: list[str] = []
        if not self.deleters[tag]:
            wrong.append(f"{tag}: gone although nobody deleted it")
        for name in FIELDS:
            for head in self._heads[tag, name]:
                wrong += self._lost(tag, name, head, records, "the event is gone")
        for address, guest in self._guests[tag].items():
            # One who came and went on one side only leaves no difference to be seen, nor one whom
            # a write brought whose answer was lost.
            unseen = guest.removed_by == {guest.added_by} or (self.doubts and guest.removed_by)
            if guest.news and not unseen:
                wrong.append(f"{tag}.attendees: news of {address} is lost; the event is gone")
        return wrong

    def _lost(self, tag: str, name: str, head: Write, records: _Records, instead: str) -> list[str]:
        others = {"app", "google"} - {head.side}
        excused = head.weak and others & (self._writers[tag, name] | self.deleters[tag])
        if excused or records.hold(tag, name, head.value):
            return []
        return [f"{tag}.{name}: {head.value!r} of {head.side} is lost; {instead}"]

    def _of_guests(self, tag: str, here: set[str], there: set[str]) -> list[str]:
        wrong: list[str] = []
        if here != there:
            wrong.append(f"{tag}.attendees: {sorted(here)} here, {sorted(there)} there")
        if self.deleters[tag]:
            return wrong
        for address, guest in self._guests[tag].items():
            if address not in here and not guest.removed_by:
                wrong.append(f"{tag}.attendees: {address} of {guest.added_by} is lost")
            if address in here and guest.removed_by and not self.doubts:
                wrong.append(f"{tag}.attendees: {address} was removed and is back")
        return wrong

    def _of_records(self, records: _Records) -> list[str]:
        wrong: list[str] = []
        for tag, name in records.subjects():
            if name == "deleted":
                justified = bool(self.deleters[tag])
            else:
                justified = len(self._writers[tag, name]) == 2
            if not justified:
                wrong.append(f"{tag}.{name}: a conflict that nobody caused")
        return wrong


class _Records:
    """The conflicts that were recorded, by tag and field."""

    def __init__(self, conflicts: Sequence[Mapping[str, Any]]) -> None:
        self._kept: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._subjects: set[tuple[str, str]] = set()
        for row in conflicts:
            versions = [of_content(row[side]) for side in ("local", "remote") if row[side]]
            for name in row["fields"]:
                for shown in versions:
                    self._subjects.add((tag_of(shown), name))
                    for each in FIELDS if name == "deleted" else (name,):
                        if each in shown:
                            self._kept[tag_of(shown), each].add(shown[each])

    def hold(self, tag: str, name: str, value: str) -> bool:
        """Whether a conflict of this field holds *value*."""
        return value in self._kept[tag, name]

    def tell_of(self, tag: str, name: str) -> bool:
        """Whether there is a conflict of this field; `deleted` says an edit beat a deletion."""
        return (tag, name) in self._subjects

    def subjects(self) -> list[tuple[str, str]]:
        """Return what the conflicts are about."""
        return sorted(self._subjects)


def _by_tag(found: Sequence[Found]) -> dict[str, list[Found]]:
    events: defaultdict[str, list[Found]] = defaultdict(list)
    for each in found:
        events[tag_of(each.shown)].append(each)
    return dict(events)
