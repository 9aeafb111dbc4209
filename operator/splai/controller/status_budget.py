"""How often statuses may be patched: every patch becomes a revision of the whole object in etcd.

An object waits ``max(2 s, its status at 8 KiB/s)`` after a patch, longer for what only describes its waiting, and all
objects together stay below 20 patches and 512 KiB a second. Who comes when that is spent gets a turn behind all who
wait already for the same: phases for phases, progress for both. Thousands of running jobs would else come back
together for the one patch that is free.

What is too urgent to wait, the end of a job, is counted too: in a storm of ends the rest waits. Most of the small jobs
that make such a storm are over before their turn, so that one patch tells it all; yet a few phases a second are
written whatever else is, so that nobody waits for ever.
"""

from collections.abc import Callable
from math import inf

from splai.controller.queue import Key

OBJECT_INTERVAL = 2.0
LITTLE_NEWS_INTERVAL = 10.0
OBJECT_BYTES_PER_SECOND = 8 * 1024.0
PATCHES_PER_SECOND = 20.0
PHASES_PER_SECOND = 2.0
"""Of those that waited for their turn, however much is urgent."""
BYTES_PER_SECOND = 512 * 1024.0


class StatusBudget:
    """Says when an object's status may be patched."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rates = (_Rate(PATCHES_PER_SECOND), _Rate(BYTES_PER_SECOND))
        self._reserve = _Rate(PHASES_PER_SECOND)
        self._last: dict[Key, tuple[float, int]] = {}  # when, and how many bytes
        self._turns: dict[tuple[Key, bool], float] = {}

    def wait(self, key: Key, size: int, *, interval: float = OBJECT_INTERVAL, phase: bool = False) -> float:
        """Seconds until a status of ``size`` bytes may be patched if it can wait; 0 is now.

        A changed ``phase`` does not wait for those who only tell of progress.
        """
        now = self._clock()
        if (rest := self._rest(key, now, interval)) > 0:
            return rest
        turn = self._turns.get((key, phase))
        if turn is None:
            free = all(rate.is_free(now, phase) for rate in self._rates)
        elif turn <= now:
            overdrawn = any(rate.is_overdrawn(now) for rate in self._rates)
            free = not overdrawn or (phase and self._reserve.is_free(now, phase))
        else:
            return turn - now
        if free:
            return 0.0
        turn = max(rate.promise(amount, now, phase) for rate, amount in self._amounts(size))
        self._turns[key, phase] = turn
        return turn - now

    def spend(self, key: Key, size: int) -> None:
        """The status is patched now, whether its turn has come or not."""
        now = self._clock()
        for rate, amount in self._amounts(size):
            rate.spend(amount, now)
        if self._turns.get((key, True), inf) <= now:
            self._reserve.spend(1.0, now)
        self._end_turns(key)
        self._last[key] = (now, size)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._end_turns(key)
        self._last.pop(key, None)

    def _end_turns(self, key: Key) -> None:
        for phase in (False, True):
            self._turns.pop((key, phase), None)

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
        self._promised_until = {True: -inf, False: -inf}  # to phases, and to all others

    def is_free(self, now: float, phase: bool) -> bool:
        """There is something to spend that is promised to nobody who comes first."""
        return self._refilled(now) >= 1 and self._last_promise(phase) <= now

    def is_overdrawn(self, now: float) -> bool:
        return self._refilled(now) < 0

    def promise(self, amount: float, now: float, phase: bool) -> float:
        """The moment when there will be something to spend, after all that is promised to those who come first."""
        turn = max(self._last_promise(phase), now + max(0.0, 1 - self._refilled(now)) / self._rate)
        self._promised_until[phase] = turn + amount / self._rate
        return turn

    def spend(self, amount: float, now: float) -> None:
        self._level = max(-self._rate, self._refilled(now) - amount)

    def _last_promise(self, phase: bool) -> float:
        return self._promised_until[True] if phase else max(self._promised_until.values())

    def _refilled(self, now: float) -> float:
        self._level = min(self._rate, self._level + (now - self._at) * self._rate)
        self._at = now
        return self._level
