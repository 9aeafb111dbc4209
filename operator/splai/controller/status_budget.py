"""How often statuses may be patched: every patch becomes a revision of the whole object in etcd.

An object waits ``max(2 s, its status at 8 KiB/s)`` after a patch, longer for what only describes its waiting, and all
objects together stay below 20 patches and 512 KiB a second. Who comes when that is spent gets a turn behind all who
wait already: thousands of running jobs would else come back together for the one patch that is free.

What is too urgent to wait is counted too, so in a storm of changes it is progress that waits. Who has only so much
``patience`` gets a turn within it, whatever was spent. A change with a ``delay`` waits for so long even if nothing was
spent, because the next one may well come by then and tell it too.
"""

from collections.abc import Callable
from math import inf

from splai.controller.queue import Key

OBJECT_INTERVAL = 2.0
LITTLE_NEWS_INTERVAL = 10.0
LEAST_NEWS_INTERVAL = 60.0
OBJECT_BYTES_PER_SECOND = 8 * 1024.0
PATCHES_PER_SECOND = 20.0
BYTES_PER_SECOND = 512 * 1024.0


class StatusBudget:
    """Says when an object's status may be patched."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rates = (_Rate(PATCHES_PER_SECOND), _Rate(BYTES_PER_SECOND))
        self._last: dict[Key, tuple[float, int]] = {}  # when, and how many bytes
        self._turns: dict[Key, float] = {}

    def wait(
        self, key: Key, size: int, *, interval: float = OBJECT_INTERVAL, patience: float = inf, delay: float = 0.0
    ) -> float:
        """Seconds until a status of ``size`` bytes may be patched if it can wait; 0 is now."""
        now = self._clock()
        if (rest := self._rest(key, now, interval)) > 0:
            return rest
        turn = self._turns.get(key)
        if turn is None:
            free = not delay and all(rate.is_free(now) for rate in self._rates)
        elif turn <= now:
            free = patience < inf or not any(rate.is_overdrawn(now) for rate in self._rates)
        else:
            return turn - now
        if free:
            return 0.0
        promised = max(rate.promise(amount, now, patience) for rate, amount in self._amounts(size))
        self._turns[key] = max(promised, now + delay)
        return self._turns[key] - now

    def spend(self, key: Key, size: int) -> None:
        """The status is patched now, whether its turn has come or not."""
        now = self._clock()
        for rate, amount in self._amounts(size):
            rate.spend(amount, now)
        self._turns.pop(key, None)
        self._last[key] = (now, size)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._turns.pop(key, None)
        self._last.pop(key, None)

    def _rest(self, key: Key, now: float, interval: float) -> float:
        if key not in self._last or not interval:
            return 0.0
        at, size = self._last[key]
        return at + max(interval, size / OBJECT_BYTES_PER_SECOND) - now

    def _amounts(self, size: int) -> tuple[tuple["_Rate", float], ...]:
        patches, size_rate = self._rates
        return (patches, 1.0), (size_rate, float(size))


class _Rate:
    """An amount a second with a burst of one second; what may not wait overdraws it by up to another."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._level = rate
        self._at = -inf
        self._promised_until = -inf

    def is_free(self, now: float) -> bool:
        """There is something to spend that is promised to nobody."""
        return self._refilled(now) >= 1 and self._promised_until <= now

    def is_overdrawn(self, now: float) -> bool:
        return self._refilled(now) < 0

    def promise(self, amount: float, now: float, patience: float) -> float:
        """The moment when there will be something to spend, after all that is promised already.

        Beyond the ``patience`` nothing is promised: it is spent then, and others need not wait for it as well.
        """
        turn = max(self._promised_until, now + max(0.0, 1 - self._refilled(now)) / self._rate)
        if turn > now + patience:
            return now + patience
        self._promised_until = turn + amount / self._rate
        return turn

    def spend(self, amount: float, now: float) -> None:
        self._level = max(-self._rate, self._refilled(now) - amount)

    def _refilled(self, now: float) -> float:
        self._level = min(self._rate, self._level + (now - self._at) * self._rate)
        self._at = now
        return self._level
