"""Delays: doubling, jittered, capped, never shorter than what was asked for."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from sync_service.core.backoff import delay_s


@given(st.integers(1, 200), st.randoms(use_true_random=False))
def test_between_half_and_all_of_the_doubling_ceiling(attempt: int, rng: random.Random) -> None:
    ceiling = min(900.0, 2.0 ** min(attempt - 1, 20))
    assert ceiling / 2 <= delay_s(attempt, rng=rng) <= ceiling


@given(st.integers(1, 200), st.floats(0, 86_400), st.randoms(use_true_random=False))
def test_a_delay_that_was_asked_for_is_kept(attempt: int, asked: float, rng: random.Random) -> None:
    assert asked <= delay_s(attempt, retry_after_s=asked, rng=rng) <= asked * 1.1
