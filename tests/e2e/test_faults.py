"""Kill anything at any time: the end state is the same."""

import json

import httpx
import pytest

from tests.e2e.cluster import Namespace, eventually, kill_process, run_kubectl
from tests.e2e.objects import config_map, from_config_map, job
from tests.e2e.results import custom_ids, default_ids, held_by, read_lines, taken_again

RECORDS = 500
CONCURRENCY = 8


@pytest.fixture
def half_done_job(ready_backend: Namespace) -> Namespace:
    """A job of 500 records, two workers, about half done."""
    records = [{"text": f"Number {number}"} for number in range(RECORDS)]
    ready_backend.apply(config_map("numbers", records))
    ready_backend.apply(
        job(
            "numbers",
            input=from_config_map("numbers"),
            workers={"mode": "Shared", "parallelism": 2, "concurrency": CONCURRENCY},
            parameters={"max_tokens": 1, "temperature": 0},
        )
    )
    eventually(
        lambda: ready_backend.status("ij", "numbers").get("succeeded", 0) >= RECORDS * 2 // 5,
        timeout=300,
        what="about half of the records are answered",
    )
    assert ready_backend.status("ij", "numbers")["phase"] == "Running"
    return ready_backend


def job_uids(namespace: Namespace) -> list[str]:
    return [child["metadata"]["uid"] for child in namespace.select("jobs")]


def running_pods(namespace: Namespace) -> list[str]:
    pods = namespace.select("pods", "splai.dev/inferencejob=numbers")
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] in {"Running", "Pending"}]


def artifact_server_lives() -> int:
    """How often its container has been started, the first time not counted."""
    selector = "app.kubernetes.io/component=artifacts"
    (pod,) = json.loads(run_kubectl("-n", "splai-system", "get", "pods", "-l", selector, "-o", "json"))["items"]
    restarts: int = pod["status"]["containerStatuses"][0]["restartCount"]
    return restarts


def test_a_killed_worker_loses_no_record_and_repeats_only_what_was_not_durable(
    half_done_job: Namespace, gateway: str, artifacts: httpx.Client
) -> None:
    pods = half_done_job.select("pods", "splai.dev/inferencejob=numbers,app.kubernetes.io/component=worker")
    victim = next(pod for pod in pods if pod["status"]["phase"] == "Running")

    kill_process(command="splai worker run", environment=f"SPLAI_POD_UID={victim['metadata']['uid']}")
    held = held_by(artifacts, half_done_job.get("ij", "numbers"), victim)

    status = half_done_job.wait_for_phase("numbers", "Completed")
    assert (status["total"], status["succeeded"]) == (RECORDS, RECORDS)
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(RECORDS)
    # One record a task: what the dead worker held is what was in flight or not yet in a durable part.
    assert held
    assert taken_again(status) <= held


def test_a_killed_operator_repeats_nothing(half_done_job: Namespace, gateway: str) -> None:
    before = job_uids(half_done_job)

    kill_process(command="splai operator run", environment="SPLAI_NAMESPACE=splai-system")

    status = half_done_job.wait_for_phase("numbers", "Completed")
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(RECORDS)
    assert taken_again(status) == set()
    assert job_uids(half_done_job) == before


def test_a_killed_artifact_server_pauses_the_job_and_loses_nothing(half_done_job: Namespace, gateway: str) -> None:
    before = artifact_server_lives()

    kill_process(command="splai artifacts serve", environment="SPLAI_READER_SERVICE_ACCOUNTS=splai-system/")
    eventually(lambda: artifact_server_lives() > before, what="the artifact server is started again")

    status = half_done_job.wait_for_phase("numbers", "Completed")
    assert (status["succeeded"], status["failed"]) == (RECORDS, 0)
    assert custom_ids(read_lines(gateway, status["output"]["uri"])) == default_ids(RECORDS)


def test_a_canceled_job_keeps_its_answers_and_lists_the_rest_as_errors(half_done_job: Namespace, gateway: str) -> None:
    half_done_job.kubectl("patch", "ij", "numbers", "--type=merge", "-p", '{"spec":{"cancel":true}}')

    status = half_done_job.wait_for_phase("numbers", "Canceled")

    answers = read_lines(gateway, status["output"]["uri"])
    errors = read_lines(gateway, status["errors"]["uri"])
    assert RECORDS * 2 // 5 <= len(answers) < RECORDS
    assert sorted(custom_ids(answers) + custom_ids(errors)) == sorted(default_ids(RECORDS))
    assert {error["error"]["code"] for error in errors} == {"batch_cancelled"}
    eventually(lambda: not running_pods(half_done_job), what="no pod of the job runs")
