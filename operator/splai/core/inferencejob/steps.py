"""What to do next, given the phase: which object to make, resize or remove, and when to look again.

At most one thing changes hands at a time: before a child is followed by another, or by the finish Job, its pods are
gone, because two engines for one seat would fight for the same GPU.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from splai.api.base import parse_time
from splai.api.inference_job import TERMINAL_PHASES, InferenceJob, JobPhase
from splai.core.inferencejob.children import (
    FAILURES_LABEL,
    has_only_lost_pods,
    has_pods,
    is_active,
    seconds_until_lost,
)
from splai.core.inferencejob.clocks import earliest, retirement
from splai.core.inferencejob.endings import Ending
from splai.core.inferencejob.facts import Facts
from splai.core.inferencejob.finish_job import build_finish_job
from splai.core.inferencejob.history import archive
from splai.core.inferencejob.input_state import GoodInput
from splai.core.inferencejob.origin import has_another_template, is_placed_otherwise, place_labels
from splai.core.inferencejob.plan_job import build_plan_job
from splai.core.inferencejob.snapshot import PODS_EXPECTED, QUEUE_ANSWERS, QUEUE_LABEL, JobSnapshot
from splai.core.inferencejob.tasks import count_tasks
from splai.core.inferencejob.work_order import make_reading_order, make_work_order
from splai.core.inferencejob.worker_job import build_worker_job, engine_address
from splai.core.modelbackend.service import service_url
from splai.core.observed import ObservedJob, ObservedPod
from splai.core.plan import Action, Create, Delete, ObjectReference, Scale, WriteReadingOrder, WriteWorkOrder

INPUT_RETRY = 15.0
READING_RETRY = timedelta(seconds=60)
READING_POLL = 30.0
"""Seconds between two looks at what keeps a pod from reading: it waits in silence for a store that is away or full."""
FINISH_RETRY = timedelta(seconds=60)
PODS_DUE = PODS_EXPECTED.total_seconds()
"""No event tells that a new Job gets no pods; what keeps them from it is looked for in Events, for all Jobs at once."""
HELD_SOON = 1.0
"""Nor that it is held, which it was when it was created."""
QUEUE_RETRIES = (60.0, 1800.0)
"""Seconds between two looks at what a queue says, from a child's first minutes on and at most."""


@dataclass(frozen=True)
class Steps:
    """Actions, in order, and seconds until something may have changed that no event tells."""

    actions: tuple[Action, ...] = ()
    look_again: float | None = None
    poll: float | None = None
    """Seconds until there may be something to tell: nobody need look while the status may not be written."""


def next_steps(snapshot: JobSnapshot, facts: Facts, phase: JobPhase, now: datetime) -> Steps:
    """The steps out of the present situation; none once the resource is being deleted."""
    if facts.deleting:
        return Steps()
    if phase in TERMINAL_PHASES:
        return _release(snapshot.job, facts, now)
    if facts.final_unread:
        return Steps()
    if not facts.planned:
        return _pause(facts, now) if phase == "Suspended" else _begin(snapshot, facts, now)
    if facts.all_committed:
        return _finalize(snapshot, facts, now)
    if facts.ending:
        return _close(snapshot, facts, now, facts.ending)
    return _pause(facts, now) if phase == "Suspended" else _keep_working(snapshot, facts, now)


def _release(job: InferenceJob, facts: Facts, now: datetime) -> Steps:
    """Workers end by themselves when the work is over, but not those that still wait for a node or for a queue.

    After its time to live the resource goes, and its children with it.
    """
    end = retirement(job, job.status.completion_time)
    if facts.over and end and now >= end:
        return Steps((archive(job, now),))
    child, plan = facts.children.latest, facts.children.plan
    waiting = any(pod.phase == "Pending" and pod.deletion is None for pod in facts.busy)
    useless = [child] if child and is_active(child) and (waiting or child.suspended) else []
    useless += [plan] if plan and is_active(plan) else []
    return Steps(tuple(_delete(it) for it in useless))


def _pause(facts: Facts, now: datetime) -> Steps:
    """End the pods, and free what they hold; SIGTERM lets them commit what they have."""
    active = [child for child in (facts.children.plan, facts.children.latest) if child and is_active(child)]
    return Steps(tuple(_delete(child) for child in active), seconds_until_lost(facts.busy, now))


