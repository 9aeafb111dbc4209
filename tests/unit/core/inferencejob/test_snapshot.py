"""What has to be fetched for a decision, and whose pods it may believe."""

from datetime import timedelta
from typing import Any

import pytest

from splai.api.inference_job import InferenceJob, InferenceJobStatus
from splai.core.inferencejob.snapshot import (
    earlier_job_name,
    needs_config_map,
    needs_creation_trouble,
    needs_progress,
    needs_workload,
    own_pods,
    reported_final,
)
from splai.core.observed import ObservedJob, ObservedPod
from tests.unit.core.builders import (
    NOW,
    canceled,
    make_child,
    make_final,
    make_job,
    make_planned_job,
    make_pod,
    make_progress,
    make_running_job,
    suspended,
    with_status,
)
from tests.unit.core.inferencejob.decisions import decide

CONFIG_MAP = {"configMap": {"name": "tickets", "key": "lines"}}
S3 = {"s3": {"uri": "s3://bucket/records.jsonl"}}
OVER = InferenceJobStatus(phase="Completed", spec_hash="h")


def reporting(**final: Any) -> Any:
    report = make_final(**final).model_dump_json(by_alias=True)
    return make_pod(phase="Succeeded", worker={"terminated": True, "exit_message": report})


def paused() -> InferenceJob:
    """A job that ran, and whose start was cleared when it was suspended."""
    job = suspended(make_running_job())
    return job.model_copy(update={"status": job.status.model_copy(update={"start_time": None})})


def queued() -> InferenceJob:
    """A job whose child was seen in its queue."""
    return with_status(make_planned_job(), decide(make_planned_job(), child_jobs=(make_child(suspended=True),)).status)


def evicted() -> InferenceJob:
    """A job whose worker had claimed a task, and whose start was cleared when its queue took the quota back."""
    job = make_running_job()
    held = decide(job, child_jobs=(make_child(suspended=True),), progress=make_progress(claimed=1))
    return with_status(job, held.status)


@pytest.mark.parametrize(
    ("job", "want"),
    [
        (make_job(input=CONFIG_MAP), True),
        (make_job(), False),
        (make_job(input=CONFIG_MAP, status=InferenceJobStatus(spec_hash="h")), False),
        (make_job(input=CONFIG_MAP, status=InferenceJobStatus(phase="Failed")), False),
        (canceled(make_job(input=CONFIG_MAP)), False),
        (make_job(input=CONFIG_MAP, suspend=True), False),
    ],
    ids=["unplanned", "another input", "planned", "over", "canceled", "suspended"],
)
def test_the_config_map_is_read_until_the_work_is_planned(job: InferenceJob, want: bool) -> None:
    assert needs_config_map(job) is want


@pytest.mark.parametrize(
    ("job", "child_jobs", "pods", "want"),
    [
        (make_job(), (), (), False),
        (make_planned_job(), (), (), False),
        (make_planned_job(), (make_child(),), (make_pod(unschedulable=True),), False),
        (make_planned_job(), (make_child(),), (make_pod(),), True),
        (make_planned_job(), (make_child(failed=1),), (), True),
        (make_planned_job(), (make_child(),), (make_pod(uid="another"),), False),
        (make_running_job(), (), (), True),
        (make_job(), (make_child(),), (), True),
        (make_job(status=OVER), (make_child(),), (make_pod(),), False),
        (make_running_job(), (make_child(),), (reporting(),), False),
        (make_running_job(), (make_child(),), (reporting(failed=1),), True),
        (make_running_job(), (make_child(),), (reporting(complete=False),), True),
        (make_job(input=S3), (), (), True),
        (make_job(input=S3), (make_child("plan"),), (make_pod(child="plan"),), True),
        (make_job(input=S3), (make_child("plan", complete=True),), (make_pod(child="plan", phase="Succeeded"),), True),
        (make_job(input=S3, suspend=True), (), (), False),
        (suspended(make_planned_job()), (), (), False),
        (paused(), (), (), True),
        (suspended(paused(), suspend=False), (make_child(1),), (make_pod(child=1, unschedulable=True),), True),
        (evicted(), (make_child(suspended=True),), (), True),
        (evicted(), (), (), True),
        (queued(), (make_child(suspended=True),), (), False),
    ],
    ids=[
        "unplanned",
        "no child yet",
        "no pod has started",
        "a pod runs",
        "a pod failed and is gone",
        "the pod of another job",
        "has run before",
        "the status was lost",
        "over",
        "a final report without failures",
        "a final report with failures",
        "a final report of a job cut short",
        "an input that may have been read before",
        "an input that is being read",
        "an input that was read",
        "an input that is not to be read yet",
        "suspended before it began",
        "suspended at work",
        "resumed, and not at work again",
        "evicted at work",
        "evicted at work, and its child was deleted",
        "in a queue since it was made",
    ],
)
def test_progress_is_read_once_there_may_be_some(job: InferenceJob, child_jobs: Any, pods: Any, want: bool) -> None:
    assert needs_progress(job, child_jobs, pods) is want


