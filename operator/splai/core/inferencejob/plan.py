"""The decision about one InferenceJob: facts → phase → steps → status → events, each in a file of its own."""

from dataclasses import replace
from datetime import datetime

from splai.api.inference_job import InferenceJobStatus
from splai.core.inferencejob.cause import explain
from splai.core.inferencejob.events import transitions
from splai.core.inferencejob.facts import gather, last_words
from splai.core.inferencejob.phase import decide_phase
from splai.core.inferencejob.snapshot import JobSnapshot
from splai.core.inferencejob.status import keep_terminal, make_status
from splai.core.inferencejob.steps import Steps, next_steps
from splai.core.inferencejob.verdicts import decide_verdicts
from splai.core.plan import Plan, WriteWorkOrder


def plan(snapshot: JobSnapshot, now: datetime) -> Plan[InferenceJobStatus]:
    """What to do now, what to say about it, and when to look again."""
    job = snapshot.job
    facts = gather(snapshot, now)
    rule = decide_phase(facts)
    steps = next_steps(snapshot, facts, rule.phase, now)
    actions = () if snapshot.refusals else steps.actions
    if facts.over:
        return Plan(status=keep_terminal(job), actions=actions)
    if _writes_order(snapshot, steps):
        facts = replace(facts, planned=True)  # the status is written when the actions went well
    reason, message = explain(job, facts, rule)
    verdicts = decide_verdicts(job, facts, rule.phase, reason, message, refusals=snapshot.refusals, now=now)
    status = make_status(job, facts, rule.phase, verdicts, settings=snapshot.settings, now=now)
    return Plan(
        status=status,
        actions=actions,
        events=transitions(job.status, status, last_words=last_words(facts.pods)),
        requeue_after=None if status.completion_time else steps.look_again,
    )


def _writes_order(snapshot: JobSnapshot, steps: Steps) -> bool:
    """Whether the store holds the work order afterwards; a refusal of what comes behind it changes nothing in that."""
    refused = any(refusal.reason == "ArtifactStoreUnavailable" for refusal in snapshot.refusals)
    return not refused and any(isinstance(action, WriteWorkOrder) for action in steps.actions)
