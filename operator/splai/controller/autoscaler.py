"""Watches what is asked of the backends with autoscaling, and has those decided about that need another number.

::

    gateways ──▶ requests ─┐
                           ├─▶ demand of each backend, now and over its scale-down delay ─▶ another decision? ─▶ queue
    caches ────▶ records ──┘

What to decide is `core/modelbackend/autoscaling.py`; the reconcile that follows asks it again. Only the operator that
leads watches. It begins without memory, so nothing is scaled down before it has watched for a whole delay.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NoReturn

from splai.api.model_backend import ModelBackend
from splai.api.policy import Policy
from splai.controller.caches import Caches
from splai.controller.gateways import Gateways
from splai.controller.queue import Key
from splai.core.modelbackend.autoscaling import decide_autoscaling, decided_replicas
from splai.core.modelbackend.demand import Demand, DemandHistory, asked_by, backend_of
from splai.kube.resource import MODEL_BACKENDS

INTERVAL = 3.0
INTERVAL_AT_ZERO = 1.0
"""Somebody may be waiting for the first replica."""
BURST_SECONDS = 0.2
"""Many requests that come together are seen together, and bring as many replicas at once as they need."""
SHARE_FOR_JOBS = 0.05
"""Of the time that may be spent on counting what jobs ask for: thousands of them may run."""


class Autoscaler:
    """The demand of every backend with autoscaling, by its key."""

    def __init__(
        self,
        gateways: Gateways,
        caches: Caches,
        *,
        policies: Callable[[], Mapping[str, Policy]],
        enqueue: Callable[[Key], None],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateways = gateways
        self._caches = caches
        self._policies = policies
        self._enqueue = enqueue
        self._now = now
        self._clock = clock
        self._histories: dict[str, DemandHistory] = {}
        self._demand: dict[str, Demand] = {}
        self._records: Counter[str] = Counter()
        self._records_due = float("-inf")

    def demand(self, backend: ModelBackend) -> Demand | None:
        """What was last seen to be asked of it; None while nothing was."""
        return self._demand.get(_key(backend))

    async def run(self) -> NoReturn:
        """Look again and again, more often while a backend is at zero."""
        while True:
            backends = self._elastic()
            await self.look(backends)
            at_zero = any(decided_replicas(backend) == 0 for backend in backends)
            await asyncio.sleep(INTERVAL_AT_ZERO if at_zero else INTERVAL)

    async def look(self, backends: Sequence[ModelBackend]) -> None:
        """See what is asked of these, and enqueue those of which another number of replicas is to be decided."""
        if not backends:
            self._forget()
            return
        await self._observe(backends)
        changed = self._to_decide(backends)
        if any(decided_replicas(backend) == 0 for backend in changed):
            await asyncio.sleep(BURST_SECONDS)
            await self._observe(backends)
            changed = self._to_decide(backends)
        for backend in changed:
            self._enqueue(Key.of(MODEL_BACKENDS, backend.metadata["namespace"], backend.metadata["name"]))

    def _elastic(self) -> list[ModelBackend]:
        backends = (entry.value for entry in self._caches.backends)
        return [it for it in backends if it.spec.autoscaling and "deletionTimestamp" not in it.metadata]

    async def _observe(self, backends: Sequence[ModelBackend]) -> None:
        await self._gateways.look()
        view = self._gateways.view
        if not view.is_listed:
            return
        self._count_records()
        now, requests, silent = self._clock(), view.requests(), view.silent()
        demand: dict[str, Demand] = {}
        histories: dict[str, DemandHistory] = {}
        for backend in backends:
            key, autoscaling = _key(backend), backend.spec.autoscaling
            assert autoscaling is not None  # noqa: S101 - for mypy: only such are watched
            history = histories[key] = self._histories.get(key) or DemandHistory()
            total = requests[key] + self._records[key]
            history.add(total, now, window=autoscaling.delay.total_seconds(), complete=not silent)
            demand[key] = Demand(
                requests=requests[key],
                records=self._records[key],
                highest=history.highest,
                watched=history.watched(now),
                silent=silent,
                silent_for=history.silent_for(now) if silent else timedelta(),
            )
        self._histories, self._demand = histories, demand

    def _count_records(self) -> None:
        began = self._clock()
        if began < self._records_due:
            return
        policies, records = self._policies(), Counter[str]()
        for job in self._caches.active_jobs():
            key = backend_of(job)
            if key is not None:
                records[key] += asked_by(job, policies)
        self._records = records
        self._records_due = began + (self._clock() - began) / SHARE_FOR_JOBS

    def _to_decide(self, backends: Sequence[ModelBackend]) -> list[ModelBackend]:
        now = self._now()
        return [it for it in backends if decide_autoscaling(it, self.demand(it), now) != it.status.autoscaling]

    def _forget(self) -> None:
        self._histories, self._demand = {}, {}


def _key(backend: ModelBackend) -> str:
    return f"{backend.metadata['namespace']}/{backend.metadata['name']}"
