"""What to do next, given the phase: which object to make, resize or remove, and when to look again.

At most one thing changes hands at a time: before a child is followed by another, or by the finish Job, its pods are
gone, because two engines for one seat would fight for the same GPU.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from splai.api.base import parse_time
from splai.api.inference_job import TERMINAL_PHASES, InferenceJob, JobPhase
from splai.core.inferencejob.children import is_lost, seconds_until_lost
from splai.core.inferencejob.facts import Facts
from splai.core.inferencejob.finish_job import build_finish_job
from splai.core.inferencejob.snapshot import JobSnapshot
from splai.core.inferencejob.tasks import count_tasks
from splai.core.inferencejob.work_order import make_work_order
from splai.core.inferencejob.worker_job import build_worker_job, engine_address, service_address
from splai.core.observed import ObservedJob
from splai.core.plan import Action, Create, Delete, ObjectReference, Scale, WriteWorkOrder

STORE_RETRY = 5.0
INPUT_RETRY = 15.0
FINISH_RETRY = timedelta(seconds=60)
PODS_EXPECTED = timedelta(seconds=30)
"""A Job controller makes pods within seconds; after that something keeps it from doing so."""


@dataclass(frozen=True)
class Steps:
    """Actions, in order, and seconds until something may have changed that no event tells."""

    actions: tuple[Action, ...] = ()
    look_again: float | None = None


def next_steps(snapshot: JobSnapshot, facts: Facts, phase: JobPhase, now: datetime) -> Steps:
    """The steps out of the present situation; none once the resource is being deleted."""
    if facts.deleting:
        return Steps()
    if phase in TERMINAL_PHASES:
        return _release(facts)
    if not facts.planned:
        return _begin(snapshot, facts)
    if facts.all_committed:
        return _finalize(snapshot, facts, now)
    if phase == "Canceling":
        return _close(snapshot, facts, now, "batch_cancelled", "the job was canceled before this record was answered")
    if facts.failure:
        return _close(snapshot, facts, now, "job_failed", f"the job failed: {facts.failure.message}")
    return _keep_working(snapshot, facts, now)


def _release(facts: Facts) -> Steps:
    """Workers end by themselves when the work is over, but not those that still wait for a node."""
    child = facts.children.latest
    waiting = any(pod.phase == "Pending" and pod.deletion is None for pod in facts.busy)
    return Steps((_delete(child),)) if child and _is_active(child) and waiting else Steps()


def _begin(snapshot: JobSnapshot, facts: Facts) -> Steps:
    """Plan the work and make the first child at once, when there is an input and somebody to answer it."""
    if facts.missing_input:
        return Steps(look_again=INPUT_RETRY)
    if facts.records is None or not facts.backend.usable or facts.backend.backend is None:
        return Steps()
    job, backend = snapshot.job, facts.backend.backend
    dedicated = job.spec.workers.mode == "Dedicated"
    endpoint = engine_address(backend, snapshot.settings) if dedicated else service_address(backend)
    order = WriteWorkOrder(make_work_order(job, backend, facts.records, endpoint))
    return Steps((order, *_create_child(snapshot, facts).actions))


def _keep_working(snapshot: JobSnapshot, facts: Facts, now: datetime) -> Steps:
    child = facts.children.latest
    if child is None or child.ended:
        return _replace(snapshot, facts, now)
    if child.deletion:
        return Steps(look_again=seconds_until_lost(facts.busy, now))
    if not facts.busy and any(is_lost(pod, now) for pod in facts.pods):
        return Steps((_delete(child),))
    wanted = wanted_parallelism(snapshot.job, facts)
    if child.parallelism != wanted and not child.succeeded:  # else Kubernetes may end the Job at once
        return Steps((Scale(_reference(child), wanted),))
    return Steps(look_again=_earliest(_poll(snapshot.job, facts, now), _until_pods_are_due(child, facts, now)))


def _replace(snapshot: JobSnapshot, facts: Facts, now: datetime) -> Steps:
    """The next number takes over where the ledger stands."""
    if facts.store_trouble:
        return Steps(look_again=STORE_RETRY)
    if facts.busy:
        return Steps(look_again=seconds_until_lost(facts.busy, now))
    return _create_child(snapshot, facts)


def _create_child(snapshot: JobSnapshot, facts: Facts) -> Steps:
    job, backend = snapshot.job, facts.backend.backend
    if backend is None and job.spec.workers.mode == "Dedicated":
        return Steps()  # its engine's image and arguments are gone with it
    body = build_worker_job(
        job,
        backend,
        snapshot.settings,
        number=facts.children.next_number,
        parallelism=wanted_parallelism(job, facts),
        backoff_limit=max(0, job.spec.backoff_limit - facts.failures),
    )
    return Steps((Create(body),))


def _close(snapshot: JobSnapshot, facts: Facts, now: datetime, code: str, message: str) -> Steps:
    """End the workers, then have what is done written out."""
    child = facts.children.latest
    if child and _is_active(child):
        return Steps((_delete(child),))
    return _finish(snapshot, facts, now, code, message)


def _finalize(snapshot: JobSnapshot, facts: Facts, now: datetime) -> Steps:
    """A running worker writes the output; one that is not running would hold a GPU for it."""
    child = facts.children.latest
    if child and _is_active(child):
        if any(pod.phase == "Running" for pod in facts.busy):
            return Steps(look_again=_poll(snapshot.job, facts, now))
        return Steps((_delete(child),))
    return _finish(snapshot, facts, now, "", "")


def _finish(snapshot: JobSnapshot, facts: Facts, now: datetime, code: str, message: str) -> Steps:
    """The finish Job, once the workers are gone; one that gave up is made again after a while."""
    if facts.busy:
        return Steps(look_again=seconds_until_lost(facts.busy, now))
    finish = facts.children.finish
    if finish is None:
        return Steps((Create(build_finish_job(snapshot.job, snapshot.settings, code=code, message=message)),))
    if facts.store_trouble:
        return Steps(look_again=STORE_RETRY)
    if finish.ended and not finish.deletion:
        due = (finish.ended.since or now) + FINISH_RETRY
        wait = (due - now).total_seconds()
        return Steps(look_again=wait) if wait > 0 else Steps((_delete(finish),))
    return Steps(look_again=_poll(snapshot.job, facts, now))


def wanted_parallelism(job: InferenceJob, facts: Facts) -> int:
    """No more workers than tasks."""
    return max(1, min(job.spec.workers.parallelism, count_tasks(facts.total)))


def _poll(job: InferenceJob, facts: Facts, now: datetime) -> float | None:
    """Progress is read often in a job's first minute and less and less later; a thirtieth of its age, 2 to 30 s."""
    if facts.store_trouble:
        return STORE_RETRY
    if not any(pod.phase == "Running" for pod in (*facts.busy, *facts.finish_pods)):
        return None
    started = job.status.start_time
    age = (now - parse_time(started)).total_seconds() if started else 0.0
    return min(30.0, max(2.0, age / 30))


def _until_pods_are_due(child: ObservedJob, facts: Facts, now: datetime) -> float | None:
    if facts.pods or child.suspended or child.created is None:
        return None
    wait = (child.created + PODS_EXPECTED - now).total_seconds()
    return wait if wait > 0 else None


def _earliest(*moments: float | None) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _is_active(child: ObservedJob) -> bool:
    return child.ended is None and child.deletion is None


def _reference(child: ObservedJob) -> ObjectReference:
    return ObjectReference(
        api_version="batch/v1", kind="Job", namespace=child.namespace, name=child.name, uid=child.uid
    )


def _delete(child: ObservedJob) -> Delete:
    return Delete(_reference(child))
