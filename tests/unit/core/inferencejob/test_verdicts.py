"""Conditions by phase, as kstatus and ``kubectl wait`` read them."""

from typing import Any

import pytest

from splai.api.inference_job import InferenceJob, InferenceJobStatus
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import ConfigMapMissing, ConfigMapUnreadable
from splai.core.plan import TEMPLATE_TIMEOUT, ObjectReference, Refusal
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
    make_snapshot,
)

WORKING: dict[str, Any] = {"child_jobs": (make_child(),), "pods": (make_pod(),)}
HELD = make_child(suspended=True)
TYPES = [
    *("Ready", "Reconciling", "Stalled", "Succeeded", "Failed"),
    *("Suspended", "Validated", "BackendReady", "QuotaReserved", "WorkersReady"),
]


def status(job: InferenceJob, **observed: Any) -> InferenceJobStatus:
    return plan(make_snapshot(job, **observed), NOW).status


@pytest.mark.parametrize(
    ("job", "observed", "phase", "want"),
    [
        (make_job(), {}, "Pending", "Unknown True False Unknown False"),
        (
            make_planned_job(),
            {"child_jobs": (make_child(suspended=True),)},
            "Queued",
            "Unknown True False Unknown False",
        ),
        (make_running_job(), {**WORKING, "progress": make_progress()}, "Running", "True False False Unknown False"),
        (
            make_running_job(),
            {**WORKING, "progress": make_progress(committed=3)},
            "Finalizing",
            "True False False Unknown False",
        ),
        (
            canceled(make_running_job()),
            {**WORKING, "progress": make_progress()},
            "Canceling",
            "True False False Unknown False",
        ),
        (
            make_running_job(),
            {**WORKING, "progress": make_progress(committed=3, final=make_final())},
            "Completed",
            "True False False True False",
        ),
        (make_job(records=0), {}, "Failed", "False False True False True"),
        (canceled(make_job()), {}, "Canceled", "True False False False False"),
    ],
)
def test_the_summary_follows_the_phase(job: InferenceJob, observed: dict[str, Any], phase: str, want: str) -> None:
    seen = status(job, **observed)
    assert seen.phase == phase
    assert [condition.type for condition in seen.conditions] == TYPES
    assert " ".join(condition.status for condition in seen.conditions[:5]) == want


def condition(of: InferenceJobStatus, name: str) -> tuple[str, str, str]:
    found = next(it for it in of.conditions if it.type == name)
    return found.status, found.reason, found.message


def test_bad_input_is_told_in_full_in_validated_and_in_short_elsewhere() -> None:
    seen = status(make_job(input={"items": [1, 2, 3]}))
    assert condition(seen, "Validated") == (
        "False",
        "ValidationFailed",
        "\n".join(f"item {number}: must be an object or a text" for number in (1, 2, 3)),
    )
    short = "item 1: must be an object or a text (and 2 more, see condition Validated)"
    assert condition(seen, "Failed") == ("True", "ValidationFailed", short)
    assert seen.message == short


def test_a_config_map_that_can_never_be_read_fails_the_job() -> None:
    job = make_job(input={"configMap": {"name": "tickets", "key": "lines"}})
    seen = status(job, config_map=ConfigMapUnreadable("the gzip data end too early"))
    want = ("False", "ValidationFailed", "spec.input.configMap: the gzip data end too early")
    assert (seen.phase, condition(seen, "Validated")) == ("Failed", want)


def test_an_input_that_is_not_there_yet_is_waited_for() -> None:
    job = make_job(input={"configMap": {"name": "tickets", "key": "lines"}})
    seen = status(job, config_map=ConfigMapMissing("ConfigMap tickets has no key lines"))
    assert (seen.phase, seen.message) == ("Pending", "ConfigMap tickets has no key lines")
    assert condition(seen, "Validated")[:2] == ("False", "ConfigMapNotFound")


def test_a_template_that_had_to_be_stopped_is_not_run_again() -> None:
    target = ObjectReference(api_version="splai.dev/v1alpha1", kind="InferenceJob", namespace="team", name="triage")
    stopped = (Refusal(target, TEMPLATE_TIMEOUT, "spec.prompt: the template did not finish in 10 s"),)
    seen = status(make_job(prompt={"template": "{{ nothing }}"}), refusals=stopped)
    assert (seen.phase, seen.message) == ("Failed", "spec.prompt: the template did not finish in 10 s")


def test_a_job_that_was_canceled_before_anything_was_read_says_so() -> None:
    assert condition(status(canceled(make_job())), "Validated") == ("Unknown", "NotValidated", "the input was not read")


def test_workers_that_failed_are_told_while_the_output_is_written_and_after() -> None:
    report = '{"reason": "InputChanged", "message": "the plan is not the one that was written"}'
    pod = make_pod(phase="Failed", worker={"terminated": True, "exit_code": 42, "exit_message": report})
    failed = {"child_jobs": (make_child(failure="PodFailurePolicy", failed=1),), "pods": (pod,)}
    job = make_running_job()
    closing = status(job, **failed, progress=make_progress())
    assert (closing.phase, closing.message) == ("Finalizing", "the plan is not the one that was written")
    assert condition(closing, "WorkersReady")[:2] == ("False", "InputChanged")
    closed = status(job, **failed, progress=make_progress(final=make_final(failed=3, complete=False)))
    assert condition(closed, "Failed") == ("True", "InputChanged", "the plan is not the one that was written")


def test_what_failed_is_remembered_when_the_evidence_is_gone() -> None:
    job = make_running_job()
    failed = make_child(failure="PodFailurePolicy", failed=1)
    closing = status(job, child_jobs=(failed,), progress=make_progress())
    job = job.model_copy(update={"status": closing})
    closed = status(job, progress=make_progress(final=make_final(failed=3, complete=False)))
    assert (closed.phase, condition(closed, "Failed")) == ("Failed", ("True", "InvalidInput", "it failed"))


def test_too_many_failed_pods_are_counted_and_the_last_one_is_quoted() -> None:
    pod = make_pod(phase="Failed", worker={"terminated": True, "exit_code": 137, "exit_reason": "OOMKilled"})
    child = make_child(failure="BackoffLimitExceeded", failed=7)
    seen = status(make_running_job(), child_jobs=(child,), pods=(pod,), progress=make_progress())
    assert seen.message == "7 worker pods failed, backoffLimit is 6; the last: pod triage-0-0: exit code 137, OOMKilled"
    assert seen.workers.failures == 7


def test_trouble_of_the_workers_is_the_message_of_the_job() -> None:
    stuck = {"child_jobs": (make_child(),), "pods": (make_pod(unschedulable=True),)}
    seen = status(make_planned_job(), **stuck)
    assert seen.message == condition(seen, "WorkersReady")[2] == condition(seen, "Ready")[2]
