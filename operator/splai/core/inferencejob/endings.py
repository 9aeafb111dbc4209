"""Why a job ends before all of its tasks are committed: what is done is written out, and then it is over.

The code goes into the ledger's ``closing`` and comes back in ``final``: the terminal phase is read from there, so that
nothing which happens later turns it.
"""

from dataclasses import dataclass
from datetime import datetime

from splai.api.inference_job import InferenceJob
from splai.api.ledger import Final, Progress
from splai.core.conditions import find_condition
from splai.core.inferencejob.children import Children
from splai.core.inferencejob.clocks import deadline, window_end
from splai.core.inferencejob.last_words import last_words, refused_input
from splai.core.observed import ObservedJob, ObservedPod

CANCELLED = "batch_cancelled"
EXPIRED = "batch_expired"
DEADLINE_EXCEEDED = "deadline_exceeded"
TOO_MANY_FAILURES = "too_many_failures"
JOB_FAILED = "job_failed"

_CODES = {
    "Canceling": CANCELLED,
    "Expired": EXPIRED,
    "DeadlineExceeded": DEADLINE_EXCEEDED,
    "FailurePolicyExceeded": TOO_MANY_FAILURES,
}


@dataclass(frozen=True)
class Ending:
    """``message`` is for the status, ``record_message`` for the error lines of records that were never answered."""

    code: str
    reason: str
    message: str
    record_message: str


def find_ending(
    job: InferenceJob,
    children: Children,
    pods: tuple[ObservedPod, ...],
    *,
    total: int,
    failures: int,
    progress: Progress | None,
    planned: bool,
    all_committed: bool,
    now: datetime,
) -> Ending | None:
    """The first reason that holds; ``failures`` are those of worker pods, disruptions apart."""
    if all_committed:
        return _cancel(job)
    if not planned:
        return _cancel(job) or _window(job, now)
    closing = children.finish is not None or (progress is not None and progress.closing)
    return (
        (_begun(job) if closing else None)
        or _cancel(job)
        or _window(job, now)
        or _deadline(job, now)
        or _too_many_failed(job, total, progress)
        or _workers(job, children, pods, failures, progress)
        or (_failed("WorkersFailed", job.status.message) if closing else None)
    )


def allows_failures(job: InferenceJob, final: Final) -> bool:
    """Whether the failure policy, if there is one, lets a job with all its answers be called complete."""
    policy = job.spec.failure_policy
    return policy is None or final.counts.failed <= policy.allowed(final.counts.total)


def gives_up_output(job: InferenceJob, finish: ObservedJob | None) -> bool:
    """Whether the output is waited for no more: another try meets the same, or all failed and the job is canceled.

    Else the answers are worth any wait: the place may be mended, and no GPU is held for it.
    """
    if finish is None or finish.failure is None:
        return False
    return job.spec.cancel or finish.failure.reason == "PodFailurePolicy"


def _cancel(job: InferenceJob) -> Ending | None:
    if not job.spec.cancel:
        return None
    words = "the job was canceled before this record was answered"
    return Ending(CANCELLED, "Canceling", "canceled: the workers end, and what is done is written out", words)


def _window(job: InferenceJob, now: datetime) -> Ending | None:
    end = window_end(job)
    if end is None or now < end:
        return None
    message = f"the completion window of {job.spec.completion_window} is over"
    return Ending(EXPIRED, "Expired", message, f"{message}, and this record was not answered in it")


def _deadline(job: InferenceJob, now: datetime) -> Ending | None:
    end = deadline(job, job.status.start_time)
    if end is None or now < end:
        return None
    message = f"the workers ran for the {job.spec.active_deadline_seconds} s of activeDeadlineSeconds"
    return Ending(DEADLINE_EXCEEDED, "DeadlineExceeded", message, f"{message} before this record was answered")


def _too_many_failed(job: InferenceJob, total: int, progress: Progress | None) -> Ending | None:
    policy = job.spec.failure_policy
    if policy is None or not total:
        return None
    allowed = policy.allowed(total)
    failed = max(job.status.failed, progress.counts.failed if progress else 0)
    if failed <= allowed:
        return None
    message = f"{failed} of {total} records failed, failurePolicy allows {allowed}"
    words = "the job was ended before this record was answered: too many other records failed"
    return Ending(TOO_MANY_FAILURES, "FailurePolicyExceeded", message, words)


def _workers(
    job: InferenceJob, children: Children, pods: tuple[ObservedPod, ...], failures: int, progress: Progress | None
) -> Ending | None:
    """Judged by child Jobs and by counts, never by a pod alone: pods vanish, and may be seen late."""
    limit = job.spec.backoff_limit
    for child in children.workers:
        if child.failure and child.failure.reason == "PodFailurePolicy":
            reason, message = refused_input(pods)
            return _failed(reason or "InvalidInput", message or child.failure.message)
    if failures > limit or any(it.failure and it.failure.reason == "BackoffLimitExceeded" for it in children.workers):
        last = last_words(pods)
        detail = f"; the last: {last}" if last else ""
        return _failed("BackoffLimitExceeded", f"{failures} worker pods failed, backoffLimit is {limit}{detail}")
    fruitless = sum(child.complete is not None for child in children.workers)
    if fruitless > limit + 1 and progress is not None:
        return _failed("BackoffLimitExceeded", f"{fruitless} child Jobs completed with tasks left to do")
    return None


def _begun(job: InferenceJob) -> Ending | None:
    """A closing goes on as what it began, whatever becomes of its cause and whatever else happens meanwhile."""
    ready = find_condition(job.status.conditions, "Ready")
    if ready is None or job.status.phase not in ("Finalizing", "Canceling"):
        return None
    return Ending(_CODES.get(ready.reason, JOB_FAILED), ready.reason, ready.message, ready.message)


def _failed(reason: str, message: str) -> Ending:
    return Ending(JOB_FAILED, reason, message, f"the job failed: {message}")
