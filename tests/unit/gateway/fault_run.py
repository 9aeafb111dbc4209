"""Many requests while engines fail in every way at once: does a truncated answer ever look like a whole one?

Each engine draws for each request whether it answers well or fails, and how. It notes whether it came to the end of its
answer; each caller compares what it saw with that.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import build_routes
from splai.resilience.circuit_breaker import CircuitBreaker
from tests.unit.gateway.apis import ANSWER, APIS, LIE, MODEL, Api, outcome
from tests.unit.gateway.conftest import Gateway
from tests.unit.gateway.faults import Fault, faults
from tests.unit.gateway.raw_caller import RawCaller, calling
from tests.unit.gateway.scripted_engine import Connection, Received, running_engine
from tests.unit.gateway.until import until

PODS = 4
CALLERS = 16
LEAVERS = 0.02
"""Share of callers that leave without reading the answer."""
WELL = 0.3
"""Share of calls that engines answer well."""


def short_breaker() -> CircuitBreaker:
    """One that lets the next call through soon, or the run would be one of refusals."""
    return CircuitBreaker(open_seconds=0.001, longest_open_seconds=0.001)


@dataclass
class FaultRun:
    """The requests of a run, and what came of them; for a gateway with ``short_breaker``."""

    gateway: Gateway
    chance: random.Random
    outcomes: Counter[str] = field(default_factory=Counter)
    truncated_shown_as_complete: int = 0
    _whole: set[str] = field(default_factory=set)
    """Ids of requests that an engine has answered to the end."""
    _asked: dict[str, Api] = field(default_factory=dict)

    async def run(self, requests: int) -> None:
        """Return when all are answered, and what was taken for them had the time to be given back."""
        numbers = iter(range(requests))
        async with AsyncExitStack() as stack:
            await self._start(stack)
            async with asyncio.TaskGroup() as callers:
                for _ in range(CALLERS):
                    callers.create_task(self._call(numbers.__next__))
            with suppress(TimeoutError):
                await until(lambda: not self.gateway.leaked(), seconds=10)

    async def _start(self, stack: AsyncExitStack) -> None:
        """Pods of two backends: those that speak chat, and those that have the Responses API too."""
        engines = [await stack.enter_async_context(running_engine(self._answer)) for _ in range(2 * PODS)]
        addresses = [engine.address for engine in engines]
        policy = Policy(timeout=30.0, max_in_flight=4)
        backends = [
            Backend("a", "chat", 1, MODEL, (), policy),
            Backend("a", "native", 2, f"{MODEL}-native", (), policy, native_responses=True),
        ]
        endpoints = [
            Endpoints("a", "chat", tuple(addresses[:PODS])),
            Endpoints("a", "native", tuple(addresses[PODS:])),
        ]
        self.gateway.table = build_routes(backends, endpoints)

    async def _answer(self, received: Received, connection: Connection) -> None:
        """An engine's side."""
        request = received.headers["x-request-id"]
        api = self._asked[request]
        fault = None if self.chance.random() < WELL else self.chance.choice(FAULTS[api.name])
        if fault is None or fault.code == ANSWER:
            self._whole.add(request)
        await (api.good() if fault is None or fault.script is None else fault.script)(received, connection)

    async def _call(self, number: Callable[[], int]) -> None:
        """A caller: one request after the other until there are no more."""
        async with AsyncExitStack() as stack:
            caller = await stack.enter_async_context(calling(self.gateway.port))
            while True:
                try:
                    request = f"request-{number()}"
                except StopIteration:
                    return
                api = self._asked[request] = self.chance.choice(APIS)
                if self.chance.random() < LEAVERS:
                    await self._leave(caller, api, request)
                    caller = await stack.enter_async_context(calling(self.gateway.port))
                else:
                    await self._ask(caller, api, request)

    async def _ask(self, caller: RawCaller, api: Api, request: str) -> None:
        seen = outcome(api, await caller.post(api.path, _document(api), **{"X-Request-ID": request}))
        self.outcomes[seen] += 1
        if seen == LIE or (seen == ANSWER and request not in self._whole):
            self.truncated_shown_as_complete += 1

    async def _leave(self, caller: RawCaller, api: Api, request: str) -> None:
        caller.send(api.path, _document(api), **{"X-Request-ID": request})
        for _ in range(self.chance.randrange(20)):
            await asyncio.sleep(0)
        caller.leave()
        self.outcomes["left"] += 1


def _document(api: Api) -> dict[str, Any]:
    return {**api.document, "model": f"{MODEL}-native" if api.native else MODEL}


def _quick(api: Api) -> list[Fault]:
    return [fault for fault in faults(api) if not fault.takes_time and fault.script is not None]


FAULTS = {api.name: _quick(api) for api in APIS}
