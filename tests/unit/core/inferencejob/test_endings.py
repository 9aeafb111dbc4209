"""Deadlines, the completion window and the failure policy: when they end a job, and what its records are told."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from splai.api.inference_job import InferenceJob
from splai.core.inferencejob.snapshot import Unavailable
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
from tests.unit.core.inferencejob.decisions import Observed, closing, condition, created, decide, events, steps

RUNNING: Observed = {"child_jobs": (make_child(),), "pods": (make_pod(),), "progress": make_progress(committed=1)}
STOPPED: Observed = {"progress": make_progress(committed=1)}
S3 = {"s3": {"uri": "s3://bucket/key"}}
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def refused(reason: str, exit_code: int) -> dict[str, Any]:
    """The container of a finish pod whose place takes no output."""
    words = f'{{"reason": "{reason}", "message": "s3://bucket"}}'
    return {"terminated": True, "exit_code": exit_code, "exit_message": words}


class TestCompletionWindow:
    """It opens with the resource: builders create jobs at NOW."""

    @pytest.mark.parametrize(
        ("job", "observed"),
        [
            (make_job(completionWindow="1h"), {"backends": ()}),
            (make_job(completionWindow="1h", suspend=True), {}),
            (
                make_job(completionWindow="1h", input=S3),
                {"child_jobs": (make_child("plan"),)},
            ),
        ],
        ids=["waiting for a backend", "suspended", "being read"],
    )
    def test_a_job_that_was_never_planned_fails_at_its_end(self, job: InferenceJob, observed: Observed) -> None:
        before = decide(job, at=NOW + HOUR - SECOND, **observed)
        assert before.status.phase in ("Pending", "Suspended")
        assert before.requeue_after == 1.0
        after = decide(job, at=NOW + HOUR, **observed)
        assert (after.status.phase, condition(after.status, "Failed")[1]) == ("Failed", "Expired")
        assert after.status.message == "the completion window of 1h is over"
        assert not any(step.startswith("create") for step in steps(job, at=NOW + HOUR, **observed))

    def test_its_planning_pod_ends_with_it(self) -> None:
        job = make_job(completionWindow="1h", input=S3)
        assert steps(job, at=NOW + HOUR, child_jobs=(make_child("plan"),)) == ["delete triage-plan"]

    @pytest.mark.parametrize(
        ("job", "observed"),
        [
            (make_running_job(completionWindow="1h"), STOPPED),
            (make_planned_job(completionWindow="1h"), {"child_jobs": ()}),
            (suspended(make_running_job(completionWindow="1h")), STOPPED),
        ],
        ids=["running", "not started", "suspended"],
    )
    def test_what_is_done_is_written_out(self, job: InferenceJob, observed: Observed) -> None:
        assert closing(created(job, at=NOW + HOUR, **observed)) == (
            "batch_expired",
            "the completion window of 1h is over, and this record was not answered in it",
        )

    def test_workers_end_first_and_it_is_told(self) -> None:
        job = make_running_job(completionWindow="1h")
        decision = decide(job, at=NOW + HOUR, **RUNNING)
        assert steps(job, at=NOW + HOUR, **RUNNING) == ["delete triage-0"]
        assert (decision.status.phase, events(decision)) == ("Finalizing", ["Expired"])

    def test_a_job_that_a_queue_holds_expires_as_well(self) -> None:
        job = make_planned_job(completionWindow="1h")
        assert steps(job, at=NOW + HOUR, child_jobs=(make_child(suspended=True),)) == ["delete triage-0"]

    def test_work_that_is_all_done_does_not_expire(self) -> None:
        job = make_running_job(completionWindow="1h")
        done = make_progress(committed=3)
        assert decide(job, at=NOW + HOUR, progress=done).status.phase == "Finalizing"
        assert closing(created(job, at=NOW + HOUR, progress=done)) == ("", "")

    def test_the_output_of_an_expired_job_says_so(self) -> None:
        job = make_running_job(completionWindow="1h")
        job = with_status(job, decide(job, at=NOW + HOUR, **STOPPED).status)
        final = make_final(failed=2, complete=False, code="batch_expired")
        status = decide(canceled(job), at=NOW + HOUR, progress=make_progress(final=final)).status
        assert condition(status, "Failed") == (
            *("True", "Expired"),
            "the completion window of 1h is over; 1 of 3 records were answered, 2 failed",
        )

    def test_its_end_is_in_the_status(self) -> None:
        assert decide(make_job(completionWindow="1h")).status.expires_at == "2026-05-01T13:00:00Z"
        assert decide(make_job()).status.expires_at is None


class TestActiveDeadline:
    JOB = make_running_job(activeDeadlineSeconds=600)

    def test_it_counts_from_the_first_start_of_a_worker(self) -> None:
        just_before = NOW + timedelta(seconds=599)
        decision = decide(self.JOB, at=just_before, **RUNNING)
        assert (decision.status.phase, decision.requeue_after) == ("Running", 1.0)
        assert steps(self.JOB, at=just_before + SECOND, **RUNNING) == ["delete triage-0"]

    def test_it_is_looked_for_as_soon_as_there_is_a_start(self) -> None:
        job = make_planned_job(activeDeadlineSeconds=1)
        assert decide(job, **RUNNING).requeue_after == 1.0

    def test_what_is_done_is_written_out(self) -> None:
        code, message = closing(created(self.JOB, at=NOW + HOUR, **STOPPED))
        assert (code, message.startswith("the workers ran for the 600 s")) == ("deadline_exceeded", True)

    def test_a_job_that_waits_has_no_deadline(self) -> None:
        job = make_planned_job(activeDeadlineSeconds=600)
        assert steps(job, at=NOW + HOUR, child_jobs=(make_child(),), pods=(make_pod(phase="Pending"),)) == []

    def test_the_reason_is_that_of_the_ledger(self) -> None:
        final = make_final(failed=2, complete=False, code="deadline_exceeded")
        status = decide(self.JOB, at=NOW + HOUR, progress=make_progress(final=final)).status
        assert (status.phase, condition(status, "Failed")[1]) == ("Failed", "DeadlineExceeded")


class TestFailurePolicy:
    @pytest.mark.parametrize(
        ("allowed", "failed", "ends"),
        [(0, 1, True), (1, 1, False), ("33%", 1, True), ("34%", 1, False), ("0%", 0, False)],
    )
    def test_more_durable_failures_than_allowed_end_the_job(self, allowed: Any, failed: int, *, ends: bool) -> None:
        job = make_running_job(failurePolicy={"maxFailedRecords": allowed})
        progress = make_progress(committed=1, failed=failed)
        assert (decide(job, **{**RUNNING, "progress": progress}).status.phase == "Finalizing") is ends

    def test_the_numbers_are_told(self) -> None:
        job = make_running_job(failurePolicy={"maxFailedRecords": 0})
        decision = decide(job, **{**RUNNING, "progress": make_progress(committed=1, failed=1)})
        assert decision.status.message == "1 of 3 records failed, failurePolicy allows 0"
        assert "FailurePolicyExceeded" in events(decision)

    def test_what_is_done_is_written_out(self) -> None:
        job = make_running_job(failurePolicy={"maxFailedRecords": 0})
        body = created(job, progress=make_progress(committed=1, failed=1))
        assert closing(body)[0] == "too_many_failures"

    def test_the_last_record_counts_even_if_nobody_looked_before_the_output_was_there(self) -> None:
        job = make_running_job(failurePolicy={"maxFailedRecords": 0})
        done = make_progress(committed=3, failed=1, final=make_final(failed=1))
        status = decide(job, progress=done).status
        assert (status.phase, condition(status, "Failed")[1]) == ("Failed", "FailurePolicyExceeded")
        assert status.output is not None

    def test_records_that_a_cancel_left_without_an_answer_are_no_failures(self) -> None:
        job = canceled(make_running_job(failurePolicy={"maxFailedRecords": 0}))
        final = make_final(failed=2, complete=False, code="batch_cancelled")
        assert decide(job, progress=make_progress(final=final)).status.phase == "Canceled"

    def test_without_a_policy_failed_records_do_not_fail_the_job(self) -> None:
        done = make_progress(committed=3, failed=1, final=make_final(failed=3))
        assert decide(make_running_job(), progress=done).status.phase == "Completed"


def test_a_closing_goes_on_when_its_cause_is_gone() -> None:
    """The failed child was deleted by hand while the finish Job writes: no worker may start again beside it."""
    job = make_running_job()
    failed: Observed = {"child_jobs": (make_child(failure="PodFailurePolicy", failed=1),), "progress": make_progress()}
    job = with_status(job, decide(job, **failed).status)
    decision = decide(job, child_jobs=(make_child("finish"),), progress=make_progress())
    assert (decision.actions, decision.status.phase) == ((), "Finalizing")
    assert condition(decision.status, "Ready")[1] == "InvalidInput"


@pytest.mark.parametrize(
    ("job", "first", "code"),
    [
        (make_running_job(completionWindow="1h"), NOW + HOUR, "batch_expired"),
        (canceled(make_running_job(completionWindow="2h")), NOW + HOUR, "batch_cancelled"),
        (make_running_job(activeDeadlineSeconds=60, completionWindow="2h"), NOW + HOUR, "deadline_exceeded"),
    ],
    ids=["window", "cancel", "deadline"],
)
def test_a_closing_stays_what_it_began_as(job: InferenceJob, first: Any, code: str) -> None:
    """The finish Job writes what it was told; when it has to be made again, it is told the same."""
    job = with_status(job, decide(job, at=first, **STOPPED).status)
    finish: Observed = {"child_jobs": (make_child("finish"),), **STOPPED}
    phase = decide(job, at=first, **finish).status.phase
    later = decide(canceled(job), at=first + 2 * HOUR, **finish).status
    assert (later.phase, condition(later, "Ready")[1]) == (phase, condition(job.status, "Ready")[1])
    closed = {**STOPPED, "progress": make_progress(committed=1).model_copy(update={"closing": True})}
    assert closing(created(canceled(job), at=first + 2 * HOUR, **closed))[0] == code


class TestOutputThatCannotBeWritten:
    """The window does not end it: the answers are there, and a place that refuses them may be mended."""

    TRIED: ClassVar[Observed] = {
        "child_jobs": (make_child(complete=True), make_child("finish", failure="BackoffLimitExceeded")),
        "pods": (make_pod(child="finish", phase="Failed", worker=refused("OutputForbidden", 1)),),
        "progress": make_progress(committed=3),
    }
    USELESS: ClassVar[Observed] = {
        "child_jobs": (make_child(complete=True), make_child("finish", failure="PodFailurePolicy")),
        "pods": (make_pod(child="finish", phase="Failed", worker=refused("OutputInvalid", 42)),),
        "progress": make_progress(committed=3),
    }

    def test_it_is_tried_for_ever_while_somebody_may_mend_the_place(self) -> None:
        job = make_running_job(completionWindow="1h")
        assert decide(job, at=NOW + 2 * HOUR, **self.TRIED).status.phase == "Finalizing"
        assert steps(job, at=NOW + 2 * HOUR, **self.TRIED) == ["delete triage-finish"]

    def test_a_cancel_ends_it_once_all_tries_failed(self) -> None:
        job = canceled(make_running_job())
        first_tries = {**self.TRIED, "child_jobs": (make_child(complete=True), make_child("finish"))}
        assert decide(job, **first_tries).status.phase == "Canceling"
        decision = decide(job, **self.TRIED)
        assert (decision.status.phase, decision.actions) == ("Failed", ())
        assert condition(decision.status, "Failed") == (
            *("True", "OutputFailed"),
            "the output cannot be written: pod triage-finish-0: exit code 1, OutputForbidden: s3://bucket; "
            "the tasks' own outputs are kept",
        )

    def test_an_output_that_no_try_can_write_ends_the_job(self) -> None:
        status = decide(make_running_job(), **self.USELESS).status
        assert (status.phase, condition(status, "Failed")[1]) == ("Failed", "OutputFailed")
        assert [task.phase for task in status.tasks] == ["Completed"] * 3

    def test_an_output_that_is_there_after_all_counts(self) -> None:
        done = {**self.USELESS, "progress": make_progress(committed=3, final=make_final())}
        assert decide(canceled(make_running_job()), **done).status.phase == "Completed"

    def test_nothing_is_given_up_while_the_ledger_cannot_be_read(self) -> None:
        job = with_status(make_running_job(), decide(make_running_job(), progress=make_progress(committed=3)).status)
        away = {**self.USELESS, "progress": Unavailable("refused")}
        assert decide(job, **away).status.phase == "Finalizing"


HELD_JOBS = {
    "waiting for a backend": (make_job(), {"backends": ()}, "Canceled", []),
    "waiting for its input": (make_job(input={"configMap": {"name": "a", "key": "b"}}), {}, "Canceled", []),
    "being read": (make_job(input=S3), {"child_jobs": (make_child("plan"),)}, "Canceled", ["delete triage-plan"]),
    "suspended, unplanned": (make_job(suspend=True), {}, "Canceled", []),
    "planned": (make_planned_job(), {}, "Canceling", ["create triage-finish"]),
    "queued": (
        make_planned_job(),
        {"child_jobs": (make_child(suspended=True),)},
        *("Canceling", ["delete triage-0"]),
    ),
    "running": (make_running_job(), RUNNING, "Canceling", ["delete triage-0"]),
    "suspended": (suspended(make_running_job()), STOPPED, "Canceling", ["create triage-finish"]),
    "finalizing": (make_running_job(), {**RUNNING, "progress": make_progress(committed=3)}, "Canceling", []),
}


@pytest.mark.parametrize(("job", "observed", "phase", "want"), HELD_JOBS.values(), ids=HELD_JOBS)
def test_a_job_can_be_canceled_in_every_phase(
    job: InferenceJob, observed: Observed, phase: str, want: list[str]
) -> None:
    assert decide(canceled(job), **observed).status.phase == phase
    assert steps(canceled(job), **observed) == want
    again = with_status(canceled(job), decide(canceled(job), **observed).status)
    assert decide(again, **observed).events == ()
