"""A rollout where all GPUs are taken: it says what it waits for, serves on, and goes on when one is free."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.e2e.cluster import Namespace, eventually
from tests.e2e.objects import GPU_PRODUCT, RESTRICTED, backend
from tests.e2e.test_failure_reasons import engine_image

REPLICAS = 2
HOLDERS = ("holder-a", "holder-b")
"""With the replicas they hold the node's four GPUs."""


class Client(threading.Thread):
    """Asks without a pause, until it is told to end."""

    def __init__(self, url: str, model: str) -> None:
        super().__init__(daemon=True)
        self._url = f"{url}/v1/chat/completions"
        self._body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        self._over = threading.Event()
        self.answers = 0
        self.failures: list[str] = []

    def run(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._over.is_set():
                try:
                    reply = client.post(self._url, json=self._body)
                    reply.raise_for_status()
                    assert reply.json()["choices"]
                except (httpx.HTTPError, AssertionError, KeyError) as error:
                    self.failures.append(repr(error))
                else:
                    self.answers += 1

    def end(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def asking(url: str, model: str) -> Iterator[Client]:
    client = Client(url, model)
    client.start()
    try:
        yield client
    finally:
        client.end()


def holder(name: str, image: str) -> dict[str, Any]:
    """A pod of somebody else, with a GPU."""
    container = {
        "name": "holder",
        "image": image,
        "command": ["python3", "-c", "import signal; signal.pause()"],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
        "securityContext": RESTRICTED,
    }
    spec = {"containers": [container], "nodeSelector": GPU_PRODUCT, "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def revisions(namespace: Namespace) -> set[str]:
    pods = namespace.select("pods", "splai.dev/modelbackend=smollm2")
    return {pod["metadata"]["labels"]["splai.dev/revision"] for pod in pods}


def test_a_rollout_without_a_free_gpu_serves_on_and_finishes_when_one_is_freed(
    namespace: Namespace, gateway: str
) -> None:
    model, image = f"id-{namespace.name}", engine_image()
    first = backend(model={"id": model}, replicas=REPLICAS)
    namespace.apply(first, *(holder(name, image) for name in HOLDERS))
    eventually(
        lambda: namespace.status("mb", "smollm2").get("readyReplicas") == REPLICAS,
        timeout=300,
        what="both replicas serve",
    )
    (old,) = revisions(namespace)

    with asking(gateway, model) as client:
        args = ["--threads", "1", "--ctx-size", "2048"]
        namespace.apply(backend(model={"id": model}, replicas=REPLICAS, engine={"type": "LlamaCpp", "args": args}))

        blocked = namespace.wait_for_reason("mb", "smollm2", "RolloutBlocked", "Unschedulable")
        assert blocked["status"] == "True"
        assert "Insufficient nvidia.com/gpu" in blocked["message"]
        assert "asks for 1 nvidia.com/gpu" in blocked["message"]
        assert namespace.condition("mb", "smollm2", "Ready")["reason"] == "RolloutBlocked"
        assert namespace.status("mb", "smollm2")["readyReplicas"] == REPLICAS
        assert old in revisions(namespace)
        served_meanwhile = client.answers
        eventually(lambda: client.answers > served_meanwhile, what="the old revision serves on")

        namespace.kubectl("delete", "pod", HOLDERS[0])

        namespace.wait_for_reason("mb", "smollm2", "Reconciling", "Settled", timeout=300)
        assert old not in {
            pod["metadata"]["labels"]["splai.dev/revision"]
            for pod in namespace.select("pods", "splai.dev/modelbackend=smollm2")
            if "deletionTimestamp" not in pod["metadata"]
        }
        served_by_the_old = client.answers
        eventually(lambda: client.answers > served_by_the_old, what="the new revision serves")

    assert namespace.condition("mb", "smollm2", "Ready")["status"] == "True"
    assert client.failures == []
