"""Deleting: children come back, owners take their children along, a name can be used again."""

from tests.e2e.cluster import Namespace, eventually
from tests.e2e.objects import backend, config_map, dedicated, from_config_map, job
from tests.e2e.results import custom_ids, default_ids, read_lines


def uid(namespace: Namespace, kind: str, name: str) -> str:
    found: str = namespace.get(kind, name)["metadata"]["uid"]
    return found


def test_deleted_children_of_a_backend_are_healed(ready_backend: Namespace) -> None:
    deployment, service = (uid(ready_backend, kind, "smollm2") for kind in ("deployment", "service"))

    ready_backend.kubectl("delete", "deployment,service", "smollm2")
    ready_backend.kubectl("delete", "pod", "-l", "splai.dev/modelbackend=smollm2", "--ignore-not-found")

    eventually(
        lambda: (
            ready_backend.kubectl("get", "deployment,service", "smollm2", "--ignore-not-found", "-o", "name").count(
                "smollm2"
            )
            == 2
        ),
        what="Deployment and Service are back",
    )
    ready_backend.wait("condition=Ready", "modelbackend/smollm2")
    assert uid(ready_backend, "deployment", "smollm2") != deployment
    assert uid(ready_backend, "service", "smollm2") != service


def test_a_running_job_outlives_the_deletion_of_its_child_job_and_of_a_pod(
    ready_backend: Namespace, gateway: str
) -> None:
    records = [{"text": f"Number {number}"} for number in range(200)]
    ready_backend.apply(
        config_map("numbers", records),
        job("numbers", input=from_config_map("numbers"), parameters={"max_tokens": 1}, workers={"concurrency": 4}),
    )
    eventually(lambda: ready_backend.status("ij", "numbers").get("succeeded", 0) > 20, what="some progress")

    ready_backend.kubectl("delete", "pod", "-l", "splai.dev/inferencejob=numbers", "--wait=false")
    eventually(lambda: ready_backend.status("ij", "numbers").get("succeeded", 0) > 60, what="more progress")
    ready_backend.kubectl("delete", "job", "-l", "splai.dev/inferencejob=numbers", "--wait=false")

    status = ready_backend.wait_for_phase("numbers", "Completed")
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(200)


def test_foreground_deletion_leaves_nothing_also_when_the_backend_is_gone(ready_backend: Namespace) -> None:
    ready_backend.apply(
        job("long", input={"items": ["go on"] * 50}, parameters={"max_tokens": 64}, workers={"concurrency": 1})
    )
    eventually(lambda: ready_backend.select("pods", "splai.dev/inferencejob=long"), what="a worker pod")

    ready_backend.kubectl("delete", "mb", "smollm2", "--cascade=foreground", "--timeout=300s")
    ready_backend.kubectl("delete", "ij", "long", "--cascade=foreground", "--timeout=300s")

    eventually(
        lambda: ready_backend.kubectl("get", "ij,mb,deploy,svc,jobs,pods", "-o", "name") == "",
        what="nothing is left in the namespace",
    )


def test_a_name_used_again_with_other_input_gives_the_new_answers(namespace: Namespace, gateway: str) -> None:
    namespace.apply(backend(replicas=0))
    first = job("again", input={"items": [{"text": "Hi", "n": 1}]}, workers=dedicated())
    second = job("again", input={"items": ["Bonjour", "Hallo"]}, workers=dedicated())

    namespace.apply(first)
    old = namespace.wait_for_phase("again", "Completed")
    namespace.kubectl("delete", "ij", "again", "--cascade=foreground", "--timeout=300s")
    namespace.apply(second)
    new = namespace.wait_for_phase("again", "Completed")

    assert (old["total"], new["total"]) == (1, 2)
    assert old["output"]["uri"] != new["output"]["uri"]
    assert len(read_lines(gateway, new["output"]["uri"])) == 2
