from typing import Any

import pytest

from splai.api.inference_job import (
    InferenceJob,
    InferenceJobStatus,
    RequestCounts,
    TaskStatus,
    WorkersStatus,
)
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import Unavailable
from splai.core.inferencejob.status import BYTE_BUDGET, fit_budget
from tests.unit.core.builders import (
    NOW,
    UID,
    canceled,
    make_child,
    make_final,
    make_job,
    make_planned_job,
    make_pod,
    make_progress,
    make_report,
    make_running_job,
    make_snapshot,
    with_status,
)

BASE = f"http://splai-api-gateway.splai-system.svc:8080/v1/artifacts/team/{UID}"


def status(job: InferenceJob, **observed: Any) -> InferenceJobStatus:
    return plan(make_snapshot(job, **observed), NOW).status


def running(records: int = 3, **progress: Any) -> InferenceJobStatus:
    """The status of a running job with that progress."""
    seen = {"child_jobs": (make_child(active=1, ready=1),), "pods": (make_pod(),)}
    return status(make_running_job(records=records), **seen, progress=make_progress(records, **progress))


def size(of: InferenceJobStatus) -> int:
    return len(of.model_dump_json(by_alias=True, exclude_none=True).encode())


def test_the_first_status_says_what_was_planned() -> None:
    first = status(make_job())
    assert (first.phase, first.total, first.backend, first.observed_generation) == ("Pending", 3, "smol", 1)
    assert [task.phase for task in first.tasks] == ["Pending"] * 3
    assert first.spec_hash is not None
    assert first.start_time is None


def test_progress_is_counted_in_whole_percent_rounded_down() -> None:
    seen = running(committed=2)
    assert (seen.total, seen.succeeded, seen.failed, seen.progress_percent) == (3, 2, 0, 66)


def test_hundred_percent_means_all() -> None:
    assert running(3003, committed=230).progress_percent == 99  # 231 tasks, the last one is open


def test_failed_records_are_progress_too() -> None:
    seen = running(committed=3, failed=1)
    assert (seen.succeeded, seen.failed, seen.progress_percent) == (2, 1, 100)
    assert seen.request_counts == RequestCounts(total=3, completed=2, failed=1)


def test_requests_in_flight_are_those_of_workers_that_live() -> None:
    reports = [make_report(0, in_flight=5), make_report(1, in_flight=7)]
    assert running(workers=reports).request_counts.in_flight == 5


def test_counts_never_fall() -> None:
    job = with_status(make_running_job(), running(committed=2))
    behind = status(job, child_jobs=(make_child(),), pods=(make_pod(),), progress=make_progress(committed=1))
    assert (behind.succeeded, [task.phase for task in behind.tasks]) == (2, ["Completed", "Completed", "Pending"])


def test_an_artifact_server_that_is_away_takes_nothing_back() -> None:
    before = running(committed=2)
    away = status(with_status(make_running_job(), before), child_jobs=(make_child(),), progress=Unavailable("refused"))
    assert (away.succeeded, away.tasks) == (2, before.tasks)


def test_a_job_that_was_finalizing_still_is_while_the_store_is_away() -> None:
    job = with_status(make_running_job(), running(committed=3))
    assert status(job, child_jobs=(make_child(),), pods=(make_pod(),), progress=Unavailable("no")).phase == "Finalizing"


def test_a_task_tells_what_became_of_it() -> None:
    assert running(committed=1, claimed=1, failed=1).tasks[:2] == [
        TaskStatus(
            id="0000",
            phase="Completed",
            records=1,
            failed=1,
            attempts=1,
            worker="triage-0-0-uid",
            output_artifact_uri=f"{BASE}/tasks/0000/output.jsonl",
            message="1 of 1 records failed, see the errors file",
        ),
        TaskStatus(id="0001", phase="Running", records=1, attempts=1, worker="triage-0-0-uid"),
    ]


def test_the_output_appears_when_it_is_finished() -> None:
    assert running(committed=3).output is None
    done = running(committed=3, failed=1, final=make_final(failed=1))
    assert done.output is not None
    assert (done.output.uri, done.output.bytes, done.output.sha256) == (f"{BASE}/output.jsonl", 100, "aa")
    assert done.errors is not None
    assert done.errors.uri == f"{BASE}/errors.jsonl"
    assert done.usage.total_tokens == 12


def test_without_errors_there_is_no_errors_file() -> None:
    assert running(committed=3, final=make_final()).errors is None


@pytest.mark.parametrize(
    ("output", "folder", "want"),
    [
        ({}, "", (f"{BASE}/output.jsonl", f"{BASE}/errors.jsonl")),
        ({"format": "parquet"}, "", (f"{BASE}/output.parquet", f"{BASE}/errors.parquet")),
        (
            {"s3": {"uri": "s3://bucket/out"}},
            "s3://bucket/out/triage/",
            ("s3://bucket/out/triage/output.jsonl", "s3://bucket/out/triage/errors.jsonl"),
        ),
        (
            {"persistentVolumeClaim": {"claimName": "data", "path": "out"}, "format": "parquet"},
            "pvc://data/out/triage/",
            ("pvc://data/out/triage/output.parquet", "pvc://data/out/triage/errors.parquet"),
        ),
    ],
    ids=["artifact store", "parquet there", "bucket", "parquet on a volume"],
)
def test_the_files_are_where_the_finish_job_put_them(
    output: dict[str, Any], folder: str, want: tuple[str, str]
) -> None:
    final = make_final(failed=1, uri=folder)
    done = status(make_running_job(output=output), progress=make_progress(committed=3, failed=1, final=final))
    assert done.output is not None
    assert done.errors is not None
    assert (done.output.uri, done.errors.uri) == want


