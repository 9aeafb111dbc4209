"""Why a job is in its phase, as one word for conditions and one sentence for people."""

from splai.api.inference_job import InferenceJob
from splai.core.inferencejob.facts import Facts
from splai.core.inferencejob.phase import Rule


def explain(job: InferenceJob, facts: Facts, rule: Rule) -> tuple[str, str]:
    """Reason and message; no message where the workers' and the backend's own conditions say all there is."""
    if rule.reason == "WorkersFailed":
        return _failure(job, facts)
    return rule.reason, _message(facts, rule.reason)


def _failure(job: InferenceJob, facts: Facts) -> tuple[str, str]:
    """The evidence may be deleted before the output is written; then the status still tells what was seen."""
    if facts.failure:
        return facts.failure.reason, facts.failure.message
    return "WorkersFailed", job.status.message or "the work was ended before every task was committed"


def _message(facts: Facts, reason: str) -> str:
    match reason:
        case "Completed":
            return _answered(facts)
        case "Canceled":
            return f"canceled: {_answered(facts)}" if facts.final else "canceled before it was planned"
        case "Canceling":
            return "canceled: the workers end, and what is done is written out"
        case "ValidationFailed" if facts.invalid:
            first, *others = facts.invalid.problems
            return f"{first} (and {len(others)} more, see condition Validated)" if others else first
        case "AllTasksCommitted":
            return "the output is being written"
        case "ConfigMapNotFound" if facts.missing_input:
            return facts.missing_input.message
        case "BackendNotFound" | "BackendNotReady":
            return facts.backend.verdict.message
    return ""


def _answered(facts: Facts) -> str:
    if facts.final is None:
        return ""
    counts = facts.final.counts
    failed = f", {counts.failed} failed" if counts.failed else ""
    return f"{counts.completed} of {max(counts.total, facts.total)} records were answered{failed}"
