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
from splai.core.inferencejob.queue import quota_reserved
from splai.core.inferencejob.tasks import count_tasks
from splai.core.inferencejob.validation import Rejection
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
    "Suspended": _WORKING,
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
    quota = _kept(job, "QuotaReserved") if over and _has(job, "QuotaReserved") else quota_reserved(facts)
    workers = workers_ready(facts, phase, refusals, now)
    troubles = (backend, quota, workers) if phase == "Queued" else (backend, workers, quota)
    message = message or next((it.message for it in troubles if it.status == "False"), "")
    summary = [Verdict(name, status, reason, message) for name, status in zip(SUMMARY, TABLE[phase], strict=True)]
    told = [_shortened(it) for it in summary]
    return [*told, _suspended(facts, phase), _validated(job, facts, phase), backend, quota, workers]


def _shortened(verdict: Verdict) -> Verdict:
    """Ready says why; of the others those that hold do."""
    told = verdict.type == "Ready" or verdict.status == "True"
    return replace(verdict, message=verdict.message[:MESSAGE_LIMIT] if told else "")


def _suspended(facts: Facts, phase: JobPhase) -> Verdict:
    """True as soon as no new work is begun; the reason tells when the last pod has let go of what it held."""
    if phase != "Suspended":
        return Verdict("Suspended", "False", "NotSuspended")
    if facts.busy:
        return Verdict("Suspended", "True", "Stopping", f"{_count(len(facts.busy), 'worker pod')} still to end")
    return Verdict("Suspended", "True", "Suspended", "spec.suspend is true, and no worker runs")


def _validated(job: InferenceJob, facts: Facts, phase: JobPhase) -> Verdict:
    if facts.rejection:
        return Verdict("Validated", "False", facts.rejection.reason, "\n".join(_problems(facts.rejection)))
    if facts.waiting and not (facts.store_trouble and _has(job, "Validated")):
        return Verdict("Validated", facts.waiting.status, facts.waiting.reason, facts.waiting.message)
    if facts.good_input is None and _has(job, "Validated") and _is_settled(job, facts):
        return _kept(job, "Validated")
    if not facts.total:
        suspended = phase == "Suspended"
        message = "the input is read once the job goes on" if suspended else "the input was not read"
        return Verdict("Validated", "Unknown", "NotValidated", message)
    tasks = count_tasks(facts.total)
    message = f"{_count(facts.total, 'record')} in {_count(tasks, 'task')}"
    if facts.good_input:
        message += f", read as {facts.good_input.content.format}"
    return Verdict("Validated", "True", "Valid", message)


def _problems(rejection: Rejection) -> list[str]:
    shown = list(rejection.problems)
    return [*shown, f"({rejection.total} problems in all)"] if rejection.total > len(shown) else shown


def _is_settled(job: InferenceJob, facts: Facts) -> bool:
    """What was said of the input stays: it was planned, or the job is over."""
    return job.status.spec_hash is not None or bool(facts.waiting) or (not facts.total and not facts.suspended)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _has(job: InferenceJob, condition_type: str) -> bool:
    return find_condition(job.status.conditions, condition_type) is not None


def _kept(job: InferenceJob, condition_type: str) -> Verdict:
    condition = find_condition(job.status.conditions, condition_type)
    assert condition is not None  # noqa: S101 - for mypy: callers asked
    return Verdict(condition_type, condition.status, condition.reason, condition.message)
