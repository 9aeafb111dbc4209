"""How many replicas a backend with ``autoscaling`` is to have, by what was decided and what is asked now and lately.

::

    needed now  > decided   up, at once
    needed at any moment of scaleDownDelay < decided, and nothing escaped in all that time
                            down, to what was needed at most
    a gateway is silent     never down: a missing answer means unknown
    always                  minReplicas ≤ decided ≤ maxReplicas

The decision is recorded in ``status.autoscaling`` first; the Deployment follows what is recorded. So whoever takes over
goes on with what was decided last, also where nothing is known yet of what is asked.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from splai.api.backend_autoscaling import Autoscaling, AutoscalingStatus
from splai.api.base import format_time
from splai.api.model_backend import ModelBackend, ModelBackendStatus
from splai.core.modelbackend.demand import Demand
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.plan import Event

SILENCE_TOLD = timedelta(seconds=60)
"""A gateway that is silent for less is being replaced, as a rule."""


def decided_replicas(backend: ModelBackend) -> int:
    """As many as are to run now: the spec's, or with autoscaling those of the recorded decision."""
    autoscaling, recorded = backend.spec.autoscaling, backend.status.autoscaling
    if autoscaling is None:
        return backend.spec.replicas
    return recorded.desired_replicas if recorded else autoscaling.within(backend.spec.replicas)


def as_decided(snapshot: BackendSnapshot) -> BackendSnapshot:
    """The same with the decided number in the place of the spec's, for all that looks at replicas."""
    backend = snapshot.backend
    if backend.spec.autoscaling is None:
        return snapshot
    spec = backend.spec.model_copy(update={"replicas": decided_replicas(backend)})
    return replace(snapshot, backend=backend.model_copy(update={"spec": spec}))


def decide_autoscaling(backend: ModelBackend, demand: Demand | None, now: datetime) -> AutoscalingStatus | None:
    """The decision to record; None without autoscaling. ``demand`` is None while nothing was heard of it yet."""
    autoscaling, recorded = backend.spec.autoscaling, backend.status.autoscaling
    if autoscaling is None:
        return None
    if recorded is None:
        return AutoscalingStatus(
            desired_replicas=decided_replicas(backend), reason="InitialReplicas", message="as spec.replicas says"
        )
    kept = autoscaling.within(recorded.desired_replicas)
    needed = _replicas_for(demand.total, autoscaling) if demand else kept
    if demand and needed > kept:
        reason = "Requests" if demand.requests >= demand.records else "Records"
        return _scaled(recorded, needed, reason, _asked(demand, autoscaling), now)
    if kept != recorded.desired_replicas:
        reason = "MinReplicas" if kept > recorded.desired_replicas else "MaxReplicas"
        return _scaled(recorded, kept, reason, f"spec.autoscaling allows no other number than {kept}", now)
    return _scaled_down(recorded, autoscaling, demand, now) if demand else recorded


def scaling_events(before: ModelBackendStatus, after: ModelBackendStatus) -> tuple[Event, ...]:
    """ScaledUp or ScaledDown, when another number was decided."""
    if before.autoscaling is None or after.autoscaling is None:
        return ()
    old, new = before.autoscaling.desired_replicas, after.autoscaling.desired_replicas
    if old == new:
        return ()
    message = f"from {old} to {_count(new, 'replica')}: {after.autoscaling.message}"
    return (Event("Normal", "ScaledUp" if new > old else "ScaledDown", message),)


def _scaled_down(
    recorded: AutoscalingStatus, autoscaling: Autoscaling, demand: Demand, now: datetime
) -> AutoscalingStatus:
    enough = _replicas_for(demand.highest, autoscaling)
    if demand.silent:
        if enough >= recorded.desired_replicas or demand.silent_for < SILENCE_TOLD:
            return recorded
        names = ", ".join(demand.silent)
        return _told(recorded, "GatewaySilent", f"kept, because the requests at these gateways are not known: {names}")
    if enough < recorded.desired_replicas and demand.watched >= autoscaling.delay:
        words = f"at most {_count(demand.highest, 'request')} at a time" if demand.highest else "nothing was asked"
        reason = "FewerRequests" if demand.highest else "Idle"
        return _scaled(recorded, enough, reason, f"{words} in {autoscaling.scale_down_delay}", now)
    if recorded.reason == "GatewaySilent":
        return _told(recorded, "GatewaysAnswer", f"all gateways have answered again: {_asked(demand, autoscaling)}")
    return recorded


def _scaled(recorded: AutoscalingStatus, replicas: int, reason: str, message: str, now: datetime) -> AutoscalingStatus:
    if replicas == recorded.desired_replicas:
        return recorded
    return AutoscalingStatus(
        desired_replicas=replicas, reason=reason, message=message, last_scale_time=format_time(now)
    )


def _told(recorded: AutoscalingStatus, reason: str, message: str) -> AutoscalingStatus:
    """The number stays."""
    return recorded.model_copy(update={"reason": reason, "message": message})


def _replicas_for(requests: int, autoscaling: Autoscaling) -> int:
    return autoscaling.within(-(-requests // autoscaling.target_in_flight))


def _asked(demand: Demand, autoscaling: Autoscaling) -> str:
    most = f"; maxReplicas is {autoscaling.max_replicas}"
    is_cut = -(-demand.total // autoscaling.target_in_flight) > autoscaling.max_replicas
    return (
        f"{_count(demand.requests, 'request')} at the gateway and {demand.records} of InferenceJobs, "
        f"{autoscaling.target_in_flight} a replica{most if is_cut else ''}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
