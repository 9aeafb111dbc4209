"""Suspend, resume, grow, expire, vanish: what happens to a running job when its spec or the clock says so."""

import json

import httpx

from tests.e2e.cluster import Namespace, eventually
from tests.e2e.objects import backend, config_map, dedicated, from_config_map, job
from tests.e2e.results import custom_ids, default_ids, read_lines

NUMBERS = [{"text": f"Number {number}"} for number in range(300)]


def change(namespace: Namespace, name: str, **spec: object) -> None:
    namespace.kubectl("patch", "ij", name, "--type=merge", "-p", json.dumps({"spec": spec}))


def wait_for_answers(namespace: Namespace, name: str, *, at_least: int) -> None:
    eventually(
        lambda: namespace.status("ij", name).get("succeeded", 0) >= at_least,
        timeout=300,
        what=f"{at_least} records are answered",
    )


def worker_pods(namespace: Namespace, name: str) -> list[str]:
    pods = namespace.select("pods", f"splai.dev/inferencejob={name},app.kubernetes.io/component=worker")
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] in {"Running", "Pending"}]


def test_a_suspended_job_frees_its_gpus_and_goes_on_where_it_stood(namespace: Namespace, gateway: str) -> None:
    namespace.apply(
        backend(replicas=0),
        config_map("numbers", NUMBERS),
        job(
            "numbers",
            input=from_config_map("numbers"),
            parameters={"max_tokens": 1},
            workers=dedicated(4, concurrency=1),  # all GPUs of the cluster
        ),
    )
    wait_for_answers(namespace, "numbers", at_least=30)

    change(namespace, "numbers", suspend=True)

    suspended = namespace.wait_for_phase("numbers", "Suspended")
    assert namespace.condition("ij", "numbers", "Suspended")["status"] == "True"
    assert "startTime" not in suspended
    eventually(lambda: not worker_pods(namespace, "numbers"), what="no worker pod is left")
    namespace.apply(job("between", input={"text": "Hi"}, workers=dedicated()))
    namespace.wait_for_phase("between", "Completed")

    change(namespace, "numbers", suspend=False)

    completed = namespace.wait_for_phase("numbers", "Completed")
    assert (completed["succeeded"], completed["failed"]) == (300, 0)
    assert custom_ids(read_lines(gateway, completed["output"]["uri"])) == default_ids(300)


def test_a_job_that_is_born_suspended_has_no_pod_until_it_is_resumed(ready_backend: Namespace) -> None:
    ready_backend.apply(job("later", input={"text": "Hi"}, suspend=True))
    ready_backend.wait_for_phase("later", "Suspended")
    assert ready_backend.select("jobs", "splai.dev/inferencejob=later") == []

    change(ready_backend, "later", suspend=False)

    ready_backend.wait_for_phase("later", "Completed")


def test_a_running_job_grows_in_place(ready_backend: Namespace, gateway: str) -> None:
    ready_backend.apply(
        config_map("numbers", NUMBERS),
        job("numbers", input=from_config_map("numbers"), parameters={"max_tokens": 1}, workers={"concurrency": 1}),
    )
    wait_for_answers(ready_backend, "numbers", at_least=20)
    child = ready_backend.status("ij", "numbers")["workers"]["jobName"]

    change(ready_backend, "numbers", workers={"parallelism": 3})

    eventually(lambda: len(worker_pods(ready_backend, "numbers")) == 3, what="three worker pods")
    status = ready_backend.wait_for_phase("numbers", "Completed")
    assert status["workers"]["jobName"] == child
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(300)


def test_a_job_whose_window_closes_keeps_its_answers_and_lists_the_rest_as_expired(
    ready_backend: Namespace, gateway: str
) -> None:
    ready_backend.apply(
        config_map("numbers", NUMBERS),
        job(
            "numbers",
            input=from_config_map("numbers"),
            parameters={"max_tokens": 128, "ignore_eos": True},  # one after the other: minutes on any machine
            workers={"concurrency": 1},
            completionWindow="60s",
        ),
    )

    status = ready_backend.wait_for_phase("numbers", "Failed")

    assert ready_backend.condition("ij", "numbers", "Failed")["reason"] == "Expired"
    answers = read_lines(gateway, status["output"]["uri"])
    errors = read_lines(gateway, status["errors"]["uri"])
    assert 0 < len(answers) < 300
    assert sorted(custom_ids(answers) + custom_ids(errors)) == sorted(default_ids(300))
    assert {error["error"]["code"] for error in errors} == {"batch_expired"}


def test_a_finished_job_vanishes_after_its_ttl_and_its_record_and_answers_stay(
    ready_backend: Namespace, gateway: str, artifacts: httpx.Client
) -> None:
    ready_backend.apply(job("short", input={"text": "Hi"}, ttlSecondsAfterFinished=60))
    status = ready_backend.wait_for_phase("short", "Completed")
    uid = ready_backend.get("ij", "short")["metadata"]["uid"]
    assert status["expiresAt"]

    eventually(lambda: is_gone(ready_backend, "short"), timeout=150, what="the resource is deleted")

    record = artifacts.get(f"/{ready_backend.name}/{uid}/history.json").raise_for_status().json()
    assert (record["name"], record["status"]["phase"]) == ("short", "Completed")
    assert len(read_lines(gateway, status["output"]["uri"])) == 1


def is_gone(namespace: Namespace, name: str) -> bool:
    return namespace.kubectl("get", "ij", name, "--ignore-not-found", "-o", "name") == ""


def test_a_backend_that_is_away_in_mid_job_costs_no_record(ready_backend: Namespace, gateway: str) -> None:
    ready_backend.apply(
        config_map("numbers", NUMBERS),
        job(
            "numbers",
            input=from_config_map("numbers"),
            parameters={"max_tokens": 1},
            workers={"parallelism": 2, "concurrency": 4},
        ),
    )
    wait_for_answers(ready_backend, "numbers", at_least=60)

    ready_backend.kubectl("scale", "mb", "smollm2", "--replicas=0")
    ready_backend.wait_for_reason("ij", "numbers", "BackendReady", "BackendUnreachable")
    ready_backend.kubectl("scale", "mb", "smollm2", "--replicas=1")

    status = ready_backend.wait_for_phase("numbers", "Completed")
    assert (status["succeeded"], status["failed"]) == (300, 0)
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(300)


def test_an_evicted_worker_is_no_failure_of_the_job(ready_backend: Namespace, gateway: str) -> None:
    ready_backend.apply(
        config_map("numbers", NUMBERS),
        job("numbers", input=from_config_map("numbers"), parameters={"max_tokens": 1}, backoffLimit=0),
    )
    wait_for_answers(ready_backend, "numbers", at_least=30)
    (pod,) = worker_pods(ready_backend, "numbers")

    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{ready_backend.name}/pods/{pod}/eviction"
    ready_backend.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    status = ready_backend.wait_for_phase("numbers", "Completed")
    assert status["workers"]["failures"] == 0
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(300)
