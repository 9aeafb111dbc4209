"""How many replicas are decided, by what was decided before and what is asked."""

from datetime import timedelta
from typing import Any

import pytest

from splai.api.backend_autoscaling import AutoscalingStatus
from splai.api.model_backend import ModelBackend, ModelBackendStatus
from splai.core.modelbackend.autoscaling import decide_autoscaling
from splai.core.modelbackend.demand import Demand
from splai.core.plan import Apply, Event
from tests.unit.core.modelbackend.builders import NOW, decide, make_backend, make_deployment, ready_pod

SECOND = timedelta(seconds=1)
LONG = timedelta(hours=1)
EARLIER = "2026-05-01T11:00:00Z"


def elastic(
    decided: int | None = None, *, reason: str = "Requests", replicas: int = 1, **settings: Any
) -> ModelBackend:
    """A backend of 0 to 4 replicas, 10 requests each, for which so many were decided."""
    autoscaling = {"minReplicas": 0, "maxReplicas": 4, "targetInFlight": 10, "scaleDownDelay": "300s", **settings}
    status = ModelBackendStatus()
    if decided is not None:
        recorded = AutoscalingStatus(desired_replicas=decided, reason=reason, message="", last_scale_time=EARLIER)
        status = ModelBackendStatus(autoscaling=recorded)
    return make_backend(autoscaling=autoscaling, replicas=replicas, status=status)


def asked(requests: int = 0, *, records: int = 0, highest: int | None = None, watched: timedelta = LONG) -> Demand:
    most = requests + records if highest is None else highest
    return Demand(requests=requests, records=records, highest=most, watched=watched)


def decided(backend: ModelBackend, demand: Demand | None) -> tuple[int, str]:
    decision = decide_autoscaling(backend, demand, NOW)
    assert decision is not None
    return decision.desired_replicas, decision.reason


def applied_replicas(backend: ModelBackend, **snapshot: Any) -> list[int]:
    actions = decide(ready_pod(), backend=backend, deployment=None, **snapshot).actions
    bodies = [action.body for action in actions if isinstance(action, Apply)]
    return [body["spec"]["replicas"] for body in bodies if body["kind"] == "Deployment"]


@pytest.mark.parametrize(
    ("before", "demand", "after"),
    [
        pytest.param(0, asked(1), (1, "Requests"), id="the first request wakes it"),
        pytest.param(0, asked(50), (4, "Requests"), id="many at once are answered by one decision, within the bounds"),
        pytest.param(0, asked(records=1), (1, "Records"), id="a job alone wakes it"),
        pytest.param(1, asked(10), (1, "Requests"), id="as many as a replica is meant to serve"),
        pytest.param(1, asked(11), (2, "Requests"), id="one more"),
        pytest.param(1, asked(6, records=7), (2, "Records"), id="both count together"),
        pytest.param(4, asked(1000), (4, "Requests"), id="never above maxReplicas"),
        pytest.param(2, asked(0, highest=15), (2, "Requests"), id="needed a while ago"),
        pytest.param(3, asked(5, highest=15), (2, "FewerRequests"), id="down to what was needed at most"),
        pytest.param(3, asked(0), (0, "Idle"), id="down to zero"),
        pytest.param(3, asked(0, watched=299 * SECOND), (3, "Requests"), id="not yet watched for a whole delay"),
        pytest.param(3, asked(0, watched=300 * SECOND), (0, "Idle"), id="watched for a whole delay"),
        pytest.param(0, asked(0), (0, "Requests"), id="it rests"),
        pytest.param(2, None, (2, "Requests"), id="nothing was heard yet"),
    ],
)
def test_the_decision(before: int, demand: Demand | None, after: tuple[int, str]) -> None:
    assert decided(elastic(before), demand) == after


@pytest.mark.parametrize("replicas", [0, 2, 9])
def test_the_first_number_is_the_specs_within_the_bounds(replicas: int) -> None:
    backend = elastic(replicas=replicas, minReplicas=1)

    assert decided(backend, asked(0)) == (max(1, min(replicas, 4)), "InitialReplicas")


