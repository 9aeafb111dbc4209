"""Whether the backend takes requests now: a gate before every request, and the probe that opens it again.

::

             an answer says "away"
      open ────────────────────────► closed ── wait ──► probe ──► open
                                        ▲                 │
                                        └── fails: longer ┘

The wait grows with every failure, of a request or a probe, since the last answer about a record: a probe alone does
not prove that requests work, so an engine that lists its models while it refuses work is not asked in a loop. Closed
at the start: a worker whose engine is still loading its model must not claim tasks that others could run.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final as Constant

from splai.api.ledger import EngineState
from splai.resilience.retry import Backoff

LONGEST_RETRY_AFTER: Constant = 300.0
LONGEST_SLEEP: Constant = 5.0  # the watchdog must see that somebody waits on purpose
_BACKOFF = Backoff(initial=0.1, maximum=15.0)
_log = logging.getLogger(__name__)


class Backend:
    """The gate of one worker."""

    def __init__(
        self,
        probe: Callable[[], Awaitable[str]],
        *,
        clock: Callable[[], float],
        pulse: Callable[[], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._probe = probe
        self._clock = clock
        self._pulse = pulse
        self._jitter = jitter
        self.is_ready = False
        """Whether requests may be sent; an attribute, because every request asks."""
        self._ready = asyncio.Event()
        self._closed = asyncio.Event()
        self._closed.set()
        self._failures = 0
        self._not_before = 0.0
        self._message = ""
        self._throttled = False
        self._last_success = float("-inf")
        self._confirming: asyncio.Task[bool] | None = None

    @property
    def state(self) -> EngineState:
        """For the heartbeat. A single failure is not reported: the next request may well go through."""
        if self.is_ready or self._failures < 2:
            return EngineState()
        return EngineState(reachable=self._throttled, message=self._message)

    async def ready(self) -> None:
        """Wait until requests may be sent."""
        await self._ready.wait()

    def answered(self) -> float:
        """The engine said something about a record: it works; when that was."""
        self._failures = 0
        self._last_success = now = self._clock()
        return now

    def away(self, message: str, *, retry_after: float | None = None, throttled: bool = False) -> None:
        """Stop requests until a probe succeeds, and not before ``retry_after`` seconds."""
        now = self._clock()
        if retry_after is not None:
            self._not_before = max(self._not_before, now + min(retry_after, LONGEST_RETRY_AFTER))
        if not self.is_ready:
            return  # the many requests that were in flight count as one failure
        self._failures += 1
        self._message, self._throttled = message, throttled
        if self._failures == 2:
            _log.warning("the backend is away", extra={"cause": message})
        self._not_before = max(self._not_before, now + self._pause())
        self.is_ready = False
        self._ready.clear()
        self._closed.set()

    async def works(self, *, since: float) -> bool:
        """Whether the backend works, asked by a request that began at ``since`` and got nothing whole.

        It does when others were answered meanwhile or a probe is; if not, requests stop.
        """
        if self._last_success > since:
            return True
        if self._confirming is None or self._confirming.done():
            self._confirming = asyncio.create_task(self._confirm())
        return await asyncio.shield(self._confirming)

    async def _confirm(self) -> bool:
        failure = await self._probe()
        if failure:
            self.away(failure)
        return not failure

    async def watch(self) -> None:
        """Open the gate again whenever it is closed; runs as long as the worker."""
        while True:
            await self._closed.wait()
            while (pause := self._not_before - self._clock()) > 0:
                await asyncio.sleep(min(pause, LONGEST_SLEEP))
                self._pulse()
            failure = await self._probe()
            self._pulse()
            if failure:
                self._failures += 1
                self._message, self._throttled = failure, False
                self._not_before = max(self._not_before, self._clock() + self._pause())
            if failure or self._not_before > self._clock():
                continue  # a request that was in flight may have brought a Retry-After while the probe ran
            if self._failures >= 2:
                _log.info("the backend answers")
            self._closed.clear()
            self.is_ready = True
            self._ready.set()

    def _pause(self) -> float:
        return _BACKOFF.delay(self._failures, jitter=self._jitter())
