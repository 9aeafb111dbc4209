"""Puts together what a decision may look at: from the caches, and from places that are asked when it matters."""

import asyncio
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from splai.api.inference_job import InferenceJob
from splai.api.ledger import Progress
from splai.api.model_backend import ModelBackend
from splai.api.policy import Policy
from splai.artifacts.folder import JobFolder, StoreRefused, StoreUnavailable
from splai.controller.caches import Caches, pods_of_backend, pods_of_job
from splai.controller.creation_troubles import CreationTroubles
from splai.controller.event_lists import EventLists
from splai.core.inferencejob.lines import Unreadable
from splai.core.inferencejob.snapshot import (
    ConfigMapMissing,
    ConfigMapText,
    ConfigMapUnreadable,
    JobSnapshot,
    Unavailable,
    WorkloadMissing,
    earlier_job_name,
    needs_config_map,
    needs_creation_trouble,
    needs_progress,
    needs_workload,
)
from splai.core.modelbackend.demand import Demand
from splai.core.modelbackend.kubelet_words import needs_pod_events
from splai.core.modelbackend.leader_worker_set import set_name
from splai.core.modelbackend.snapshot import BackendSnapshot, LeaderWorkerSetsMissing, needs_leader_worker_set
from splai.core.observed import ObservedJob, ObservedLeaderWorkerSet, ObservedWorkload
from splai.core.settings import OperatorSettings
from splai.inputs.compression import decompressed
from splai.kube.cache import Entry
from splai.kube.client import Client
from splai.kube.errors import Forbidden, NotFound
from splai.kube.resource import CONFIG_MAPS, LEADER_WORKER_SETS, WORKLOADS
from splai.resilience.breaker import Breaker

MOST_UNPACKED = 8 * 1024 * 1024
"""A ConfigMap of a mebibyte may stand for a gibibyte; the operator serves everybody."""

POD_WARNINGS = "involvedObject.kind=Pod,type=Warning,reason!=FailedScheduling,reason!=BackOff,reason!=Failed"
"""A field selector: of the most frequent ones the pod's status tells the same."""


