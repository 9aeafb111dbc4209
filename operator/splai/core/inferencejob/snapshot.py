"""Everything a decision about one InferenceJob may look at, and what an observer must fetch for it.

Objects of the cluster come from a cache and cost nothing; what is fetched has a question that says whether this
decision needs it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from splai.api.inference_job import TERMINAL_PHASES, InferenceJob, InferenceJobStatus
from splai.api.ledger import Final, Progress
from splai.api.model_backend import ModelBackend
from splai.core.conditions import find_condition
from splai.core.inferencejob.children import PLAN, has_pods, is_active, sort_children
from splai.core.observed import CHILD_LABEL, JOB_UID_LABEL, ObservedJob, ObservedPod, ObservedWorkload
from splai.core.plan import ALREADY_PLANNED, PLANNING_FAILED, TEMPLATE_TIMEOUT, Refusal
from splai.core.settings import OperatorSettings

WORKER_CONTAINER = "worker"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
QUEUE_PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
PODS_EXPECTED = timedelta(seconds=30)
"""A Job controller makes pods within seconds; after that something keeps it from doing so."""
QUEUE_ANSWERS = timedelta(seconds=60)
"""Kueue makes a Workload of a Job within seconds; after that there is no Kueue for it."""


@dataclass(frozen=True)
class ConfigMapText:
    """What is under the key that ``spec.input.configMap`` names; bytes, unpacked, where the apiserver holds no text."""

    text: str | bytes


@dataclass(frozen=True)
class ConfigMapUnreadable:
    """What is under the key can never be read; the message says why."""

    message: str


@dataclass(frozen=True)
class ConfigMapMissing:
    """There is no such ConfigMap, or it has no such key; the message says which."""

    message: str


@dataclass(frozen=True)
class Unavailable:
    """The artifact server did not answer."""

    message: str


@dataclass(frozen=True)
class WorkloadMissing:
    """There is no Workload for the child: Kueue does not know it, or is not installed."""


@dataclass(frozen=True, kw_only=True)
class JobSnapshot:
    """What was observed at one moment."""

    job: InferenceJob
    settings: OperatorSettings
    backends: Sequence[ModelBackend] = ()
    """All of the job's namespace, and those of others that are open to it, or that its work was planned for."""
    child_jobs: Sequence[ObservedJob] = ()
    """Those whose controller is this InferenceJob."""
    pods: Sequence[ObservedPod] = ()
    """Those that carry the job's name as a label; ``own_pods`` leaves out those of an earlier job of that name."""
    config_map: ConfigMapText | ConfigMapMissing | ConfigMapUnreadable | None = None
    earlier_job: InferenceJob | None = None
    """The one that ``spec.input.failedOf`` names, if there is one."""
    progress: Progress | Unavailable | None = None
    workload: ObservedWorkload | WorkloadMissing | None = None
    """Of the child that a queue holds; None also when it may not be read."""
    creation_trouble: str = ""
    """What the newest Event says that keeps the child which is waited for from making pods."""
    refusals: Sequence[Refusal] = ()


def needs_config_map(job: InferenceJob) -> bool:
    """The ConfigMap is read until the work is planned, and never again: the plan holds a copy."""
    return job.spec.input.config_map is not None and _reads_input(job)


def earlier_job_name(job: InferenceJob) -> str | None:
    """The job whose failed records are this one's input, until the work is planned."""
    return job.spec.input.failed_of.name if job.spec.input.failed_of and _reads_input(job) else None


def needs_progress(job: InferenceJob, child_jobs: Sequence[ObservedJob], pods: Iterable[ObservedPod]) -> bool:
    """Progress is asked for from the first start of a worker until the outcome is known.

    A worker that left a final report without a failed record has said it all. A planning pod may have left what it
    found, or wait for a store that is away or full. Of a plan whose attempt got no further nobody knows, until the
    store does not take another one.
    """
    if _over(job):
        return False
    pods = own_pods(job, pods)
    final = reported_final(pods)
    if final is not None:
        return not tells_all(final)
    working = [child for child in child_jobs if child.labels.get(CHILD_LABEL) != PLAN]
    if job.status.spec_hash is None:
        unread = not job.spec.input.is_read_by_operator and _reads_input(job)
        return bool(working) or unread or _has_a_plan(job)
    # A start is forgotten when the job is suspended or evicted: the last commits come after that.
    children = sort_children(job, child_jobs)
    replaced = children.next_number > (1 if children.latest else 0)
    return job.status.start_time is not None or replaced or _has_worked(job.status) or _started(working, pods)


