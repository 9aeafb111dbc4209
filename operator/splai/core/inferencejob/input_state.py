"""What is known of a job's input until its work is planned: it is good, it is bad, or it is waited for.

Texts, items and ConfigMaps are read in the decision itself. Any other source is read once by the child ``<job>-plan``,
which leaves in the store what it found; it may start before any backend exists.
"""

from dataclasses import dataclass
from datetime import datetime

from splai.api.condition import ConditionStatus
from splai.api.inference_job import TERMINAL_PHASES
from splai.api.job_workers import Workers
from splai.api.ledger import InputManifest, Progress, Validation
from splai.core.inferencejob.children import Children
from splai.core.inferencejob.last_words import last_words, reason_or, refused_input
from splai.core.inferencejob.policy import PolicyNotFound, PolicyViolation, record_limits
from splai.core.inferencejob.records import PROBLEM_LIMIT, Records
from splai.core.inferencejob.snapshot import (
    ConfigMapText,
    ConfigMapUnreadable,
    JobSnapshot,
    should_have_pods,
    template_timeout,
)
from splai.core.inferencejob.validation import Rejection, validate
from splai.core.observed import ObservedPod
from splai.core.pod_problem import worst_problem

PROBLEM_LENGTH = 1024


@dataclass(frozen=True)
class Waiting:
    """What is waited for before the input is known; ``status`` is that of the condition Validated meanwhile."""

    reason: str
    message: str
    status: ConditionStatus = "False"


@dataclass(frozen=True)
class GoodInput:
    """Records that all make a request: at hand, or in the store."""

    content: Records | InputManifest

    @property
    def total(self) -> int:
        return len(self.content.records) if isinstance(self.content, Records) else self.content.records


InputState = Waiting | Rejection | GoodInput


def look_at_input(
    snapshot: JobSnapshot,
    refused: PolicyNotFound | PolicyViolation | None,
    children: Children,
    plan_pods: tuple[ObservedPod, ...],
    now: datetime,
) -> InputState:
    """The state of the input of a job that is neither planned nor suspended nor canceled.

    ``refused`` is the policy's verdict on the spec, ``plan_pods`` are those of the planning child.
    """
    if isinstance(refused, PolicyNotFound):
        return Waiting("PolicyNotFound", refused.message, "Unknown")
    if isinstance(refused, PolicyViolation):
        return Rejection("PolicyViolation", refused.problems, len(refused.problems))
    if problem := _too_few_workers(snapshot.job.spec.workers):
        return Rejection("ValidationFailed", (problem,), 1)
    if timeout := template_timeout(snapshot):
        return Rejection("ValidationFailed", (timeout,), 1)
    if snapshot.job.spec.input.is_read_by_operator:
        return _read_here(snapshot)
    return _read_by_pod(snapshot, children, plan_pods, now)


def _too_few_workers(workers: Workers) -> str | None:
    """Only the effective spec has a parallelism to compare with, where the user wrote none."""
    least, most = workers.min_parallelism, workers.parallelism
    if least is None or least <= most:
        return None
    return f"spec.workers.minParallelism: is {least}, more than the parallelism of {most}; set spec.workers.parallelism"


def _read_here(snapshot: JobSnapshot) -> InputState:
    spec, config_map = snapshot.job.spec, snapshot.config_map
    if isinstance(config_map, ConfigMapUnreadable):
        return Rejection("ValidationFailed", (f"spec.input.configMap: {config_map.message}",), 1)
    if spec.input.config_map is not None and not isinstance(config_map, ConfigMapText):
        return Waiting("ConfigMapNotFound", config_map.message if config_map else "the ConfigMap was not read yet")
    text = config_map.text if isinstance(config_map, ConfigMapText) else None
    limits = record_limits(spec, snapshot.settings.policies)
    result = validate(spec, text, limits=limits, policy=spec.policy)
    return result if isinstance(result, Rejection) else GoodInput(result)


def _read_by_pod(
    snapshot: JobSnapshot, children: Children, plan_pods: tuple[ObservedPod, ...], now: datetime
) -> InputState:
    found = snapshot.progress if isinstance(snapshot.progress, Progress) else None
    if found and found.input:  # of two pods that disagree, as the pods themselves judge it: see worker.plan
        return GoodInput(found.input)
    if found and found.invalid:
        return _as_told(found.invalid)
    child = children.plan
    if child is None:
        return _earlier_job(snapshot) or Waiting("ReadingInput", "the input is being read", "Unknown")
    if found and child.failure:  # the store was asked, and knows nothing that the pod would have left
        return _gave_up(child.failure.reason, child.failure.message, plan_pods)
    if child.suspended and not child.ended:
        held = f"Job {child.name}, which reads the input, is suspended by a queue: see condition QuotaReserved"
        return Waiting("Queued", held, "Unknown")
    if problem := worst_problem(plan_pods):
        return Waiting(problem.reason, f"Job {child.name}, which reads the input: {problem.message}", "Unknown")
    if snapshot.creation_trouble and not plan_pods and should_have_pods(child, now):
        refused = f"Job {child.name}, which reads the input, has no pods: {snapshot.creation_trouble}"
        return Waiting("PodsNotCreated", refused, "Unknown")
    words = last_words(plan_pods)
    return Waiting("ReadingInput", f"Job {child.name} reads the input" + (f"; {words}" if words else ""), "Unknown")


def _as_told(invalid: Validation) -> Rejection:
    """A pod of the user's namespace wrote it: as much of it as a status has room for."""
    problems = tuple(problem[:PROBLEM_LENGTH] for problem in invalid.problems[:PROBLEM_LIMIT])
    reason = reason_or(invalid.reason, "ValidationFailed")
    return Rejection(reason, problems or ("the input cannot be used",), max(invalid.total, len(problems)))


def _earlier_job(snapshot: JobSnapshot) -> Waiting | None:
    source = snapshot.job.spec.input.failed_of
    if source is None:
        return None
    namespace, earlier = snapshot.job.metadata["namespace"], snapshot.earlier_job
    if earlier is None:
        return Waiting("EarlierJobNotFound", f"namespace {namespace} has no InferenceJob {source.name}")
    if earlier.status.phase not in TERMINAL_PHASES:
        phase = earlier.status.phase or "Pending"
        return Waiting("EarlierJobNotOver", f"InferenceJob {source.name} is {phase}: it has to end first", "Unknown")
    return None


def _gave_up(reason: str, message: str, plan_pods: tuple[ObservedPod, ...]) -> Rejection:
    if reason == "PodFailurePolicy":
        said, words = refused_input(plan_pods)
        return Rejection(said or "InvalidInput", (words or message,), 1)
    words = last_words(plan_pods)
    return Rejection("InputUnreadable", (f"the input could not be read: {words or message}",), 1)