def _begin(snapshot: JobSnapshot, facts: Facts, now: datetime) -> Steps:
    """Plan the work and make the first child at once, when there is an input and somebody to answer it."""
    if facts.waiting:
        steps = _await_input(snapshot, facts, now)
        reads = any(pod.phase == "Running" for pod in facts.plan_pods)
        return replace(steps, look_again=earliest(steps.look_again, READING_POLL if reads else None))
    plan = facts.children.plan
    if plan and is_active(plan):  # what it is to find is there: by a pod of it that is about to end, or was orphaned
        return Steps((_delete(plan),))
    if facts.good_input is None or not facts.backend.usable or facts.backend.backend is None:
        return Steps()
    return _plan_work(snapshot, facts, facts.good_input)


def _await_input(snapshot: JobSnapshot, facts: Facts, now: datetime) -> Steps:
    """Have it read, unless something else has to come first."""
    assert facts.waiting is not None  # noqa: S101 - for mypy: the caller asked
    if facts.waiting.reason == "PolicyNotFound":
        return Steps()  # the operator looks again when its policies change
    job, child = snapshot.job, facts.children.plan
    if job.spec.input.is_read_by_operator or facts.waiting.reason in ("EarlierJobNotFound", "EarlierJobNotOver"):
        return Steps(look_again=INPUT_RETRY)
    if facts.store_trouble:
        return Steps()
    if child is None:
        earlier = snapshot.earlier_job.metadata["uid"] if snapshot.earlier_job else None
        order = WriteReadingOrder(make_reading_order(job, snapshot.settings.policies, earlier_uid=earlier))
        return Steps((order, Create(build_plan_job(job, snapshot.settings, earlier_uid=earlier))), poll=PODS_DUE)
    return _wait_for(job, child, facts.plan_pods, READING_RETRY, now)


def _plan_work(snapshot: JobSnapshot, facts: Facts, found: GoodInput) -> Steps:
    job, backend = snapshot.job, facts.backend.backend
    assert backend is not None  # noqa: S101 - for mypy: the caller asked
    dedicated = job.spec.workers.mode == "Dedicated"
    endpoint = engine_address(backend, snapshot.settings) if dedicated else service_url(backend)
    order = WriteWorkOrder(make_work_order(job, backend, found.content, endpoint))
    child = _create_child(snapshot, facts)
    return replace(child, actions=(order, *child.actions))


def _keep_working(snapshot: JobSnapshot, facts: Facts, now: datetime) -> Steps:
    child = facts.children.latest
    if child is None or child.ended:
        return _replace(snapshot, facts, now)
    if child.deletion:
        return Steps(look_again=seconds_until_lost(facts.busy, now))
    moved = not facts.started and is_placed_otherwise(snapshot.job, child)
    if moved or has_another_template(snapshot.job, child) or has_only_lost_pods(child, facts.pods, now):
        return Steps((_delete(child),))
    wait = _until_workers_may_have_news(snapshot.job, facts, child, now)
    wanted = wanted_parallelism(snapshot.job, facts)
    # After an index succeeded Kubernetes may end the Job at once; one that Kueue admitted would be evicted.
    if child.parallelism != wanted and not child.succeeded and QUEUE_LABEL not in child.labels:
        return replace(wait, actions=(Scale(_reference(child), wanted),))
    return wait


def _replace(snapshot: JobSnapshot, facts: Facts, now: datetime) -> Steps:
    """The next number takes over where the ledger stands."""
    if facts.store_trouble:
        return Steps()
    if awaited := _awaited(facts):
        return Steps(look_again=seconds_until_lost(awaited, now))
    return _create_child(snapshot, facts)


def _awaited(facts: Facts) -> tuple[ObservedPod, ...]:
    """Pods that are on their way out; one without an owner was orphaned by hand, and may stay for as long as it likes.

    The ledger bears with it, and the operator may delete no pods.
    """
    return tuple(pod for pod in facts.busy if pod.owner_uid is not None)


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
    body["metadata"]["labels"] |= {**place_labels(job), FAILURES_LABEL: str(facts.failures)}
    return Steps((Create(body),), HELD_SOON if facts.queue else None, PODS_DUE)


def _close(snapshot: JobSnapshot, facts: Facts, now: datetime, ending: Ending) -> Steps:
    """End the workers, then have what is done written out."""
    child = facts.children.latest
    if child and is_active(child):
        return Steps((_delete(child),))
    return _finish(snapshot, facts, now, ending.code, ending.record_message)


