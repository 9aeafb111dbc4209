"""A backend's conditions: always the same six, and one more of a default; each reason names what to look at.

::

    Ready           a pod of the revision that the spec asks for answers, or none is wanted
    Reconciling     something is still on its way: pods are made, replaced or removed
    Stalled         nothing will move before somebody changes something
    Scheduled       the current revision's pods have nodes; else the scheduler's words
    ModelLoaded     an engine of the current revision has its model in memory
    RolloutBlocked  the current revision finds no node while an earlier one serves

Ready may be True while Reconciling is: one of three replicas already answers.
"""

from datetime import datetime

from splai.api.model_backend import ModelBackendStatus
from splai.core.conditions import Verdict, find_condition, merge_conditions
from splai.core.modelbackend.deployment import selector_labels
from splai.core.modelbackend.replicas import BLOCKED_AFTER, Replicas, is_observed, what_is_missing
from splai.core.modelbackend.service import service_url
from splai.core.modelbackend.snapshot import NOT_INSTALLED, BackendSnapshot
from splai.core.plan import Event, Refusal
from splai.core.pod_problem import PodProblem

_STALLING = {
    "NameConflict": "NameConflict",
    "Forbidden": "Forbidden",
    "Invalid": "InvalidSpec",
    NOT_INSTALLED: "LeaderWorkerSetNotInstalled",
}
_ON_ITS_WAY = frozenset({"Creating", "Starting", "Fetching", "Loading", "RollingOut", "ResourceClaimPending"})


def decide_status(snapshot: BackendSnapshot, *, revision: str, changing: bool, now: datetime) -> ModelBackendStatus:
    """The whole status; ``changing`` says that children are about to be changed."""
    backend, replicas = snapshot.backend, Replicas.of(snapshot, revision)
    refusal = snapshot.refusals[0] if snapshot.refusals else None
    blocked = _blocked(replicas, now)
    missing = _missing(snapshot, replicas, refusal, blocked)
    ready = _ready(replicas, refusal, missing)
    verdicts = (
        ready,
        _reconciling(snapshot, replicas, refusal, missing, changing=changing),
        _stalled(refusal),
        _scheduled(replicas),
        _model_loaded(replicas, missing),
        _rollout_blocked(replicas, blocked),
        *_default_conflict(snapshot),
    )
    generation = backend.metadata["generation"]
    serving = replicas.answering + replicas.still_serving
    return ModelBackendStatus(
        observed_generation=generation,
        conditions=merge_conditions(backend.status.conditions, verdicts, generation=generation, now=now),
        replicas=replicas.total,
        ready_replicas=serving,
        selector=",".join(f"{label}={value}" for label, value in sorted(selector_labels(backend).items())),
        endpoint=service_url(backend) if serving and snapshot.own_service else None,
        model_ids=backend.spec.model.ids,
        message=ready.message,
    )


def transitions(before: ModelBackendStatus, after: ModelBackendStatus) -> tuple[Event, ...]:
    """Events for what changed; progress that is only expected makes none."""
    events = []
    for condition in after.conditions:
        previous = find_condition(before.conditions, condition.type)
        was = (previous.status, previous.reason) if previous else ("Unknown", "")
        if was == (condition.status, condition.reason):
            continue
        if condition.type == "RolloutBlocked" and condition.status == "True":
            events.append(Event("Warning", "RolloutBlocked", condition.message))
        if condition.type == "DefaultConflict" and condition.status == "True":
            events.append(Event("Warning", "SeveralDefaults", condition.message))
        if condition.type != "Ready" or condition.reason == "RolloutBlocked":
            continue
        if condition.status == "True":
            events.append(Event("Normal", condition.reason, condition.message))
        elif condition.reason not in _ON_ITS_WAY:
            events.append(Event("Warning", condition.reason, condition.message))
        elif was[0] == "True" and was[1] != "ScaledToZero" and condition.reason != "RollingOut":
            events.append(Event("Warning", "NotReady", condition.message))
    return tuple(events)


def next_look(snapshot: BackendSnapshot, *, revision: str, now: datetime) -> float | None:
    """When the passing of time alone changes the status: a rollout that waits becomes one that is blocked."""
    since = Replicas.of(snapshot, revision).blocked_since()
    if since is None or now - since >= BLOCKED_AFTER:
        return None
    return (since + BLOCKED_AFTER - now).total_seconds()


