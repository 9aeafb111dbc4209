"""Writes a status when it differs, and makes progress wait for its turn.

A phase or a condition that changed is written at once. Mere progress is budgeted, because every patch becomes a
revision of the whole object in etcd: an object waits ``max(2 s, its bytes at 8 KiB/s)`` after a patch, and all
objects together stay below 20 patches and 512 KiB a second. What is written at once counts against that budget too,
so in a storm of changes it is progress that waits.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from splai.api.condition import Condition
from splai.api.inference_job import InferenceJobStatus
from splai.api.model_backend import ModelBackendStatus
from splai.controller.queue import Key
from splai.kube.client import Client, Object
from splai.kube.errors import Conflict, NotFound
from splai.kube.resource import Resource

Status = InferenceJobStatus | ModelBackendStatus

OBJECT_INTERVAL = 2.0
OBJECT_BYTES_PER_SECOND = 8 * 1024
PATCHES_PER_SECOND = 20.0
BYTES_PER_SECOND = 512 * 1024.0


@dataclass
class _Bucket:
    """A rate with a burst of one second; what may not wait overdraws it by up to one second."""

    rate: float
    level: float
    at: float

    def wait(self, now: float) -> float:
        self.level = min(self.rate, self.level + (now - self.at) * self.rate)
        self.at = now
        return max(0.0, (1 - self.level) / self.rate)

    def spend(self, amount: float) -> None:
        self.level = max(-self.rate, self.level - amount)


class StatusWriter:
    """Patches the status subresource of our two kinds."""

    def __init__(
        self,
        client: Client,
        *,
        absorb: Callable[[Resource, Object], None],
        clock: Callable[[], float],
        deferred: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._absorb = absorb
        self._clock = clock
        self._deferred = deferred
        self._patches = _Bucket(PATCHES_PER_SECOND, PATCHES_PER_SECOND, clock())
        self._bytes = _Bucket(BYTES_PER_SECOND, BYTES_PER_SECOND, clock())
        self._next_turn: dict[Key, float] = {}

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._next_turn.pop(key, None)

    async def write(self, resource: Resource, key: Key, uid: str, before: Status, after: Status) -> float | None:
        """Write what changed; returns seconds to wait when it is progress whose turn has not come."""
        if after == before:
            return None
        wanted = after.to_wire()
        # Against what the apiserver holds: a zero that was never written is read back as zero, and users look for it.
        changes = merge_patch(before.as_received(), wanted)
        if not changes:
            return None
        if not is_urgent(before, after):
            wait = self._wait(key)
            if wait > 0:
                self._deferred(key.kind)
                return wait
        size = len(json.dumps(wanted))
        self._spend(key, size)
        patch = {"metadata": {"uid": uid}, "status": changes}
        try:
            reply = await self._client.patch_status(resource, key.namespace, key.name, patch)
        except NotFound:
            return None
        except Conflict as error:
            if "uid" in error.message.lower():
                return None  # deleted, and another one has the name: its own reconcile will come
            raise
        self._absorb(resource, reply)
        return None

    def _wait(self, key: Key) -> float:
        now = self._clock()
        return max(self._next_turn.get(key, now) - now, self._patches.wait(now), self._bytes.wait(now))

    def _spend(self, key: Key, size: int) -> None:
        now = self._clock()
        for bucket, amount in ((self._patches, 1), (self._bytes, size)):
            bucket.wait(now)
            bucket.spend(amount)
        self._next_turn[key] = now + max(OBJECT_INTERVAL, size / OBJECT_BYTES_PER_SECOND)


def is_urgent(before: Status, after: Status) -> bool:
    """Whether somebody may be waiting for this change: a phase, a condition, a generation seen."""
    return (
        _phase(before) != _phase(after)
        or before.observed_generation != after.observed_generation
        or _verdicts(before.conditions) != _verdicts(after.conditions)
    )


def merge_patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) between two objects; lists are replaced whole."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        known = before.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            if inner := merge_patch(known, value):
                patch[key] = inner
        elif key not in before or value != known:
            patch[key] = value
    return patch


def _phase(status: Status) -> str | None:
    return status.phase if isinstance(status, InferenceJobStatus) else None


def _verdicts(conditions: list[Condition]) -> list[tuple[str, str, str]]:
    return [(condition.type, condition.status, condition.reason) for condition in conditions]
