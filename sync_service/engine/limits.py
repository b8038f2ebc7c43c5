"""Budgets of provider calls, shared by all processes through Redis.

A quota counts the units of the last minute, second by second, and stays a twentieth below the
limit: no sixty seconds see more than it, even where calls arrive later than they were admitted.
Work in bulk goes no further than three quarters, so that what somebody waits for finds some. A
pace spreads the writes to one calendar; each refusal halves it, and it recovers by itself. A scope
that the provider told to slow down stays closed until its time is over.

Redis only counts: without it calls are let through, and the provider's own refusals hold us back.
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

from sync_service.errors import BudgetSpent

_log = structlog.get_logger(__name__)
_PATIENCE_S = 2.0
_SHARE, _BULK_SHARE = 0.95, 0.75

_SHARED = """
local clock = redis.call('time')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
-- A pace that was refused is whole again after five minutes.
local function factor_of(slow, at)
  return math.min(1, tonumber(slow or 1) + (now - tonumber(at or now)) / 300)
end
"""

# KEYS: for each scope its count, then its closed mark. ARGV: for each scope the units that a minute
# may see (0 for a pace), the calls that a second may see (0 for a quota), and what to take. Answers
# the seconds to wait, "0" when all was taken.
_TAKE = (
    _SHARED
    + """
local wait, levels = 0, {}
local function wait_for_quota(key, limit, units)
  local seconds, total = {}, 0
  local counted = redis.call('hgetall', key)
  for i = 1, #counted, 2 do
    if tonumber(counted[i]) + 61 <= now then
      redis.call('hdel', key, counted[i])
    else
      seconds[#seconds + 1] = {tonumber(counted[i]), tonumber(counted[i + 1])}
      total = total + tonumber(counted[i + 1])
    end
  end
  local over = total + math.min(units, limit) - limit
  table.sort(seconds, function(a, b) return a[1] < b[1] end)
  for _, second in ipairs(seconds) do
    if over <= 0 then break end
    over = over - second[2]
    wait = math.max(wait, second[1] + 61 - now)
  end
end
local function wait_for_pace(key, per_second)
  local held = redis.call('hmget', key, 'level', 'at', 'slow', 'slow_at')
  local capacity, refill = math.max(1, per_second), per_second * factor_of(held[3], held[4])
  local level, at = tonumber(held[1] or capacity), tonumber(held[2] or now)
  level = math.min(capacity, level + math.max(0, now - at) * refill)
  if level < 1 then wait = math.max(wait, (1 - level) / refill) end
  levels[key] = level - 1
end
for i = 1, #KEYS / 2 do
  local limit, per_second = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  wait = math.max(wait, redis.call('pttl', KEYS[2 * i]) / 1000)
  if per_second > 0 then
    wait_for_pace(KEYS[2 * i - 1], per_second)
  else
    wait_for_quota(KEYS[2 * i - 1], limit, tonumber(ARGV[3 * i]))
  end
end
if wait > 0 then return tostring(wait) end
for i = 1, #KEYS / 2 do
  local key = KEYS[2 * i - 1]
  if levels[key] then
    redis.call('hset', key, 'level', levels[key], 'at', string.format('%.6f', now))
  else
    redis.call('hincrby', key, math.floor(now), ARGV[3 * i])
  end
  redis.call('expire', key, 600)
end
return '0'
"""
)
_SLOW = (
    _SHARED
    + """
local held = redis.call('hmget', KEYS[1], 'slow', 'slow_at')
local factor = math.max(1 / 16, factor_of(held[1], held[2]) / 2)
local at = string.format('%.6f', now)
redis.call('hset', KEYS[1], 'level', 0, 'at', at, 'slow', factor, 'slow_at', at)
redis.call('expire', KEYS[1], 600)
"""
)
_CLOSE = """
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('set', KEYS[1], 1, 'px', ARGV[1])
end
"""


@dataclass(frozen=True)
class Budget:
    """What everyone in *scope* shares: a quota of units a minute, or a pace of calls a second."""

    scope: str
    units_per_minute: int = 0
    calls_per_second: float = 0.0

    def units(self, *, bulk: bool) -> int:
        """Return what a minute may see before a call has to wait."""
        share = _SHARE * (_BULK_SHARE if bulk else 1.0)
        return max(1, int(self.units_per_minute * share))


class Limiter:
    """Takes calls from budgets, waits a little, or says when to come back."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._slow = redis.register_script(_SLOW)
        self._close = redis.register_script(_CLOSE)

    async def admit(self, budgets: Sequence[Budget], weight: int, *, bulk: bool) -> None:
        """Take a call that costs *weight* units from every budget at once.

        Waits up to two seconds; raises `BudgetSpent` with the time to wait where that would be
        longer. Work in *bulk* waits while only the share of others is left.
        """
        patience_ends = time.monotonic() + _PATIENCE_S
        while True:
            wait = await self._try(budgets, weight, bulk)
            if wait <= 0:
                return
            if time.monotonic() + wait > patience_ends:
                raise BudgetSpent(retry_after_s=wait)
            await asyncio.sleep(wait)

    async def close(self, budget: Budget, seconds: float) -> None:
        """Let nobody call in the budget's scope for *seconds*; a longer closure stays as it is."""
        try:
            await self._close(keys=[_closed_key(budget)], args=[max(1, int(seconds * 1000))])
        except (RedisError, OSError):
            _log.warning("limiter_unreachable", scope=budget.scope)

    async def slow(self, budget: Budget) -> None:
        """Halve a pace, down to a sixteenth of the whole; it recovers within minutes."""
        try:
            await self._slow(keys=[_count_key(budget)])
        except (RedisError, OSError):
            _log.warning("limiter_unreachable", scope=budget.scope)

    async def _try(self, budgets: Sequence[Budget], weight: int, bulk: bool) -> float:
        keys: list[str] = []
        arguments: list[float] = []
        for budget in budgets:
            keys += [_count_key(budget), _closed_key(budget)]
            arguments += [budget.units(bulk=bulk), budget.calls_per_second, weight]
        try:
            return float(cast("bytes", await self._take(keys=keys, args=arguments)))
        except (RedisError, OSError):
            _log.warning("limiter_unreachable")
            return 0.0


def _count_key(budget: Budget) -> str:
    return f"calsync:calls:{budget.scope}"


def _closed_key(budget: Budget) -> str:
    return f"calsync:closed:{budget.scope}"
