"""An input that a pod reads: what is made for it, what is waited for, and what is believed of what it left."""

from datetime import timedelta
from typing import Any

import pytest

from splai.api.inference_job import InferenceJobStatus
from splai.api.ledger import Limits, Validation
from splai.core.inferencejob.snapshot import Unavailable
from splai.core.plan import WriteReadingOrder, WriteWorkOrder
from tests.unit.core.builders import (
    NO_GPU,
    NOW,
    canceled,
    make_child,
    make_job,
    make_manifest,
    make_pod,
    make_reading,
    with_status,
)
from tests.unit.core.inferencejob.decisions import Observed, condition, created, decide, events, steps

JOB = make_job(input={"s3": {"uri": "s3://bucket/records.jsonl", "secretRef": {"name": "keys"}}})
RETRY = make_job(input={"failedOf": {"name": "earlier"}})
PLAN = make_child("plan")
READ = make_child("plan", complete=True)
FOUND: Observed = {"child_jobs": (READ,), "progress": make_reading(found=make_manifest(5000))}


def earlier(phase: str | None) -> Any:
    job = make_job(status=InferenceJobStatus.model_validate({"phase": phase}))
    return job.model_copy(update={"metadata": {**job.metadata, "name": "earlier", "uid": "uid-of-earlier"}})


def validated(**observed: Any) -> tuple[str, str, str]:
    return condition(decide(JOB, **observed).status, "Validated")


class TestReading:
    def test_a_pod_is_made_at_once_also_without_a_backend(self) -> None:
        decision = decide(JOB, backends=(), progress=make_reading())
        assert steps(JOB, backends=(), progress=make_reading()) == ["write the reading order", "create triage-plan"]
        assert (decision.status.phase, decision.status.message) == ("Pending", "the input is being read")
        assert condition(decision.status, "Validated")[:2] == ("Unknown", "ReadingInput")

    def test_the_order_holds_all_that_the_pod_needs(self) -> None:
        job = make_job(
            input={"s3": {"uri": "s3://bucket/k"}}, policy="p", prompt={"template": "{{ a }}"}, parameters={"seed": 1}
        )
        policies = {"p": {"limits": {"maxRecords": 9}}}
        (action, _) = decide(job, policies=policies, progress=make_reading()).actions
        assert isinstance(action, WriteReadingOrder)
        order = action.order
        assert (order.namespace, order.job, order.uid) == ("team", "triage", job.metadata["uid"])
        assert (order.type, order.input, order.prompt, order.parameters) == (
            *("chat", job.spec.input, job.spec.prompt),
            {"seed": 1},
        )
        assert (order.limits, order.policy, order.failed_of_uid) == (Limits(max_records=9), "p", None)

    def test_while_it_runs_nothing_more_is_made(self) -> None:
        assert steps(JOB, child_jobs=(PLAN,), pods=(make_pod(child="plan"),)) == []
        assert validated(child_jobs=(PLAN,), pods=(make_pod(child="plan"),)) == (
            *("Unknown", "ReadingInput"),
            "Job triage-plan reads the input",
        )

    def test_while_it_runs_the_store_that_it_may_wait_for_is_looked_at(self) -> None:
        running: Observed = {"child_jobs": (PLAN,), "pods": (make_pod(child="plan"),)}
        full = make_reading().model_copy(update={"store_full": True})

        assert decide(JOB, **running, progress=make_reading()).requeue_after == 30.0
        waits = decide(JOB, **running, progress=full)
        away = decide(JOB, **running, progress=Unavailable("refused"))

        assert condition(waits.status, "WorkersReady") == (
            *("False", "ArtifactStoreFull"),
            "the artifact store has no room: a new job waits until there is some",
        )
        assert condition(away.status, "WorkersReady")[1] == "ArtifactStoreUnavailable"
        assert (events(waits), events(away)) == (["ArtifactStoreFull"], ["ArtifactStoreUnavailable"])
        assert (waits.requeue_after, away.requeue_after) == (30.0, 5.0)

    def test_a_pod_that_does_not_run_yet_reads_nothing(self) -> None:
        waiting: Observed = {"child_jobs": (PLAN,), "pods": (make_pod(child="plan", phase="Pending"),)}
        assert decide(JOB, **waiting, progress=make_reading()).requeue_after is None

    def test_its_pod_is_no_worker(self) -> None:
        status = decide(JOB, child_jobs=(PLAN,), pods=(make_pod(child="plan"),)).status
        assert (status.phase, status.start_time, status.workers.job_name) == ("Pending", None, None)

    def test_one_that_was_deleted_is_made_again(self) -> None:
        job = with_status(JOB, decide(JOB, child_jobs=(PLAN,)).status)
        assert steps(job, progress=make_reading()) == ["write the reading order", "create triage-plan"]

    def test_one_that_left_nothing_is_made_again_after_a_minute(self) -> None:
        observed: Observed = {"child_jobs": (READ,), "progress": make_reading()}
        decision = decide(JOB, at=NOW + timedelta(seconds=59), **observed)
        assert (decision.actions, decision.requeue_after) == ((), 1.0)
        assert steps(JOB, at=NOW + timedelta(seconds=60), **observed) == ["delete triage-plan"]

    def test_one_whose_pod_is_on_a_lost_node_is_made_again(self) -> None:
        lost = make_pod(child="plan", deletion=NOW)
        seen: Observed = {"child_jobs": (PLAN,), "pods": (lost,)}
        decision = decide(JOB, at=NOW + timedelta(seconds=59), **seen)
        assert (decision.actions, decision.requeue_after) == ((), 1.0)
        late = NOW + timedelta(seconds=60)
        assert steps(JOB, at=late, **seen) == ["delete triage-plan"]
        again = steps(JOB, at=late, pods=(lost,), progress=make_reading())
        assert again == ["write the reading order", "create triage-plan"]
        successor = make_child("plan", uid="uid-of-the-next", created=late)
        assert steps(JOB, at=late, child_jobs=(successor,), pods=(lost,)) == []

    def test_the_store_is_waited_for(self) -> None:
        decision = decide(JOB, progress=Unavailable("refused"))
        assert (decision.actions, decision.requeue_after) == ((), 5.0)
        assert condition(decision.status, "WorkersReady")[1] == "ArtifactStoreUnavailable"

    def test_it_ends_with_the_job(self) -> None:
        assert steps(canceled(JOB), child_jobs=(PLAN,)) == ["delete triage-plan"]


