"""Replicas by what is asked, on a real apiserver: what is written, and what survives the operator."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.controller.conftest import StartOperator
from tests.integration.controller.fake_gateway import FakeGateway, running_gateway
from tests.integration.controller.objects import Namespace, backend
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.running_control_plane import KubectlError

ROUNDS = 3
"""Looks at the gateway after which what is decided by the first of them was carried out."""


@pytest.fixture
def gateway(here: Namespace) -> Iterator[FakeGateway]:
    with running_gateway(here) as gateway:
        yield gateway


def elastic(**autoscaling: Any) -> dict[str, Any]:
    """A backend that starts at zero, with 1 to 4 replicas for ten requests each."""
    settings = {"maxReplicas": 4, "targetInFlight": 10, "scaleDownDelay": "1h", **autoscaling}
    return backend(replicas=0, autoscaling=settings)


def deployed(here: Namespace) -> int | None:
    """The Deployment's replicas, once there is one."""
    replicas: int | None = here.get("deployment", "tiny").get("spec", {}).get("replicas")
    return replicas


def decision(here: Namespace) -> dict[str, Any]:
    found: dict[str, Any] = here.get("mb", "tiny").get("status", {}).get("autoscaling", {})
    return found


def events(here: Namespace, reason: str) -> list[str]:
    """The messages of the events with a reason, one for each time."""
    items = json.loads(here.run("get", "events.events.k8s.io", "-o", "json"))["items"]
    return [item["note"] for item in items if item["reason"] == reason and item["regarding"]["name"] == "tiny"]


def look_again(gateway: FakeGateway) -> None:
    """Return when the operator has seen what the gateway says now, and had the time to act."""
    before = gateway.asked
    eventually(lambda: gateway.asked >= before + ROUNDS, "the gateway is asked")


@pytest.mark.usefixtures("operator")
def test_requests_that_wait_wake_a_backend_once(here: Namespace, gateway: FakeGateway) -> None:
    here.apply(elastic())
    eventually(lambda: here.condition("mb", "tiny", "Ready").get("reason") == "ScaledToZero", "it rests")
    assert here.is_ready("tiny")
    spec = here.get("mb", "tiny")["spec"]

    gateway.has("tiny", held=35)

    eventually(lambda: deployed(here) == 4, "it has as many replicas as are needed")
    look_again(gateway)
    assert len(events(here, "ScaledUp")) == 1
    assert decision(here)["reason"] == "Requests"
    assert decision(here)["lastScaleTime"]
    body = here.get("mb", "tiny")
    assert (body["spec"], body["metadata"]["generation"]) == (spec, 1)


@pytest.mark.usefixtures("operator")
def test_it_goes_back_to_zero_when_nothing_is_asked(here: Namespace, gateway: FakeGateway) -> None:
    gateway.has("tiny", in_flight=1)
    here.apply(elastic(scaleDownDelay="1s"))
    eventually(lambda: deployed(here) == 1, "it is woken")

    gateway.has("tiny")

    eventually(lambda: deployed(here) == 0, "it goes back to zero")
    eventually(lambda: len(events(here, "ScaledDown")) == 1, "and says so")
    assert decision(here)["reason"] == "Idle"


@pytest.mark.usefixtures("operator")
def test_a_gateway_that_is_silent_scales_nothing_down(here: Namespace, gateway: FakeGateway) -> None:
    gateway.is_silent = True
    body = elastic(scaleDownDelay="1s")
    body["spec"]["replicas"] = 2
    here.apply(body)
    eventually(lambda: deployed(here) == 2, "it begins with what the spec says")

    look_again(gateway)
    assert (deployed(here), decision(here)["desiredReplicas"]) == (2, 2)

    gateway.is_silent = False
    eventually(lambda: deployed(here) == 0, "now it is known that nothing is asked")


def test_a_new_operator_goes_on_with_what_was_decided(
    start_operator: StartOperator, here: Namespace, gateway: FakeGateway
) -> None:
    first: OperatorProcess = start_operator()
    gateway.has("tiny", in_flight=15)
    here.apply(elastic())
    eventually(lambda: deployed(here) == 2, "it has two replicas")
    first.stop(signal.SIGKILL)
    gateway.has("tiny")

    second = start_operator()
    eventually(lambda: second.leading, "another operator leads")
    look_again(gateway)

    assert (deployed(here), decision(here)["desiredReplicas"]) == (2, 2)


@pytest.mark.usefixtures("operator")
def test_a_deployment_that_is_scaled_by_hand_is_repaired_to_the_decision(here: Namespace, gateway: FakeGateway) -> None:
    gateway.has("tiny", in_flight=15)
    here.apply(elastic())
    eventually(lambda: deployed(here) == 2, "it has two replicas")

    here.run("scale", "deployment/tiny", "--replicas=0")

    eventually(lambda: deployed(here) == 2, "it has them again")
    assert len(events(here, "ScaledUp")) == 1


@pytest.mark.usefixtures("operator")
def test_scale_is_refused_while_autoscaling_decides(here: Namespace) -> None:
    here.apply(elastic())

    with pytest.raises(KubectlError, match="replicas cannot be changed while autoscaling decides"):
        here.run("scale", "mb/tiny", "--replicas=3")
