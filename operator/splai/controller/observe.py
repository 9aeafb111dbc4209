"""Puts together what a decision may look at: from the caches, and from two places that are asked when it matters."""

from collections.abc import Callable

from splai.api.inference_job import InferenceJob
from splai.api.ledger import Progress
from splai.api.model_backend import ModelBackend
from splai.artifacts.folder import JobFolder, StoreRefused, StoreUnavailable
from splai.controller.caches import Caches, pods_of_backend, pods_of_job
from splai.core.inferencejob.snapshot import (
    ConfigMapMissing,
    ConfigMapText,
    JobSnapshot,
    Unavailable,
    needs_config_map,
    needs_progress,
)
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.settings import OperatorSettings
from splai.kube.cache import Entry
from splai.kube.client import Client
from splai.kube.errors import NotFound
from splai.kube.resource import CONFIG_MAPS


class Observer:
    """Makes snapshots."""

    def __init__(
        self,
        client: Client,
        caches: Caches,
        *,
        settings: OperatorSettings,
        folder: Callable[[str, str], JobFolder],
    ) -> None:
        """``folder`` opens the artifact folder of a job by namespace and UID."""
        self._client = client
        self._caches = caches
        self._settings = settings
        self._folder = folder

    async def job(self, entry: Entry[InferenceJob]) -> JobSnapshot:
        job = entry.value
        caches = self._caches
        child_jobs = tuple(child.value for child in caches.child_jobs.indexed(entry.uid))
        pods = tuple(pod.value for pod in caches.pods.indexed(pods_of_job(entry.namespace, entry.name)))
        return JobSnapshot(
            job=job,
            settings=self._settings,
            backends=tuple(backend.value for backend in caches.backends.indexed(entry.namespace)),
            child_jobs=child_jobs,
            pods=pods,
            config_map=await self._config_map(job) if needs_config_map(job) else None,
            progress=await self._progress(entry) if needs_progress(job, child_jobs, pods) else None,
        )

    async def backend(self, entry: Entry[ModelBackend]) -> BackendSnapshot:
        caches = self._caches
        deployments = caches.deployments.indexed(entry.uid)
        services = caches.services.indexed(entry.uid)
        pods = caches.pods.indexed(pods_of_backend(entry.namespace, entry.name))
        return BackendSnapshot(
            backend=entry.value,
            settings=self._settings,
            deployment=deployments[0].value if deployments else None,
            service=services[0].value if services else None,
            pods=tuple(pod.value for pod in pods),
        )

    async def _config_map(self, job: InferenceJob) -> ConfigMapText | ConfigMapMissing:
        source = job.spec.input.config_map
        assert source is not None  # noqa: S101 - needs_config_map said so
        try:
            body = await self._client.get(CONFIG_MAPS, job.metadata["namespace"], source.name)
        except NotFound:
            return ConfigMapMissing(f"ConfigMap {source.name} does not exist")
        text = (body.get("data") or {}).get(source.key)
        if text is None:
            return ConfigMapMissing(f"ConfigMap {source.name} has no key {source.key}")
        return ConfigMapText(text)

    async def _progress(self, entry: Entry[InferenceJob]) -> Progress | Unavailable:
        try:
            return await self._folder(entry.namespace, entry.uid).progress()
        except (StoreUnavailable, StoreRefused) as error:
            return Unavailable(str(error))
