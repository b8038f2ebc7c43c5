"""The table of `core.explain`: which of the stored facts is the answer to "why isn't it there?"."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sync_service.core.explain import (
    CalendarFacts,
    CopyFacts,
    EventFacts,
    Fault,
    WorkFacts,
    explain,
)

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
WINDOW = NOW - timedelta(days=180)
LIVE = EventFacts(gone=False, ends_at=NOW)
GONE = EventFacts(gone=True, ends_at=NOW)
OLD = EventFacts(gone=False, ends_at=WINDOW)
WORK = CalendarFacts(name="Work", belongs=True, account="me@example.com")
SYNCED = CopyFacts("synced", NOW)
PARKED = CopyFacts("conflict", NOW)
LONG = Fault("provider_rejected", "The title is too long.")
PENDING = WorkFacts("pending", since=NOW, next_try_at=NOW, reason="created")
FAILED = WorkFacts("failed", since=NOW, next_try_at=NOW, attempts=8, fault=LONG)
STAYS = " The copy there stays as it is meanwhile."
AT = "2027-01-01 12:00:00 UTC"


def calendar(**facts: object) -> CalendarFacts:
    return replace(WORK, **facts)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("event", "where", "copy", "work", "expected"),
    [
        pytest.param(
            LIVE, WORK, SYNCED, None, f"It is in sync with “Work”, last at {AT}.", id="synced"
        ),
        pytest.param(
            LIVE,
            WORK,
            None,
            PENDING,
            f"It waits to be sent to “Work” since {AT}, because it was created; it is due.",
            id="pending",
        ),
        pytest.param(
            LIVE,
            WORK,
            SYNCED,
            replace(PENDING, reason="manual"),
            f"It waits to be sent to “Work” since {AT}; it is due.",
            id="pending-for-another-reason",
        ),
        pytest.param(
            LIVE,
            WORK,
            None,
            replace(
                PENDING,
                attempts=2,
                next_try_at=NOW + timedelta(minutes=1),
                fault=Fault("provider_unavailable", "Google did not answer."),
            ),
            f"It waits to be sent to “Work” since {AT}, because it was created; the last try met: "
            "Google did not answer (tried 2 times); next try at 2027-01-01 12:01:00 UTC.",
            id="pending-after-failures",
        ),
        pytest.param(
            LIVE,
            WORK,
            None,
            replace(PENDING, attempts=1, fault=Fault("throttled", "Slow down")),
            f"It waits to be sent to “Work” since {AT}, because it was created; the last try met: "
            "Slow down (tried once); it is due.",
            id="pending-after-one-failure",
        ),
        pytest.param(
            LIVE,
            calendar(state="delayed", state_reason="Google asks to slow down."),
            None,
            PENDING,
            f"It waits to be sent to “Work” since {AT}, because it was created; the calendar is "
            "delayed: Google asks to slow down; it is due.",
            id="delayed",
        ),
        pytest.param(
            LIVE,
            WORK,
            None,
            replace(PENDING, status="processing"),
            "It is being sent to “Work” right now.",
            id="processing",
        ),
        pytest.param(
            LIVE,
            WORK,
            CopyFacts("failed", NOW, LONG),
            FAILED,
            "“Work” did not take it: The title is too long. Edit the event, or retry.",
            id="failed",
        ),
        pytest.param(
            LIVE,
            WORK,
            CopyFacts("failed", NOW, Fault("remote_read_only", "Only its organizer can change it")),
            None,
            "“Work” did not take it: Only its organizer can change it. Undo the change here.",
            id="failed-earlier",
        ),
        pytest.param(
            LIVE,
            WORK,
            None,
            replace(FAILED, fault=None),
            "“Work” did not take it. Edit the event, or retry.",
            id="failed-without-a-reason",
        ),
        pytest.param(
            LIVE,
            WORK,
            PARKED,
            PENDING,
            "Here and in “Work” it was changed differently; neither side moves until you settle "
            "the conflict.",
            id="parked",
        ),
        pytest.param(
            LIVE,
            calendar(state="paused", state_reason="12 of 12 events were deleted at once; say so."),
            PARKED,
            PENDING,
            "“Work” is paused: 12 of 12 events were deleted at once; say so." + STAYS,
            id="paused-comes-before-parked",
        ),
        pytest.param(
            LIVE,
            calendar(state="paused"),
            None,
            PENDING,
            "“Work” is paused: resume it to go on.",
            id="paused-without-a-reason",
        ),
        pytest.param(
            LIVE,
            calendar(enabled=False, state="paused", state_reason="It is turned off."),
            SYNCED,
            PENDING,
            "“Work” is turned off; turn it on to sync it." + STAYS,
            id="turned-off",
        ),
        pytest.param(
            LIVE,
            calendar(enabled=False, unsyncable_reason="only free and busy can be seen"),
            None,
            None,
            "“Work” cannot be synced: only free and busy can be seen.",
            id="unsyncable",
        ),
        pytest.param(
            LIVE,
            calendar(connection="reconnect_needed", state="action_required"),
            None,
            FAILED,
            "“Work” waits: me@example.com must be connected again.",
            id="reconnect",
        ),
        pytest.param(
            LIVE,
            calendar(connection="disconnected", enabled=False, account=None),
            None,
            None,
            "“Work” is disconnected; connect its account again to go on.",
            id="disconnected",
        ),
        pytest.param(
            LIVE,
            calendar(state="action_required", state_reason="It is no longer shared."),
            None,
            PENDING,
            "“Work” needs you: It is no longer shared.",
            id="action-required",
        ),
        pytest.param(
            LIVE,
            calendar(direction="pull"),
            None,
            None,
            "“Work” is only read, so events from here are not sent there.",
            id="read-only",
        ),
        pytest.param(
            LIVE,
            calendar(direction="pull"),
            SYNCED,
            None,
            f"It is as “Work” has it, last read at {AT}; that calendar is only read, so changes "
            "made here stay here.",
            id="read-only-and-held",
        ),
        pytest.param(
            OLD,
            WORK,
            None,
            None,
            "It ended before 2026-07-05, where syncing with “Work” begins.",
            id="outside-the-window",
        ),
        pytest.param(
            replace(OLD, repeats=True),
            calendar(state="importing"),
            None,
            None,
            "It is not in “Work” yet, which is being read first; the event follows.",
            id="still-importing",
        ),
        pytest.param(
            LIVE,
            calendar(reading=True),
            None,
            None,
            "It is not in “Work” yet, which is being read first; the event follows.",
            id="about-to-be-read",
        ),
        pytest.param(
            LIVE,
            calendar(reading=True, state="delayed", state_reason="Google did not answer."),
            None,
            None,
            "It is not in “Work” yet, which is delayed: Google did not answer.",
            id="cannot-be-read",
        ),
        pytest.param(
            LIVE,
            WORK,
            CopyFacts("deleted", NOW),
            None,
            "It is not in “Work” and nothing waits; sync the calendar now, or edit the event.",
            id="nothing-waits",
        ),
        pytest.param(
            LIVE,
            calendar(belongs=False),
            None,
            None,
            "It does not belong to “Work”.",
            id="belongs-elsewhere",
        ),
        pytest.param(
            GONE,
            WORK,
            CopyFacts("deleted", NOW),
            None,
            f"It is deleted in “Work” too, at {AT}.",
            id="deleted-on-both-sides",
        ),
        pytest.param(
            GONE,
            calendar(connection="reconnect_needed"),
            CopyFacts("deleted", None),
            None,
            "It is deleted in “Work” too.",
            id="deleted-on-both-sides-whatever-the-connection",
        ),
        pytest.param(
            GONE,
            WORK,
            SYNCED,
            replace(PENDING, reason="deleted"),
            f"It waits to be sent to “Work” since {AT}, because it was deleted; it is due.",
            id="deletion-pending",
        ),
        pytest.param(
            GONE,
            calendar(direction="pull"),
            SYNCED,
            None,
            "It is deleted here; “Work” is only read, so the copy there stays.",
            id="deleted-here-only",
        ),
        pytest.param(
            GONE, WORK, None, None, "It is deleted here and was never in “Work”.", id="never-there"
        ),
    ],
)
def test_the_answer(
    event: EventFacts,
    where: CalendarFacts,
    copy: CopyFacts | None,
    work: WorkFacts | None,
    expected: str,
):
    assert explain(event, where, copy, work, now=NOW, window_start=WINDOW) == expected
