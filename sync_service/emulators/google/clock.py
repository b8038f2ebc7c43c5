"""The emulator's clock: real time plus an adjustable offset, or standing still."""

from __future__ import annotations

import time
from collections.abc import Callable

MICROS = 1_000_000


class Clock:
    """Tells emulated time in microseconds since the Unix epoch.

    It runs with real time unless frozen. `advance` moves it in either mode; whoever waits for a
    moment subscribes and is told that time has jumped.
    """

    def __init__(self, at: float | None = None, *, frozen: bool = False) -> None:
        self._offset = 0
        self._frozen: int | None = None
        self._listeners: list[Callable[[], None]] = []
        if at is not None:
            self._offset = round(at * MICROS) - self._real()
        if frozen:
            self.freeze(at)

    @staticmethod
    def _real() -> int:
        return time.time_ns() // 1000

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return self._frozen is not None

    def micros(self) -> int:
        """Emulated now, in microseconds."""
        return self._real() + self._offset if self._frozen is None else self._frozen

    def seconds(self) -> float:
        """Emulated now, in seconds."""
        return self.micros() / MICROS

    def advance(self, seconds: float) -> None:
        """Jump forward (or back, with a negative number)."""
        if self._frozen is None:
            self._offset += round(seconds * MICROS)
        else:
            self._frozen += round(seconds * MICROS)
        self._tell()

    def freeze(self, at: float | None = None) -> None:
        """Stop time now, or at the given Unix time."""
        self._frozen = self.micros() if at is None else round(at * MICROS)
        self._tell()

    def run(self, at: float | None = None) -> None:
        """Let time run on from where it stands, or from the given Unix time."""
        now = self.micros() if at is None else round(at * MICROS)
        self._frozen = None
        self._offset = now - self._real()
        self._tell()

    def on_jump(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call *listener* after every jump; returns the function that ends this."""
        self._listeners.append(listener)

        def forget() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return forget

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()
