"""The conditions of an InferenceJob: a constant set, and for the first five a table by phase.

Ready is True while a job runs as it should, so that an installer that waits for readiness (Helm, Flux, Argo CD by
kstatus) goes on; Stalled is for what the user must change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from splai.api.condition import ConditionStatus
from splai.api.inference_job import TERMINAL_PHASES, InferenceJob, JobPhase
from splai.core.conditions import Verdict, find_condition
from splai.core.inferencejob.facts import Facts
from splai.core.inferencejob.tasks import count_tasks
from splai.core.inferencejob.workers_ready import backend_ready, workers_ready
from splai.core.plan import Refusal

MESSAGE_LIMIT = 1024
SUMMARY = ("Ready", "Reconciling", "Stalled", "Succeeded", "Failed")
_WAITING: tuple[ConditionStatus, ...] = ("Unknown", "True", "False", "Unknown", "False")
_WORKING: tuple[ConditionStatus, ...] = ("True", "False", "False", "Unknown", "False")
TABLE: Mapping[JobPhase, tuple[ConditionStatus, ...]] = {
    "Pending": _WAITING,
    "Queued": _WAITING,
    "Running": _WORKING,
    "Finalizing": _WORKING,
    "Canceling": _WORKING,
    "Completed": ("True", "False", "False", "True", "False"),
    "Failed": ("False", "False", "True", "False", "True"),
    "Canceled": ("True", "False", "False", "False", "False"),
}


def decide_verdicts(
    job: InferenceJob,
    facts: Facts,
    phase: JobPhase,
    reason: str,
    message: str,
    *,
    refusals: Sequence[Refusal],
    now: datetime,
) -> list[Verdict]:
    """All conditions; ``reason`` and ``message`` say why the job is in ``phase``."""
    over = phase in TERMINAL_PHASES
    backend = _kept(job, "BackendReady") if over and _has(job, "BackendReady") else backend_ready(facts, phase)
    workers = workers_ready(facts, phase, refusals, now)
    message = message or next((it.message for it in (backend, workers) if it.status == "False"), "")
    summary = [Verdict(name, status, reason, message) for name, status in zip(SUMMARY, TABLE[phase], strict=True)]
    return [*(_shortened(it) for it in summary), _validated(job, facts), backend, workers]


def _shortened(verdict: Verdict) -> Verdict:
    """Ready says why; of the others those that hold do."""
    told = verdict.type == "Ready" or verdict.status == "True"
    return replace(verdict, message=verdict.message[:MESSAGE_LIMIT] if told else "")


def _validated(job: InferenceJob, facts: Facts) -> Verdict:
    if facts.invalid:
        return Verdict("Validated", "False", "ValidationFailed", facts.invalid.message)
    if facts.missing_input:
        return Verdict("Validated", "False", "ConfigMapNotFound", facts.missing_input.message)
    planned = job.status.spec_hash is not None
    if facts.records is None and (planned or not facts.total):
        if _has(job, "Validated"):
            return _kept(job, "Validated")
        return Verdict("Validated", "Unknown", "NotValidated", "the input was not read")
    tasks = count_tasks(facts.total)
    return Verdict("Validated", "True", "Valid", f"{_count(facts.total, 'record')} in {_count(tasks, 'task')}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _has(job: InferenceJob, condition_type: str) -> bool:
    return find_condition(job.status.conditions, condition_type) is not None


def _kept(job: InferenceJob, condition_type: str) -> Verdict:
    condition = find_condition(job.status.conditions, condition_type)
    assert condition is not None  # noqa: S101 - for mypy: callers asked
    return Verdict(condition_type, condition.status, condition.reason, condition.message)
