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

from datetime import datetime, timedelta
from typing import Any, Literal

from splai.api.model_backend import ModelBackendStatus
from splai.core.conditions import Verdict, find_condition, merge_conditions
from splai.core.modelbackend.asked_resources import with_demand
from splai.core.modelbackend.deployment import load_seconds, selector_labels
from splai.core.modelbackend.kubelet_words import next_listing
from splai.core.modelbackend.replicas import Replicas, is_observed
from splai.core.modelbackend.rollout import BLOCKED_AFTER, ROOM_ANNOTATION
from splai.core.modelbackend.service import service_url
from splai.core.modelbackend.shortfall import shortfall
from splai.core.modelbackend.snapshot import NOT_INSTALLED, BackendSnapshot
from splai.core.modelbackend.workload import pods_of
from splai.core.plan import Event, Refusal
from splai.core.pod_problem import PodProblem

Object = dict[str, Any]

_STALLING = {
    "NameConflict": "NameConflict",
    "Forbidden": "Forbidden",
    "Invalid": "InvalidSpec",
    NOT_INSTALLED: "LeaderWorkerSetNotInstalled",
}
_ON_ITS_WAY = frozenset({"Creating", "Starting", "Fetching", "Loading", "RollingOut", "ResourceClaimPending"})


def decide_status(
    snapshot: BackendSnapshot, replicas: Replicas, *, workload: Object, changing: bool, now: datetime
) -> ModelBackendStatus:
    """The whole status; ``workload`` is as it should be, ``changing`` says that children are about to be changed."""
    backend, template = snapshot.backend, pods_of(workload)
    refusal = snapshot.refusals[0] if snapshot.refusals else None
    blocked = _blocked(replicas, workload, now)
    missing = _missing(snapshot, replicas, template, refusal, blocked, now)
    ready = _ready(snapshot, replicas, refusal, missing)
    verdicts = (
        ready,
        _reconciling(snapshot, replicas, refusal, missing, changing=changing),
        _stalled(refusal),
        _scheduled(replicas, template),
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
            kind: Literal["Normal", "Warning"] = "Warning" if condition.reason == "ModelIDTaken" else "Normal"
            events.append(Event(kind, condition.reason, condition.message))
        elif condition.reason not in _ON_ITS_WAY:
            events.append(Event("Warning", condition.reason, condition.message))
        elif was[0] == "True" and was[1] != "ScaledToZero" and condition.reason != "RollingOut":
            events.append(Event("Warning", "NotReady", condition.message))
    return tuple(events)


def next_look(snapshot: BackendSnapshot, replicas: Replicas, now: datetime) -> float | None:
    """When the passing of time alone changes the status: a rollout that waits becomes one that is blocked.

    Also when no watch would tell: Events of the kubelet are looked at again.
    """
    looks = [next_listing(snapshot.pods, now)]
    since = replicas.without_node_since()
    if since is not None and now - since < BLOCKED_AFTER:
        looks.append((since + BLOCKED_AFTER - now).total_seconds())
    return min((seconds for seconds in looks if seconds is not None), default=None)


def _blocked(replicas: Replicas, workload: Object, now: datetime) -> PodProblem | None:
    """Why the new revision has found no node for a while, as long as an earlier one serves."""
    since, problem = replicas.without_node_since(), replicas.unschedulable
    if not replicas.still_serving or problem is None or since is None or now - since < BLOCKED_AFTER:
        return None
    problem = with_demand(problem, pods_of(workload))
    if ROOM_ANNOTATION in workload["metadata"]["annotations"]:
        return PodProblem(problem.reason, f"{problem.message}; old pods make room, as rollout.whenBlocked is Replace")
    return problem


def _missing(
    snapshot: BackendSnapshot,
    replicas: Replicas,
    template: Object,
    refusal: Refusal | None,
    blocked: PodProblem | None,
    now: datetime,
) -> PodProblem:
    if refusal is not None:
        return PodProblem(_STALLING.get(refusal.reason, refusal.reason), refusal.message)
    if blocked is not None:
        return PodProblem("RolloutBlocked", blocked.message)
    patience = timedelta(seconds=load_seconds(template))
    return with_demand(shortfall(snapshot, replicas, now, patience=patience), template)


def _ready(snapshot: BackendSnapshot, replicas: Replicas, refusal: Refusal | None, missing: PodProblem) -> Verdict:
    if refusal is None and replicas.wanted == 0:
        return Verdict("Ready", "True", "ScaledToZero", "no replicas are wanted")
    if refusal is None and replicas.answering:
        return _answering(snapshot, _count(replicas.answering, replicas.wanted, "answer"))
    message = missing.message
    if replicas.still_serving:
        message += f"; the previous revision still serves, with {replicas.still_serving}"
    return Verdict("Ready", "False", missing.reason, message)


def _answering(snapshot: BackendSnapshot, message: str) -> Verdict:
    """It is ready all the same: its Service, its jobs and its qualified name have nothing to do with others."""
    taken = sorted(snapshot.taken_names.items())
    if not taken:
        return Verdict("Ready", "True", "Ready", message)
    namespace = snapshot.backend.metadata["namespace"]
    words = "; ".join(
        f"{name} means the model of namespace {holder}, ask for {namespace}/{name}" for name, holder in taken
    )
    return Verdict("Ready", "True", "ModelIDTaken", f"{message}; at the gateway {words}")


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


def _scheduled(replicas: Replicas, template: Object) -> Verdict:
    unschedulable = replicas.unschedulable
    if unschedulable is not None:
        return Verdict("Scheduled", "False", "Unschedulable", with_demand(unschedulable, template).message)
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