class Observer:
    """Makes snapshots."""

    def __init__(
        self,
        client: Client,
        caches: Caches,
        *,
        settings: OperatorSettings,
        policies: Callable[[], Mapping[str, Policy]],
        folder: Callable[[str, str], JobFolder],
        now: Callable[[], datetime],
        troubles: CreationTroubles,
        demand: Callable[[ModelBackend], Demand | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``policies`` are as of now; ``folder`` opens the artifact folder of a job by namespace and UID."""
        self._client = client
        self._caches = caches
        self._settings = settings
        self._policies = policies
        self._folder = folder
        self._now = now
        self._demand = demand
        self._troubles = troubles
        self._pod_warnings = EventLists(client, POD_WARNINGS)
        self._store = Breaker(StoreUnavailable, clock=clock)

    async def job(self, entry: Entry[InferenceJob]) -> JobSnapshot:
        job = entry.value
        caches, now = self._caches, self._now()
        child_jobs = tuple(child.value for child in caches.child_jobs.indexed(entry.uid))
        pods = tuple(pod.value for pod in caches.pods.indexed(pods_of_job(entry.namespace, entry.name)))
        earlier = earlier_job_name(job)
        earlier_job = caches.jobs.get(entry.namespace, earlier) if earlier else None
        queued = needs_workload(job, child_jobs, now)
        barren = needs_creation_trouble(job, child_jobs, pods, now)
        return JobSnapshot(
            job=job,
            settings=replace(self._settings, policies=self._policies()),
            backends=caches.backends_for(job),
            child_jobs=child_jobs,
            pods=pods,
            config_map=await self._config_map(job) if needs_config_map(job) else None,
            earlier_job=earlier_job.value if earlier_job else None,
            progress=await self._progress(entry) if needs_progress(job, child_jobs, pods) else None,
            workload=await self._workload(queued) if queued else None,
            creation_trouble=await self._troubles.of(barren) if barren else "",
        )

    async def backend(self, entry: Entry[ModelBackend]) -> BackendSnapshot:
        caches = self._caches
        deployments = caches.deployments.indexed(entry.uid)
        services = caches.services.indexed(entry.uid)
        pods = tuple(pod.value for pod in caches.pods.indexed(pods_of_backend(entry.namespace, entry.name)))
        has_set = needs_leader_worker_set(entry.value, pods)
        warned = needs_pod_events(pods, self._now())
        return BackendSnapshot(
            backend=entry.value,
            settings=self._settings,
            deployment=deployments[0].value if deployments else None,
            leader_worker_set=await self._leader_worker_set(entry) if has_set else None,
            service=services[0].value if services else None,
            pods=pods,
            pod_events=await self._pod_warnings.of(entry.namespace) if warned else {},
            other_defaults=caches.other_defaults(entry.value),
            taken_names=caches.model_names.taken(entry.value),
            demand=self._demand(entry.value),
        )

    async def _leader_worker_set(
        self, entry: Entry[ModelBackend]
    ) -> ObservedLeaderWorkerSet | LeaderWorkerSetsMissing | None:
        """By a list of one: it is empty where the set is not there, and not found where the kind is not."""
        fields = f"metadata.name={set_name(entry.name)}"
        try:
            found = await self._client.list(LEADER_WORKER_SETS, entry.namespace, fields=fields)
        except NotFound:
            return LeaderWorkerSetsMissing()
        return ObservedLeaderWorkerSet.from_object(found.items[0]) if found.items else None

    async def _config_map(self, job: InferenceJob) -> ConfigMapText | ConfigMapMissing | ConfigMapUnreadable:
        source = job.spec.input.config_map
        assert source is not None  # noqa: S101 - needs_config_map said so
        try:
            body = await self._client.get(CONFIG_MAPS, job.metadata["namespace"], source.name)
        except NotFound:
            return ConfigMapMissing(f"ConfigMap {source.name} does not exist")
        text = (body.get("data") or {}).get(source.key)
        if text is not None:
            return ConfigMapText(text)
        binary = (body.get("binaryData") or {}).get(source.key)
        if binary is not None:  # where kubectl puts a file that is not UTF-8, such as a compressed one
            return await asyncio.to_thread(_unpacked, b64decode(binary))
        return ConfigMapMissing(f"ConfigMap {source.name} has no key {source.key}")

    async def _progress(self, entry: Entry[InferenceJob]) -> Progress | Unavailable:
        try:
            with self._store.asking():
                return await self._folder(entry.namespace, entry.uid).progress()
        except (StoreUnavailable, StoreRefused) as error:
            return Unavailable(str(error))

    async def _workload(self, child: ObservedJob) -> ObservedWorkload | WorkloadMissing | None:
        selector = f"kueue.x-k8s.io/job-uid={child.uid}"
        try:
            found = await self._client.list(WORKLOADS, child.namespace, selector=selector)
        except NotFound:  # the API is not installed
            return WorkloadMissing()
        except Forbidden:
            return None
        return ObservedWorkload.from_object(found.items[0]) if found.items else WorkloadMissing()


def _unpacked(content: bytes) -> ConfigMapText | ConfigMapUnreadable:
    """The bytes, decompressed if they are compressed."""
    _, blocks = decompressed(iter([content]))
    found = bytearray()
    try:
        for block in blocks:
            found += block
            if len(found) > MOST_UNPACKED:
                limit = f"{MOST_UNPACKED >> 20} MiB"
                return ConfigMapUnreadable(f"unpacks to more than {limit}; use persistentVolumeClaim, s3 or http")
    except Unreadable as error:
        return ConfigMapUnreadable(str(error))
    return ConfigMapText(bytes(found))