@pytest.mark.parametrize(
    ("before", "bounds", "after"),
    [
        (1, {"minReplicas": 2}, (2, "MinReplicas")),
        (4, {"maxReplicas": 3}, (3, "MaxReplicas")),
    ],
)
def test_changed_bounds_hold_at_once_also_where_nothing_is_known(
    before: int, bounds: dict[str, Any], after: tuple[int, str]
) -> None:
    assert decided(elastic(before, **bounds), None) == after


def silent(seconds: float, *, requests: int = 0, highest: int = 0) -> Demand:
    return Demand(
        requests=requests, highest=highest, watched=LONG, silent=("gw-1",), silent_for=timedelta(seconds=seconds)
    )


@pytest.mark.parametrize(
    ("before", "demand", "after"),
    [
        pytest.param(2, silent(59), (2, "Requests"), id="it is being replaced"),
        pytest.param(2, silent(60), (2, "GatewaySilent"), id="for long"),
        pytest.param(2, silent(3600), (2, "GatewaySilent"), id="for ever"),
        pytest.param(2, silent(3600, highest=15), (2, "Requests"), id="they are needed anyway"),
        pytest.param(0, silent(3600, requests=1, highest=1), (1, "Requests"), id="what is known is enough to scale up"),
    ],
)
def test_a_gateway_that_does_not_answer_keeps_what_there_is(
    before: int, demand: Demand, after: tuple[int, str]
) -> None:
    assert decided(elastic(before), demand) == after


def test_what_keeps_a_backend_up_is_told_by_name() -> None:
    decision = decide_autoscaling(elastic(2), silent(60), NOW)

    assert decision is not None
    assert "gw-1" in decision.message
    assert decision.last_scale_time == EARLIER


def test_that_all_gateways_answer_again_is_told_too() -> None:
    assert decided(elastic(2, reason="GatewaySilent"), asked(0, watched=SECOND)) == (2, "GatewaysAnswer")


def test_a_decision_has_its_time_and_its_grounds() -> None:
    decision = decide_autoscaling(elastic(1), asked(30, records=21), NOW)

    assert decision is not None
    assert decision.last_scale_time == "2026-05-01T12:00:00Z"
    assert decision.message == ("30 requests at the gateway and 21 of InferenceJobs, 10 a replica; maxReplicas is 4")


def test_without_autoscaling_nothing_is_decided() -> None:
    status = decide(ready_pod(), backend=make_backend(replicas=2)).status

    assert status.autoscaling is None


def test_taking_autoscaling_away_gives_the_spec_its_word_back() -> None:
    before = elastic(4, replicas=2)
    backend = make_backend(replicas=2, status=before.status)

    assert applied_replicas(backend) == [2]
    assert decide(ready_pod(), backend=backend).status.autoscaling is None


def test_the_deployment_follows_what_is_recorded_and_nothing_sooner() -> None:
    assert applied_replicas(elastic(1), demand=asked(35)) == [1]
    assert applied_replicas(elastic(4), demand=asked(35)) == [4]


def test_the_spec_is_not_what_the_deployment_is_repaired_to() -> None:
    backend = elastic(3, replicas=1)

    assert decide(ready_pod(), backend=backend, deployment=make_deployment(backend)).actions == ()


def test_a_decision_is_one_event() -> None:
    up = decide(backend=elastic(0), demand=asked(50))
    down = decide(ready_pod(), backend=elastic(2), demand=asked(0))

    assert up.events[0].reason == "ScaledUp"
    assert down.events[0] == Event("Normal", "ScaledDown", "from 2 to 0 replicas: nothing was asked in 300s")


def test_at_zero_it_is_ready_so_that_nobody_waits_for_it() -> None:
    status = decide(backend=elastic(0, replicas=1)).status

    found = {condition.type: (condition.status, condition.reason) for condition in status.conditions}
    assert found["Ready"] == ("True", "ScaledToZero")
    assert found["ModelLoaded"] == ("False", "ScaledToZero")
    assert found["Reconciling"] == ("False", "Settled")


def test_waking_up_is_no_warning() -> None:
    asleep = decide(backend=elastic(0)).status
    backend = make_backend(
        autoscaling={"maxReplicas": 4},
        status=asleep.model_copy(update={"autoscaling": AutoscalingStatus(desired_replicas=1, reason="Requests")}),
    )

    assert [event.type for event in decide(backend=backend).events] == []
