"""Events about our resources, few enough to be read and to spare etcd.

The same event about the same object is told once in ten minutes, and an object may tell ten at once and then one
every 30 s. An event that cannot be written is dropped: the status has the truth, and it is written before.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from splai.core.plan import Event, ObjectReference
from splai.kube.client import Client
from splai.kube.errors import ApiError
from splai.kube.resource import EVENTS

REPEAT_AFTER = 600.0
BURST = 10.0
REFILL_SECONDS = 30.0
MAX_NOTE = 1024
MAX_REMEMBERED = 10_000

_log = logging.getLogger(__name__)


@dataclass
class _Allowance:
    tokens: float
    at: float


class EventRecorder:
    """Writes events.k8s.io Events."""

    def __init__(self, client: Client, *, instance: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._instance = instance
        self._clock = clock
        self._told: OrderedDict[tuple[str, Event], float] = OrderedDict()
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()

    async def record(self, regarding: ObjectReference, events: tuple[Event, ...]) -> None:
        """Write those of the events that are neither a repetition nor too many."""
        for event in events:
            if self._is_news(str(regarding.uid), event) and self._is_allowed(str(regarding.uid)):
                try:
                    await self._client.create(EVENTS, regarding.namespace, self._body(regarding, event))
                except ApiError as error:
                    _log.warning("event not written", extra={"object": str(regarding), "error": error.message})

    def _is_news(self, uid: str, event: Event) -> bool:
        now = self._clock()
        last = self._told.get((uid, event))
        if last is not None and now - last < REPEAT_AFTER:
            return False
        self._told[uid, event] = now
        self._told.move_to_end((uid, event))
        if len(self._told) > MAX_REMEMBERED:
            self._told.popitem(last=False)
        return True

    def _is_allowed(self, uid: str) -> bool:
        now = self._clock()
        allowance = self._allowances.setdefault(uid, _Allowance(BURST, now))
        self._allowances.move_to_end(uid)
        if len(self._allowances) > MAX_REMEMBERED:
            self._allowances.popitem(last=False)
        allowance.tokens = min(BURST, allowance.tokens + (now - allowance.at) / REFILL_SECONDS)
        allowance.at = now
        if allowance.tokens < 1:
            return False
        allowance.tokens -= 1
        return True

    def _body(self, regarding: ObjectReference, event: Event) -> dict[str, object]:
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"namespace": regarding.namespace, "name": f"{regarding.name}.{uuid4().hex[:16]}"},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "regarding": {
                "apiVersion": regarding.api_version,
                "kind": regarding.kind,
                "namespace": regarding.namespace,
                "name": regarding.name,
                "uid": regarding.uid,
            },
            "type": event.type,
            "reason": event.reason,
            "action": "Reconcile",
            "note": event.message[:MAX_NOTE],
            "reportingController": "splai.dev/operator",
            "reportingInstance": self._instance,
        }
