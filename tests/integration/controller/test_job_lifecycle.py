"""A job's life as its user changes it, on a real apiserver: what is made, what is ended, and what the status says.

KWOK plays the kubelets: a worker pod that finds a node ends at once with the report of one answered record. Workers
that are to wait ask for a node that does not exist; what becomes of them the test tells, as their kubelet would. What
pods would write to the artifact store the test writes there.
"""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from splai.api.base import APIModel, format_time
from splai.api.ledger import MANIFEST, VALIDATION, Commit, Final, InputManifest, TaskCounts, Validation
from tests.integration.controller.job_cluster import JobCluster
from tests.integration.controller.objects import Namespace, Object, backend, job
from tests.integration.controller.operator_process import OperatorProcess, eventually

NOWHERE = {"template": {"nodeSelector": {"no": "node"}}}
S3 = {"s3": {"uri": "s3://bucket/records.jsonl"}}
QUEUE = "kueue.x-k8s.io/queue-name"
CHILD = "splai.dev/child"


class Cluster:
    """A namespace with a ready backend and an operator that watches it."""

    def __init__(self, cluster: JobCluster, here: Namespace, operator: OperatorProcess) -> None:
        self._cluster = cluster
        self.here = here
        self.operator = operator

    def phase(self, name: str = "job") -> str:
        phase: str = self.here.get("ij", name).get("status", {}).get("phase", "")
        return phase

    def reaches(self, phase: str, name: str = "job") -> None:
        eventually(lambda: self.phase(name) == phase, f"{name} is {phase}")

    def has_children(self, *names: str, of: str = "job") -> None:
        eventually(lambda: sorted(self.here.children().get(of, [])) == sorted(names), f"{of} has children {names}")

    def reason(self, condition: str, name: str = "job") -> str:
        reason: str = self.here.condition("ij", name, condition).get("reason", "")
        return reason

    def change(self, spec: Object, name: str = "job") -> None:
        self.here.run("patch", "ij", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def has_status(self, fields: Object) -> None:
        """As if it had come to that."""
        patch = json.dumps({"status": fields})
        self.here.run("patch", "ij", "job", "--subresource=status", "--type=merge", "-p", patch)

    def writes(self, path: str, content: APIModel, name: str = "job") -> None:
        """Somebody else writes an object to the job's folder."""
        uid = self.here.uid("ij", name)
        file = self._cluster.audit.with_name("artifacts") / self.here.name / str(uid) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content.model_dump_json(by_alias=True))

    def waiting_workers(self) -> list[Object]:
        """The pods of the first child that nobody has told anything of."""
        pods = [pod for pod in self.here.all("pods") if pod["metadata"]["labels"].get(CHILD) == "0"]
        there = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return [pod for pod in there if pod["status"]["phase"] == "Pending"]

    def the_worker_becomes(self, phase: str, state: Object) -> None:
        """Its pod and the state of its container, as a kubelet tells it."""
        eventually(lambda: len(self.waiting_workers()) == 1, "a worker waits for a node")
        (pod,) = self.waiting_workers()
        (container,) = pod["spec"]["containers"]
        told = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0}
        status = {"phase": phase, "containerStatuses": [{**told, "ready": phase == "Running", "state": state}]}
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        self.here.run("patch", "pod", pod["metadata"]["name"], *patch)

    def the_worker_fails(self, exit_code: int, **report: str) -> None:
        """With its last words as termination message."""
        ended = {"exitCode": exit_code, "reason": "Error", "message": json.dumps(report)}
        self.the_worker_becomes("Failed", {"terminated": ended})

    def is_closed(self, code: str) -> None:
        """The finish Job has written that neither of the two records was answered, and why."""
        eventually(lambda: self.here.uid("job", "job-finish") is not None, "the output is to be written")
        (container,) = self.here.get("job", "job-finish")["spec"]["template"]["spec"]["containers"]
        assert {"name": "SPLAI_CLOSING_CODE", "value": code} in container["env"]
        file = {"bytes": 0, "sha256": "", "lines": 0}
        final = {"nonce": "n", "complete": False, "closingCode": code, "counts": {"total": 2, "failed": 2}}
        self.writes("final", Final.model_validate({**final, "usage": {}, "output": file, "errors": file}))
        self.here.run("delete", "job", "job-finish")  # an event; else it is looked for when a minute has passed

    def events(self) -> set[str]:
        return {event["reason"] for event in self.here.all("events") if event["involvedObject"]["name"] == "job"}


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("policies") / "policies.yaml"
    file.write_text("small: {limits: {maxParallelism: 2}, defaults: {parallelism: 2}}\n")
    return file


