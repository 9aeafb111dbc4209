from typing import Any

from splai.api.inference_job import InferenceJob
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import ConfigMapMissing
from tests.unit.core.builders import (
    NO_GPU,
    NOW,
    canceled,
    make_backend,
    make_child,
    make_final,
    make_job,
    make_planned_job,
    make_pod,
    make_progress,
    make_running_job,
    make_snapshot,
    with_status,
)

CHILD: dict[str, Any] = {"child_jobs": (make_child(),)}


def events(job: InferenceJob, **observed: Any) -> list[tuple[str, str, str]]:
    return [(event.type, event.reason, event.message) for event in plan(make_snapshot(job, **observed), NOW).events]


def test_a_job_that_is_planned_at_first_sight_tells_nothing() -> None:
    assert events(make_job()) == []


def test_a_plan_that_was_waited_for_is_told() -> None:
    waiting = with_status(make_job(), plan(make_snapshot(make_job(), backends=()), NOW).status)
    assert events(waiting) == [
        ("Normal", "Validated", "3 records in 3 tasks, read as jsonl; ModelBackend smol will answer")
    ]


def test_the_first_child_is_not_told_and_its_successor_is() -> None:
    assert events(make_planned_job(), **CHILD) == []
    first = with_status(make_planned_job(), plan(make_snapshot(make_planned_job(), **CHILD), NOW).status)
    assert events(first, child_jobs=(make_child(1),)) == [
        ("Normal", "WorkersReplaced", "Job triage-1 goes on with the work of triage-0")
    ]


def test_trouble_is_told_once() -> None:
    job = make_planned_job()
    stuck: dict[str, Any] = {**CHILD, "pods": (make_pod(unschedulable=True),)}
    assert ("Warning", "Unschedulable", NO_GPU) in events(job, **stuck)
    assert events(with_status(job, plan(make_snapshot(job, **stuck), NOW).status), **stuck) == []


def test_a_missing_backend_is_told() -> None:
    assert [event[1] for event in events(make_job(), backends=())] == ["BackendNotFound"]


def test_a_missing_config_map_is_told() -> None:
    job = make_job(input={"configMap": {"name": "tickets", "key": "lines"}})
    missing = ConfigMapMissing("ConfigMap tickets does not exist")
    assert events(job, config_map=missing) == [("Warning", "ConfigMapNotFound", "ConfigMap tickets does not exist")]


def test_a_failed_pod_is_told_with_its_last_words() -> None:
    report = '{"reason": "StoreFull", "message": "no space left"}'
    pod = make_pod(phase="Failed", worker={"terminated": True, "exit_code": 1, "exit_message": report})
    seen = {"child_jobs": (make_child(failed=1),), "pods": (pod,), "progress": make_progress()}
    assert events(make_running_job(), **seen) == [
        (
            "Warning",
            "WorkerFailed",
            "worker pods that failed so far: 1; the last: pod triage-0-0: exit code 1, StoreFull: no space left",
        )
    ]


def test_a_bad_input_is_told_as_a_failure() -> None:
    assert events(make_job(records=0)) == [("Warning", "Failed", "spec.input: holds no record")]


def test_the_end_is_told() -> None:
    done = {**CHILD, "pods": (make_pod(),), "progress": make_progress(committed=3, final=make_final())}
    assert events(make_running_job(), **done) == [("Normal", "Completed", "3 of 3 records were answered")]


def test_cancel_is_told_at_its_begin_and_at_its_end() -> None:
    job = canceled(make_running_job())
    seen: dict[str, Any] = {**CHILD, "pods": (make_pod(),), "progress": make_progress()}
    assert [event[1] for event in events(job, **seen)] == ["Canceling"]
    canceling = with_status(job, plan(make_snapshot(job, **seen), NOW).status)
    closed = make_progress(final=make_final(failed=3, complete=False, code="batch_cancelled"))
    assert events(canceling, progress=closed) == [
        ("Normal", "Canceled", "canceled: 0 of 3 records were answered, 3 failed")
    ]


def test_what_is_long_is_shortened() -> None:
    name = "x" * 253
    job = make_job(backendRef={"name": name})
    many = tuple(make_backend("y" * 200 + str(number)) for number in range(20))
    ((_, _, message),) = events(job, backends=many)
    assert len(message) == 1024
