"""Everything a decision about one InferenceJob may look at, and what an observer must fetch for it.

Objects of the cluster come from a cache and cost nothing; the ConfigMap and the job's progress are fetched, so each
has a question that says whether this decision needs it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from splai.api.inference_job import TERMINAL_PHASES, InferenceJob
from splai.api.ledger import Final, Progress
from splai.api.model_backend import ModelBackend
from splai.core.observed import JOB_UID_LABEL, ObservedJob, ObservedPod
from splai.core.plan import TEMPLATE_TIMEOUT, Refusal
from splai.core.settings import OperatorSettings

WORKER_CONTAINER = "worker"


@dataclass(frozen=True)
class ConfigMapText:
    """The text under the key that ``spec.input.configMap`` names."""

    text: str


@dataclass(frozen=True)
class ConfigMapMissing:
    """There is no such ConfigMap, or it has no such key; the message says which."""

    message: str


@dataclass(frozen=True)
class Unavailable:
    """The artifact server did not answer."""

    message: str


@dataclass(frozen=True, kw_only=True)
class JobSnapshot:
    """What was observed at one moment."""

    job: InferenceJob
    settings: OperatorSettings
    backends: Sequence[ModelBackend] = ()
    """All of the job's namespace."""
    child_jobs: Sequence[ObservedJob] = ()
    """Those whose controller is this InferenceJob."""
    pods: Sequence[ObservedPod] = ()
    """Those that carry the job's name as a label; ``own_pods`` leaves out those of an earlier job of that name."""
    config_map: ConfigMapText | ConfigMapMissing | None = None
    progress: Progress | Unavailable | None = None
    refusals: Sequence[Refusal] = ()


def needs_config_map(job: InferenceJob) -> bool:
    """The ConfigMap is read until the work is planned, and never again: the plan holds a copy."""
    planned = job.status.spec_hash is not None or job.spec.cancel
    return job.spec.input.config_map is not None and not planned and not _over(job)


def needs_progress(job: InferenceJob, child_jobs: Sequence[ObservedJob], pods: Iterable[ObservedPod]) -> bool:
    """Progress is asked for from the first start of a worker until the outcome is known.

    A worker that left a final report without a failed record has said it all.
    """
    if _over(job):
        return False
    pods = own_pods(job, pods)
    final = reported_final(pods)
    if final is not None:
        return final.counts.failed > 0 or not final.complete
    if job.status.spec_hash is None:
        return bool(child_jobs)
    return job.status.start_time is not None or _started(child_jobs, pods)


def is_planned(snapshot: JobSnapshot) -> bool:
    """The store holds the work order: the status says so, or was lost and the ledger or a child proves it."""
    found = isinstance(snapshot.progress, Progress) and snapshot.progress.planned
    return found or bool(snapshot.child_jobs) or snapshot.job.status.spec_hash is not None


def template_timeout(snapshot: JobSnapshot) -> str | None:
    """What to say when an attempt at this very decision had to be stopped: the template is not to be run again."""
    return next((refusal.message for refusal in snapshot.refusals if refusal.reason == TEMPLATE_TIMEOUT), None)


def own_pods(job: InferenceJob, pods: Iterable[ObservedPod]) -> tuple[ObservedPod, ...]:
    """Those of this very job: a deleted job of the same name may have left pods that still end."""
    uid = job.metadata["uid"]
    return tuple(pod for pod in pods if pod.labels.get(JOB_UID_LABEL) == uid)


def reported_final(pods: Iterable[ObservedPod]) -> Final | None:
    """The final report that a worker left as its termination message."""
    for pod in pods:
        worker = pod.container(WORKER_CONTAINER)
        if worker is None or not worker.terminated or '"nonce"' not in worker.exit_message:
            continue
        try:
            return Final.model_validate_json(worker.exit_message)
        except ValueError:  # the last words of something else than a worker
            continue
    return None


def _started(child_jobs: Sequence[ObservedJob], pods: Iterable[ObservedPod]) -> bool:
    return any(child.ended or child.ready or child.succeeded or child.failed for child in child_jobs) or any(
        pod.phase != "Pending" for pod in pods
    )


def _over(job: InferenceJob) -> bool:
    return job.status.phase in TERMINAL_PHASES
