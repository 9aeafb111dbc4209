"""Events tell transitions, and nothing else: they come from comparing two statuses, so none is told twice.

A few tell what is done to a child or to the resource itself, which no status shows.
"""

from collections.abc import Iterable, Iterator

from splai.api.inference_job import InferenceJobStatus
from splai.core.conditions import find_condition
from splai.core.plan import Action, Archive, Event, Refusal, Scale

MESSAGE_LIMIT = 1024
_TOLD_PHASES = frozenset({"Queued", "Suspended", "Canceling", "Canceled", "Completed", "Failed"})
_TROUBLES = frozenset(
    {"BackendNotFound", "BackendUnreachable", "ConfigMapNotFound", "EarlierJobNotFound", "PolicyNotFound"}
    | {"ImagePullFailed", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
    | {"OOMKilled", "CrashLoopBackOff", "Unschedulable", "PodsNotCreated", "PriorityClassNotFound", "FinishFailed"}
    | {"QuotaExceeded", "Forbidden", "NameConflict", "Invalid", "InternalError"}
    | {"ArtifactStoreUnavailable", "ArtifactStoreFull", "PlanningFailed"}
    | {"NoKueue", "LocalQueueNotFound"}
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


def of_actions(actions: Iterable[Action]) -> tuple[Event, ...]:
    """What is being done that no status will show."""
    return tuple(event for action in actions if (event := _of_action(action)))


def of_refusals(refusals: Iterable[Refusal]) -> tuple[Event, ...]:
    """What keeps a job that is over from being removed: its conditions tell how it ended, and nothing else any more."""
    return tuple(Event("Warning", it.reason, f"{it.reference} stays: {it.message}"[:MESSAGE_LIMIT]) for it in refusals)


def _of_action(action: Action) -> Event | None:
    match action:
        case Scale():
            name, number = action.reference.name, action.parallelism
            return Event("Normal", "WorkersScaled", f"Job {name} goes on with {number} worker{'s'[: number != 1]}")
        case Archive():
            return Event("Normal", "Archived", "the time to live is over: the history keeps a record of the job")
    return None


def _planned(before: InferenceJobStatus, after: InferenceJobStatus) -> Iterator[Event]:
    # One that is planned at first sight says so in its conditions; an Event more would be a sixth of its writes.
    validated = find_condition(after.conditions, "Validated")
    if validated and before.phase is not None and before.spec_hash is None and after.spec_hash is not None:
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
    for name in ("Validated", "BackendReady", "QuotaReserved", "WorkersReady"):
        earlier, now = find_condition(before.conditions, name), find_condition(after.conditions, name)
        if now and now.reason in _TROUBLES and (earlier is None or earlier.reason != now.reason):
            yield Event("Warning", now.reason, now.message)


def _phase(before: InferenceJobStatus, after: InferenceJobStatus) -> Iterator[Event]:
    if after.phase is None or after.phase == before.phase:
        return
    if before.phase == "Suspended" and after.phase in ("Pending", "Queued", "Running"):
        yield Event("Normal", "Resumed", "the job goes on")
    ready = find_condition(after.conditions, "Ready")
    if after.phase == "Finalizing" and ready and ready.reason != "AllTasksCommitted":
        yield Event("Warning", ready.reason, after.message)
    if after.phase in _TOLD_PHASES:
        yield Event("Warning" if after.phase == "Failed" else "Normal", after.phase, after.message)
