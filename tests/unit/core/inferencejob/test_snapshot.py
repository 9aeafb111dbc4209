"""What has to be fetched for a decision, and whose pods it may believe."""

from typing import Any

import pytest

from splai.api.inference_job import InferenceJob, InferenceJobStatus
from splai.core.inferencejob.snapshot import needs_config_map, needs_progress, own_pods, reported_final
from tests.unit.core.builders import (
    canceled,
    make_child,
    make_final,
    make_job,
    make_planned_job,
    make_pod,
    make_running_job,
)

CONFIG_MAP = {"configMap": {"name": "tickets", "key": "lines"}}
OVER = InferenceJobStatus(phase="Completed", spec_hash="h")


def reporting(**final: Any) -> Any:
    report = make_final(**final).model_dump_json(by_alias=True)
    return make_pod(phase="Succeeded", worker={"terminated": True, "exit_message": report})


@pytest.mark.parametrize(
    ("job", "want"),
    [
        (make_job(input=CONFIG_MAP), True),
        (make_job(), False),
        (make_job(input=CONFIG_MAP, status=InferenceJobStatus(spec_hash="h")), False),
        (make_job(input=CONFIG_MAP, status=InferenceJobStatus(phase="Failed")), False),
        (canceled(make_job(input=CONFIG_MAP)), False),
    ],
    ids=["unplanned", "another input", "planned", "over", "canceled"],
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
    ],
)
def test_progress_is_read_once_there_may_be_some(job: InferenceJob, child_jobs: Any, pods: Any, want: bool) -> None:
    assert needs_progress(job, child_jobs, pods) is want


def test_pods_of_an_earlier_job_of_the_same_name_are_not_ours() -> None:
    mine, other = make_pod(), make_pod(1, uid="another")
    assert own_pods(make_job(), (other, mine)) == (mine,)


@pytest.mark.parametrize("message", ["", '{"reason": "Drained"}', '{"nonce": 5}', 'nonsense with "nonce"'])
def test_other_termination_messages_are_no_final_report(message: str) -> None:
    assert reported_final([make_pod(worker={"terminated": True, "exit_message": message})]) is None


def test_the_report_of_a_container_that_runs_again_is_old() -> None:
    report = make_final().model_dump_json(by_alias=True)
    assert reported_final([make_pod(worker={"exit_message": report})]) is None