def _finalize(snapshot: JobSnapshot, facts: Facts, now: datetime) -> Steps:
    """A running worker writes the output, or ends; one that is not running would hold a GPU for it."""
    child = facts.children.latest
    if child and is_active(child):
        if any(pod.phase == "Running" for pod in facts.busy) and not facts.suspended:
            return Steps(poll=_poll(snapshot.job, facts, now))
        return Steps((_delete(child),))
    return _finish(snapshot, facts, now, "", "")


def _finish(snapshot: JobSnapshot, facts: Facts, now: datetime, code: str, message: str) -> Steps:
    """The finish Job, once the workers are gone."""
    if awaited := _awaited(facts):
        return Steps(look_again=seconds_until_lost(awaited, now))
    finish = facts.children.finish
    if finish is None:
        body = build_finish_job(snapshot.job, snapshot.settings, code=code, message=message)
        return Steps((Create(body),), poll=PODS_DUE)
    if facts.store_trouble:
        return Steps()
    wait = _wait_for(snapshot.job, finish, facts.finish_pods, FINISH_RETRY, now)
    return replace(wait, poll=earliest(wait.poll, _poll(snapshot.job, facts, now)))


def _wait_for(
    job: InferenceJob, child: ObservedJob, pods: tuple[ObservedPod, ...], delay: timedelta, now: datetime
) -> Steps:
    """The Job that reads or writes files does so, or is deleted and, when it is gone, made again.

    One that ended without its result is, after ``delay``; so is one that sits on nodes which do not answer, and one
    with a template that was changed.
    """
    if child.deletion:
        return Steps()
    if child.ended:
        wait = ((child.ended.since or now) + delay - now).total_seconds()
        return Steps(look_again=wait) if wait > 0 else Steps((_delete(child),))
    if has_another_template(job, child) or has_only_lost_pods(child, pods, now):
        return Steps((_delete(child),))
    if child.suspended:
        return Steps(look_again=_until_the_queue_may_have_news(child, now))
    return Steps(look_again=seconds_until_lost(pods, now), poll=_until_pods_are_due(child, bool(pods), now))


def wanted_parallelism(job: InferenceJob, facts: Facts) -> int:
    """No more workers than tasks."""
    return max(1, min(job.spec.workers.parallelism, count_tasks(facts.total)))


def _poll(job: InferenceJob, facts: Facts, now: datetime) -> float | None:
    """Progress is read often in a job's first minute and less and less later; a thirtieth of its age, 2 to 30 s."""
    if facts.store_trouble or not any(pod.phase == "Running" for pod in (*facts.busy, *facts.finish_pods)):
        return None
    started = job.status.start_time
    age = (now - parse_time(started)).total_seconds() if started else 0.0
    return min(30.0, max(2.0, age / 30))


def _until_workers_may_have_news(job: InferenceJob, facts: Facts, child: ObservedJob, now: datetime) -> Steps:
    poll = _poll(job, facts, now)
    if child.suspended:
        queued = _until_the_queue_may_have_news(child, now)
        return Steps(look_again=earliest(queued, seconds_until_lost(facts.busy, now)), poll=poll)
    due = _until_pods_are_due(child, has_pods(child, facts.pods), now)
    return Steps(look_again=seconds_until_lost(facts.busy, now), poll=earliest(due, poll))


def _until_pods_are_due(child: ObservedJob, there: bool, now: datetime) -> float | None:
    """Until they should be ``there``, if they are not."""
    if there or child.makes_pods_since is None:
        return None
    wait = (child.makes_pods_since + PODS_EXPECTED - now).total_seconds()
    return wait if wait > 0 else None


def _until_the_queue_may_have_news(child: ObservedJob, now: datetime) -> float | None:
    """Its admission comes as an event; its reasons for waiting do not, and thousands may wait."""
    if child.created is None:
        return None
    age = (now - child.created).total_seconds()
    shortest, longest = QUEUE_RETRIES
    first = QUEUE_ANSWERS.total_seconds() - age
    return first if first > 0 else min(longest, max(shortest, age / 5))


def _reference(child: ObservedJob) -> ObjectReference:
    return ObjectReference(
        api_version="batch/v1", kind="Job", namespace=child.namespace, name=child.name, uid=child.uid
    )


def _delete(child: ObservedJob) -> Delete:
    return Delete(_reference(child))
