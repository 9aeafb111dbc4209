"""The status of an InferenceJob: counts of durable lines, so they never fall, and never more than its share of etcd."""

from datetime import datetime
from typing import Literal

from splai.api.base import format_time
from splai.api.inference_job import (
    TERMINAL_PHASES,
    ArtifactLocation,
    InferenceJob,
    InferenceJobStatus,
    JobPhase,
    OutputLocation,
    RequestCounts,
    Usage,
    WorkersStatus,
)
from splai.api.job_output import Output
from splai.api.ledger import Final
from splai.core.conditions import Verdict, merge_conditions
from splai.core.inferencejob.backend import backend_reference
from splai.core.inferencejob.children import number_of
from splai.core.inferencejob.clocks import expiry
from splai.core.inferencejob.facts import Facts
from splai.core.inferencejob.tasks import URI_LIMIT, task_statuses
from splai.core.inferencejob.throughput import estimate, measure
from splai.core.inferencejob.work_order import spec_hash
from splai.core.inferencejob.workers_ready import requests_in_flight
from splai.core.settings import OperatorSettings

BYTE_BUDGET = 256 * 1024


def make_status(
    job: InferenceJob,
    facts: Facts,
    phase: JobPhase,
    verdicts: list[Verdict],
    *,
    settings: OperatorSettings,
    now: datetime,
) -> InferenceJobStatus:
    """The whole status, within the byte budget."""
    before = job.status
    generation = job.metadata.get("generation", 0)
    over = phase in TERMINAL_PHASES
    counts = _counts(before.request_counts, facts, over=over)
    address = f"{settings.public_url}/v1/artifacts/{job.metadata['namespace']}/{job.metadata['uid']}"
    tasks = task_statuses(before, facts, phase, prefix=f"{address}/tasks/")
    moment = format_time(now)
    conditions = merge_conditions(before.conditions, verdicts, generation=generation, now=now)
    usage = _usage(before.usage, facts)
    working = any(pod.phase == "Running" for pod in facts.busy)
    speed = measure(before, counts, usage, now, working=working) if phase == "Running" else None
    completed = before.completion_time or (moment if over else None)
    expires = expiry(job, completed)
    return fit_budget(
        InferenceJobStatus(
            observed_generation=generation,
            conditions=conditions,
            phase=phase,
            message=conditions[0].message,
            backend=_backend(before, facts, job.metadata["namespace"]),
            spec_hash=_spec_hash(job, facts),
            total=counts.total,
            succeeded=counts.completed,
            failed=counts.failed,
            progress_percent=_percent(counts),
            request_counts=counts,
            usage=usage,
            throughput=speed,
            estimated_remaining_seconds=estimate(speed, counts) if speed else None,
            tasks=tasks,
            workers=_workers(before.workers, facts, over=over),
            output=_output(facts, job.spec.output, address, tasks=len(tasks)) or before.output,
            errors=_errors(facts, job.spec.output, address) or before.errors,
            start_time=_start_time(before, facts, phase, moment),
            completion_time=completed,
            expires_at=format_time(expires) if expires else None,
        )
    )


def keep_terminal(job: InferenceJob) -> InferenceJobStatus:
    """A job that is over changes in nothing but in what it has seen of its spec."""
    generation = job.metadata.get("generation", 0)
    expires = expiry(job, job.status.completion_time)
    expires_at = format_time(expires) if expires else None
    if (job.status.observed_generation, job.status.expires_at) == (generation, expires_at):
        return job.status
    conditions = [it.model_copy(update={"observed_generation": generation}) for it in job.status.conditions]
    changes = {"observed_generation": generation, "conditions": conditions, "expires_at": expires_at}
    return job.status.model_copy(update=changes)


def fit_budget(status: InferenceJobStatus, budget: int = BYTE_BUDGET) -> InferenceJobStatus:
    """Drop what is dearest to keep and cheapest to miss: workers' names, then messages, then completed tasks."""
    for shorten in (_without_workers, _without_messages, _without_completed):
        if _size(status) <= budget:
            break
        status = shorten(status)
    return status


def _size(status: InferenceJobStatus) -> int:
    return len(status.model_dump_json(by_alias=True, exclude_none=True).encode())


