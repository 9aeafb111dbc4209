"""What is known of the cluster, and whose work a change is.

A change of a child is its owner's work. A change of a ModelBackend is also the work of the jobs that use it or wait for
one, as far as it is open to their namespaces. Changes that no decision looks at are nobody's work: most events of a pod
are such.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import datetime
from itertools import count
from typing import Any, cast

from splai.api.inference_job import TERMINAL_PHASES, InferenceJob, InferenceJobStatus
from splai.api.model_backend import ModelBackend, ModelBackendStatus
from splai.controller.model_names import ModelNames
from splai.controller.queue import Key
from splai.core.conditions import find_condition
from splai.core.inferencejob.backend import backend_reference
from splai.core.inferencejob.children import has_pods
from splai.core.inferencejob.snapshot import QUEUE_LABEL, QUEUE_PRIORITY_LABEL, should_have_pods
from splai.core.observed import (
    BACKEND_LABEL,
    JOB_LABEL,
    MANAGED_BY_LABEL,
    ObservedDeployment,
    ObservedJob,
    ObservedPod,
    ObservedService,
)
from splai.kube.cache import Collection, Entry
from splai.kube.client import Object
from splai.kube.resource import DEPLOYMENTS, INFERENCE_JOBS, JOBS, MODEL_BACKENDS, PODS, SERVICES, Resource

Enqueue = Callable[[Key, float], None]
_JobIndex = tuple[str, str | None, str | None]
"""Namespace, phase and policy."""
_BackendIndex = tuple[str, bool]
"""Namespace, and whether it is open to others."""

OWN_KINDS = (INFERENCE_JOBS, MODEL_BACKENDS)
CHILDREN = (DEPLOYMENTS, SERVICES, JOBS, PODS)
CHILD_SELECTOR = f"{MANAGED_BY_LABEL}=splai"
SETTLE_SECONDS = {INFERENCE_JOBS.kind: 0.5, MODEL_BACKENDS.kind: 0.1}
"""A pod's start and end are bursts of events of the pod and its Job: one reconcile and one patch a burst are enough.