def needs_workload(job: InferenceJob, child_jobs: Sequence[ObservedJob], now: datetime) -> ObservedJob | None:
    """The child whose Workload is looked at: one that a queue has held for a while."""
    child = sort_children(job, child_jobs).held
    if _over(job) or child is None or child.created is None:
        return None
    return child if now >= child.created + QUEUE_ANSWERS else None


def needs_creation_trouble(
    job: InferenceJob, child_jobs: Sequence[ObservedJob], pods: Iterable[ObservedPod], now: datetime
) -> ObservedJob | None:
    """The child whose Events are looked at: one that should have had pods for a while."""
    children = sort_children(job, child_jobs)
    child = next((it for it in (children.finish, children.latest, children.plan) if it and is_active(it)), None)
    if _over(job) or child is None or not should_have_pods(child, now):
        return None
    return None if has_pods(child, pods) else child


def should_have_pods(child: ObservedJob, now: datetime) -> bool:
    """Whether something keeps its controller from making pods, if it has none by now."""
    since = child.makes_pods_since
    return is_active(child) and not child.suspended and since is not None and now >= since + PODS_EXPECTED


def is_planned(snapshot: JobSnapshot) -> bool:
    """The store holds the work order: the status says so, or was lost and the ledger or a child proves it."""
    found = isinstance(snapshot.progress, Progress) and snapshot.progress.planned
    works = any(child.labels.get(CHILD_LABEL) != PLAN for child in snapshot.child_jobs)
    return found or works or snapshot.job.status.spec_hash is not None


def template_timeout(snapshot: JobSnapshot) -> str | None:
    """What to say when an attempt at this very decision had to be stopped: the template is not to be run again."""
    return _refused(snapshot, TEMPLATE_TIMEOUT)


def planning_failure(snapshot: JobSnapshot) -> str | None:
    """What to say when attempts at this very decision brought their process down: not to be made in this one."""
    return _refused(snapshot, PLANNING_FAILED)


def _refused(snapshot: JobSnapshot, reason: str) -> str | None:
    return next((refusal.message for refusal in snapshot.refusals if refusal.reason == reason), None)


def own_pods(job: InferenceJob, pods: Iterable[ObservedPod]) -> tuple[ObservedPod, ...]:
    """Those of this very job: a deleted job of the same name may have left pods that still end."""
    uid = job.metadata["uid"]
    return tuple(pod for pod in pods if pod.labels.get(JOB_UID_LABEL) == uid)


def tells_all(final: Final) -> bool:
    """Of records that failed only the ledger tells which they are."""
    return final.complete and not final.counts.failed


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


def _reads_input(job: InferenceJob) -> bool:
    """Its input is still to be read, and may be: neither while it is suspended nor once it is canceled."""
    return job.status.spec_hash is None and not job.spec.cancel and not job.spec.suspend and not _over(job)


def _has_worked(status: InferenceJobStatus) -> bool:
    """A task was claimed, as far as was seen; of those that are done a large status keeps only the sum."""
    return status.succeeded + status.failed > 0 or any(task.attempts for task in status.tasks)


def _started(child_jobs: Sequence[ObservedJob], pods: Iterable[ObservedPod]) -> bool:
    return any(child.ended or child.ready or child.succeeded or child.failed for child in child_jobs) or any(
        pod.phase != "Pending" and pod.labels.get(CHILD_LABEL) != PLAN for pod in pods
    )


def _has_a_plan(job: InferenceJob) -> bool:
    workers = find_condition(job.status.conditions, "WorkersReady")
    return workers is not None and workers.reason == ALREADY_PLANNED


def _over(job: InferenceJob) -> bool:
    return job.status.phase in TERMINAL_PHASES
