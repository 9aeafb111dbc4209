"""What a job waits for, and that it says so: a model, a node, a GPU."""

import json

from tests.e2e.cluster import Namespace, eventually, run_kubectl
from tests.e2e.objects import backend, dedicated, job


def test_a_job_for_an_unknown_model_waits_and_runs_when_the_backend_appears(namespace: Namespace) -> None:
    namespace.apply(backend("other", model={"id": "some-other-model"}, replicas=0))
    namespace.apply(job("early", input={"text": "Hi"}, workers=dedicated()))

    waiting = namespace.wait_for_reason("ij", "early", "BackendReady", "BackendNotFound")
    assert "some-other-model" in waiting["message"]
    assert namespace.status("ij", "early")["phase"] == "Pending"

    namespace.apply(backend(replicas=0))

    namespace.wait_for_phase("early", "Completed")


def test_a_selector_without_a_node_shows_the_schedulers_words_until_a_node_appears(namespace: Namespace) -> None:
    label = f"splai.dev/{namespace.name}"
    namespace.apply(backend(replicas=0))
    namespace.apply(job("picky", input={"text": "Hi"}, workers=dedicated(template={"nodeSelector": {label: "yes"}})))

    unschedulable = namespace.wait_for_reason("ij", "picky", "WorkersReady", "Unschedulable")
    assert "didn't match Pod's node affinity/selector" in unschedulable["message"]

    node = json.loads(run_kubectl("get", "nodes", "-o", "json"))["items"][0]["metadata"]["name"]
    run_kubectl("label", "node", node, f"{label}=yes")
    try:
        namespace.wait_for_phase("picky", "Completed")
    finally:
        run_kubectl("label", "node", node, f"{label}-")


def test_six_jobs_on_four_gpus_all_complete_and_two_wait_meanwhile(namespace: Namespace) -> None:
    names = [f"gpu-{number}" for number in range(6)]
    namespace.apply(backend(replicas=0))
    items = [f"Write about {topic}" for topic in range(12)]
    namespace.apply(
        *(
            job(name, input={"items": items}, workers=dedicated(), parameters={"max_tokens": 16, "ignore_eos": True})
            for name in names
        )
    )

    def reasons() -> list[str]:
        return [namespace.condition("ij", name, "WorkersReady").get("reason", "") for name in names]

    eventually(lambda: reasons().count("Unschedulable") == 2, what="two of six jobs wait for a GPU")

    for name in names:
        assert namespace.wait_for_phase(name, "Completed")["succeeded"] == 12
