"""Carries out the actions of a plan, in order, and sorts what went wrong.

What may pass by itself (no answer, throttling, a conflict) raises, and the caller tries again later. What will not
is a ``Refusal``: the plan is made again with it, so that it ends in the status instead of in a hot loop. So is what a
store or the history does not take, which may pass, but not soon. The first refusal ends the execution, because later
actions may build on earlier ones.
"""

import time
from collections.abc import Callable
from typing import Protocol

from splai.api import ledger
from splai.api.history import HistoryRecord
from splai.artifacts.folder import INSUFFICIENT_STORAGE, JobFolder, StoreRefused, StoreUnavailable
from splai.core.field_ownership import applied_fields
from splai.core.observed import controller_uid
from splai.core.plan import (
    ALREADY_PLANNED,
    Action,
    Apply,
    Archive,
    Create,
    Delete,
    ObjectReference,
    Refusal,
    Scale,
    WriteReadingOrder,
    WriteWorkOrder,
)
from splai.history import HistoryStore, HistoryUnavailable
from splai.kube.client import Client, Object
from splai.kube.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from splai.kube.resource import INFERENCE_JOBS, Resource, resource_of
from splai.resilience.breaker import Breaker


class Known(Protocol):
    """What the executor asks and tells the caches."""

    def absorb(self, resource: Resource, body: Object) -> None:
        """Take in the reply to a write."""


class _RefusedError(Exception):
    """Carries a refusal out of an action."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Executor:
    """The only place that writes children, orders and the history."""

    def __init__(
        self,
        client: Client,
        *,
        known: Known,
        folder: Callable[[str, str], JobFolder],
        history: HistoryStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``folder`` opens the artifact folder of a job by namespace and UID."""
        self._client = client
        self._known = known
        self._folder = folder
        self._history = history
        self._orders = Breaker(StoreUnavailable, clock=clock)  # a store that is full takes no order, and may be read
        self._records = Breaker(HistoryUnavailable, clock=clock)

    async def execute(self, actions: tuple[Action, ...], *, deleting: bool = False) -> tuple[Refusal, ...]:
        """Carry out the actions; when the resource is being deleted nothing is made for it any more.

        Raises ApiError for what may pass.
        """
        for action in actions:
            if deleting and not isinstance(action, Delete):
                continue
            try:
                await self._perform(action)
            except (_RefusedError, ApiError) as error:
                if (refusal := _refusal(action, error)) is None:
                    raise
                return (refusal,)
        return ()

    async def _perform(self, action: Action) -> None:
        match action:
            case Create():
                await self._create(action.body)
            case Apply():
                await self._apply(action.body)
            case Scale():
                await self._scale(action.reference, action.parallelism)
            case Delete():
                await self._delete(action)
            case WriteReadingOrder():
                await self._write(ledger.READING, action.order)
            case WriteWorkOrder():
                await self._write(ledger.PLAN, action.order)
            case Archive():
                await self._save(action.record)
                await self._delete(Delete(action.reference))

    async def _create(self, body: Object) -> None:
        target = ObjectReference.of(body)
        resource = resource_of(target.api_version, target.kind)
        try:
            made = await self._client.create(resource, target.namespace, body)
        except AlreadyExists:
            made = await self._client.get(resource, target.namespace, target.name)
            _require_ours(made, body, target)
        self._known.absorb(resource, made)

    async def _apply(self, body: Object) -> None:
        """By force only on what is ours, and then with its UID as precondition: nothing foreign is ever taken over.

        An object that we applied and that has lost its owner is ours again, as orphaned pods are a ReplicaSet's.
        """
        target = ObjectReference.of(body)
        resource = resource_of(target.api_version, target.kind)
        try:
            live = await self._client.get(resource, target.namespace, target.name)
        except NotFound:
            made = await self._client.apply(resource, target.namespace, body)
        else:
            if not _is_our_orphan(live, body):
                _require_ours(live, body, target)
            pinned = {**body, "metadata": {**body["metadata"], "uid": live["metadata"]["uid"]}}
            made = await self._apply_by_force(resource, target, pinned)
        self._known.absorb(resource, made)

    async def _apply_by_force(self, resource: Resource, target: ObjectReference, body: Object) -> Object:
        """Lists are merged by key: where somebody changed an item's key (a Service's port), both items would be there.

        If the apiserver refuses that, the lists are replaced as a whole first. Who wrote a wrong spec pays for one
        refused request more.
        """
        try:
            return await self._client.apply(resource, target.namespace, body, force=True)
        except Invalid:
            replacement = {"metadata": {"uid": body["metadata"]["uid"]}, "spec": body["spec"]}
            await self._client.patch(resource, target.namespace, target.name, replacement)
            return await self._client.apply(resource, target.namespace, body, force=True)

    async def _scale(self, target: ObjectReference, parallelism: int) -> None:
        resource = resource_of(target.api_version, target.kind)
        patch: Object = {"spec": {"parallelism": parallelism, "completions": parallelism}}
        if target.uid is not None:
            patch["metadata"] = {"uid": target.uid}
        try:
            self._known.absorb(resource, await self._client.patch(resource, target.namespace, target.name, patch))
        except NotFound:
            return  # its deletion is on the way to the cache, and a plan without it will follow

    async def _delete(self, action: Delete) -> None:
        target = action.reference
        resource = resource_of(target.api_version, target.kind)
        try:
            left = await self._client.delete(resource, target.namespace, target.name, uid=target.uid)
        except NotFound:
            return
        except Conflict:
            if target.uid is None:
                raise
            return  # the name belongs to a successor: the one that was meant is gone
        if left.get("kind") == resource.kind:
            self._known.absorb(resource, left)

    async def _save(self, record: HistoryRecord) -> None:
        try:
            with self._records.asking():
                await self._history.save(record)
        except HistoryUnavailable as error:
            raise _RefusedError("HistoryUnavailable", f"the history takes no record: {error}") from error

    async def _write(self, path: str, order: ledger.ReadingOrder | ledger.WorkOrder) -> None:
        """One that is there was written by an earlier attempt, and its reader may have begun."""
        folder = self._folder(order.namespace, order.uid)
        data = order.model_dump_json(by_alias=True, exclude_none=True).encode()
        try:
            with self._orders.asking():
                written = await folder.create(path, data)
                standing = None if written or path != ledger.PLAN else await folder.get(path)
        except StoreUnavailable as error:
            full = error.code == INSUFFICIENT_STORAGE
            raise _RefusedError("ArtifactStoreFull" if full else "ArtifactStoreUnavailable", str(error)) from error
        except StoreRefused as error:
            raise _RefusedError("ArtifactStoreUnavailable", f"the artifact server refuses {path}: {error}") from error
        if standing not in (None, data):
            raise _RefusedError(ALREADY_PLANNED, "the work was planned before, and that plan stands")