class TestTrouble:
    @pytest.mark.parametrize(
        ("pod", "reason", "words"),
        [
            (make_pod(child="plan", unschedulable=True), "Unschedulable", NO_GPU),
            (
                make_pod(
                    child="plan", phase="Pending", worker={"waiting_reason": "ErrImagePull", "waiting_message": "gone"}
                ),
                *("ImagePullFailed", "ErrImagePull: gone"),
            ),
            (
                make_pod(
                    child="plan",
                    phase="Pending",
                    worker={
                        "waiting_reason": "CreateContainerConfigError",
                        "waiting_message": 'secret "keys" not found',
                    },
                ),
                *("CreateContainerConfigError", 'secret "keys" not found'),
            ),
        ],
        ids=["no room, or no volume", "no image", "no secret"],
    )
    def test_what_keeps_the_pod_from_running_is_told(self, pod: Any, reason: str, words: str) -> None:
        decision = decide(JOB, child_jobs=(PLAN,), pods=(pod,))
        assert condition(decision.status, "Validated") == (
            *("Unknown", reason),
            f"Job triage-plan, which reads the input: {words}",
        )
        assert condition(decision.status, "Ready")[1] == reason
        assert events(decision) == [reason]

    def test_so_is_what_keeps_it_from_being_made(self) -> None:
        late = NOW + timedelta(seconds=30)
        status = decide(JOB, at=late, child_jobs=(PLAN,), creation_trouble="exceeded quota: pods").status
        assert condition(status, "Validated") == (
            *("Unknown", "PodsNotCreated"),
            "Job triage-plan, which reads the input, has no pods: exceeded quota: pods",
        )

    def test_a_failed_try_is_quoted(self) -> None:
        report = '{"reason": "SourceUnavailable", "message": "503 from http://minio"}'
        pod = make_pod(
            child="plan", phase="Failed", worker={"terminated": True, "exit_code": 1, "exit_message": report}
        )
        status = decide(JOB, child_jobs=(make_child("plan", failed=1),), pods=(pod,)).status
        assert status.message.endswith("SourceUnavailable: 503 from http://minio")
        assert status.workers.failures == 0

    def test_too_many_failed_tries_fail_the_job_with_the_last_words(self) -> None:
        pod = make_pod(child="plan", phase="Failed", worker={"terminated": True, "exit_code": 1})
        gave_up: Observed = {"child_jobs": (make_child("plan", failure="BackoffLimitExceeded"),), "pods": (pod,)}
        assert decide(JOB, **gave_up, progress=Unavailable("refused")).status.phase == "Pending"
        status = decide(JOB, **gave_up, progress=make_reading()).status
        assert (status.phase, condition(status, "Failed")[1]) == ("Failed", "InputUnreadable")
        assert status.message == "the input could not be read: pod triage-plan-0: exit code 1"


