"""The table of `core.plan`, case by case."""

from __future__ import annotations

import pytest

from sync_service.core.event import UNITS, Attendee, Content
from sync_service.core.plan import Clash, Plan, plan
from tests.contents import content

ALL = frozenset(UNITS)
BASE = content()
OURS = content(title="Ours")
THEIRS = content(title="Theirs")
ELSEWHERE = content(location="Room 2")


@pytest.mark.parametrize(
    ("base", "local", "remote", "expected"),
    [
        pytest.param(BASE, BASE, BASE, Plan("keep", push=False), id="nothing-happened"),
        pytest.param(BASE, OURS, OURS, Plan("keep", push=False), id="both-alike"),
        pytest.param(BASE, BASE, THEIRS, Plan(THEIRS, push=False), id="apply-remote"),
        pytest.param(BASE, OURS, BASE, Plan("keep", push=True), id="push-local"),
        pytest.param(
            BASE,
            OURS,
            ELSEWHERE,
            Plan(content(title="Ours", location="Room 2"), push=True),
            id="merge",
        ),
        pytest.param(
            BASE,
            OURS,
            THEIRS,
            Plan("keep", push=True, clash=Clash(("title",), "local")),
            id="conflict-kept-local",
        ),
        pytest.param(BASE, BASE, None, Plan("delete", push=False), id="delete-local"),
        pytest.param(
            BASE,
            OURS,
            None,
            Plan("keep", push=True, clash=Clash(("deleted",), "local")),
            id="edit-beats-their-deletion",
        ),
        pytest.param(BASE, None, BASE, Plan("keep", push=True), id="delete-remote"),
        pytest.param(
            BASE,
            None,
            THEIRS,
            Plan(THEIRS, push=False, clash=Clash(("deleted",), "remote")),
            id="edit-beats-our-deletion",
        ),
        pytest.param(BASE, None, None, Plan("keep", push=False), id="both-deleted"),
        pytest.param(None, BASE, BASE, Plan("keep", push=False), id="adopt"),
        pytest.param(
            None,
            content(description="ours"),
            content(location="theirs"),
            Plan(content(description="ours", location="theirs"), push=True),
            id="adopt-fills-gaps",
        ),
    ],
)
def test_plan(
    base: Content | None, local: Content | None, remote: Content | None, expected: Plan
) -> None:
    assert plan(base, local, remote, ALL, prefer="local") == expected


def test_the_policy_decides_a_conflict() -> None:
    assert plan(BASE, OURS, THEIRS, ALL, prefer="remote") == Plan(
        THEIRS, push=False, clash=Clash(("title",), "remote")
    )


def test_guests_added_and_removed_on_two_sides_both_hold() -> None:
    ann, bob, cy = (Attendee(email=f"{name}@example.com") for name in ("ann", "bob", "cy"))
    decided = plan(
        content(attendees=(ann, bob)),
        content(attendees=(ann, bob, cy)),
        content(attendees=(ann,)),
        ALL,
        prefer="local",
    )
    assert decided == Plan(content(attendees=(ann, cy)), push=True)
