"""Events tell transitions, and nothing else: they come from comparing two statuses, so none is told twice."""

from collections.abc import Iterator

from splai.api.inference_job import InferenceJobStatus
from splai.core.conditions import find_condition
from splai.core.plan import Event

MESSAGE_LIMIT = 1024
_TOLD_PHASES = frozenset({"Canceling", "Canceled", "Completed", "Failed"})
_TROUBLES = frozenset(
    {"BackendNotFound", "BackendUnreachable", "ConfigMapNotFound"}
    | {"ImagePullFailed", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
    | {"OOMKilled", "CrashLoopBackOff", "Unschedulable", "PodsNotCreated", "FinishFailed"}
    | {"QuotaExceeded", "Forbidden", "NameConflict", "Invalid", "ArtifactStoreUnavailable"}
)


def transitions(before: InferenceJobStatus, after: InferenceJobStatus, *, last_words: str = "") -> tuple[Event, ...]:
    """What happened between the two; ``last_words`` are those of the worker pod that failed last."""
    return tuple(
        Event(event.type, event.reason, event.message[:MESSAGE_LIMIT])
        for event in (
            *_planned(before, after),
            *_workers(before, after, last_words),
            *_conditions(before, after),
            *_phase(before, after),
        )
    )


def _planned(before: InferenceJobStatus, after: InferenceJobStatus) -> Iterator[Event]:
    validated = find_condition(after.conditions, "Validated")
    if validated and before.spec_hash is None and after.spec_hash is not None:
        yield Event("Normal", "Validated", f"{validated.message}; ModelBackend {after.backend} will answer")


def _workers(before: InferenceJobStatus, after: InferenceJobStatus, last_words: str) -> Iterator[Event]:
    # The first Job follows from Validated and tells its own pods; an Event for it would be one write a job for nothing.
    replaced, job_name = before.workers.job_name, after.workers.job_name
    if replaced and job_name and job_name != replaced:
        yield Event("Normal", "WorkersReplaced", f"Job {job_name} goes on with the work of {replaced}")
    if after.workers.failures > before.workers.failures:
        detail = f"; the last: {last_words}" if last_words else ""
        yield Event("Warning", "WorkerFailed", f"worker pods that failed so far: {after.workers.failures}{detail}")


def _conditions(before: InferenceJobStatus, after: InferenceJobStatus) -> Iterator[Event]:
    for name in ("Validated", "BackendReady", "WorkersReady"):
        earlier, now = find_condition(before.conditions, name), find_condition(after.conditions, name)
        if now and now.reason in _TROUBLES and (earlier is None or earlier.reason != now.reason):
            yield Event("Warning", now.reason, now.message)


def _phase(before: InferenceJobStatus, after: InferenceJobStatus) -> Iterator[Event]:
    if after.phase is not None and after.phase != before.phase and after.phase in _TOLD_PHASES:
        yield Event("Warning" if after.phase == "Failed" else "Normal", after.phase, after.message)