def test_the_growth_of_the_output_is_shown() -> None:
    progress = make_progress(committed=3).model_copy(update={"finalized_bytes": 12_345_678})
    seen = status(make_running_job(), child_jobs=(make_child(),), pods=(make_pod(),), progress=progress)
    assert seen.message == "the output is being written, 12.3 MB so far"


def test_many_tasks_share_one_prefix() -> None:
    done = running(101, committed=101, final=make_final(101))
    assert done.output is not None
    assert done.output.task_uri_prefix == f"{BASE}/tasks/"
    assert {task.output_artifact_uri for task in done.tasks} == {None}
    assert running(100, committed=100).tasks[99].output_artifact_uri == f"{BASE}/tasks/0099/output.jsonl"


def test_a_final_report_in_a_pod_is_the_outcome_before_the_ledger_was_read() -> None:
    report = make_final().model_dump_json(by_alias=True)
    pod = make_pod(phase="Succeeded", worker={"terminated": True, "exit_code": 0, "exit_message": report})
    done = status(make_planned_job(), child_jobs=(make_child(succeeded=1),), pods=(pod,))
    assert (done.phase, done.succeeded, done.progress_percent) == ("Completed", 3, 100)
    assert {(task.phase, task.completed) for task in done.tasks} == {("Completed", 1)}


def test_the_final_report_of_an_earlier_job_of_the_same_name_is_not_ours() -> None:
    report = make_final().model_dump_json(by_alias=True)
    pod = make_pod(uid="another", phase="Succeeded", worker={"terminated": True, "exit_message": report})
    assert status(make_planned_job(), child_jobs=(make_child(),), pods=(pod,)).phase == "Pending"


def test_a_canceled_job_keeps_what_is_done() -> None:
    job = canceled(make_running_job())
    final = make_final(failed=2, complete=False, code="batch_cancelled")
    done = status(job, progress=make_progress(committed=1, final=final))
    assert (done.phase, done.succeeded, done.failed) == ("Canceled", 1, 2)
    assert [task.phase for task in done.tasks] == ["Completed", "Canceled", "Canceled"]


def test_the_workers_are_told_as_long_as_they_work() -> None:
    assert running().workers == WorkersStatus(job_name="triage-0", active=1, ready=1)
    assert running(committed=3, final=make_final()).workers == WorkersStatus(job_name="triage-0")


def test_a_child_is_only_named_when_it_was_seen() -> None:
    """Else a cache that lags behind our own write would look like a deletion."""
    assert status(make_job()).workers.job_name is None
    assert status(make_planned_job()).workers.job_name is None


def test_a_status_that_was_lost_is_found_in_the_ledger() -> None:
    found = status(make_job(), child_jobs=(make_child(),), progress=make_progress(committed=1))
    assert (found.spec_hash, found.total, found.succeeded) == ("of-the-plan", 3, 1)


def test_a_child_proves_that_the_work_was_planned_whatever_the_input_says_now() -> None:
    seen = status(make_job(records=0), child_jobs=(make_child(),), progress=Unavailable("refused"))
    assert (seen.phase, seen.spec_hash) == ("Pending", None)


def test_the_finish_job_is_no_start_of_the_work() -> None:
    job = canceled(make_planned_job())
    seen = status(job, child_jobs=(make_child("finish"),), pods=(make_pod(child="finish"),))
    assert (seen.phase, seen.start_time) == ("Canceling", None)


def test_a_job_that_is_over_only_follows_its_generation() -> None:
    over = running(committed=3, final=make_final())
    later = status(make_job(status=over, generation=2, cancel=True))
    assert later.observed_generation == 2
    assert {condition.observed_generation for condition in later.conditions} == {2}
    assert later.model_copy(update={"observed_generation": 1, "conditions": over.conditions}) == over


@pytest.mark.parametrize("long", ["x" * 120, "ü" * 120])
def test_the_largest_status_fits_its_budget(long: str) -> None:
    tasks = [
        TaskStatus(id=f"{number:04d}", phase="Running", records=10**6, completed=10**6, worker=long, message=long)
        for number in range(1000)
    ]
    shortened = fit_budget(InferenceJobStatus(tasks=tasks))
    assert size(shortened) <= BYTE_BUDGET
    assert len(shortened.tasks) == 1000


def test_what_is_dropped_first_is_what_is_missed_least() -> None:
    tasks = [
        TaskStatus(id="0000", phase="Completed", worker="w" * 100, message="m" * 100),
        TaskStatus(id="0001", phase="Running", worker="w" * 100, message="m" * 100),
    ]
    whole = InferenceJobStatus(tasks=tasks)
    steps = [
        [(task.id, task.worker is not None, task.message is not None) for task in fit_budget(whole, budget).tasks]
        for budget in (size(whole), size(whole) - 1, size(whole) - 250, size(whole) - 460)
    ]
    assert steps == [
        [("0000", True, True), ("0001", True, True)],
        [("0000", False, True), ("0001", False, True)],
        [("0000", False, False), ("0001", False, False)],
        [("0001", False, False)],
    ]
