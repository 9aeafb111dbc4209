"""How many requests are let through to a model at a time, and who waits for a turn.

A pool takes `maxInFlight` requests for each ready pod. Further ones wait in the order of their arrival, as many and as
long as the pool's settings allow. An engine that is sent more would queue them itself, where nobody can say no.

Deadlines are points of the running loop's clock (``loop.time()``), in seconds.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

from splai.gateway.errors import RequestError
from splai.gateway.routing.routes import Pool, RouteTable

RETRY_AFTER_SECONDS: Final = 5
"""Long enough for some answers to come to their end, short enough for a caller to wait."""
DEFAULT_MOST_IN_FLIGHT: Final = 10_000


class Admission:
    """Lets requests in, to the whole gateway and to each pool. Who was let in leaves once."""

    def __init__(self, *, most_in_flight: int = DEFAULT_MOST_IN_FLIGHT) -> None:
        """``most_in_flight`` are all requests of this process, those that wait included."""
        self._most = most_in_flight
        self._total = 0
        self._lines: dict[str, _Line] = {}

    def try_enter(self, pool: Pool) -> bool:
        """Let a request in if it is its turn, else False: then it has to ``wait``.

        Raises RequestError 503 when the gateway itself has all that it can take.
        """
        if self._total >= self._most:
            raise _overloaded()
        line = self._lines.get(pool.key)
        if line is None:
            line = self._lines[pool.key] = _Line()
        limit = pool.max_in_flight
        if limit is not None and line.in_flight >= limit:
            return False
        line.in_flight += 1
        self._total += 1
        return True

    async def wait(self, pool: Pool, deadline: float) -> None:
        """Wait for a turn, until the deadline at most.

        Raises RequestError 429 when too many wait already, or when the turn does not come in time.
        """
        if self.try_enter(pool):
            return
        line, policy = self._lines[pool.key], pool.policy
        if len(line.waiting) >= policy.max_queued:
            raise _refused(f"{policy.max_queued} requests wait for the model already", "queue_full")
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        line.limit = pool.max_in_flight
        line.waiting.append(turn)
        self._total += 1
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + policy.max_queue_seconds)):
                await turn
        except TimeoutError:
            self._give_up(pool, turn)
            raise _refused("The model was busy for as long as a request may wait", "queue_timeout") from None
        except asyncio.CancelledError:  # the caller left
            self._give_up(pool, turn)
            raise

    def leave(self, pool: Pool) -> None:
        """A request that was let in is over; the next one may have its turn."""
        line = self._lines[pool.key]
        line.in_flight -= 1
        self._total -= 1
        if line.waiting:
            line.advance()

    def in_flight(self, pool: Pool) -> int:
        """Requests that were let in."""
        line = self._lines.get(pool.key)
        return line.in_flight if line else 0

    def queued(self, pool: Pool) -> int:
        """Requests that wait for a turn."""
        line = self._lines.get(pool.key)
        return len(line.waiting) if line else 0

    def queues(self) -> dict[tuple[str, ...], int]:
        """How many requests wait for a turn, where any do, by the keys of their pool's backends."""
        return {tuple(key.split()): len(line.waiting) for key, line in self._lines.items() if line.waiting}

    @property
    def total(self) -> int:
        """Requests of the whole gateway, those that wait included."""
        return self._total

    def update(self, table: RouteTable) -> None:
        """Give turns to those who wait when a pool can take more, and forget pools that are gone."""
        known = (*table.pools.values(), *table.by_backend.values())
        newest = {pool.key: pool for pool in known if pool.key in self._lines}
        for key, line in list(self._lines.items()):
            pool = newest.get(key)
            if line.waiting:
                line.limit = pool.max_in_flight if pool else None  # that it is gone, the request will hear
                line.advance()
            elif pool is None and not line.in_flight:
                del self._lines[key]

    def _give_up(self, pool: Pool, turn: "asyncio.Future[None]") -> None:
        if not turn.cancelled():  # it came at the very moment
            self.leave(pool)
            return
        self._total -= 1
        with suppress(ValueError):  # passed over already
            self._lines[pool.key].waiting.remove(turn)


class _Line:
    """One pool's requests: those that were let in, and those that wait."""

    __slots__ = ("in_flight", "limit", "waiting")

    def __init__(self) -> None:
        self.in_flight = 0
        self.limit: int | None = None
        """As it was when somebody last had to wait, or changed since."""
        self.waiting: deque[asyncio.Future[None]] = deque()

    def advance(self) -> None:
        """Turns for the first ones that wait, as far as there is room."""
        while self.waiting and (self.limit is None or self.in_flight < self.limit):
            turn = self.waiting.popleft()
            if not turn.cancelled():
                self.in_flight += 1
                turn.set_result(None)


def _refused(message: str, code: str) -> RequestError:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return RequestError(429, message, type="rate_limit_error", code=code, headers=headers)


def _overloaded() -> RequestError:
    return RequestError(
        503,
        "The gateway has as many requests as it can take",
        type="service_unavailable_error",
        code="overloaded",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