class TestFinding:
    def test_good_records_are_planned_by_reference(self) -> None:
        assert steps(JOB, **FOUND) == ["write the work order of 5000 records", "create triage-0"]
        (action, _) = decide(JOB, **FOUND).actions
        assert isinstance(action, WriteWorkOrder)
        assert (action.order.records, action.order.chunks) == ([], make_manifest(5000))

    def test_a_job_that_still_reads_them_ends_before_workers_begin(self) -> None:
        """Its pod is about to end, or waits in a queue while one that was orphaned has found them."""
        reading: Observed = {**FOUND, "child_jobs": (PLAN,)}
        assert steps(JOB, **reading) == ["delete triage-plan"]

    def test_they_are_counted_before_a_backend_exists(self) -> None:
        status = decide(JOB, **FOUND, backends=()).status
        assert (status.phase, status.total) == ("Pending", 5000)
        assert condition(status, "Validated") == ("True", "Valid", "5000 records in 250 tasks, read as jsonl")
        assert condition(status, "Ready")[1] == "BackendNotFound"

    def test_a_store_that_is_away_makes_them_no_worse(self) -> None:
        job = with_status(JOB, decide(JOB, **FOUND, backends=()).status)
        away = decide(job, child_jobs=(READ,), progress=Unavailable("refused"), backends=()).status
        assert condition(away, "Validated")[0] == "True"

    def test_two_pods_that_disagree_have_read_a_good_input(self) -> None:
        """As the next pod says when it finds both: an input.json is there only once all its chunks are."""
        invalid = Validation(reason="InputChanged", problems=["s3://bucket/a changed while it was read"], total=1)
        reading = make_reading(invalid=invalid, found=make_manifest())
        status = decide(JOB, child_jobs=(READ,), progress=reading).status
        assert condition(status, "Validated")[:2] == ("True", "Valid")

    @pytest.mark.parametrize("reason", ["ValidationFailed", "InputChanged", "InputNotFound", "PolicyViolation"])
    def test_bad_ones_fail_the_job_with_what_is_wrong(self, reason: str) -> None:
        invalid = Validation(reason=reason, problems=["record 3 (line 4): no", "record 9 (line 12): no"], total=812)
        failed = make_child("plan", failure="PodFailurePolicy")
        status = decide(JOB, child_jobs=(failed,), progress=make_reading(invalid=invalid)).status
        assert (status.phase, condition(status, "Failed")[1]) == ("Failed", reason)
        assert status.message == "record 3 (line 4): no (and 811 more, see condition Validated)"
        assert condition(status, "Validated") == (
            *("False", reason),
            "record 3 (line 4): no\nrecord 9 (line 12): no\n(812 problems in all)",
        )

    def test_what_it_wrote_is_held_to_what_a_status_has_room_for(self) -> None:
        """The pod runs in the user's namespace, where others may act in its place."""
        wild = Validation(reason="not a reason", problems=["x" * 10**6] * 1000, total=-5)
        status = decide(JOB, child_jobs=(READ,), progress=make_reading(invalid=wild)).status
        assert condition(status, "Failed")[1] == "ValidationFailed"
        assert len(status.model_dump_json()) < 64 * 1024

    def test_the_pods_own_words_do_when_the_store_has_none(self) -> None:
        report = '{"reason": "InputNotFound", "message": "s3://bucket/records.jsonl: no such object"}'
        pod = make_pod(
            child="plan", phase="Failed", worker={"terminated": True, "exit_code": 42, "exit_message": report}
        )
        failed: Observed = {"child_jobs": (make_child("plan", failure="PodFailurePolicy"),), "pods": (pod,)}
        status = decide(JOB, **failed, progress=make_reading()).status
        assert (condition(status, "Failed")[1], status.message) == (
            "InputNotFound",
            "s3://bucket/records.jsonl: no such object",
        )

    def test_a_store_without_room_for_them_is_looked_at_again_while_a_backend_is_waited_for(self) -> None:
        full = make_reading(found=make_manifest(5000)).model_copy(update={"store_full": True})
        waits = decide(JOB, child_jobs=(READ,), progress=full, backends=())
        assert condition(waits.status, "WorkersReady")[1] == "ArtifactStoreFull"
        assert waits.requeue_after == 60.0
        assert decide(JOB, **FOUND, backends=()).requeue_after is None

    def test_a_workers_child_proves_that_it_was_planned(self) -> None:
        seen: Observed = {"child_jobs": (READ, make_child()), "progress": Unavailable("refused")}
        assert steps(JOB, **seen) == []


class TestFailedRecordsOfAnEarlierJob:
    def test_it_has_to_exist(self) -> None:
        decision = decide(RETRY, progress=make_reading())
        assert (decision.actions, decision.requeue_after) == ((), 15.0)
        assert condition(decision.status, "Validated") == (
            *("False", "EarlierJobNotFound"),
            "namespace team has no InferenceJob earlier",
        )
        assert events(decision) == ["EarlierJobNotFound"]

    @pytest.mark.parametrize("phase", [None, "Running", "Finalizing"])
    def test_it_has_to_be_over(self, phase: str | None) -> None:
        decision = decide(RETRY, earlier_job=earlier(phase), progress=make_reading())
        assert (decision.actions, decision.requeue_after) == ((), 15.0)
        assert condition(decision.status, "Ready")[1] == "EarlierJobNotOver"

    @pytest.mark.parametrize("phase", ["Completed", "Failed", "Canceled"])
    def test_its_folder_is_opened_to_the_pod(self, phase: str) -> None:
        observed: Observed = {"earlier_job": earlier(phase), "progress": make_reading()}
        (action, _) = decide(RETRY, **observed).actions
        assert isinstance(action, WriteReadingOrder)
        assert action.order.failed_of_uid == "uid-of-earlier"
        sources = created(RETRY, **observed)["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"]
        assert "splai-artifacts/uid-of-earlier" in {it["serviceAccountToken"]["audience"] for it in sources}
