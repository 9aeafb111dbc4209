"""What Kueue says about the child of a job with a queue-name label, in the condition QuotaReserved."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from splai.core.inferencejob.snapshot import QUEUE_LABEL, WorkloadMissing, needs_progress
from splai.core.observed import CHILD_LABEL, ObservedJob, ObservedWorkload
from tests.unit.core.builders import (
    NOW,
    make_child,
    make_job,
    make_planned_job,
    make_pod,
    make_progress,
    make_running_job,
    suspended,
    with_status,
)
from tests.unit.core.inferencejob.decisions import Observed, condition, created, decide, events, steps

QUEUED = make_planned_job(labels={QUEUE_LABEL: "gpu"})
LABELS = created(QUEUED)["metadata"]["labels"]
HELD: Observed = {"child_jobs": (make_child(suspended=True, labels=LABELS),)}
ADMITTED: Observed = {
    "child_jobs": (make_child(parallelism=2, labels=LABELS),),
    "pods": (make_pod(),),
    "progress": make_progress(),
}


def workload(**conditions: tuple[str, str]) -> ObservedWorkload:
    told = [{"type": name, "status": status, "message": words} for name, (status, words) in conditions.items()]
    return ObservedWorkload.from_object({"status": {"conditions": told}})


def quota(**observed: Any) -> tuple[str, str, str]:
    return condition(decide(QUEUED, **observed).status, "QuotaReserved")


def test_a_job_without_a_queue_needs_no_quota() -> None:
    assert condition(decide(make_job()).status, "QuotaReserved")[:2] == ("True", "NotQueued")


def test_a_child_that_a_queue_holds_waits() -> None:
    status = decide(QUEUED, **HELD).status
    assert (status.phase, status.message) == ("Queued", "Job triage-0 waits in LocalQueue gpu")
    assert condition(status, "QuotaReserved")[:2] == ("False", "Pending")


def test_kueues_words_are_passed_on() -> None:
    told = workload(QuotaReserved=("False", "couldn't assign flavors to pod set main: insufficient unused quota"))
    assert quota(**HELD, workload=told)[2] == (
        "Job triage-0 waits in LocalQueue gpu: couldn't assign flavors to pod set main: insufficient unused quota"
    )


def test_a_queue_that_does_not_exist_is_told() -> None:
    missing = workload(QuotaReserved=("False", "LocalQueue gpu doesn't exist"))
    decision = decide(QUEUED, **HELD, workload=missing)
    assert condition(decision.status, "QuotaReserved") == (
        *("False", "LocalQueueNotFound"),
        "Job triage-0: LocalQueue gpu doesn't exist",
    )
    assert "LocalQueueNotFound" in events(decision)


def test_a_cluster_without_kueue_is_told() -> None:
    decision = decide(QUEUED, **HELD, workload=WorkloadMissing())
    assert condition(decision.status, "QuotaReserved")[:2] == ("False", "NoKueue")
    assert "NoKueue" in events(decision)


@pytest.mark.parametrize(("age", "want"), [(0, 60.0), (45, 15.0), (60, 60.0), (600, 120.0), (90_000, 1800.0)])
def test_the_queue_is_asked_less_often_as_a_job_waits_longer(age: int, want: float) -> None:
    assert decide(QUEUED, at=NOW + timedelta(seconds=age), **HELD).requeue_after == want


def test_an_admitted_child_has_its_quota_perhaps_for_fewer_workers() -> None:
    assert quota(**ADMITTED) == ("True", "QuotaReserved", "Kueue admitted Job triage-0 with 2 of its workers")


def test_it_is_never_resized() -> None:
    job = make_running_job(labels={QUEUE_LABEL: "gpu"}, workers={"parallelism": 3})
    assert steps(job, **ADMITTED) == []


def test_an_evicted_child_is_queued_again_with_the_reason() -> None:
    job = make_running_job(labels={QUEUE_LABEL: "gpu"})
    evicted = workload(QuotaReserved=("False", "preempted"), Evicted=("True", "to accommodate a workload in the queue"))
    decision = decide(job, **HELD, progress=make_progress(committed=1), workload=evicted)
    assert (decision.actions, decision.status.phase, decision.status.succeeded) == ((), "Queued", 1)
    assert decision.status.message.endswith("preempted; to accommodate a workload in the queue")
    again = decide(with_status(job, decision.status), **ADMITTED)
    assert (again.status.phase, condition(again.status, "QuotaReserved")[0]) == ("Running", "True")


class TestTheQueueThatKueueChoosesByDefault:
    """A namespace may have a LocalQueue named default: Kueue holds in it every Job that names no queue."""

    S3 = make_job(input={"s3": {"uri": "s3://bucket/records.jsonl"}})

    def held(self, child: int | str) -> ObservedJob:
        return make_child(child, suspended=True, labels={CHILD_LABEL: str(child), QUEUE_LABEL: "default"})

    def test_workers_that_it_holds_wait(self) -> None:
        status = decide(make_planned_job(), child_jobs=(self.held(0),)).status
        assert (status.phase, status.message) == ("Queued", "Job triage-0 waits in LocalQueue default")

    def test_workers_that_it_admitted_have_their_quota(self) -> None:
        admitted = replace(self.held(0), suspended=False)
        status = decide(make_planned_job(), child_jobs=(admitted,)).status
        assert condition(status, "QuotaReserved")[:2] == ("True", "QuotaReserved")

    def test_an_input_that_cannot_be_read_for_it_is_told(self) -> None:
        late = NOW + timedelta(seconds=60)
        words = workload(QuotaReserved=("False", "insufficient unused quota for cpu"))
        decision = decide(self.S3, at=late, child_jobs=(self.held("plan"),), workload=words)
        assert (decision.status.phase, decision.requeue_after) == ("Pending", 60.0)
        assert condition(decision.status, "QuotaReserved") == (
            *("False", "Pending"),
            "Job triage-plan waits in LocalQueue default: insufficient unused quota for cpu",
        )
        assert condition(decision.status, "Validated") == (
            *("Unknown", "Queued"),
            "Job triage-plan, which reads the input, is suspended by a queue: see condition QuotaReserved",
        )

    def test_so_is_an_output_that_cannot_be_written_for_it(self) -> None:
        late = NOW + timedelta(seconds=60)
        seen: Observed = {"child_jobs": (make_child(complete=True), self.held("finish"))}
        decision = decide(make_running_job(), at=late, **seen, progress=make_progress(committed=3))
        assert (decision.status.phase, decision.requeue_after) == ("Finalizing", 60.0)
        assert condition(decision.status, "QuotaReserved") == (
            *("False", "Pending"),
            "Job triage-finish waits in LocalQueue default",
        )
        assert condition(decision.status, "WorkersReady") == (
            *("False", "Queued"),
            "Job triage-finish, which writes the output, is suspended by a queue: see condition QuotaReserved",
        )


def test_what_an_evicted_worker_commits_while_it_drains_is_counted() -> None:
    job = make_running_job(labels={QUEUE_LABEL: "gpu"})
    leaving: Observed = {**HELD, "pods": (make_pod(deletion=NOW),)}
    job = with_status(job, decide(job, **leaving, progress=make_progress(claimed=1)).status)
    assert needs_progress(job, HELD["child_jobs"], ())
    gone = decide(job, **HELD, progress=make_progress(committed=1)).status
    assert (gone.phase, gone.succeeded) == ("Queued", 1)


def test_a_suspended_job_leaves_the_queue() -> None:
    assert steps(suspended(QUEUED), **HELD) == ["delete triage-0"]


def test_a_child_that_nobody_needs_any_more_leaves_it_too() -> None:
    job = make_running_job(labels={QUEUE_LABEL: "gpu"})
    assert steps(job, **HELD, progress=make_progress(committed=3)) == ["delete triage-0"]
