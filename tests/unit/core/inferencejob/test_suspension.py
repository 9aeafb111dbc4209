"""Suspend frees all that a job holds and keeps all that it has done; resume goes on where the ledger stands."""

from datetime import timedelta
from typing import Any

import pytest

from splai.api.inference_job import InferenceJob
from splai.core.inferencejob.child_job import child_job
from splai.core.inferencejob.snapshot import QUEUE_LABEL, Unavailable
from splai.core.observed import ObservedCondition
from tests.unit.core.builders import (
    NOW,
    canceled,
    make_backend,
    make_child,
    make_job,
    make_planned_job,
    make_pod,
    make_progress,
    make_running_job,
    suspended,
    with_status,
)
from tests.unit.core.inferencejob.decisions import Observed, closing, condition, created, decide, events, steps

RUNNING: Observed = {"child_jobs": (make_child(),), "pods": (make_pod(),), "progress": make_progress(claimed=1)}
DRAINING: Observed = {"pods": (make_pod(deletion=NOW),), "progress": make_progress(committed=1)}
DRAINED: Observed = {"progress": make_progress(committed=1)}


GPU_LABELS = created(make_planned_job(labels={QUEUE_LABEL: "gpu"}))["metadata"]["labels"]


def make_suspended_job() -> InferenceJob:
    """A job that ran, was suspended, and whose pods are gone."""
    job = suspended(make_running_job())
    job = with_status(job, decide(job, **RUNNING).status)
    return with_status(job, decide(job, **DRAINED).status)


def test_the_child_is_deleted_and_the_phase_says_so_at_once() -> None:
    job = suspended(make_running_job())
    decision = decide(job, **RUNNING)
    assert steps(job, **RUNNING) == ["delete triage-0"]
    assert (decision.status.phase, events(decision)) == ("Suspended", ["Suspended"])
    assert condition(decision.status, "Suspended") == ("True", "Stopping", "1 worker pod still to end")


def test_gpus_are_free_when_the_last_pod_is_gone() -> None:
    job = suspended(make_running_job())
    status = decide(job, **DRAINED).status
    assert condition(status, "Suspended")[:2] == ("True", "Suspended")
    assert condition(status, "WorkersReady")[:2] == ("False", "Suspended")


def test_a_pod_on_a_node_that_does_not_answer_is_not_waited_for() -> None:
    job = suspended(make_running_job())
    assert decide(job, at=NOW + timedelta(seconds=59), **DRAINING).requeue_after == 1.0
    late = decide(job, at=NOW + timedelta(seconds=60), **DRAINING)
    assert condition(late.status, "Suspended")[1] == "Suspended"


@pytest.mark.parametrize(
    ("progress", "reason", "wait"),
    [
        (Unavailable("refused"), "ArtifactStoreUnavailable", 5.0),
        (make_progress(committed=1).model_copy(update={"store_full": True}), "ArtifactStoreFull", 60.0),
    ],
)
def test_what_is_wrong_with_the_store_is_looked_at_again_until_it_is_over(
    progress: Any, reason: str, wait: float
) -> None:
    job = make_suspended_job()
    decision = decide(job, progress=progress)
    assert (condition(decision.status, "WorkersReady")[1], decision.requeue_after) == (reason, wait)
    after = decide(with_status(job, decision.status), **DRAINED)
    assert (condition(after.status, "WorkersReady")[1], after.requeue_after) == ("Suspended", None)


def test_what_workers_commit_while_they_drain_is_counted() -> None:
    assert decide(suspended(make_running_job()), **DRAINING).status.succeeded == 1


def test_the_clock_of_the_deadline_is_cleared() -> None:
    assert make_suspended_job().status.start_time is None


def test_nothing_is_made_while_a_job_is_suspended() -> None:
    assert steps(make_suspended_job(), **DRAINED) == []


def test_a_resumed_job_goes_on_with_the_next_child() -> None:
    job = suspended(make_suspended_job(), suspend=False)
    decision = decide(job)
    assert steps(job) == ["create triage-1"]
    assert (decision.status.phase, events(decision)) == ("Pending", ["Resumed"])
    assert condition(decision.status, "Suspended") == ("False", "NotSuspended", "")


def test_the_next_child_waits_for_the_pods_of_the_last() -> None:
    job = suspended(make_suspended_job(), suspend=False)
    assert steps(job, **DRAINING) == []


def test_it_runs_when_a_worker_of_the_new_child_does() -> None:
    job = suspended(make_suspended_job(), suspend=False)
    waiting = decide(job, child_jobs=(make_child(1),), pods=(make_pod(child=1, phase="Pending"),))
    assert (waiting.status.phase, waiting.status.start_time) == ("Pending", None)
    later = NOW + timedelta(seconds=90)
    running = decide(job, at=later, child_jobs=(make_child(1),), pods=(make_pod(child=1),), **DRAINED)
    assert (running.status.phase, running.status.start_time) == ("Running", "2026-05-01T12:01:30Z")


def test_an_older_child_that_ended_by_itself_is_no_start() -> None:
    job = suspended(make_suspended_job(), suspend=False)
    older: Observed = {"child_jobs": (make_child(0, complete=True, succeeded=1), make_child(1))}
    assert decide(job, **older, **DRAINED).status.phase == "Pending"


def test_the_next_child_has_the_template_that_was_changed_meanwhile() -> None:
    job = suspended(make_suspended_job(), suspend=False)
    changed = with_template(job, nodeSelector={"gpu": "l4"})
    assert created(changed)["spec"]["template"]["spec"]["nodeSelector"] == {"gpu": "l4"}