A worker that runs for less is only seen to have ended. Requests may be waiting for a backend, nobody for a job.
"""
PACE_SECONDS = 0.02
"""Between two of the jobs that are over, of which there are many: nobody waits for what becomes of them."""


def selector_of(resource: Resource) -> str:
    """Our own kinds are ours whatever their labels; of the others only those that we made."""
    return "" if resource in OWN_KINDS else CHILD_SELECTOR


def pods_of_job(namespace: str, name: str) -> Hashable:
    return (INFERENCE_JOBS.kind, namespace, name)


def pods_of_backend(namespace: str, name: str) -> Hashable:
    return (MODEL_BACKENDS.kind, namespace, name)


class Caches:
    """One collection a watched kind; tells ``enqueue`` whose work a change is, and how long it may settle."""

    def __init__(self, enqueue: Enqueue) -> None:
        self._enqueue = enqueue
        self.jobs = Collection(INFERENCE_JOBS, _job, index=_job_index, shelf=_Finished())
        self.backends = Collection(MODEL_BACKENDS, _backend, index=_backend_index)
        self.model_names = ModelNames()
        self.child_jobs = Collection(JOBS, ObservedJob.from_object, index=_owner_uid)
        self.deployments = Collection(DEPLOYMENTS, ObservedDeployment.from_object, index=_owner_uid)
        self.services = Collection(SERVICES, ObservedService.from_object, index=_owner_uid)
        self.pods = Collection(PODS, ObservedPod.from_object, index=_pod_owner)
        self._collections: dict[Resource, Collection[Any]] = {
            collection.resource: collection
            for collection in (
                self.jobs,
                self.backends,
                self.child_jobs,
                self.deployments,
                self.services,
                self.pods,
            )
        }

    def __iter__(self) -> Iterator[Collection[Any]]:
        return iter(self._collections.values())

    def of(self, resource: Resource) -> Collection[Any]:
        """The collection of one of these kinds."""
        return self._collections[resource]

    def changed(self, resource: Resource, body: Object) -> None:
        """A watch told that an object is there, or is different."""
        before, after = self._put(resource, body)
        if after is not None:
            self.route(resource, before, after)

    def deleted(self, resource: Resource, body: Object) -> None:
        """A watch told that an object is gone."""
        before = self._collections[resource].remove(body)
        if before is not None:
            self.route(resource, before, None)

    def absorb(self, resource: Resource, body: Object) -> None:
        """Our own write was answered with this: known already to who wrote it, news only to others.

        What is not watched is not kept either.
        """
        if resource in self._collections:
            self._put(resource, body)

    def status_written(
        self, resource: Resource, metadata: Object, status: InferenceJobStatus | ModelBackendStatus
    ) -> None:
        """Our own status patch was answered with the object's metadata: a backend's is news to jobs."""
        collection = self._collections[resource]
        before = collection.by_uid(metadata["uid"])
        update = {"metadata": _without_managed_fields(metadata), "status": status}
        after = collection.revise(metadata, lambda value: value.model_copy(update=update))
        if after is not None and resource == MODEL_BACKENDS:
            self._route_to_jobs(before, after)
            if before is not None and _intent(before.value) != _intent(after.value):
                self._enqueue(Key.of(resource, after.namespace, after.name), 0.0)

    def route(self, resource: Resource, before: Entry[Any] | None, after: Entry[Any] | None) -> None:
        """Enqueue those whose work the change is."""
        entry = after or before
        if entry is None:
            return
        if resource in OWN_KINDS:
            if before is None or after is None or _intent(before.value) != _intent(after.value):
                self._enqueue(Key.of(resource, entry.namespace, entry.name), 0.0)
            if resource == MODEL_BACKENDS:
                self._route_to_jobs(before, after)
                self._route_to_defaults(before, after)
                self._route_to_namesakes(before, after)
        elif before is None or after is None or before.value != after.value:
            owners = {self._owner(version) for version in (before, after) if version is not None}
            for key in owners:  # an owner that was taken away is told too
                if key is not None:
                    self._enqueue(key, SETTLE_SECONDS[key.kind])

    def backends_for(self, job: InferenceJob) -> tuple[ModelBackend, ...]:
        """All of the job's namespace, those that are open to it, and the one that its work was planned for."""
        namespace, chosen = job.metadata["namespace"], job.status.backend or ""
        found = {entry.uid: entry for entry in self._backends_of(namespace)}
        for home, is_shared in cast("dict[_BackendIndex, int]", self.backends.sizes()):
            for entry in self.backends.indexed((home, True)) if is_shared and home != namespace else ():
                if entry.value.spec.access.admits(namespace):
                    found[entry.uid] = entry
        home, slash, name = chosen.partition("/")
        if slash and job.status.spec_hash is not None and (bound := self.backends.get(home, name)):
            found[bound.uid] = bound
        return tuple(entry.value for entry in found.values())

    def other_defaults(self, backend: ModelBackend) -> tuple[str, ...]:
        """Names of the other backends of the namespace that are the default too, if this one is."""
        if not backend.spec.routing.default:
            return ()
        namespace, name = backend.metadata["namespace"], backend.metadata["name"]
        defaults = (entry.name for entry in self._backends_of(namespace) if _is_default(entry))
        return tuple(sorted(other for other in defaults if other != name))

    def active_jobs(self) -> Iterator[InferenceJob]:
        """Those in a phase in which a job can make use of a backend."""
        for index, _size in list(self._jobs_by_index()):
            if index[1] in ("Pending", "Running"):
                yield from (entry.value for entry in self.jobs.indexed(index))

    def children_without_pods(self, now: datetime) -> list[tuple[Key, ObservedJob]]:
        """Jobs of ours that should have pods by now and have none, each with whose work it is."""
        found: list[tuple[Key, ObservedJob]] = []
        for entry in self.child_jobs:
            child = entry.value
            owner = self._owner(entry) if should_have_pods(child, now) else None
            if owner is not None and not self._has_pods(owner, child):
                found.append((owner, child))
        return found

    def policies_changed(self) -> None:
        """Enqueue the jobs that name one, those that are over as well: their time to live may be the policy's."""
        delays = count(PACE_SECONDS, PACE_SECONDS)
        for index, _size in list(self._jobs_by_index()):
            _namespace, phase, policy = index
            for place in self.jobs.places(index) if policy is not None else ():
                self._enqueue(Key.of(INFERENCE_JOBS, *place), next(delays) if phase in TERMINAL_PHASES else 0.0)

    def phases(self) -> Counter[str]:
        """How many InferenceJobs are in each phase."""
        counts: Counter[str] = Counter()
        for (_, phase, _), size in self._jobs_by_index():
            counts[phase or "Pending"] += size
        return counts

    def _jobs_by_index(self) -> Iterator[tuple[_JobIndex, int]]:
        yield from cast("dict[_JobIndex, int]", self.jobs.sizes()).items()

    def _backends_of(self, namespace: str) -> tuple[Entry[ModelBackend], ...]:
        return (*self.backends.indexed((namespace, False)), *self.backends.indexed((namespace, True)))

    def _unfinished_jobs(self, namespace: str | None = None) -> Iterator[Entry[InferenceJob]]:
        for index, _size in list(self._jobs_by_index()):
            if index[1] not in TERMINAL_PHASES and namespace in (None, index[0]):
                yield from self.jobs.indexed(index)

    def _put(self, resource: Resource, body: Object) -> tuple[Entry[Any] | None, Entry[Any] | None]:
        collection = self._collections[resource]
        before = collection.by_uid(body["metadata"]["uid"]) if collection.is_news(body) else None
        return before, collection.put(body)

    def _has_pods(self, owner: Key, child: ObservedJob) -> bool:
        pods = self.pods.indexed(pods_of_job(owner.namespace, owner.name))
        return has_pods(child, (pod.value for pod in pods))

    def _owner(self, entry: Entry[Any]) -> Key | None:
        if isinstance(entry.index, tuple):
            return Key(*entry.index)
        if entry.index is None:
            return None
        uid = str(entry.index)
        for collection in (self.jobs, self.backends):
            if place := collection.place(uid):
                return Key.of(collection.resource, *place)
        return None

    def _route_to_jobs(self, before: Entry[ModelBackend] | None, after: Entry[ModelBackend] | None) -> None:
        entry = after or before
        if entry is None or (before and after and _offer(before.value) == _offer(after.value)):
            return
        versions = [version.value for version in (before, after) if version is not None]
        is_shared = any(backend.spec.access.from_ != "Same" for backend in versions)
        for job in self._unfinished_jobs(None if is_shared else entry.namespace):
            if _concerns(entry, versions, job) or (_is_default(before) != _is_default(after) and _names_none(job)):
                self._enqueue(Key.of(INFERENCE_JOBS, job.namespace, job.name), SETTLE_SECONDS[MODEL_BACKENDS.kind])

    def _route_to_defaults(self, before: Entry[ModelBackend] | None, after: Entry[ModelBackend] | None) -> None:
        """Of two defaults each says that there is the other one."""
        entry = after or before
        if entry is None or _is_default(before) == _is_default(after):
            return
        for other in self._backends_of(entry.namespace):
            if other.uid != entry.uid and _is_default(other):
                self._enqueue(Key.of(MODEL_BACKENDS, other.namespace, other.name), 0.0)

    def _route_to_namesakes(self, before: Entry[ModelBackend] | None, after: Entry[ModelBackend] | None) -> None:
        """Who serves the same name says whose it is."""
        for place in self.model_names.change(before, after):
            self._enqueue(Key.of(MODEL_BACKENDS, *place), SETTLE_SECONDS[MODEL_BACKENDS.kind])


