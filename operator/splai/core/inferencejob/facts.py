"""What a snapshot says about a job, worked out once; everything that decides looks here and at nothing else."""

import json
import re
from dataclasses import dataclass
from datetime import datetime

from splai.api.inference_job import TERMINAL_PHASES, InferenceJob, InferenceJobStatus, JobPhase
from splai.api.ledger import Final, Progress
from splai.core.inferencejob.backend import BackendChoice, choose_backend
from splai.core.inferencejob.child_job import EXIT_BAD_INPUT
from splai.core.inferencejob.children import FINISH, Children, running, sort_children
from splai.core.inferencejob.records import Records
from splai.core.inferencejob.snapshot import (
    WORKER_CONTAINER,
    ConfigMapMissing,
    ConfigMapText,
    JobSnapshot,
    Unavailable,
    is_planned,
    own_pods,
    reported_final,
    template_timeout,
)
from splai.core.inferencejob.validation import Invalid, validate
from splai.core.observed import CHILD_LABEL, ObservedJob, ObservedPod

_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")


@dataclass(frozen=True)
class Failure:
    """Why the workers cannot do the work, however often they are started."""

    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All there is to know when the phase and the next steps are decided."""

    over: JobPhase | None
    """The terminal phase the job is in already."""
    canceled: bool
    deleting: bool
    missing_input: ConfigMapMissing | None
    """The input is waited for."""
    invalid: Invalid | None
    records: Records | None
    """The input, until the work is planned."""
    planned: bool
    """The store holds the work order."""
    total: int
    backend: BackendChoice
    children: Children
    pods: tuple[ObservedPod, ...]
    """The worker pods of this job, whichever child made them."""
    busy: tuple[ObservedPod, ...]
    """Those of them that may still do something."""
    finish_pods: tuple[ObservedPod, ...]
    failures: int
    """Failed worker pods so far, disruptions apart."""
    started: bool
    """A worker has run."""
    failure: Failure | None
    progress: Progress | None
    store_trouble: str | None
    """Why the artifact server could not be asked."""
    all_committed: bool
    final: Final | None


def gather(snapshot: JobSnapshot, now: datetime) -> Facts:
    """Look at everything once."""
    job, status = snapshot.job, snapshot.job.status
    over = status.phase if status.phase in TERMINAL_PHASES else None
    everyone = own_pods(job, snapshot.pods)
    pods = tuple(pod for pod in everyone if pod.labels.get(CHILD_LABEL) != FINISH)
    children = sort_children(job, snapshot.child_jobs)
    progress = snapshot.progress if isinstance(snapshot.progress, Progress) else None
    planned = is_planned(snapshot)
    missing, checked = (None, None) if planned or over else _read_input(snapshot)
    records = checked if isinstance(checked, Records) else None
    failures = max(status.workers.failures, sum(child.failed for child in children.workers))
    return Facts(
        over=over,
        canceled=job.spec.cancel,
        deleting="deletionTimestamp" in job.metadata,
        missing_input=missing,
        invalid=checked if isinstance(checked, Invalid) else None,
        records=records,
        planned=planned,
        total=_total(job, records, progress),
        backend=choose_backend(job, snapshot.backends),
        children=children,
        pods=pods,
        busy=running(pods, now),
        finish_pods=tuple(pod for pod in everyone if pod.labels.get(CHILD_LABEL) == FINISH),
        failures=failures,
        started=status.start_time is not None or _has_run(children, pods),
        failure=_failure(job, children, pods, failures, progress),
        progress=progress,
        store_trouble=snapshot.progress.message if isinstance(snapshot.progress, Unavailable) else None,
        all_committed=_all_committed(progress) if progress else _was_committed(status),
        final=(progress.final if progress else None) or reported_final(everyone),
    )


def _read_input(snapshot: JobSnapshot) -> tuple[ConfigMapMissing | None, Records | Invalid | None]:
    """The input as long as it is needed; a canceled job's is not."""
    spec, config_map = snapshot.job.spec, snapshot.config_map
    if spec.cancel:
        return None, None
    if timeout := template_timeout(snapshot):
        return None, Invalid((timeout,))
    if spec.input.config_map is not None and not isinstance(config_map, ConfigMapText):
        return config_map or ConfigMapMissing("the ConfigMap was not read yet"), None
    result = validate(spec, config_map.text if isinstance(config_map, ConfigMapText) else None)
    return None, result if isinstance(result, Invalid) else result.records