@pytest.mark.parametrize(
    ("job", "want"),
    [
        (make_job(input={"failedOf": {"name": "earlier"}}), "earlier"),
        (make_job(input={"failedOf": {"name": "earlier"}}, status=InferenceJobStatus(spec_hash="h")), None),
        (make_job(), None),
    ],
    ids=["unplanned", "planned", "another input"],
)
def test_an_earlier_job_matters_until_the_work_is_planned(job: InferenceJob, want: str | None) -> None:
    assert earlier_job_name(job) == want


HELD, HELD_PLAN = make_child(suspended=True), make_child("plan", suspended=True)


@pytest.mark.parametrize(
    ("job", "child", "age", "want"),
    [
        (make_planned_job(), HELD, 60, HELD),
        (make_planned_job(), HELD, 59, None),
        (make_planned_job(), make_child(), 60, None),
        (make_planned_job(), make_child(suspended=True, deletion=NOW), 60, None),
        (make_job(status=OVER), HELD, 60, None),
        (make_job(input=S3), HELD_PLAN, 60, HELD_PLAN),
    ],
    ids=["held for a minute", "held for less", "not held", "being deleted", "over", "reading the input"],
)
def test_kueue_is_asked_about_a_child_that_it_has_held_for_a_while(
    job: InferenceJob, child: ObservedJob, age: int, want: ObservedJob | None
) -> None:
    assert needs_workload(job, (child,), NOW + timedelta(seconds=age)) == want


CHILD, PLAN, FINISH = make_child(), make_child("plan"), make_child("finish")


@pytest.mark.parametrize(
    ("children", "pods", "age", "want"),
    [
        ((CHILD,), (), 30, CHILD),
        ((CHILD,), (), 29, None),
        ((CHILD,), (make_pod(),), 30, None),
        ((CHILD,), (make_pod(child=7),), 30, CHILD),
        ((HELD,), (), 30, None),
        ((PLAN,), (), 30, PLAN),
        ((make_child("plan", complete=True), CHILD), (), 30, CHILD),
        ((make_child(complete=True), FINISH), (), 30, FINISH),
    ],
    ids=["overdue", "due", "there", "of an earlier child", "held", "reading", "working", "finishing"],
)
def test_events_are_read_of_a_child_whose_pods_are_overdue(
    children: tuple[ObservedJob, ...], pods: tuple[ObservedPod, ...], age: int, want: ObservedJob | None
) -> None:
    job = make_planned_job()
    assert needs_creation_trouble(job, children, pods, NOW + timedelta(seconds=age)) == want


def test_pods_of_an_earlier_job_of_the_same_name_are_not_ours() -> None:
    mine, other = make_pod(), make_pod(1, uid="another")
    assert own_pods(make_job(), (other, mine)) == (mine,)


@pytest.mark.parametrize("message", ["", '{"reason": "Drained"}', '{"nonce": 5}', 'nonsense with "nonce"'])
def test_other_termination_messages_are_no_final_report(message: str) -> None:
    assert reported_final([make_pod(worker={"terminated": True, "exit_message": message})]) is None


def test_the_report_of_a_container_that_runs_again_is_old() -> None:
    report = make_final().model_dump_json(by_alias=True)
    assert reported_final([make_pod(worker={"exit_message": report})]) is None
