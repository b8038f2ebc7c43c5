"""What provider calls cost, by connection and day: counted in memory, added up in Postgres.

A worker writes its count with every sweep, an API process after the calls of a request. One that
dies takes the last seconds of its count along; nothing but the count depends on it.
"""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import asyncpg
import structlog

from sync_service import telemetry
from sync_service.store import usage
from sync_service.store.pool import Pool

DAILY_UNITS = 1_000_000
"""Units a day and project from which Google bills (Calendar API guide, 'Usage limits')."""
_WARN_FROM = 0.8
_log = structlog.get_logger(__name__)


class Meter:
    """Counts the units that one process spends."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._spent: Counter[UUID] = Counter()
        self._warned: tuple[str, int] | None = None

    def count(self, provider: str, connection_id: UUID, units: int) -> None:
        """Add *units* to what *connection_id* spent today."""
        telemetry.provider_units.labels(provider).inc(units)
        self._spent[connection_id] += units

    async def write(self) -> None:
        """Put on record what was counted since the last time."""
        spent, self._spent = self._spent, Counter()
        if not spent:
            return
        try:
            await usage.add(self._pool, spent)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            _log.warning("usage_not_written", error=type(fault).__name__)
            self._spent.update(spent)

    async def survey(self) -> None:
        """Show what all processes spent today; near the limit, warn at each further tenth."""
        for provider, day, units in await usage.today(self._pool):
            telemetry.provider_units_today.labels(provider).set(units)
            tenths = (day, int(10 * units / DAILY_UNITS))
            if units >= _WARN_FROM * DAILY_UNITS and tenths != self._warned:
                self._warned = tenths
                _log.warning(
                    "daily_units_near_limit", provider=provider, units=units, limit=DAILY_UNITS
                )