def with_template(job: InferenceJob, **template: Any) -> InferenceJob:
    workers = make_job(workers={"template": template}).spec.workers
    return job.model_copy(update={"spec": job.spec.model_copy(update={"workers": workers})})


FIRST, OTHER = {"nodeSelector": {"gpu": "l4"}}, {"nodeSelector": {"gpu": "a100"}}
S3 = {"s3": {"uri": "s3://bucket/records.jsonl"}}
TEMPLATED: dict[str, tuple[InferenceJob, int | str, Observed]] = {
    "workers that run": (make_running_job(), 0, {"pods": (make_pod(),), "progress": make_progress(claimed=1)}),
    "workers that wait": (make_planned_job(), 0, {"pods": (make_pod(unschedulable=True),)}),
    "the reading of the input": (make_job(input=S3), "plan", {}),
    "the writing of the output": (make_running_job(), "finish", {"progress": make_progress(committed=3)}),
}


@pytest.mark.parametrize(("job", "child", "seen"), TEMPLATED.values(), ids=TEMPLATED)
def test_a_template_is_followed_although_nobody_saw_the_suspension_that_let_it_change(
    job: InferenceJob, child: int | str, seen: Observed
) -> None:
    job = with_template(job, **FIRST)
    labels = child_job(job, child, "worker", {})["metadata"]["labels"]
    seen = {**seen, "child_jobs": (make_child(child, labels=labels),)}
    assert steps(job, **seen) == []
    assert steps(with_template(job, **OTHER), **seen) == [f"delete triage-{child}"]


def test_a_child_that_does_not_tell_its_template_is_left_alone() -> None:
    """An earlier release made it."""
    assert steps(with_template(make_running_job(), **OTHER), **RUNNING) == []


def test_a_job_that_is_born_suspended_is_neither_read_nor_planned() -> None:
    job = make_job(suspend=True, prompt={"template": "{{ nothing }}"})
    decision = decide(job)
    assert (decision.actions, decision.status.phase) == ((), "Suspended")
    assert condition(decision.status, "Validated") == (
        *("Unknown", "NotValidated"),
        "the input is read once the job goes on",
    )
    assert decide(suspended(job, suspend=False)).status.phase == "Failed"


def test_it_is_planned_when_it_is_resumed() -> None:
    job = make_job(suspend=True)
    job = suspended(with_status(job, decide(job).status), suspend=False)
    assert steps(job) == ["write the work order of 3 records", "create triage-0"]


def test_the_reading_of_the_input_ends_too() -> None:
    job = make_job(suspend=True, input={"s3": {"uri": "s3://bucket/records.jsonl"}})
    assert steps(job, child_jobs=(make_child("plan"),)) == ["delete triage-plan"]


def test_all_committed_work_is_finished_without_a_gpu() -> None:
    job, done = suspended(make_running_job()), make_progress(committed=3)
    assert steps(job, **{**RUNNING, "progress": done}) == ["delete triage-0"]
    assert closing(created(job, progress=done)) == ("", "")
    assert decide(job, progress=done).status.phase == "Finalizing"


def test_a_suspended_job_can_be_canceled() -> None:
    job = canceled(make_suspended_job())
    assert decide(job, **DRAINED).status.phase == "Canceling"
    assert closing(created(job, **DRAINED))[0] == "batch_cancelled"


def test_a_queue_that_takes_the_quota_back_clears_the_clock_as_well() -> None:
    job = make_running_job()
    held: Observed = {"child_jobs": (make_child(suspended=True),), **DRAINED}
    status = decide(job, **held).status
    assert (status.phase, status.start_time) == ("Queued", None)


RESUMED = ObservedCondition(status="False", since=NOW)


def make_queued_job(**spec: Any) -> InferenceJob:
    """A job that ran until a queue took its quota back; its worker had failed once."""
    job = make_running_job(labels={QUEUE_LABEL: "gpu"}, **spec)
    held: Observed = {"child_jobs": (make_child(suspended=True, failed=1),), **DRAINED}
    return with_status(job, decide(job, **held).status)


def test_the_clock_starts_when_a_worker_of_a_child_that_was_admitted_again_runs() -> None:
    job = make_queued_job()
    admitted = make_child(failed=1, suspension=RESUMED)
    waiting = decide(job, child_jobs=(admitted,), pods=(make_pod(unschedulable=True),), **DRAINED).status
    assert (waiting.phase, waiting.start_time) == ("Pending", None)
    leaving = decide(job, child_jobs=(admitted,), pods=(make_pod(deletion=NOW),), **DRAINED).status
    assert (leaving.phase, leaving.start_time) == ("Pending", None)
    running = decide(job, child_jobs=(admitted,), pods=(make_pod(),), **DRAINED).status
    assert (running.phase, running.start_time) == ("Running", "2026-05-01T12:00:00Z")


@pytest.mark.parametrize("pods", [(), (make_pod(deletion=NOW),)], ids=["drained", "draining"])
def test_a_queued_job_that_ran_before_follows_another_priority(pods: Any) -> None:
    job = make_queued_job()
    held: Observed = {"child_jobs": (make_child(suspended=True, failed=1, labels=GPU_LABELS),), "pods": pods, **DRAINED}
    assert steps(job, **held) == []
    job = job.model_copy(update={"spec": job.spec.model_copy(update={"priority": "batch"})})
    assert steps(job, **held) == ["delete triage-0"]


def test_backends_do_not_matter_to_a_suspended_job() -> None:
    job = suspended(make_planned_job())
    assert decide(job, backends=(make_backend(ready=False),)).status.phase == "Suspended"
