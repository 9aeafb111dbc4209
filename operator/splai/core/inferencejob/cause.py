"""Why a job is in its phase, as one word for conditions and one sentence for people."""

from splai.api.inference_job import InferenceJob
from splai.core.conditions import find_condition
from splai.core.inferencejob.endings import JOB_FAILED
from splai.core.inferencejob.facts import Facts
from splai.core.inferencejob.last_words import last_words
from splai.core.inferencejob.phase import Rule


def explain(job: InferenceJob, facts: Facts, rule: Rule) -> tuple[str, str]:
    """Reason and message; no message where the workers' and the backend's own conditions say all there is."""
    match rule.reason:
        case "WaitingForInput" if facts.waiting:
            return facts.waiting.reason, facts.waiting.message
        case "InputRejected" if facts.rejection:
            first, *others = facts.rejection.problems
            more = facts.rejection.total - 1 if others else 0
            return facts.rejection.reason, f"{first} (and {more} more, see condition Validated)" if more else first
        case "WorkersFailed":
            return _failure(job, facts)
        case "Expired" | "DeadlineExceeded" | "FailurePolicyExceeded":
            return rule.reason, _ended_early(job, facts, rule.reason)
    return rule.reason, _message(facts, rule.reason)


def _failure(job: InferenceJob, facts: Facts) -> tuple[str, str]:
    """The evidence may be gone when the output is written; then the status still tells what was seen."""
    if facts.ending and facts.ending.code == JOB_FAILED:
        return facts.ending.reason, facts.ending.message
    ready = find_condition(job.status.conditions, "Ready")
    reason = ready.reason if ready and job.status.phase == "Finalizing" else "WorkersFailed"
    return reason, job.status.message or "the work was ended before every task was committed"


def _ended_early(job: InferenceJob, facts: Facts, reason: str) -> str:
    cause = ""
    if facts.ending and facts.ending.reason == reason:
        cause = facts.ending.message
    elif (ready := find_condition(job.status.conditions, "Ready")) and ready.reason == reason:
        cause = ready.message
    return "; ".join(filter(None, [cause, _answered(facts)]))


def _message(facts: Facts, reason: str) -> str:
    match reason:
        case "Completed":
            return _answered(facts)
        case "Canceled":
            return f"canceled: {_answered(facts)}" if facts.final else "canceled before it was planned"
        case "Canceling":
            return "canceled: the workers end, and what is done is written out"
        case "OutputFailed":
            return f"the output cannot be written: {finish_failure(facts)}; the tasks' own outputs are kept"
        case "AllTasksCommitted":
            return f"the output is being written{written(facts)}"
        case "Suspended":
            return "the job is suspended: spec.suspend is true"
        case "BackendNotFound" | "BackendNotReady":
            return facts.backend.verdict.message
    return ""


def written(facts: Facts) -> str:
    """How much of the output is there, once somebody has said so."""
    size = facts.progress.finalized_bytes if facts.progress else 0
    return f", {size / 1e6:.1f} MB so far" if size else ""


def finish_failure(facts: Facts) -> str:
    """Why the finish Job failed, in its last pod's words while that is there."""
    finish = facts.children.finish
    return last_words(facts.finish_pods) or (finish.failure.message if finish and finish.failure else "")


def _answered(facts: Facts) -> str:
    if facts.final is None:
        return ""
    counts = facts.final.counts
    failed = f", {counts.failed} failed" if counts.failed else ""
    return f"{counts.completed} of {max(counts.total, facts.total)} records were answered{failed}"