@pytest.fixture(scope="module")
def cluster(job_cluster: JobCluster, policies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests of this module: each leaves it empty."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with job_cluster.namespace() as here:
        operator = job_cluster.start_operator(here, log, SPLAI_POLICIES_FILE=str(policies))
        try:
            here.apply(backend())
            eventually(lambda: here.is_ready("tiny"), "the backend is ready")
            yield Cluster(job_cluster, here, operator)
        finally:
            operator.stop(signal.SIGKILL)


@pytest.fixture(autouse=True)
def _leaves_nothing(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.here.run("delete", "ij", "--all", "--wait=false")
    eventually(lambda: not cluster.here.all("ij") and not cluster.here.all("jobs"), "all jobs are gone")
    cluster.here.run("delete", "events", "--all")


def held(**spec: Any) -> Object:
    """A job of two records whose workers wait for a node."""
    return job(**{"input": {"items": ["a", "b"]}, "workers": NOWHERE, **spec})


def test_a_suspended_job_holds_nothing_and_goes_on_with_another_template(cluster: Cluster) -> None:
    cluster.here.apply(job(workers=NOWHERE))
    cluster.has_children("job-0")

    cluster.change({"suspend": True})
    cluster.reaches("Suspended")
    cluster.has_children()
    assert cluster.here.condition("ij", "job", "Suspended")["status"] == "True"

    cluster.change({"workers": {"template": None}})
    cluster.change({"suspend": False})
    cluster.reaches("Completed")
    assert cluster.here.children() == {"job": ["job-1"]}
    eventually(lambda: {"Suspended", "Resumed", "Completed"} <= cluster.events(), "all of this is told")


def test_a_job_that_is_born_suspended_makes_nothing_until_it_is_resumed(cluster: Cluster) -> None:
    cluster.here.apply(job(suspend=True))
    cluster.reaches("Suspended")
    assert cluster.here.all("jobs") == []
    assert cluster.reason("Validated") == "NotValidated"

    cluster.change({"suspend": False})
    cluster.reaches("Completed")


def test_the_window_closes_also_on_a_job_that_waits(cluster: Cluster) -> None:
    cluster.here.apply(job(model="nobody-has-it", completionWindow="2s"))
    cluster.reaches("Failed")
    assert cluster.reason("Failed") == "Expired"
    assert cluster.here.all("jobs") == []


def test_the_window_closes_on_workers_too_and_the_output_is_written(cluster: Cluster) -> None:
    cluster.here.apply(held(completionWindow="20s"))
    cluster.has_children("job-0")
    cluster.has_children("job-finish")
    cluster.is_closed("batch_expired")
    cluster.reaches("Failed")
    assert cluster.reason("Failed") == "Expired"


def test_workers_that_have_run_for_their_time_end_and_the_output_is_written(cluster: Cluster) -> None:
    cluster.here.apply(held(activeDeadlineSeconds=5))
    cluster.has_children("job-0")
    cluster.reaches("Pending")
    assert "startTime" not in cluster.here.get("ij", "job")["status"], "the time of a worker that waits does not count"

    cluster.the_worker_becomes("Running", {"running": {"startedAt": format_time(datetime.now(UTC))}})
    cluster.reaches("Finalizing")
    cluster.has_children("job-finish")
    cluster.is_closed("deadline_exceeded")

    cluster.reaches("Failed")
    assert cluster.reason("Failed") == "DeadlineExceeded"
    assert "5 s of activeDeadlineSeconds" in cluster.here.get("ij", "job")["status"]["message"]


def test_workers_that_fail_too_often_end_the_job(cluster: Cluster) -> None:
    """The Job controller counts them, and makes the second pod after ten seconds."""
    cluster.here.apply(held(backoffLimit=1))
    cluster.has_children("job-0")
    cluster.the_worker_fails(1, reason="Watchdog", message="nothing moved")
    cluster.the_worker_fails(1, reason="Watchdog", message="nothing moved")
    cluster.is_closed("job_failed")

    cluster.reaches("Failed")
    assert cluster.reason("Failed") == "BackoffLimitExceeded"
    status = cluster.here.get("ij", "job")["status"]
    assert status["message"].startswith("2 worker pods failed, backoffLimit is 1")
    assert status["workers"]["failures"] == 2
    eventually(lambda: {"WorkerFailed", "Failed"} <= cluster.events(), "all of this is told")


def test_a_worker_that_cannot_read_its_work_ends_the_job_at_once(cluster: Cluster) -> None:
    """By the Job's podFailurePolicy, however many failures are left."""
    cluster.here.apply(held(backoffLimit=6))
    cluster.has_children("job-0")
    cluster.the_worker_fails(42, reason="PlanInvalid", message="plan.json is not a WorkOrder")
    cluster.has_children("job-0", "job-finish")
    ended = cluster.here.get("job", "job-0")["status"]["conditions"]
    assert [it["reason"] for it in ended if it["type"] == "Failed"] == ["PodFailurePolicy"]
    cluster.is_closed("job_failed")

    cluster.reaches("Failed")
    assert cluster.reason("Failed") == "PlanInvalid"
    assert cluster.here.get("ij", "job")["status"]["message"] == "plan.json is not a WorkOrder"


def test_too_many_failed_records_end_the_job_before_the_rest_is_asked(cluster: Cluster) -> None:
    cluster.here.apply(held(failurePolicy={"maxFailedRecords": 0}))
    cluster.has_children("job-0")
    cluster.writes("tasks/0000/commit", Commit(worker="w", nonce="n", parts=[], counts=TaskCounts(failed=1)))
    cluster.has_status({"startTime": format_time(datetime.now(UTC))})

    cluster.change({"workers": {"parallelism": 2}})  # a reason to look
    cluster.reaches("Finalizing")
    cluster.has_children("job-finish")
    assert cluster.reason("Ready") == "FailurePolicyExceeded"

    cluster.is_closed("too_many_failures")
    cluster.reaches("Failed")
    assert cluster.reason("Failed") == "FailurePolicyExceeded"


def test_a_job_that_is_over_goes_into_the_history_when_its_time_ends(cluster: Cluster, job_cluster: JobCluster) -> None:
    cluster.here.apply(job())
    cluster.reaches("Completed")
    uid = str(cluster.here.uid("ij", "job"))
    cluster.has_status({"completionTime": format_time(datetime.now(UTC) - timedelta(hours=1))})

    cluster.change({"ttlSecondsAfterFinished": 60})
    eventually(lambda: cluster.here.get("ij", "job") == {}, "the resource is gone")
    record = json.loads(
        (job_cluster.audit.with_name("artifacts") / cluster.here.name / uid / "history.json").read_text()
    )
    assert (record["name"], record["uid"], record["status"]["phase"]) == ("job", uid, "Completed")


def test_policies_fill_in_what_is_left_out_and_refuse_what_is_too_much(cluster: Cluster) -> None:
    cluster.here.apply(held(policy="small"))
    cluster.has_children("job-0")
    (child,) = cluster.here.all("jobs")
    assert child["spec"]["parallelism"] == 2

    cluster.here.apply(job("greedy", policy="small", workers={"parallelism": 3}))
    cluster.reaches("Failed", "greedy")
    assert cluster.reason("Failed", "greedy") == "PolicyViolation"


def test_a_policy_that_does_not_exist_is_waited_for(cluster: Cluster, policies: Path) -> None:
    cluster.here.apply(job(policy="new"))
    cluster.reaches("Pending")
    eventually(lambda: cluster.reason("Ready") == "PolicyNotFound", "the missing policy is told")

    with policies.open("a") as file:
        file.write("new: {}\n")
    cluster.reaches("Completed")


def test_workers_follow_the_spec_while_they_work(cluster: Cluster) -> None:
    cluster.here.apply(held())
    cluster.has_children("job-0")
    cluster.change({"workers": {"parallelism": 2}})

    def size() -> tuple[int, int]:
        (child,) = cluster.here.all("jobs")
        return child["spec"]["parallelism"], child["spec"]["completions"]

    eventually(lambda: size() == (2, 2), "the child is resized")
    eventually(lambda: "WorkersScaled" in cluster.events(), "that is told")


def test_a_child_in_a_queue_waits_for_who_admits_it(cluster: Cluster) -> None:
    body = job()
    cluster.here.apply({**body, "metadata": {**body["metadata"], "labels": {QUEUE: "gpu"}}})
    cluster.reaches("Queued")
    assert cluster.here.condition("ij", "job", "QuotaReserved")["status"] == "False"

    cluster.here.run("patch", "job", "job-0", "--type=merge", "-p", json.dumps({"spec": {"suspend": False}}))
    cluster.reaches("Completed")


@pytest.fixture
def no_more_pods(cluster: Cluster) -> Iterator[None]:
    """The namespace has its fill of pods."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
    cluster.here.apply(quota)
    eventually(lambda: "hard" in cluster.here.get("quota", "full").get("status", {}), "the quota is in force")
    yield
    cluster.here.run("delete", "quota", "full")


@pytest.mark.usefixtures("no_more_pods")
def test_what_keeps_workers_from_being_made_is_told_and_so_is_what_comes_next(cluster: Cluster) -> None:
    def says(words: str) -> bool:
        ready = cluster.here.condition("ij", "job", "WorkersReady")
        return ready.get("reason") == "PodsNotCreated" and words in ready["message"]

    cluster.here.apply(job())
    eventually(lambda: says("exceeded quota: full"), "the quota is named")

    later = format_time(datetime.now(UTC) + timedelta(hours=1))
    about = {"apiVersion": "batch/v1", "kind": "Job", "name": "job-0", "namespace": cluster.here.name}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "next", "namespace": cluster.here.name},
        "involvedObject": {**about, "uid": cluster.here.uid("job", "job-0")},
        "reason": "FailedCreate",
        "message": "the next reason",
        "lastTimestamp": later,
    }
    cluster.here.apply(event)
    eventually(lambda: says("the next reason"), "nothing but an Event tells of it, and it is told")


def test_an_input_that_a_pod_reads_is_planned_when_it_was_found_good(cluster: Cluster) -> None:
    cluster.here.apply(job(input=S3))
    cluster.has_children("job-plan")
    assert cluster.phase() == "Pending"

    manifest = InputManifest(attempt="a", first=[0], records=1, bytes=9, format="jsonl", sources=[], spec_hash="h")
    cluster.writes(MANIFEST, manifest)
    # An event; else it is looked for when a minute has passed. The operator may have been quicker.
    cluster.here.run("delete", "job", "job-plan", "--ignore-not-found")
    cluster.reaches("Completed")
    assert cluster.here.children() == {"job": ["job-0"]}


def test_an_input_that_is_bad_fails_the_job_with_what_is_wrong(cluster: Cluster) -> None:
    cluster.here.apply(job(input=S3))
    cluster.has_children("job-plan")
    cluster.writes(VALIDATION, Validation(reason="ValidationFailed", problems=["record 1 (line 1): no"], total=1))
    cluster.here.run("delete", "job", "job-plan", "--ignore-not-found")
    cluster.reaches("Failed")
    assert cluster.here.condition("ij", "job", "Validated")["message"] == "record 1 (line 1): no"
