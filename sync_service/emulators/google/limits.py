"""Quotas: sliding one-minute windows, the write limiter of a calendar, anti-abuse limits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sync_service.emulators.google.clock import MICROS
from sync_service.emulators.google.errors import usage_limit
from sync_service.emulators.google.state import Account
from sync_service.emulators.google.world import World

_MINUTE = 60 * MICROS


@dataclass(slots=True)
class _Window:
    """What was spent in the last span of time."""

    spent: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])
    total: int = 0

    def forget(self, before: int) -> None:
        while self.spent and self.spent[0][0] <= before:
            self.total -= self.spent.popleft()[1]

    def add(self, now: int, units: int) -> None:
        self.spent.append((now, units))
        self.total += units


class Limits:
    """Counts quota units per project and per user, and writes per calendar."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def charge(self, world: World, project: str, user: str, units: int) -> None:
        """Spend quota units, or refuse the call."""
        switches = world.switches
        now = world.clock.micros()
        budget = (
            (f"user:{project}:{user}", switches.user_units_per_minute, "userRateLimitExceeded"),
            (f"project:{project}", switches.project_units_per_minute, "rateLimitExceeded"),
        )
        exceeded: str | None = None
        for name, limit, reason in budget:
            window = self._window(name, now - _MINUTE)
            if limit is not None and window.total + units > limit:
                exceeded = exceeded or reason
        if exceeded is None or switches.count_refused_calls:
            for name, _, _ in budget:
                self._windows[name].add(now, units)
        if exceeded is not None:
            raise usage_limit(
                exceeded, switches.minute_limit_status, switches.minute_limit_envelope
            )

    def count_write(self, world: World, calendar_id: str) -> None:
        """Refuse writes that follow each other too quickly on one calendar."""
        rate = world.switches.calendar_writes_per_second
        if rate is None:
            return
        now = world.clock.micros()
        window = self._window(f"calendar:{calendar_id}", now - MICROS)
        if window.total + 1 > rate:
            raise usage_limit(
                "rateLimitExceeded",
                world.switches.calendar_limit_status,
                world.switches.calendar_limit_envelope,
            )
        window.add(now, 1)

    def spent(self, world: World) -> dict[str, int]:
        """What each window holds now."""
        now = world.clock.micros()
        return {
            name: self._window(
                name, now - (MICROS if name.startswith("calendar:") else _MINUTE)
            ).total
            for name in sorted(self._windows)
        }

    def _window(self, name: str, before: int) -> _Window:
        window = self._windows.setdefault(name, _Window())
        window.forget(before)
        return window


def check_use(world: World, account: Account) -> None:
    """Refuse writes of an account whose calendars are locked after excessive use."""
    if account.locked_until > world.clock.micros():
        raise usage_limit("quotaExceeded")


def count_creation(world: World, account: Account) -> None:
    """Count a created event against the account's use limit, and lock it when it is exceeded."""
    limit = world.switches.event_creations_limit
    if limit is not None and account.created_events >= limit:
        account.locked_until = world.clock.micros() + world.switches.usage_limit_lock_s * MICROS
        account.created_events = 0
        raise usage_limit("quotaExceeded")
    account.created_events += 1
