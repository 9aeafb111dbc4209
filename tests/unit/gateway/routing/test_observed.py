"""What is read of the objects of the cluster."""

import logging
from typing import Any

import pytest

from splai.gateway.routing.observed import Backend, Endpoints, Policy


def slice_of(*endpoints: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "a", "name": "llama-x", "labels": {"kubernetes.io/service-name": "llama"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8000}],
        "endpoints": list(endpoints),
        **other,
    }


READY = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(slice_of(READY), ("10.0.0.1:8000",), id="ready"),
        pytest.param(slice_of({"addresses": ["10.0.0.1"]}), ("10.0.0.1:8000",), id="unknown means ready"),
        pytest.param(
            slice_of({"addresses": ["10.0.0.1"], "conditions": {"ready": False, "serving": True, "terminating": True}}),
            (),
            id="terminating",
        ),
        pytest.param(
            slice_of({"addresses": ["fd00::1"]}, addressType="IPv6"), ("[fd00::1]:8000",), id="IPv6 in brackets"
        ),
        pytest.param(slice_of({"addresses": ["example.org"]}, addressType="FQDN"), (), id="names are not pods"),
        pytest.param(slice_of(READY, ports=[{"name": "metrics", "port": 9}]), (), id="another port"),
        pytest.param(slice_of(READY, ports=None, endpoints=None), (), id="nothing"),
    ],
)
def test_the_ready_addresses_of_a_slice(body: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert Endpoints.from_object(body) == Endpoints("a", "llama", expected)


def test_a_backend_is_read_from_its_object() -> None:
    body = {
        "metadata": {"namespace": "a", "name": "llama", "creationTimestamp": "2026-11-21T10:00:00Z"},
        "spec": {"model": {"id": "llama3-8b-q4", "aliases": ["gpt"]}, "engine": {"type": "FromTheFuture"}},
    }

    assert Backend.from_object(body) == Backend("a", "llama", 1795255200, "llama3-8b-q4", ("gpt",))


def test_adapters_are_names_of_their_own_which_the_engine_may_call_otherwise() -> None:
    adapters = [{"id": "sql", "source": "hf://team/sql"}]
    model = {"id": "llama3.1:8b", "source": "hf://team/llama", "adapters": adapters}

    backend = Backend.from_object(manifest(model=model, engine={"type": "SGLang"}))

    assert list(backend.names) == ["llama3.1:8b", "sql"]
    assert (backend.model, backend.served_name) == ("llama3.1:8b", "llama3.1-8b")
    assert backend.adapters == (("sql", "llama3.1-8b:sql"),)


def manifest(*, reason: str = "", decided: int | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "a", "name": "llama", "creationTimestamp": "2026-11-21T10:00:00Z"},
        "spec": {"model": {"id": "m"}, **spec},
        "status": {
            "conditions": [{"type": "Scheduled", "reason": "Waiting"}, {"type": "Ready", "reason": reason}],
            **({} if decided is None else {"autoscaling": {"desiredReplicas": decided, "reason": "Idle"}}),
        },
    }


def test_routing_is_read_with_times_in_seconds_and_fallbacks_by_their_keys() -> None:
    routing = {
        "capabilities": ["chat", "code"],
        "default": True,
        "priority": 3,
        "weight": 7,
        "strategy": "PrefixHash",
        "fallbacks": ["other"],
        "timeout": "1m30s",
        "retries": 0,
        "cache": {"ttl": "500ms"},
        "maxInFlight": 8,
        "maxQueued": 0,
        "maxQueueTime": "5s",
    }

    assert Backend.from_object(manifest(routing=routing)).policy == Policy(
        capabilities=("chat", "code"),
        default=True,
        priority=3,
        weight=7,
        strategy="PrefixHash",
        fallbacks=("a/other",),
        timeout=90.0,
        retries=0,
        cache_seconds=0.5,
        max_in_flight=8,
        max_queued=0,
        max_queue_seconds=5.0,
    )


def test_routing_that_only_a_newer_release_knows_costs_no_requests(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read = Backend.from_object(manifest(routing={"strategy": "FromTheFuture"}))

    assert read.policy == Policy()
    assert caplog.records[-1].__dict__["fields"] == "strategy"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(manifest(replicas=0, reason="Ready"), True, id="just scaled down"),
        pytest.param(manifest(replicas=1, reason="ScaledToZero"), True, id="just scaled up"),
        pytest.param(manifest(replicas=1, reason="Loading"), False, id="loading"),
        pytest.param(manifest(), False, id="new"),
        pytest.param(manifest(replicas=0, autoscaling={"maxReplicas": 1}, reason="Loading"), False, id="woken"),
        pytest.param(manifest(autoscaling={"maxReplicas": 1}, reason="ScaledToZero"), True, id="asleep"),
        pytest.param(manifest(autoscaling={"maxReplicas": 1}, reason="Ready", decided=0), True, id="falling asleep"),
        pytest.param(manifest(autoscaling={"maxReplicas": 1}, reason="Ready", decided=1), False, id="awake"),
    ],
)
def test_a_backend_at_zero(body: dict[str, Any], expected: bool) -> None:
    assert Backend.from_object(body).scaled_to_zero is expected


@pytest.mark.parametrize(
    ("autoscaling", "expected"),
    [
        (None, (False, None)),
        ({"maxReplicas": 1}, (True, None)),
        ({"maxReplicas": 1, "maxHold": "1m30s"}, (True, 90.0)),
        ({"fromTheFuture": True}, (True, None)),
    ],
)
def test_how_long_a_first_pod_is_waited_for(
    autoscaling: dict[str, Any] | None, expected: tuple[bool, float | None]
) -> None:
    policy = Backend.from_object(manifest(autoscaling=autoscaling)).policy

    assert (policy.is_elastic, policy.max_hold) == expected


@pytest.mark.parametrize(("reason", "expected"), [("Loading", True), ("CrashLoopBackOff", False), ("", False)])
def test_whether_pods_are_on_their_way(reason: str, expected: bool) -> None:
    assert Backend.from_object(manifest(reason=reason)).is_starting is expected


@pytest.mark.parametrize(("engine", "expected"), [({"type": "vLLM"}, True), ({"type": "LlamaCpp"}, False), ({}, False)])
def test_which_engines_have_a_responses_api(engine: dict[str, str], expected: bool) -> None:
    assert Backend.from_object(manifest(engine=engine)).native_responses is expected


@pytest.mark.parametrize(("engine", "expected"), [({"type": "Workflow"}, True), ({"type": "vLLM"}, False), ({}, False)])
def test_only_a_workflow_is_never_asked_twice(engine: dict[str, str], expected: bool) -> None:
    assert Backend.from_object(manifest(engine=engine)).runs_once is expected


def test_a_backend_whose_id_breaks_the_rules_is_refused() -> None:
    body = {
        "metadata": {"namespace": "a", "name": "x", "creationTimestamp": "2026-11-21T10:00:00Z"},
        "spec": {"model": {"id": 'a"b'}},
    }

    with pytest.raises(ValueError, match="id"):
        Backend.from_object(body)
