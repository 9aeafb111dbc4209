"""Jobs in the queues of a real Kueue, its webhooks included: admitted, evicted, requeued, made smaller."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import Namespace, eventually
from tests.e2e.objects import backend, dedicated, job
from tests.e2e.queues import Queue, open_queue, queued
from tests.e2e.results import custom_ids, default_ids, read_lines

MANY = 60
"""Records that take two workers some tens of seconds."""
GPUS = 2


@pytest.fixture
def queue(namespace: Namespace, kueue: None) -> Iterator[Queue]:
    """A queue with two GPUs, in the namespace with the model."""
    namespace.apply(backend(replicas=0))
    with open_queue(namespace, gpus=GPUS) as queue:
        yield queue


def numbers_job(name: str, *, records: int = MANY, parallelism: int = GPUS, **workers: Any) -> dict[str, Any]:
    """A job whose workers take a GPU each."""
    return job(
        name,
        input={"items": [f"Number {number}" for number in range(records)]},
        parameters={"max_tokens": 8},
        workers=dedicated(parallelism, concurrency=1, **workers),
    )


def child_of(namespace: Namespace, name: str) -> dict[str, Any]:
    (child,) = namespace.select("jobs", f"splai.dev/inferencejob={name}")
    return child


def wait_for_progress(namespace: Namespace, name: str) -> None:
    eventually(lambda: namespace.status("ij", name).get("succeeded", 0) > 0, what=f"progress of {name}")


def test_an_evicted_job_waits_and_goes_on_where_it_was(queue: Queue, namespace: Namespace, gateway: str) -> None:
    queue.hold()
    namespace.apply(queued(numbers_job("numbers")))

    namespace.wait_for_phase("numbers", "Queued")
    namespace.wait_for_reason("ij", "numbers", "QuotaReserved", "Pending")
    child = child_of(namespace, "numbers")
    assert child["spec"]["suspend"] is True
    assert child["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "batch"
    assert namespace.select("pods") == []

    queue.open()
    namespace.wait_for_phase("numbers", "Running")
    wait_for_progress(namespace, "numbers")
    assert namespace.condition("ij", "numbers", "QuotaReserved")["status"] == "True"

    queue.drain()
    namespace.wait_for_phase("numbers", "Queued")
    namespace.wait_for_reason("ij", "numbers", "QuotaReserved", "Pending")
    eventually(lambda: namespace.select("pods") == [], what="the workers have left, and their GPUs are free")
    before = namespace.status("ij", "numbers")["succeeded"]
    assert 0 < before < MANY

    queue.open()
    namespace.wait_for_phase("numbers", "Running")
    status = namespace.wait_for_phase("numbers", "Completed")
    assert namespace.condition("ij", "numbers", "QuotaReserved")["status"] == "True"
    assert child_of(namespace, "numbers")["metadata"]["uid"] == child["metadata"]["uid"]
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(MANY)


def test_a_job_gives_way_to_one_of_higher_priority(queue: Queue, namespace: Namespace, gateway: str) -> None:
    low, high = queue.make_priority_class("low", 1), queue.make_priority_class("high", 1000)
    namespace.apply(queued(numbers_job("patient"), priority_class=low))
    wait_for_progress(namespace, "patient")

    namespace.apply(queued(numbers_job("urgent", records=4), priority_class=high))

    namespace.wait_for_phase("patient", "Queued")
    namespace.wait_for_phase("urgent", "Completed")
    status = namespace.wait_for_phase("patient", "Completed")
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(MANY)


def test_a_job_may_start_with_fewer_workers_than_it_asks_for(queue: Queue, namespace: Namespace, gateway: str) -> None:
    namespace.apply(queued(numbers_job("elastic", records=6, parallelism=GPUS + 1, minParallelism=1)))

    status = namespace.wait_for_phase("elastic", "Completed")

    spec = child_of(namespace, "elastic")["spec"]
    assert (spec["parallelism"], spec["completions"]) == (GPUS, GPUS)
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(6)


def test_what_holds_a_job_in_its_queue_is_told_in_kueues_words(queue: Queue, namespace: Namespace) -> None:
    namespace.apply(queued(numbers_job("large", parallelism=GPUS + 1)), queued(numbers_job("astray"), queue="nowhere"))

    astray = namespace.wait_for_reason("ij", "astray", "QuotaReserved", "LocalQueueNotFound")
    assert "nowhere" in astray["message"]

    def words() -> str:
        message: str = namespace.condition("ij", "large", "QuotaReserved").get("message", "")
        return message

    eventually(lambda: "insufficient quota for nvidia.com/gpu" in words(), what="Kueue's words about the GPUs")
    assert [namespace.status("ij", name)["phase"] for name in ("large", "astray")] == ["Queued", "Queued"]
    assert namespace.select("pods") == []
