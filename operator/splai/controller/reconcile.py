"""The loop around the pure core: snapshot → plan → execute → one status patch → events → look again later.

Level-triggered: an attempt looks at everything as it is, so it does not matter which event, or how many, led to it.
What fails is tried again with backoff; what is refused for good ends in the status, and is tried again with backoff
too, because quotas are raised and names become free.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from splai.controller.metrics import Metrics
from splai.controller.queue import Closed, Key, WorkQueue
from splai.controller.spans import ReconcileSpans
from splai.controller.status_writer import StatusWriter
from splai.core.plan import ObjectReference, Plan, Refusal
from splai.kube.cache import Collection, Entry
from splai.kube.errors import ApiError, Throttled
from splai.kube.events import EventRecorder
from splai.kube.executor import Executor
from splai.kube.lease import LeaseLost
from splai.logs import origin

TIMEOUT = 60.0
REFUSED_DELAY = 1.0
"""The least wait after a refusal: more than the event of our own status patch takes to return."""

_log = logging.getLogger(__name__)


class DecisionRefused(Exception):
    """The decision itself could not be made for good: it has to be made again with this in sight."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class DecisionFailed(Exception):
    """The decision could not be made this time; it is tried again after ``retry_after`` seconds or later."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What reconciling one of our kinds takes; snapshots and statuses differ, the loop does not."""

    collection: Collection[Any]
    observe: Callable[[Entry[Any]], Awaitable[Any]]
    decide: Callable[[Any, datetime], Awaitable[Plan[Any]]]


class Reconciler:
    """Carries out decisions about one object at a time; workers of one queue share it."""

    def __init__(
        self,
        kinds: dict[str, Kind],
        *,
        queue: WorkQueue,
        executor: Executor,
        statuses: StatusWriter,
        events: EventRecorder,
        metrics: Metrics,
        now: Callable[[], datetime],
        spans: ReconcileSpans | None = None,
    ) -> None:
        self._kinds = kinds
        self._queue = queue
        self._executor = executor
        self._statuses = statuses
        self._events = events
        self._metrics = metrics
        self._now = now
        self._spans = spans

    async def work(self) -> None:
        """One worker: take keys until the queue is closed."""
        while True:
            try:
                key = await self._queue.get()
            except Closed:
                return
            try:
                await self._attempt(key)
            finally:
                self._queue.done(key)

    async def _attempt(self, key: Key) -> None:
        """One reconcile, and when the next one is due."""
        try:
            with self._metrics.reconciling(key.kind) as set_result:
                async with asyncio.timeout(TIMEOUT):
                    work = self.reconcile(key)
                    set_result(await (work if self._spans is None else self._spans.follow(key, work)))
        except LeaseLost:
            raise
        except Throttled as error:
            self._queue.retry(key, at_least=error.retry_after)
        except (ApiError, DecisionFailed, TimeoutError) as error:
            delay = self._queue.retry(key, at_least=error.retry_after if isinstance(error, DecisionFailed) else 0.0)
            facts = {"object": str(key), "error": str(error) or "timeout", "retry_in": round(delay, 3)}
            _log.warning("reconcile failed", extra=facts)
        except Exception as error:
            delay = self._queue.retry(key)
            facts = {"object": str(key), "retry_in": round(delay, 3), **origin(error)}
            _log.error("reconcile crashed", extra=facts)  # no traceback: its words may hold contents

    async def reconcile(self, key: Key) -> str:
        """Bring one object forward; returns ``done``, ``refused`` or ``gone``."""
        kind = self._kinds[key.kind]
        entry = kind.collection.get(key.namespace, key.name)
        if entry is None:
            self._queue.forget(key)
            self._statuses.forget(key)
            return "gone"
        regarding = _reference(kind, entry)
        snapshot = await kind.observe(entry)
        plan, refusals = await self._carry_out(kind, entry, regarding, snapshot)
        wait = await self._statuses.write(kind.collection.resource, entry, plan.status)
        await self._events.record(regarding, plan.action_events)
        if wait is None:  # a transition that is not written yet will be seen, and told, again
            await self._events.record(regarding, plan.events)
        least = REFUSED_DELAY if refusals else 0.0
        poll = plan.poll_after if wait is None else None
        delays = [delay for delay in (wait, plan.requeue_after, poll) if delay is not None]
        if delays:
            self._queue.add(key, delay=max(least, min(delays)))
        if refusals:
            self._queue.retry(key, at_least=least)
            return "refused"
        self._queue.forget(key)
        return "done"

    async def _carry_out(
        self, kind: Kind, entry: Entry[Any], regarding: ObjectReference, snapshot: Any
    ) -> tuple[Plan[Any], tuple[Refusal, ...]]:
        """Decide and execute; after a refusal decide again, for the status and the events only."""
        now = self._now()
        try:
            plan = await kind.decide(snapshot, now)
        except DecisionRefused as refused:
            refusals: tuple[Refusal, ...] = (Refusal(regarding, refused.reason, str(refused)),)
        else:
            deleting = entry.value.metadata.get("deletionTimestamp") is not None
            refusals = await self._executor.execute(plan.actions, deleting=deleting)
            if not refusals:
                return plan, ()
        return await kind.decide(replace(snapshot, refusals=refusals), now), refusals


def _reference(kind: Kind, entry: Entry[Any]) -> ObjectReference:
    resource = kind.collection.resource
    return ObjectReference(
        api_version=resource.api_version,
        kind=resource.kind,
        namespace=entry.namespace,
        name=entry.name,
        uid=entry.uid,
    )
