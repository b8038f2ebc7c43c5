"""Histories that nobody has seen before; a failure prints what is needed to see it again.

`make soak N=5000` runs as many as one likes; CALSYNC_SEED repeats a run.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.convergence.machine import Histories, play

COUNT = int(os.environ.get("CALSYNC_HISTORIES") or 120)
SEED = int(os.environ.get("CALSYNC_SEED") or random.SystemRandom().getrandbits(32))


@pytest.mark.timeout(900 + COUNT)  # a failure is shrunk before it is shown
def test_fresh_histories_converge(histories: type[Histories]) -> None:
    print(f"To repeat: CALSYNC_SEED={SEED} CALSYNC_HISTORIES={COUNT}")
    play(histories, COUNT, seed=SEED)
    print(f"{histories.histories} histories")
