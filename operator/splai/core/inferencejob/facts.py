"""What a snapshot says about a job, worked out once; everything that decides looks here and at nothing else."""

from dataclasses import dataclass
from datetime import datetime

from splai.api.inference_job import TERMINAL_PHASES, InferenceJob, InferenceJobStatus, JobPhase
from splai.api.ledger import Final, Progress
from splai.core.conditions import find_condition
from splai.core.inferencejob.backend import BackendChoice, choose_backend
from splai.core.inferencejob.children import FINISH, PLAN, Children, count_failures, running, sort_children
from splai.core.inferencejob.endings import Ending, allows_failures, find_ending, gives_up_output
from splai.core.inferencejob.input_state import GoodInput, InputState, Waiting, look_at_input
from splai.core.inferencejob.policy import PolicyNotFound, PolicyViolation, check_backend
from splai.core.inferencejob.snapshot import (
    QUEUE_LABEL,
    JobSnapshot,
    Unavailable,
    WorkloadMissing,
    is_planned,
    own_pods,
    reported_final,
    tells_all,
)
from splai.core.inferencejob.validation import Rejection
from splai.core.observed import CHILD_LABEL, ObservedJob, ObservedPod, ObservedWorkload


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All there is to know when the phase and the next steps are decided."""

    over: JobPhase | None
    """The terminal phase the job is in already."""
    deleting: bool
    suspended: bool
    """By its user."""
    ending: Ending | None
    """Why it is to end before every task is committed."""
    input: InputState | None
    """Until the work is planned; None also while it is not looked at."""
    planned: bool
    """The store holds the work order."""
    total: int
    backend: BackendChoice
    children: Children
    pods: tuple[ObservedPod, ...]
    """The worker pods of this job, whichever child made them."""
    busy: tuple[ObservedPod, ...]
    """Those of them that may still do something."""
    plan_pods: tuple[ObservedPod, ...]
    """Those of the Job that reads the input now."""
    finish_pods: tuple[ObservedPod, ...]
    """Those of the Job that writes the output now."""
    failures: int
    """Failed worker pods so far, disruptions apart."""
    started: bool
    """A worker has run, since the last suspension, and no queue holds the child now."""
    progress: Progress | None
    store_trouble: str | None
    """Why the artifact server could not be asked."""
    all_committed: bool
    final: Final | None
    final_unread: bool
    """A pod reported it, but the ledger could not be asked for the rest, and what is said of tasks then is for ever."""
    too_many_failed: bool
    """Every record has its outcome, and more failed than the failure policy allows."""
    output_failed: bool
    """The ledger has no ``final``, and nobody tries any more to get there."""
    queue: str | None
    """The LocalQueue that Kueue is to admit the child from."""
    workload: ObservedWorkload | WorkloadMissing | None
    creation_trouble: str

    @property
    def waiting(self) -> Waiting | None:
        return self.input if isinstance(self.input, Waiting) else None

    @property
    def rejection(self) -> Rejection | None:
        return self.input if isinstance(self.input, Rejection) else None

    @property
    def good_input(self) -> GoodInput | None:
        return self.input if isinstance(self.input, GoodInput) else None


def gather(snapshot: JobSnapshot, refused: PolicyNotFound | PolicyViolation | None, now: datetime) -> Facts:
    """Look at everything once; ``refused`` is what the job's policy has against its spec."""
    job, status = snapshot.job, snapshot.job.status
    everyone = own_pods(job, snapshot.pods)
    children = sort_children(job, snapshot.child_jobs)
    plan_pods, finish_pods = (_pods_of(child, everyone) for child in (children.plan, children.finish))
    pods = tuple(pod for pod in everyone if pod.labels.get(CHILD_LABEL) not in (PLAN, FINISH))
    progress = snapshot.progress if isinstance(snapshot.progress, Progress) else None
    over = status.phase if status.phase in TERMINAL_PHASES else None
    planned = is_planned(snapshot)
    backend = choose_backend(job, snapshot.backends, planned_for=progress.backend if progress else None)
    idle = planned or over or job.spec.cancel or job.spec.suspend
    found = None if idle else look_at_input(snapshot, refused, children, plan_pods, now)
    if isinstance(found, GoodInput):
        found = _check_backend(snapshot, backend) or found
    total = _total(job, found, progress)
    failures = max(status.workers.failures, count_failures(children))
    all_committed = _all_committed(progress) if progress and progress.planned else _was_committed(status)
    store_trouble = snapshot.progress.message if isinstance(snapshot.progress, Unavailable) else None
    final = (progress.final if progress else None) or reported_final(everyone)
    final_unread = final is not None and store_trouble is not None and not tells_all(final)
    if final_unread:
        final = None
    return Facts(
        over=over,
        deleting="deletionTimestamp" in job.metadata,
        suspended=job.spec.suspend,
        ending=find_ending(
            job,
            children,
            pods,
            total=total,
            failures=failures,
            progress=progress,
            planned=planned,
            all_committed=all_committed,
            now=now,
        ),
        input=found,
        planned=planned,
        total=total,
        backend=backend,
        children=children,
        pods=pods,
        busy=running(pods, now),
        plan_pods=plan_pods,
        finish_pods=finish_pods,
        failures=failures,
        started=_is_started(status, children, pods),
        progress=progress,
        store_trouble=store_trouble,
        all_committed=all_committed,
        final=final,
        final_unread=final_unread,
        too_many_failed=final is not None and final.complete and not allows_failures(job, final),
        # Only a ledger that was seen can be known to have no final.
        output_failed=progress is not None and final is None and gives_up_output(job, children.finish),
        queue=(job.metadata.get("labels") or {}).get(QUEUE_LABEL),
        workload=snapshot.workload,
        creation_trouble=snapshot.creation_trouble,
    )