def _job(body: Object) -> InferenceJob:
    return InferenceJob.model_validate({**body, "metadata": _without_managed_fields(body["metadata"])})


def _backend(body: Object) -> ModelBackend:
    return ModelBackend.model_validate({**body, "metadata": _without_managed_fields(body["metadata"])})


def _without_managed_fields(metadata: Object) -> Object:
    """They are often half of an object, and nothing decides by them; the original belongs to whoever gave it to us."""
    return {key: value for key, value in metadata.items() if key != "managedFields"}


class _Finished:
    """The shelf of jobs that are over: thousands are kept, and one is looked at when somebody changes it."""

    def takes(self, value: InferenceJob) -> bool:
        return value.status.phase in TERMINAL_PHASES

    def pack(self, value: InferenceJob) -> bytes:
        return zlib.compress(value.model_dump_json(by_alias=True, exclude_unset=True).encode(), level=1)

    def unpack(self, packed: bytes) -> InferenceJob:
        return InferenceJob.model_validate_json(zlib.decompress(packed))


def _job_index(job: InferenceJob) -> _JobIndex:
    return str(job.metadata["namespace"]), job.status.phase, job.spec.policy


def _backend_index(backend: ModelBackend) -> _BackendIndex:
    return str(backend.metadata["namespace"]), backend.spec.access.from_ != "Same"


