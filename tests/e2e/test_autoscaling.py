"""From zero and back: what is asked of a backend brings its replicas, and nothing else does."""

import asyncio
from typing import Any

import httpx

from tests.e2e.cluster import Namespace, eventually
from tests.e2e.objects import backend, job

AT_ONCE = 50


def elastic(**autoscaling: Any) -> dict[str, Any]:
    """The real small model at zero replicas, which goes back there soon."""
    settings = {"maxReplicas": 2, "targetInFlight": AT_ONCE, "scaleDownDelay": "10s", "maxHold": "120s", **autoscaling}
    return backend("elastic", replicas=0, autoscaling=settings)


def apply_at_zero(namespace: Namespace, body: dict[str, Any]) -> dict[str, Any]:
    """Apply it and wait until it rests; returns its spec."""
    namespace.apply(body)
    namespace.wait_for_reason("mb", "elastic", "Ready", "ScaledToZero")
    assert pods(namespace) == []
    spec: dict[str, Any] = namespace.get("mb", "elastic")["spec"]
    return spec


def pods(namespace: Namespace) -> list[str]:
    return [pod["metadata"]["name"] for pod in namespace.select("pods", "splai.dev/modelbackend=elastic")]


def scalings(namespace: Namespace) -> list[str]:
    return [reason for reason in namespace.events("elastic") if reason in ("ScaledUp", "ScaledDown")]


def chat(namespace: Namespace) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hi"}]
    return {"model": f"{namespace.name}/llama3-8b-q4", "messages": messages, "max_tokens": 2}


async def ask_at_once(gateway: str, body: dict[str, Any], count: int) -> list[int]:
    """The status of each answer."""
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=gateway, timeout=300, limits=limits) as http:
        replies = await asyncio.gather(*(http.post("/v1/chat/completions", json=body) for _ in range(count)))
    return [reply.status_code for reply in replies]


def wait_for_zero(namespace: Namespace) -> None:
    namespace.wait_for_reason("mb", "elastic", "Ready", "ScaledToZero")
    eventually(lambda: not pods(namespace), what="the pods are gone")


def test_a_request_to_a_backend_at_zero_is_answered_by_its_first_pod(namespace: Namespace, gateway: str) -> None:
    spec = apply_at_zero(namespace, elastic())

    answer = httpx.post(f"{gateway}/v1/chat/completions", json=chat(namespace), timeout=300)

    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]
    decision = namespace.status("mb", "elastic")["autoscaling"]
    assert (decision["desiredReplicas"], decision["reason"]) == (1, "Requests")
    wait_for_zero(namespace)
    eventually(lambda: scalings(namespace) == ["ScaledUp", "ScaledDown"], what="one way up and one down")
    body = namespace.get("mb", "elastic")
    assert (body["spec"], body["metadata"]["generation"]) == (spec, 1)


def test_fifty_at_once_cause_one_scale_up(namespace: Namespace, gateway: str) -> None:
    apply_at_zero(namespace, elastic())

    statuses = asyncio.run(ask_at_once(gateway, chat(namespace), AT_ONCE))

    assert statuses == [200] * AT_ONCE
    assert scalings(namespace).count("ScaledUp") == 1
    assert namespace.get("deployment", "elastic")["spec"]["replicas"] <= 1


def test_who_was_held_for_too_long_is_told_when_to_come_back(namespace: Namespace, gateway: str) -> None:
    body = elastic(maxHold="3s")
    body["spec"]["template"] = {"nodeSelector": {f"splai.dev/{namespace.name}": "nowhere"}}
    apply_at_zero(namespace, body)

    refused = httpx.post(f"{gateway}/v1/chat/completions", json=chat(namespace), timeout=60)

    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "model_not_ready"
    assert int(refused.headers["Retry-After"]) > 0


def test_a_job_alone_wakes_a_backend_and_keeps_it_up(namespace: Namespace) -> None:
    apply_at_zero(namespace, elastic())

    namespace.apply(job("records", input={"items": [f"Write about {number}" for number in range(20)]}))

    status = namespace.wait_for_phase("records", "Completed")
    assert (status["succeeded"], status["failed"]) == (20, 0)
    assert scalings(namespace)[0] == "ScaledUp"
    assert scalings(namespace).count("ScaledUp") == 1
    wait_for_zero(namespace)
