"""The conditions WorkersReady and BackendReady say the truth in the words of whoever knows it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from splai.api.inference_job import InferenceJob
from splai.core.conditions import find_condition
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import Unavailable
from splai.core.observed import ObservedJob
from splai.core.plan import ObjectReference, Refusal
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
    make_report,
    make_running_job,
    make_snapshot,
)

CHILD = {"child_jobs": (make_child(),)}
JOB_0 = ObjectReference(api_version="batch/v1", kind="Job", namespace="team", name="triage-0")


def condition(name: str, job: InferenceJob, *, at: datetime = NOW, **observed: Any) -> tuple[str, str, str]:
    found = find_condition(plan(make_snapshot(job, **observed), at).status.conditions, name)
    assert found is not None
    return found.status, found.reason, found.message


def workers(job: InferenceJob, **observed: Any) -> tuple[str, str, str]:
    return condition("WorkersReady", job, **observed)


def backend(job: InferenceJob, **observed: Any) -> tuple[str, str, str]:
    return condition("BackendReady", job, **observed)


def waiting(reason: str, message: str) -> dict[str, Any]:
    return {"phase": "Pending", "worker": {"waiting_reason": reason, "waiting_message": message}}


@pytest.mark.parametrize(
    ("job", "observed", "want"),
    [
        (
            make_job(),
            {"backends": ()},
            ("False", "NotCreated", "workers are created when the input is valid and the backend can be used"),
        ),
        (make_job(), {}, ("False", "Creating", "the workers' Job is being created")),
        (make_planned_job(), CHILD, ("False", "Creating", "0 of 1 workers are ready")),
        (make_planned_job(), {**CHILD, "pods": (make_pod(unschedulable=True),)}, ("False", "Unschedulable", NO_GPU)),
        (
            make_planned_job(workers={"parallelism": 2}),
            {
                "child_jobs": (make_child(parallelism=2),),
                "pods": (make_pod(0), make_pod(1, unschedulable=True)),
                "progress": make_progress(),
            },
            ("False", "Unschedulable", f"1 of 2 workers: {NO_GPU}"),
        ),
        (
            make_planned_job(),
            {**CHILD, "pods": (make_pod(**waiting("ImagePullBackOff", "no such image")),)},
            ("False", "ImagePullFailed", "ImagePullBackOff: no such image"),
        ),
        (
            make_planned_job(),
            {**CHILD, "pods": (make_pod(), make_pod(0, child=7, unschedulable=True)), "progress": make_progress()},
            ("True", "WorkersReady", "1 of 1 workers are ready"),
        ),
        (
            make_running_job(),
            {**CHILD, "pods": (make_pod(phase="Succeeded"),), "progress": make_progress(committed=1)},
            ("True", "WorkersReady", "1 of 1 workers are ready"),
        ),
        (
            make_running_job(),
            {**CHILD, "pods": (make_pod(),), "progress": Unavailable("connection refused")},
            ("False", "ArtifactStoreUnavailable", "the artifact server does not answer: connection refused"),
        ),
        (
            make_planned_job(),
            {"child_jobs": (make_child(suspended=True),)},
            ("False", "Queued", "Job triage-0 is suspended by a queue"),
        ),
        (
            make_running_job(),
            {**CHILD, "pods": (make_pod(),), "progress": make_progress(committed=3)},
            ("True", "WorkersReady", "a worker writes the output"),
        ),
        (
            make_running_job(),
            {
                "child_jobs": (make_child(complete=True), make_child("finish")),
                "pods": (make_pod(child="finish", **waiting("ErrImagePull", "no such image")),),
                "progress": make_progress(committed=3),
            },
            ("False", "ImagePullFailed", "Job triage-finish, which writes the output: ErrImagePull: no such image"),
        ),
        (
            make_running_job(),
            {
                "child_jobs": (make_child(complete=True), make_child("finish", failure="BackoffLimitExceeded")),
                "progress": make_progress(committed=3),
            },
            ("False", "FinishFailed", "Job triage-finish, which writes the output, failed: it failed"),
        ),
        (
            canceled(make_running_job()),
            {**CHILD, "pods": (make_pod(),), "progress": make_progress()},
            ("False", "Stopping", "the workers are being stopped"),
        ),
        (
            make_running_job(),
            {**CHILD, "progress": make_progress(committed=3, final=make_final())},
            ("False", "Finished", "the work is over"),
        ),
    ],
)
def test_the_workers_condition(job: InferenceJob, observed: dict[str, Any], want: tuple[str, str, str]) -> None:
    assert workers(job, **observed) == want


def test_pods_that_nobody_refuses_are_only_late() -> None:
    """The Job controller may have thousands of other Jobs to work on."""
    late = NOW + timedelta(seconds=30)
    assert workers(make_planned_job(), at=late, **CHILD)[1:] == ("Creating", "0 of 1 workers are ready")


REFUSED = '{"reason": "OutputForbidden", "message": "s3://bucket: access denied"}'
FAILED_TRY = make_pod(
    child="finish", phase="Failed", worker={"terminated": True, "exit_code": 1, "exit_message": REFUSED}
)


@pytest.mark.parametrize(
    ("finish", "reason", "words"),
    [
        (make_child("finish"), "Finishing", "Job triage-finish writes the output; a try failed: "),
        (
            make_child("finish", failure="BackoffLimitExceeded"),
            "FinishFailed",
            "Job triage-finish, which writes the output, failed: ",
        ),
    ],
)
def test_what_keeps_the_output_from_being_written_is_told_in_the_pods_words(
    finish: ObservedJob, reason: str, words: str
) -> None:
    observed = {"child_jobs": (make_child(complete=True), finish), "pods": (FAILED_TRY,)}
    told = workers(make_running_job(), **observed, progress=make_progress(committed=3))
    last = "pod triage-finish-0: exit code 1, OutputForbidden: s3://bucket: access denied"
    assert told == ("False", reason, words + last)


def test_a_full_store_is_told_and_costs_nothing() -> None:
    full = make_progress(committed=1).model_copy(update={"store_full": True})
    observed: dict[str, Any] = {**CHILD, "pods": (make_pod(),), "progress": full}
    decision = plan(make_snapshot(make_running_job(), **observed), NOW)
    assert workers(make_running_job(), **observed)[:2] == ("False", "ArtifactStoreFull")
    assert (decision.actions, decision.status.phase) == ((), "Running")
    assert [event.reason for event in decision.events] == ["ArtifactStoreFull"]


def test_pods_that_nobody_makes_are_told_with_who_refuses_them() -> None:
    late = NOW + timedelta(seconds=30)
    words = 'pods "triage-0-0-" is forbidden: no PriorityClass with name splai-batch was found'
    assert workers(make_planned_job(), at=late, **CHILD, creation_trouble=words) == (
        *("False", "PriorityClassNotFound"),
        f"Job triage-0 has no pods: {words}",
    )
    assert workers(make_planned_job(), at=late, **CHILD, creation_trouble="exceeded quota: pods") == (
        *("False", "PodsNotCreated"),
        "Job triage-0 has no pods: exceeded quota: pods",
    )


@pytest.mark.parametrize(
    "reason", ["QuotaExceeded", "Forbidden", "NameConflict", "Invalid", "InternalError", "ArtifactStoreUnavailable"]
)
def test_a_refusal_is_told_in_the_words_of_who_refused(reason: str) -> None:
    refused = (Refusal(JOB_0, reason, "exceeded quota: pods"),)
    assert workers(make_job(), refusals=refused) == ("False", reason, "Job team/triage-0: exceeded quota: pods")
    assert reason in [event.reason for event in plan(make_snapshot(make_job(), refusals=refused), NOW).events]


def test_what_was_refused_is_waited_for_by_no_clock_but_the_jobs_own() -> None:
    """It is tried again with a backoff; pods of a Job that was not made are not due."""
    refused = (Refusal(JOB_0, "QuotaExceeded", "exceeded quota: pods"),)
    assert plan(make_snapshot(make_job()), NOW).poll_after == 30
    assert plan(make_snapshot(make_job(), refusals=refused), NOW).requeue_after is None
    assert plan(make_snapshot(make_job(completionWindow="1h"), refusals=refused), NOW).requeue_after == 3600


def test_workers_that_cannot_reach_the_backend_know_better_than_it() -> None:
    progress = make_progress(workers=[make_report(0, unreachable="connection refused")])
    observed = {**CHILD, "pods": (make_pod(),), "progress": progress}
    assert backend(make_running_job(), **observed) == (
        "False",
        "BackendUnreachable",
        "1 of 1 workers cannot reach it: connection refused",
    )


def test_the_report_of_a_worker_that_is_gone_counts_no_more() -> None:
    progress = make_progress(workers=[make_report(0, unreachable="connection refused"), make_report(1)])
    job = make_running_job(workers={"parallelism": 2})
    observed = {**CHILD, "pods": (make_pod(1),), "progress": progress}
    assert backend(job, **observed)[1] == "BackendReady"


def test_a_job_that_is_over_keeps_what_it_last_knew_of_its_backend() -> None:
    done = {**CHILD, "progress": make_progress(committed=3, final=make_final()), "backends": ()}
    assert backend(make_running_job(), **done)[1] == "BackendReady"


def test_an_unready_backend_says_so_before_anything_else() -> None:
    assert backend(make_job(), backends=(make_backend(ready=False),))[1] == "BackendNotReady"
