"""Writes a status when it differs: a changed phase first, everything else when the budget has room for it.

The end of a job is written at once, as is whether a backend is ready, and how many replicas it is to have. Another
phase waits for its turn if more is written than the budget allows, as does that a new backend is not ready yet: of
thousands of small jobs most are over by then, and one patch tells it all.

A patch is sent on top of exactly the version that was decided on. So its reply need not show the whole object: what is
stored now is what was known, with the new status. Where somebody else was faster, or another object has the name, the
decision is made again. (A UID in the patch would prevent nothing: the status subresource ignores metadata.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from splai.api.inference_job import TERMINAL_PHASES, InferenceJobStatus, WorkersStatus
from splai.api.json import compact_text
from splai.api.model_backend import ModelBackendStatus
from splai.controller.queue import Key
from splai.controller.status_budget import LITTLE_NEWS_INTERVAL, OBJECT_INTERVAL, StatusBudget
from splai.core.conditions import find_condition
from splai.core.inferencejob.status import BYTE_BUDGET, fit_budget
from splai.kube.cache import Entry
from splai.kube.client import Client, Object
from splai.kube.errors import Conflict, NotFound
from splai.kube.resource import Resource

Status = InferenceJobStatus | ModelBackendStatus
Written = Callable[[Resource, Object, Status], None]
"""Called with the resource, the object's new metadata and the status that is stored now."""

CONFLICT_DELAY = 0.2
"""Until the watch has told what somebody else wrote."""


class StatusWriter:
    """Patches the status subresource of our two kinds."""

    def __init__(
        self,
        client: Client,
        *,
        written: Written,
        clock: Callable[[], float],
        deferred: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._written = written
        self._deferred = deferred
        self._budget = StatusBudget(clock)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._budget.forget(key)

    async def write(self, resource: Resource, entry: Entry[Any], after: Status) -> float | None:
        """Write what changed; returns seconds to wait when it was not written but is to be."""
        before: Status = entry.value.status
        if after == before:
            return None
        after, wanted, size = within_limit(after)
        # Against what the apiserver holds: a zero that was never written is read back as zero, and users look for it.
        changes = merge_patch(before.as_received(), wanted)
        if not changes:
            return None
        key = Key.of(resource, entry.namespace, entry.name)
        haste = haste_of(before, after)
        if haste and (wait := self._budget.wait(key, size, interval=haste.interval, phase=haste.phase)) > 0:
            self._deferred(key.kind)
            return wait
        self._budget.spend(key, size)
        patch = {"metadata": {"resourceVersion": str(entry.version)}, "status": changes}
        try:
            metadata = await self._client.patch_status(resource, entry.namespace, entry.name, patch)
        except NotFound:
            return None
        except Conflict:
            return CONFLICT_DELAY
        self._written(resource, metadata, type(after).model_validate(wanted))
        return None


def within_limit(status: Status) -> tuple[Status, dict[str, Any], int]:
    """The status as it may be written, its JSON form, and the bytes of that."""
    wanted = status.to_wire()
    size = _size(wanted)
    if size > BYTE_BUDGET and isinstance(status, InferenceJobStatus):
        status = fit_budget(status)
        wanted = status.to_wire()
        size = _size(wanted)
    return status, wanted, size


@dataclass(frozen=True, slots=True)
class Haste:
    """How soon a change is to be written: so many seconds after the last patch, and before all that is no phase."""

    interval: float
    phase: bool = False


def haste_of(before: Status, after: Status) -> Haste | None:
    """None when somebody may wait for the change, so that it must not wait itself.

    How many pods a job has already is little news while there is no other: most jobs run before anybody could read it.
    """
    if isinstance(before, ModelBackendStatus) or isinstance(after, ModelBackendStatus):
        was, now = _news(before), _news(after)
        if was == now:
            return Haste(OBJECT_INTERVAL)
        return Haste(0.0, phase=True) if was == (None, None) and now == ("False", None) else None
    if before.phase != after.phase:
        return None if after.phase in TERMINAL_PHASES else Haste(0.0, phase=True)
    return Haste(OBJECT_INTERVAL if _essence(before) != _essence(after) else LITTLE_NEWS_INTERVAL)


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


def _essence(status: InferenceJobStatus) -> tuple[InferenceJobStatus, list[tuple[str, str, str]]]:
    verdicts: list[tuple[str, str, str]] = [(it.type, it.status, it.reason) for it in status.conditions]
    little = {"conditions": [], "message": "", "workers": WorkersStatus()}
    return status.model_copy(update=little), verdicts


def _size(wanted: dict[str, Any]) -> int:
    return len(compact_text(wanted).encode())


def _news(status: Status) -> tuple[str | None, int | None]:
    """Whether a backend is ready, and how many replicas it is to have: the Deployment follows what is written."""
    ready = find_condition(status.conditions, "Ready")
    scaling = status.autoscaling if isinstance(status, ModelBackendStatus) else None
    return ready.status if ready else None, scaling.desired_replicas if scaling else None
