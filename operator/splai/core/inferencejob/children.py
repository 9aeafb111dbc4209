"""The child Jobs of an InferenceJob: ``<job>-plan`` may read the input, ``<job>-0``, ``<job>-1``, … do the work,
``<job>-finish`` may end it.

A child is disposable, the ledger is the state: one that ended early or was deleted is followed by the next number.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from splai.api.inference_job import InferenceJob
from splai.core.observed import CHILD_LABEL, ObservedJob, ObservedPod

PLAN = "plan"
FINISH = "finish"
FAILURES_LABEL = "splai.dev/failures-before"
"""On a child for workers: how many of their pods had failed when it was made, because older children may be gone."""
LOST_AFTER = timedelta(seconds=60)
"""A pod that long past its grace period sits on a node that does not answer: nobody waits for it any more."""


@dataclass(frozen=True)
class Children:
    """Worker children, oldest first, and the Jobs before and after them."""

    workers: tuple[ObservedJob, ...]
    finish: ObservedJob | None
    next_number: int
    """Of the child that would be created now."""
    plan: ObservedJob | None = None

    @property
    def latest(self) -> ObservedJob | None:
        """The child that does the work, or did; None also when it was deleted."""
        newest = self.workers[-1] if self.workers else None
        return newest if newest and number_of(newest) == self.next_number - 1 else None

    @property
    def held(self) -> ObservedJob | None:
        """The one, of whatever kind, that may make no pods now: it is suspended, by a queue as a rule."""
        jobs = (self.finish, self.latest, self.plan)
        return next((job for job in jobs if job and job.suspended and is_active(job)), None)


def sort_children(job: InferenceJob, child_jobs: Iterable[ObservedJob]) -> Children:
    """Children by what they are for; one the status knows and nobody sees was deleted, its number is used up."""
    labelled = {child.labels.get(CHILD_LABEL, ""): child for child in child_jobs}
    workers = sorted((child for label, child in labelled.items() if label.isdecimal()), key=number_of)
    numbers = [number_of(child) for child in workers] + _remembered(job)
    return Children(tuple(workers), labelled.get(FINISH), max(numbers, default=-1) + 1, labelled.get(PLAN))


def number_of(child: ObservedJob) -> int:
    return int(child.labels[CHILD_LABEL])


def count_failures(children: Children) -> int:
    """Failed pods of the workers, disruptions apart, as far as the children that are left tell."""
    return max((_failures_before(child) + child.failed for child in children.workers), default=0)


def child_name(job: InferenceJob, child: int | str) -> str:
    return f"{job.metadata['name']}-{child}"


def is_active(child: ObservedJob) -> bool:
    """It may have pods still, or make some."""
    return child.ended is None and child.deletion is None


def has_pods(child: ObservedJob, pods: Iterable[ObservedPod]) -> bool:
    """Any of its own, and not of a Job before it."""
    return any(pod.owner_uid == child.uid for pod in pods)


def is_lost(pod: ObservedPod, now: datetime) -> bool:
    """Deleted, long past its grace period, and still there: its node does not answer."""
    return pod.deletion is not None and now >= pod.deletion + LOST_AFTER


def has_only_lost_pods(child: ObservedJob, pods: Iterable[ObservedPod], now: datetime) -> bool:
    """Its controller replaces a pod when that has ended, so it waits for ever; pods of other children do not matter."""
    left = [pod for pod in pods if pod.owner_uid == child.uid and not pod.ended]
    return bool(left) and all(is_lost(pod, now) for pod in left)


def running(pods: Iterable[ObservedPod], now: datetime) -> tuple[ObservedPod, ...]:
    """Pods that may still do something."""
    return tuple(pod for pod in pods if not pod.ended and not is_lost(pod, now))


def seconds_until_lost(pods: Iterable[ObservedPod], now: datetime) -> float | None:
    """When to look again in case a pod that should be gone never goes."""
    moments = [pod.deletion + LOST_AFTER for pod in pods if pod.deletion and not pod.ended]
    return min(((moment - now).total_seconds() for moment in moments if moment > now), default=None)


def _failures_before(child: ObservedJob) -> int:
    number = child.labels.get(FAILURES_LABEL, "")
    return int(number) if number.isdecimal() else 0


def _remembered(job: InferenceJob) -> list[int]:
    """The number of the child that was last seen; the status names only children that were."""
    name = job.status.workers.job_name or ""
    number = name.removeprefix(f"{job.metadata['name']}-")
    return [int(number)] if number.isdecimal() else []