def _refusal(action: Action, error: _RefusedError | ApiError) -> Refusal | None:
    """None for what may pass by itself.

    A 500 is most of all a webhook that does not answer, which may last: "failed calling webhook". An apiserver that is
    itself in trouble says 503, 504 or nothing; where it says 500, it will not take the status either, and that raises.
    """
    match error:
        case _RefusedError():
            reason = error.reason
        case Forbidden():
            reason = "QuotaExceeded" if "exceeded quota" in error.message else "Forbidden"
        case Invalid():
            reason = "Invalid"
        case Unavailable(status=500):
            reason = "InternalError"
        case _:
            return None
    return Refusal(_target(action), reason, str(error))


def _is_our_orphan(live: Object, wanted: Object) -> bool:
    """Nobody controls it, it carries the labels that we want on it, and what we applied is still written down."""
    metadata = live["metadata"]
    if controller_uid(metadata) is not None or not applied_fields(metadata):
        return False
    return bool((wanted["metadata"].get("labels") or {}).items() <= (metadata.get("labels") or {}).items())


def _require_ours(live: Object, wanted: Object, target: ObjectReference) -> None:
    ours, theirs = controller_uid(wanted["metadata"]), controller_uid(live["metadata"])
    if theirs is None or theirs != ours:
        owners = live["metadata"].get("ownerReferences") or ()
        owner = next((f"{owner['kind']} {owner['name']}" for owner in owners if owner.get("controller")), "nobody")
        raise _RefusedError(
            "NameConflict", f"{target} exists already and is controlled by {owner}; rename one of the two"
        )


def _target(action: Action) -> ObjectReference:
    match action:
        case Create() | Apply():
            return ObjectReference.of(action.body)
        case Scale() | Delete() | Archive():
            return action.reference
        case WriteReadingOrder() | WriteWorkOrder():
            order = action.order
            return ObjectReference(
                api_version=INFERENCE_JOBS.api_version,
                kind=INFERENCE_JOBS.kind,
                namespace=order.namespace,
                name=order.job,
                uid=order.uid,
            )
