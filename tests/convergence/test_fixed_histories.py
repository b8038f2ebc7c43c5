"""The same histories every time, so that a change is judged by what the last one passed."""

from __future__ import annotations

import pytest

from tests.convergence.machine import Histories, play

COUNT = 120


@pytest.mark.timeout(900)  # a failure is shrunk before it is shown
def test_fixed_histories_converge(histories: type[Histories]) -> None:
    play(histories, COUNT, seed=None)
