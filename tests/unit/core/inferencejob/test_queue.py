"""What Kueue says about the child of a job with a queue-name label, in the condition QuotaReserved."""

from datetime import timedelta
from typing import Any

import pytest

from splai.core.inferencejob.snapshot import QUEUE_LABEL, WorkloadMissing
from splai.core.observed import ObservedWorkload
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


def test_a_suspended_job_leaves_the_queue() -> None:
    assert steps(suspended(QUEUED), **HELD) == ["delete triage-0"]


def test_a_child_that_nobody_needs_any_more_leaves_it_too() -> None:
    job = make_running_job(labels={QUEUE_LABEL: "gpu"})
    assert steps(job, **HELD, progress=make_progress(committed=3)) == ["delete triage-0"]
