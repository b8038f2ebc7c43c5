"""The API rings by name; the worker must answer to exactly those names."""

from __future__ import annotations

from jobs.worker import FUNCTIONS
from sync_service import doorbell


def test_every_bell_has_its_function() -> None:
    names = {
        doorbell.DRAIN,
        doorbell.OPEN_CONNECTION,
        doorbell.POLL,
        doorbell.READ_LISTS,
        doorbell.RENEW,
        doorbell.SWEEP,
    }
    assert set(FUNCTIONS) == names
    assert {function.__name__ for function in FUNCTIONS.values()} == names
