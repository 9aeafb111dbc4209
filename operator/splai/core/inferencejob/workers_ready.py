"""The conditions about who does the work: are the worker pods running, and do they reach the model.

The words are those of whoever knows: the scheduler's, the kubelet's, the apiserver's, the worker's own.
"""

from collections.abc import Sequence
from datetime import datetime

from splai.api.inference_job import TERMINAL_PHASES, JobPhase
from splai.api.ledger import WorkerReport
from splai.core.conditions import Verdict
from splai.core.inferencejob.cause import finish_failure, written
from splai.core.inferencejob.endings import JOB_FAILED
from splai.core.inferencejob.facts import Facts
from splai.core.inferencejob.last_words import last_words
from splai.core.inferencejob.snapshot import should_have_pods
from splai.core.observed import ObservedJob
from splai.core.plan import Refusal
from splai.core.pod_problem import pod_problem, worst_problem

MESSAGE_LIMIT = 2048


def workers_ready(facts: Facts, phase: JobPhase, refusals: Sequence[Refusal], now: datetime) -> Verdict:
    """The condition WorkersReady."""
    status, reason, message = _workers_ready(facts, phase, refusals, now)
    return Verdict("WorkersReady", "True" if status else "False", reason, message[:MESSAGE_LIMIT])


def _workers_ready(facts: Facts, phase: JobPhase, refusals: Sequence[Refusal], now: datetime) -> tuple[bool, str, str]:
    if phase in TERMINAL_PHASES:
        return False, "Finished", "the work is over"
    if refusals:
        return False, refusals[0].reason, f"{refusals[0].reference}: {refusals[0].message}"
    if facts.store_trouble:
        return False, "ArtifactStoreUnavailable", f"the artifact server does not answer: {facts.store_trouble}"
    if facts.progress and facts.progress.store_full:
        waits = "the workers wait" if facts.planned else "a new job waits"
        return False, "ArtifactStoreFull", f"the artifact store has no room: {waits} until there is some"
    if facts.ending and facts.ending.code == JOB_FAILED:
        return False, facts.ending.reason, facts.ending.message
    if phase == "Suspended":
        return _pausing(facts)
    if not facts.planned and not _can_begin(facts):
        return False, "NotCreated", "workers are created when the input is valid and the backend can be used"
    if phase in ("Canceling", "Finalizing"):
        return _ending(facts, now)
    return _pods_ready(facts, facts.children.latest, now)


def _can_begin(facts: Facts) -> bool:
    return facts.good_input is not None and facts.backend.usable


def _pausing(facts: Facts) -> tuple[bool, str, str]:
    if facts.busy:
        return False, "Stopping", "the workers are being stopped"
    return False, "Suspended", "no worker runs while the job is suspended"


def _ending(facts: Facts, now: datetime) -> tuple[bool, str, str]:
    finish = facts.children.finish
    if finish:
        return _finishing(facts, finish, now)
    if not facts.all_committed:
        return False, "Stopping", "the workers are being stopped"
    return True, "WorkersReady", f"a worker writes the output{written(facts)}"


def _finishing(facts: Facts, finish: ObservedJob, now: datetime) -> tuple[bool, str, str]:
    if finish.failure:
        return False, "FinishFailed", f"Job {finish.name}, which writes the output, failed: {finish_failure(facts)}"
    if finish.suspended:
        held = f"Job {finish.name}, which writes the output, is suspended by a queue: see condition QuotaReserved"
        return False, "Queued", held
    if problem := worst_problem(facts.finish_pods):
        return False, problem.reason, f"Job {finish.name}, which writes the output: {problem.message}"
    if facts.creation_trouble and not facts.finish_pods and should_have_pods(finish, now):
        return _pods_not_created(finish, facts.creation_trouble)
    words = last_words(facts.finish_pods)
    tried = f"; a try failed: {words}" if words else ""
    return False, "Finishing", f"Job {finish.name} writes the output{written(facts)}{tried}"


def _pods_ready(facts: Facts, child: ObservedJob | None, now: datetime) -> tuple[bool, str, str]:
    if child is None or child.deletion or child.ended:
        return False, "Creating", "the workers' Job is being created"
    if child.suspended:
        return False, "Queued", f"Job {child.name} is suspended by a queue"
    pods = [pod for pod in facts.pods if pod.owner_uid == child.uid]
    if problem := worst_problem(pods):
        same = sum(1 for pod in pods if (found := pod_problem(pod)) and found.reason == problem.reason)
        who = "" if child.parallelism == 1 else f"{same} of {child.parallelism} workers: "
        return False, problem.reason, who + problem.message
    ready = sum(1 for pod in pods if pod.ready or pod.phase == "Succeeded")
    if ready >= child.parallelism:
        return True, "WorkersReady", f"{child.parallelism} of {child.parallelism} workers are ready"
    if facts.creation_trouble and not pods and should_have_pods(child, now):
        return _pods_not_created(child, facts.creation_trouble)
    return False, "Creating", f"{ready} of {child.parallelism} workers are ready"


def _pods_not_created(child: ObservedJob, trouble: str) -> tuple[bool, str, str]:
    """Where no Event tells of trouble its controller is only slow, as it is when thousands of Jobs come at once."""
    reason = "PriorityClassNotFound" if "no PriorityClass with name" in trouble else "PodsNotCreated"
    return False, reason, f"Job {child.name} has no pods: {trouble}"


def backend_ready(facts: Facts, phase: JobPhase) -> Verdict:
    """The condition BackendReady: what the backend says, unless the workers know better."""
    alive = alive_workers(facts)
    unreachable = [report for report in alive if not report.engine.reachable]
    if not unreachable or phase not in ("Running", "Finalizing"):
        return facts.backend.verdict
    message = f"{len(unreachable)} of {len(alive)} workers cannot reach it: {unreachable[0].engine.message}"
    return Verdict("BackendReady", "False", "BackendUnreachable", message[:MESSAGE_LIMIT])


def requests_in_flight(facts: Facts) -> int:
    """As the workers last said."""
    return sum(report.in_flight for report in alive_workers(facts))


def alive_workers(facts: Facts) -> list[WorkerReport]:
    """Reports of pods that are still there: the store keeps those of all that ever were."""
    uids = {pod.uid for pod in facts.busy if pod.phase == "Running"}
    reports = facts.progress.workers if facts.progress else []
    return [report for report in reports if report.state == "running" and report.pod_uid in uids]
