"""The decision about one InferenceJob: policy → facts → phase → steps → status → events, each in a file of its own."""

from dataclasses import replace
from datetime import datetime

from splai.api.inference_job import TERMINAL_PHASES, InferenceJobSpec, InferenceJobStatus
from splai.core.inferencejob.cause import explain
from splai.core.inferencejob.clocks import earliest, next_moment
from splai.core.inferencejob.events import of_actions, of_refusals, transitions
from splai.core.inferencejob.facts import Facts, gather
from splai.core.inferencejob.last_words import last_words
from splai.core.inferencejob.phase import decide_phase
from splai.core.inferencejob.policy import PolicyNotFound, PolicyViolation, apply_policy
from splai.core.inferencejob.snapshot import JobSnapshot, is_planned
from splai.core.inferencejob.status import keep_terminal, make_status
from splai.core.inferencejob.steps import Steps, next_steps
from splai.core.inferencejob.throughput import next_look
from splai.core.inferencejob.verdicts import decide_verdicts
from splai.core.plan import STORE_REASONS, Plan, WriteWorkOrder

STORE_RETRY = 5.0
STORE_FULL_RETRY = 60.0


def plan(snapshot: JobSnapshot, now: datetime) -> Plan[InferenceJobStatus]:
    """What to do now, what to say about it, and when to look again."""
    snapshot, refused = _with_policy(snapshot)
    job = snapshot.job
    facts = gather(snapshot, refused, now)
    rule = decide_phase(facts)
    steps = next_steps(snapshot, facts, rule.phase, now)
    if snapshot.refusals:  # they are tried again with a backoff that grows; only clocks go on meanwhile
        steps = replace(steps, look_again=None, poll=None)
    actions = () if snapshot.refusals else steps.actions
    if facts.over:
        status = keep_terminal(job)
        look_again = None if facts.deleting else next_moment(job, status, now)
        told = of_actions(actions) + of_refusals(snapshot.refusals)
        return Plan(status=status, actions=actions, action_events=told, requeue_after=look_again)
    if _writes_order(snapshot, steps):
        facts = replace(facts, planned=True)  # the status is written when the actions went well
    reason, message = explain(job, facts, rule)
    verdicts = decide_verdicts(job, facts, rule.phase, reason, message, refusals=snapshot.refusals, now=now)
    status = make_status(job, facts, rule.phase, verdicts, settings=snapshot.settings, now=now)
    pods = (*facts.plan_pods, *facts.pods)
    return Plan(
        status=status,
        actions=actions,
        events=transitions(job.status, status, last_words=last_words(pods)),
        action_events=of_actions(actions),
        requeue_after=earliest(steps.look_again, _until_the_store_may_have_news(facts), next_moment(job, status, now)),
        poll_after=earliest(steps.poll, next_look(status)),
    )


def _until_the_store_may_have_news(facts: Facts) -> float | None:
    """What is wrong with it is told in the status, and no event tells that it answers again, or has room."""
    if facts.store_trouble:
        return STORE_RETRY
    return STORE_FULL_RETRY if facts.progress and facts.progress.store_full else None


def _with_policy(snapshot: JobSnapshot) -> tuple[JobSnapshot, PolicyNotFound | PolicyViolation | None]:
    """From here on the spec is the effective one; what the policy has against it matters until the work is planned."""
    job = snapshot.job
    planned = is_planned(snapshot) or job.status.phase in TERMINAL_PHASES
    result = apply_policy(job.spec, snapshot.settings.policies, planned=planned)
    if isinstance(result, InferenceJobSpec):
        if result is job.spec:
            return snapshot, None
        return replace(snapshot, job=job.model_copy(update={"spec": result})), None
    return snapshot, result


def _writes_order(snapshot: JobSnapshot, steps: Steps) -> bool:
    """Whether the store holds the work order afterwards; a refusal of what comes behind it changes nothing in that."""
    refused = any(refusal.reason in STORE_REASONS for refusal in snapshot.refusals)
    return not refused and any(isinstance(action, WriteWorkOrder) for action in steps.actions)
