"""Laws of the three-way merge and of the canonical form, for any contents."""

from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from sync_service.core.event import UNITS, Content, from_json, take_units, to_json
from sync_service.core.fingerprint import canonical, changed_units, fingerprint
from sync_service.core.merge import equal, merge
from sync_service.core.plan import plan
from tests.contents import contents

ALL = frozenset(UNITS)
_winners: st.SearchStrategy[Literal["local", "remote"]] = st.sampled_from(["local", "remote"])
_units = st.sets(st.sampled_from(sorted(ALL))).map(frozenset)


@given(contents())
def test_json_form_reads_back(one: Content) -> None:
    assert from_json(to_json(one)) == one


@given(contents(), contents(), _winners)
def test_a_side_that_did_not_change_takes_the_other(
    base: Content, changed: Content, winner: Literal["local", "remote"]
) -> None:
    for merged in (
        merge(base, base, changed, ALL, prefer=winner),
        merge(base, changed, base, ALL, prefer=winner),
    ):
        assert equal(merged.content, changed, ALL)
        assert not merged.conflicts


@given(contents(), contents(), _winners)
def test_equal_changes_are_no_conflict(
    base: Content, changed: Content, winner: Literal["local", "remote"]
) -> None:
    merged = merge(base, changed, changed, ALL, prefer=winner)
    assert equal(merged.content, changed, ALL)
    assert not merged.conflicts


@given(contents(), contents(), contents(), _units, _winners)
def test_disjoint_changes_both_survive(
    base: Content,
    ours: Content,
    theirs: Content,
    units: frozenset[str],
    winner: Literal["local", "remote"],
) -> None:
    local = take_units(base, ours, units)
    remote = take_units(base, theirs, ALL - units)
    merged = merge(base, local, remote, ALL, prefer=winner)
    assert not merged.conflicts
    assert equal(merged.content, take_units(remote, ours, units), ALL)


@given(contents(), contents(), contents())
def test_sides_may_be_swapped(base: Content, one: Content, other: Content) -> None:
    here = merge(base, one, other, ALL, prefer="local")
    there = merge(base, other, one, ALL, prefer="remote")
    assert canonical(here.content, ALL) == canonical(there.content, ALL)
    assert here.conflicts == there.conflicts


@given(contents(), contents(), contents(), _winners)
def test_a_conflict_names_only_units_that_went_two_ways(
    base: Content, local: Content, remote: Content, winner: Literal["local", "remote"]
) -> None:
    merged = merge(base, local, remote, ALL, prefer=winner)
    assert merged.conflicts <= (
        changed_units(base, local, ALL)
        & changed_units(base, remote, ALL)
        & changed_units(local, remote, ALL)
    )


@given(contents(), contents(), _units, _winners)
def test_units_that_the_other_side_cannot_hold_stay_ours(
    local: Content, remote: Content, units: frozenset[str], winner: Literal["local", "remote"]
) -> None:
    merged = merge(None, local, remote, units, prefer=winner)
    assert equal(merged.content, local, ALL - units)


@given(contents(), contents())
def test_fingerprints_tell_equal_from_different(one: Content, other: Content) -> None:
    assert (fingerprint(one, ALL) == fingerprint(other, ALL)) == equal(one, other, ALL)


@given(st.none() | contents(), st.none() | contents(), st.none() | contents(), _winners)
def test_a_plan_carried_out_needs_no_second_one(
    base: Content | None,
    local: Content | None,
    remote: Content | None,
    winner: Literal["local", "remote"],
) -> None:
    first = plan(base, local, remote, ALL, prefer=winner)
    after = first.local if isinstance(first.local, Content) else local
    if first.local == "delete":
        after = None
    # The remote side is pushed to what the local side then holds.
    pushed = after if first.push else remote
    second = plan(pushed, after, pushed, ALL, prefer=winner)
    assert second.local == "keep"
    assert not second.push
    assert second.clash is None


@given(contents(), contents(), contents(), _winners)
def test_whoever_loses_is_named(
    base: Content, local: Content, remote: Content, winner: Literal["local", "remote"]
) -> None:
    decided = plan(base, local, remote, ALL, prefer=winner)
    after = decided.local if isinstance(decided.local, Content) else local
    lost = changed_units(base, local, ALL) & changed_units(after, local, ALL)
    lost |= changed_units(base, remote, ALL) & changed_units(after, remote, ALL)
    # These merge inside: what each side added or removed holds, so neither side's whole does.
    lost -= {"attachments", "attendees", "metadata", "recurrence", "reminders"}
    # Whoever wished for a conference that is there by now loses nothing.
    lost -= {"conference"}
    assert lost <= set(decided.clash.units if decided.clash else ())
