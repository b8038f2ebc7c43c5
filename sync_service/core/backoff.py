"""How long to wait before trying again: a pure function of the attempt and the failure."""

from __future__ import annotations

import random


def delay_s(
    attempt: int,
    *,
    retry_after_s: float | None = None,
    base_s: float = 1.0,
    cap_s: float = 900.0,
    rng: random.Random | None = None,
) -> float:
    """Return seconds to wait after failed *attempt* (1 is the first): full jitter, doubling.

    A delay that the other side asked for is never undercut; up to a tenth is added to it so that
    all who were told the same time do not come back at once.
    """
    dice = rng or _DICE
    if retry_after_s is not None:
        return retry_after_s * (1 + dice.random() / 10)
    ceiling = min(cap_s, base_s * 2 ** max(0, min(attempt, 20) - 1))
    return ceiling / 2 + dice.random() * ceiling / 2


_DICE = random.SystemRandom()