def _total(job: InferenceJob, records: Records | None, progress: Progress | None) -> int:
    if records is not None:
        return len(records.records)
    if progress is not None and progress.planned:
        return progress.counts.total
    return job.status.total


def _all_committed(progress: Progress) -> bool:
    return bool(progress.tasks) and all(task.state == "committed" for task in progress.tasks)


def _was_committed(status: InferenceJobStatus) -> bool:
    """A commit is for ever: while the store is away, what the status says of it still holds."""
    done = sum(task.records for task in status.tasks if task.phase == "Completed")
    return 0 < status.total == done


def _has_run(children: Children, pods: tuple[ObservedPod, ...]) -> bool:
    return any(child.ready or child.succeeded or child.failed for child in children.workers) or any(
        pod.phase != "Pending" for pod in pods
    )


def _failure(
    job: InferenceJob, children: Children, pods: tuple[ObservedPod, ...], failures: int, progress: Progress | None
) -> Failure | None:
    """Judged by child Jobs and by counts, never by a pod alone: pods vanish, and may be seen late."""
    limit = job.spec.backoff_limit
    for child in children.workers:
        if child.failure and child.failure.reason == "PodFailurePolicy":
            return _bad_input(child, pods)
    if failures > limit or any(it.failure and it.failure.reason == "BackoffLimitExceeded" for it in children.workers):
        last = last_words(pods)
        detail = f"; the last: {last}" if last else ""
        return Failure("BackoffLimitExceeded", f"{failures} worker pods failed, backoffLimit is {limit}{detail}")
    fruitless = sum(child.complete is not None for child in children.workers)
    if fruitless > limit + 1 and progress is not None and not _all_committed(progress):
        return Failure("BackoffLimitExceeded", f"{fruitless} child Jobs completed with tasks left to do")
    return None


def _bad_input(child: ObservedJob, pods: tuple[ObservedPod, ...]) -> Failure:
    for pod in pods:
        worker = pod.container(WORKER_CONTAINER)
        if worker and worker.exit_code == EXIT_BAD_INPUT:
            reason, message = _report(worker.exit_message)
            return Failure(reason or "InvalidInput", message or "a worker refused its input")
    return Failure("InvalidInput", child.failure.message if child.failure else "")


def last_words(pods: tuple[ObservedPod, ...]) -> str:
    """What the newest failed pod said about its end, or else what the kubelet said about it."""
    failed = [pod for pod in pods if pod.phase == "Failed"]
    if not failed:
        return ""
    pod = max(failed, key=lambda pod: (pod.created.timestamp() if pod.created else 0.0, pod.name))
    worker = pod.container(WORKER_CONTAINER)
    if worker is None or worker.exit_code is None:
        return f"pod {pod.name}: {pod.reason or 'Failed'}: {pod.message}".rstrip(": ")
    reason, message = _report(worker.exit_message)
    said = f"{reason or worker.exit_reason}: {message}".rstrip(": ")
    return f"pod {pod.name}: exit code {worker.exit_code}" + (f", {said}" if said else "")


def _report(text: str) -> tuple[str, str]:
    """The reason and message that a worker left as its termination message; SPLAI's own words, or nothing."""
    try:
        report = json.loads(text)
    except ValueError:
        return "", ""
    if not isinstance(report, dict):
        return "", ""
    reason = str(report.get("reason") or "")
    return reason if _REASON.fullmatch(reason) else "", str(report.get("message") or "")[:1024]
