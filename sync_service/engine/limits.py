"""Budgets of provider calls, shared by all processes through Redis.

A bucket holds a quarter of the minute's calls and refills with the other three quarters, so no
sixty seconds ever see more than the limit. A scope that the provider told to slow down stays closed
until its time is over. Redis only counts: without it calls are let through, and the provider's own
refusals hold us back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sync_service.errors import Throttled

_log = structlog.get_logger(__name__)
_PATIENCE_S = 2.0
_BURST = 0.25

# KEYS: for each scope its bucket, then its closed mark. ARGV: now, weight, then for each scope its
# capacity and refill per second. Answers the seconds to wait, "0" when the calls were taken.
_TAKE = """
local now, weight = tonumber(ARGV[1]), tonumber(ARGV[2])
local scopes, wait, levels = #KEYS / 2, 0, {}
for i = 1, scopes do
  local capacity, refill = tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
  local closed = redis.call('pttl', KEYS[2 * i])
  if closed > 0 then wait = math.max(wait, closed / 1000) end
  local stored = redis.call('hmget', KEYS[2 * i - 1], 'level', 'at')
  local level, at = tonumber(stored[1] or capacity), tonumber(stored[2] or now)
  level = math.min(capacity, level + math.max(0, now - at) * refill)
  local need = math.min(weight, capacity)
  if level < need then wait = math.max(wait, (need - level) / refill) end
  levels[i] = level
end
if wait > 0 then return tostring(wait) end
for i = 1, scopes do
  redis.call('hset', KEYS[2 * i - 1], 'level', levels[i] - weight, 'at', now)
  redis.call('expire', KEYS[2 * i - 1], 120)
end
return '0'
"""


@dataclass(frozen=True)
class Budget:
    """*calls_per_minute* that everyone in *scope* shares."""

    scope: str
    calls_per_minute: int


class Limiter:
    """Takes calls from budgets, waits a little, or says when to come back."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(_TAKE)

    async def admit(self, budgets: Sequence[Budget], weight: int) -> None:
        """Take *weight* calls from every budget at once.

        Waits up to two seconds; raises `Throttled` with the time to wait where it would be longer.
        """
        patience_ends = time.monotonic() + _PATIENCE_S
        while True:
            wait = await self._try(budgets, weight)
            if wait <= 0:
                return
            if time.monotonic() + wait > patience_ends:
                raise Throttled("The budget of provider calls is spent.", retry_after_s=wait)
            await asyncio.sleep(wait)

    async def close(self, budget: Budget, seconds: float) -> None:
        """Let nobody call in the budget's scope for *seconds*."""
        try:
            await self._redis.set(_closed_key(budget), 1, px=max(1, int(seconds * 1000)))
        except (RedisError, OSError):
            _log.warning("limiter_unreachable", scope=budget.scope)

    async def _try(self, budgets: Sequence[Budget], weight: int) -> float:
        keys: list[str] = []
        arguments: list[float] = [time.time(), weight]
        for budget in budgets:
            keys += [f"calsync:calls:{budget.scope}", _closed_key(budget)]
            capacity = max(1.0, budget.calls_per_minute * _BURST)
            arguments += [capacity, budget.calls_per_minute * (1 - _BURST) / 60]
        try:
            return float(cast("bytes", await self._take(keys=keys, args=arguments)))
        except (RedisError, OSError):
            _log.warning("limiter_unreachable")
            return 0.0


def _closed_key(budget: Budget) -> str:
    return f"calsync:closed:{budget.scope}"