def _blocked(replicas: Replicas, now: datetime) -> PodProblem | None:
    since = replicas.blocked_since()
    if since is None or now - since < BLOCKED_AFTER:
        return None
    return replicas.unschedulable


def _missing(
    snapshot: BackendSnapshot, replicas: Replicas, refusal: Refusal | None, blocked: PodProblem | None
) -> PodProblem:
    if refusal is not None:
        return PodProblem(_STALLING.get(refusal.reason, refusal.reason), refusal.message)
    if blocked is not None:
        return PodProblem("RolloutBlocked", blocked.message)
    return what_is_missing(replicas, snapshot.own_workload)


def _ready(replicas: Replicas, refusal: Refusal | None, missing: PodProblem) -> Verdict:
    if refusal is None and replicas.wanted == 0:
        return Verdict("Ready", "True", "ScaledToZero", "no replicas are wanted")
    if refusal is None and replicas.answering:
        return Verdict("Ready", "True", "Ready", _count(replicas.answering, replicas.wanted, "answer"))
    message = missing.message
    if replicas.still_serving:
        message += f"; the previous revision still serves, with {replicas.still_serving}"
    return Verdict("Ready", "False", missing.reason, message)


def _reconciling(
    snapshot: BackendSnapshot, replicas: Replicas, refusal: Refusal | None, missing: PodProblem, *, changing: bool
) -> Verdict:
    if refusal is not None and refusal.reason in _STALLING:
        return Verdict("Reconciling", "False", "Stalled")
    if is_observed(snapshot.own_workload) and not changing and refusal is None and replicas.settled():
        return Verdict("Reconciling", "False", "Settled")
    if refusal is not None or replicas.answering < replicas.wanted:
        return Verdict("Reconciling", "True", missing.reason, missing.message)
    if replicas.total > replicas.wanted:
        return Verdict(
            "Reconciling", "True", "Removing", f"{replicas.total} replicas run, {replicas.wanted} are wanted"
        )
    return Verdict("Reconciling", "True", "Applying", f"the {snapshot.workload_kind} is being brought up to date")


def _stalled(refusal: Refusal | None) -> Verdict:
    if refusal is not None and refusal.reason in _STALLING:
        return Verdict("Stalled", "True", _STALLING[refusal.reason], refusal.message)
    return Verdict("Stalled", "False", "NotStalled")


def _scheduled(replicas: Replicas) -> Verdict:
    unschedulable = replicas.unschedulable
    if unschedulable is not None:
        return Verdict("Scheduled", "False", "Unschedulable", unschedulable.message)
    if replicas.wanted == 0:
        return Verdict("Scheduled", "True", "ScaledToZero")
    if not replicas.complete or not all(pod.node for pod in replicas.members):
        return Verdict("Scheduled", "Unknown", "Waiting", "pods are waiting for the scheduler's answer")
    return Verdict("Scheduled", "True", "Scheduled")


def _model_loaded(replicas: Replicas, missing: PodProblem) -> Verdict:
    if replicas.loaded:
        return Verdict("ModelLoaded", "True", "Loaded", _count(replicas.loaded, replicas.wanted, "hold the model"))
    if replicas.wanted == 0:
        return Verdict("ModelLoaded", "False", "ScaledToZero")
    return Verdict("ModelLoaded", "False", missing.reason, missing.message)


def _rollout_blocked(replicas: Replicas, blocked: PodProblem | None) -> Verdict:
    if blocked is not None:
        return Verdict("RolloutBlocked", "True", blocked.reason, blocked.message)
    return Verdict("RolloutBlocked", "False", "RollingOut" if replicas.previous else "NoRollout")


def _default_conflict(snapshot: BackendSnapshot) -> tuple[Verdict, ...]:
    if not snapshot.backend.spec.routing.default:
        return ()
    if not snapshot.other_defaults:
        return (Verdict("DefaultConflict", "False", "OnlyDefault"),)
    message = (
        f"routing.default is also set on {', '.join(snapshot.other_defaults)}: "
        "jobs that name no model wait until one default is left"
    )
    return (Verdict("DefaultConflict", "True", "SeveralDefaults", message),)


def _count(count: int, wanted: int, verb: str) -> str:
    return f"{count} of {wanted} replicas {verb}"