def _concerns(entry: Entry[ModelBackend], versions: Iterable[ModelBackend], job: Entry[InferenceJob]) -> bool:
    """Whether the job uses the backend, or waits for one and may have this one, or could before."""
    chosen = job.value.status.backend
    if chosen is not None:
        return chosen == backend_reference(entry.value, job.namespace)
    own = job.namespace == entry.namespace
    return own or any(backend.spec.access.admits(job.namespace) for backend in versions)


def _names_none(job: Entry[InferenceJob]) -> bool:
    """Whether it is for a default to answer the job, as long as nothing is planned."""
    spec = job.value.spec
    return job.value.status.spec_hash is None and spec.model is None and spec.backend_ref is None


def _is_default(entry: Entry[ModelBackend] | None) -> bool:
    return entry is not None and entry.value.spec.routing.default


def _owner_uid(child: ObservedJob | ObservedDeployment | ObservedService) -> Hashable | None:
    return child.owner_uid


def _pod_owner(pod: ObservedPod) -> Hashable | None:
    if JOB_LABEL in pod.labels:
        return pods_of_job(pod.namespace, pod.labels[JOB_LABEL])
    if BACKEND_LABEL in pod.labels:
        return pods_of_backend(pod.namespace, pod.labels[BACKEND_LABEL])
    return None


def _intent(value: InferenceJob | ModelBackend) -> tuple[object, ...]:
    """What is asked for. Only we write the status, so a change of the rest is the only news, but for one number there.

    A decided number of replicas is carried out once it is stored; a watch may tell that before the patch's own reply.
    The generation moves with the spec, and with a deletion; with the labels that name a queue it does not.
    """
    labels = value.metadata.get("labels") or {}
    queue = labels.get(QUEUE_LABEL), labels.get(QUEUE_PRIORITY_LABEL)
    return value.metadata.get("generation"), *queue, _decided(value)


def _decided(value: InferenceJob | ModelBackend) -> int | None:
    scaling = value.status.autoscaling if isinstance(value, ModelBackend) else None
    return scaling.desired_replicas if scaling else None


def _offer(backend: ModelBackend) -> Iterable[object]:
    """What jobs look at in a backend."""
    ready = find_condition(backend.status.conditions, "Ready")
    verdict = (ready.status, ready.reason, ready.message) if ready else None
    return (backend.metadata.get("generation"), verdict, backend.status.endpoint, backend.status.model_ids)
