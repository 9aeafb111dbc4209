"""A job under a policy is decided by its effective spec, and by nothing of the one that was written."""

from datetime import timedelta
from typing import Any

import pytest

from splai.api.inference_job import InferenceJob
from splai.core.plan import WriteWorkOrder
from tests.unit.core.builders import (
    NOW,
    make_backend,
    make_child,
    make_final,
    make_job,
    make_pod,
    make_progress,
    with_status,
)
from tests.unit.core.inferencejob.decisions import condition, created, decide, events, steps

POLICIES: dict[str, dict[str, Any]] = {
    "nightly": {
        "model": "llama3-8b-q4",
        "defaults": {"parallelism": 2, "concurrency": 7, "completionWindow": "1h", "ttlSecondsAfterFinished": 60},
        "limits": {"maxRecords": 5, "maxParallelism": 3, "models": ["llama3-8b-q4"]},
    }
}


def make_policy_job(**spec: Any) -> InferenceJob:
    return make_job(policy="nightly", **spec)


def test_what_the_user_left_out_is_the_policys() -> None:
    job = make_policy_job()
    (order, _) = decide(job, policies=POLICIES).actions
    assert isinstance(order, WriteWorkOrder)
    assert order.order.concurrency == 7
    assert created(job, policies=POLICIES)["spec"]["parallelism"] == 2
    assert decide(job, policies=POLICIES).status.expires_at == "2026-05-01T13:00:00Z"


def test_a_job_that_names_no_model_has_the_policys() -> None:
    job = make_policy_job()
    job = job.model_copy(update={"spec": job.spec.model_copy(update={"model": None})})
    (order, _) = decide(job, policies=POLICIES).actions
    assert isinstance(order, WriteWorkOrder)
    assert order.order.model == "llama3-8b-q4"


@pytest.mark.parametrize(
    ("job", "parallelism"),
    [
        (make_job(workers={"minParallelism": 3}), 1),
        (make_policy_job(workers={"minParallelism": 3}), 2),
        (make_policy_job(workers={"minParallelism": 3}, input={"s3": {"uri": "s3://bucket/records.jsonl"}}), 2),
    ],
    ids=["the built-in one", "the policy's", "before an input is read"],
)
def test_more_workers_at_least_than_the_default_has_at_most_are_refused(job: InferenceJob, parallelism: int) -> None:
    """Where both are written the CRD's rule refuses it."""
    status = decide(job, policies=POLICIES).status
    assert (status.phase, condition(status, "Failed")[1]) == ("Failed", "ValidationFailed")
    assert condition(status, "Validated")[2] == (
        f"spec.workers.minParallelism: is 3, more than the parallelism of {parallelism}; set spec.workers.parallelism"
    )


def test_as_many_workers_at_least_as_at_most_are_fine() -> None:
    job = make_policy_job(workers={"minParallelism": 2})
    assert steps(job, policies=POLICIES) == ["write the work order of 3 records", "create triage-0"]


def test_a_default_deadline_is_a_deadline() -> None:
    late = decide(make_policy_job(), at=NOW + timedelta(hours=1), policies=POLICIES)
    assert condition(late.status, "Failed")[:2] == ("True", "Expired")


def test_a_default_time_to_live_is_one() -> None:
    job = make_policy_job()
    job = with_status(job, decide(job, policies=POLICIES).status)
    done = make_progress(committed=3, final=make_final())
    over = decide(job, child_jobs=(make_child(),), pods=(make_pod(),), progress=done, policies=POLICIES)
    assert over.requeue_after == 60.0

    longer = {"nightly": {"defaults": {"ttlSecondsAfterFinished": 90}}}
    assert decide(with_status(job, over.status), policies=longer).status.expires_at == "2026-05-01T12:01:30Z"
    assert decide(with_status(job, over.status)).status.expires_at is None


def test_an_unknown_policy_is_waited_for() -> None:
    decision = decide(make_policy_job())
    assert (decision.actions, decision.status.phase) == ((), "Pending")
    assert condition(decision.status, "Ready")[1] == "PolicyNotFound"
    assert events(decision) == ["PolicyNotFound"]
    assert steps(make_policy_job(), policies=POLICIES) == ["write the work order of 3 records", "create triage-0"]


def test_a_model_that_only_an_unknown_policy_has_is_nobodys() -> None:
    job = make_policy_job()
    job = job.model_copy(update={"spec": job.spec.model_copy(update={"model": None})})
    status = decide(job).status
    assert condition(status, "Ready")[1] == "PolicyNotFound"
    assert condition(status, "BackendReady")[2] == (
        "neither the job nor its policy names a model, and no ModelBackend of namespace team has routing.default"
    )


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (
            make_policy_job(workers={"parallelism": 4}),
            "spec.workers.parallelism: is 4, policy nightly allows at most 3",
        ),
        (make_policy_job(records=6), "holds more than the 5 records that the policy nightly allows"),
        (make_policy_job(model="other"), "spec.model: is other, policy nightly allows only llama3-8b-q4"),
        (make_policy_job(backendRef={"name": "smol"}), "spec.backendRef.name: serves other"),
    ],
    ids=["parallelism", "records", "model", "backend"],
)
def test_more_than_it_allows_fails_the_job_before_anything_is_made(job: InferenceJob, words: str) -> None:
    backends = (make_backend(model_id="other" if job.spec.backend_ref else "llama3-8b-q4"),)
    decision = decide(job, policies=POLICIES, backends=backends)
    assert (decision.actions, decision.status.phase) == ((), "Failed")
    assert condition(decision.status, "Failed")[1] == "PolicyViolation"
    assert words in decision.status.message


def test_a_policy_that_is_gone_stops_no_job_that_was_planned() -> None:
    job = make_policy_job()
    job = with_status(job, decide(job, policies=POLICIES).status)
    running = decide(job, child_jobs=(make_child(parallelism=1),), pods=(make_pod(),), progress=make_progress())
    assert (running.actions, running.status.phase) == ((), "Running")