def _pods_of(child: ObservedJob | None, pods: tuple[ObservedPod, ...]) -> tuple[ObservedPod, ...]:
    """Its own, and none of a Job that had its name before."""
    return tuple(pod for pod in pods if child and pod.owner_uid == child.uid)


def _check_backend(snapshot: JobSnapshot, choice: BackendChoice) -> Rejection | None:
    """Whether the policy allows the model of a backend that the job names, once there is that backend."""
    if choice.backend is None:
        return None
    violation = check_backend(snapshot.job.spec, snapshot.settings.policies, choice.backend)
    return Rejection("PolicyViolation", violation.problems, len(violation.problems)) if violation else None


def _total(job: InferenceJob, found: InputState | None, progress: Progress | None) -> int:
    if isinstance(found, GoodInput):
        return found.total
    if progress is not None and progress.planned:
        return progress.counts.total
    return job.status.total


def _all_committed(progress: Progress) -> bool:
    return bool(progress.tasks) and all(task.state == "committed" for task in progress.tasks)


def _was_committed(status: InferenceJobStatus) -> bool:
    """A commit is for ever: while the store is away, what the status says of it still holds."""
    ready = find_condition(status.conditions, "Ready")
    if ready and ready.reason == "AllTasksCommitted":
        return True
    done = sum(task.records for task in status.tasks if task.phase == "Completed")
    return 0 < status.total == done


def _is_started(status: InferenceJobStatus, children: Children, pods: tuple[ObservedPod, ...]) -> bool:
    """Judged by the newest child: what an older one did was before a suspension, or is in the status.

    So was what this one did before a queue held it: its counts and the pods that leave tell nothing then.
    """
    child = children.latest
    if child and child.suspended:
        return False
    if child is None or status.start_time is not None:
        return status.start_time is not None
    own = [pod for pod in pods if pod.owner_uid == child.uid]
    if child.suspension:
        return bool(child.ready) or any(pod.phase == "Running" and pod.deletion is None for pod in own)
    return bool(child.ready or child.succeeded or child.failed) or any(pod.phase != "Pending" for pod in own)