def _without_workers(status: InferenceJobStatus) -> InferenceJobStatus:
    return status.model_copy(update={"tasks": [task.model_copy(update={"worker": None}) for task in status.tasks]})


def _without_messages(status: InferenceJobStatus) -> InferenceJobStatus:
    return status.model_copy(update={"tasks": [task.model_copy(update={"message": None}) for task in status.tasks]})


def _without_completed(status: InferenceJobStatus) -> InferenceJobStatus:
    return status.model_copy(update={"tasks": [task for task in status.tasks if task.phase != "Completed"]})


def _spec_hash(job: InferenceJob, facts: Facts) -> str | None:
    """Set once, with the work order; the order's own wins when the status was lost on the way."""
    if job.status.spec_hash is not None or not facts.planned:
        return job.status.spec_hash
    if facts.progress and facts.progress.planned:
        return facts.progress.spec_hash
    return spec_hash(job.spec) if facts.good_input else None


def _start_time(before: InferenceJobStatus, facts: Facts, phase: JobPhase, now: str) -> str | None:
    """Cleared while no worker may run: the deadline of the workers is counted from the next start."""
    if phase in ("Suspended", "Queued"):
        return None
    return before.start_time or (now if facts.started or facts.final else None)


def _backend(before: InferenceJobStatus, facts: Facts, namespace: str) -> str | None:
    if before.spec_hash is not None and before.backend:
        return before.backend
    if facts.progress and facts.progress.backend:
        return facts.progress.backend
    backend = facts.backend.backend
    return backend_reference(backend, namespace) if backend else before.backend


def _counts(before: RequestCounts, facts: Facts, *, over: bool) -> RequestCounts:
    """Of durable lines; what is in flight is apart, and the only number that may fall.

    But the total may as long as the input may change, which is until the work is planned.
    """
    seen = facts.final.counts if facts.final else facts.progress.counts if facts.progress else RequestCounts()
    return RequestCounts(
        total=facts.total or seen.total,
        completed=max(before.completed, seen.completed),
        failed=max(before.failed, seen.failed),
        retried=max(before.retried, seen.retried),
        in_flight=0 if over else requests_in_flight(facts),
    )


def _percent(counts: RequestCounts) -> int:
    return min(100, 100 * (counts.completed + counts.failed) // counts.total) if counts.total else 0


def _usage(before: Usage, facts: Facts) -> Usage:
    seen = facts.final.usage if facts.final else facts.progress.usage if facts.progress else Usage()
    return Usage(**{name: max(getattr(before, name), getattr(seen, name)) for name in Usage.model_fields})


def _workers(before: WorkersStatus, facts: Facts, *, over: bool) -> WorkersStatus:
    """The Job's name is that of a child that was seen: that it is missing later means that it was deleted."""
    child = facts.children.latest
    return WorkersStatus(
        job_name=child.name if child else before.job_name,
        active=child.active if child and not over else 0,
        ready=child.ready if child and not over else 0,
        replaced_jobs=max(before.replaced_jobs, number_of(child) if child else 0),
        failures=facts.failures,
    )


def _output(facts: Facts, output: Output, address: str, *, tasks: int) -> OutputLocation | None:
    if facts.final is None:
        return None
    return OutputLocation(
        uri=_uri(facts.final, output, address, "output"),
        bytes=facts.final.output.bytes,
        sha256=facts.final.output.sha256,
        task_uri_prefix=f"{address}/tasks/" if tasks > URI_LIMIT else None,
    )


def _errors(facts: Facts, output: Output, address: str) -> ArtifactLocation | None:
    """Only where some record has one: a file that is always there would say nothing."""
    if facts.final is None or not facts.final.errors.lines:
        return None
    return ArtifactLocation(
        uri=_uri(facts.final, output, address, "errors"),
        bytes=facts.final.errors.bytes,
        sha256=facts.final.errors.sha256,
    )


def _uri(final: Final, output: Output, address: str, name: Literal["output", "errors"]) -> str:
    """In the place of the user's, or where the gateway serves the artifact store."""
    return f"{final.uri.removesuffix('/') if final.uri else address}/{output.file_name(name)}"
