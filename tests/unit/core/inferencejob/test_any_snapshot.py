"""What holds for any observation, also for those that no order of events should lead to."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from splai.api.inference_job import TERMINAL_PHASES, InferenceJob
from splai.api.ledger import Validation
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import QUEUE_LABEL, JobSnapshot, Unavailable, WorkloadMissing
from splai.core.inferencejob.status import BYTE_BUDGET
from splai.core.plan import PLANNING_FAILED, TEMPLATE_TIMEOUT, Archive, Create, ObjectReference, Refusal
from tests.unit.core.builders import (
    NOW,
    make_backend,
    make_child,
    make_final,
    make_job,
    make_manifest,
    make_pod,
    make_progress,
    make_reading,
    make_report,
    make_snapshot,
)
from tests.unit.core.inferencejob.test_verdicts import TYPES

PHASES = (None, "Pending", "Queued", "Running", "Suspended", "Finalizing", "Canceling", *sorted(TERMINAL_PHASES))
CODES = ("", "batch_cancelled", "batch_expired", "deadline_exceeded", "too_many_failures", "job_failed", "unheard of")
LABELS = st.sampled_from([0, 1, 2, "plan", "finish"])
MOMENTS = st.sampled_from([None, NOW])


@st.composite
def jobs(draw: st.DrawFn) -> InferenceJob:
    seen = {
        "phase": draw(st.sampled_from(PHASES)),
        "specHash": draw(st.sampled_from([None, "h"])),
        "startTime": draw(st.sampled_from([None, "2026-05-01T11:59:00Z"])),
        "completionTime": draw(st.sampled_from([None, "2026-05-01T11:59:30Z"])),
        "total": draw(st.sampled_from([0, 3])),
        "failed": draw(st.sampled_from([0, 1])),
        "workers": {"jobName": draw(st.sampled_from([None, "triage-0", "triage-1"]))},
    }
    text = {"items": ["a", "b", "c"]}
    sources = [text, {"s3": {"uri": "s3://bucket/key"}}, {"failedOf": {"name": "earlier"}}, {"items": [1]}]
    job = make_job(
        labels=draw(st.sampled_from([{}, {QUEUE_LABEL: "gpu"}])),
        deleting=draw(st.booleans()),
        input=draw(st.sampled_from([*sources, {"configMap": {"name": "tickets", "key": "lines"}}])),
        suspend=draw(st.booleans()),
        cancel=draw(st.booleans()),
        policy=draw(st.sampled_from([None, "unknown"])),
        completionWindow=draw(st.sampled_from([None, "1m"])),
        activeDeadlineSeconds=draw(st.sampled_from([None, 30])),
        ttlSecondsAfterFinished=draw(st.sampled_from([None, 60])),
        failurePolicy=draw(st.sampled_from([None, {"maxFailedRecords": "10%"}])),
        priority=draw(st.sampled_from([None, "batch"])),
        workers={"mode": draw(st.sampled_from(["Shared", "Dedicated"])), "parallelism": draw(st.integers(1, 3))},
    )
    return InferenceJob.model_validate({"metadata": job.metadata, "spec": job.spec, "status": seen})


CHILDREN = st.builds(
    make_child,
    LABELS,
    complete=st.booleans(),
    failure=st.sampled_from([None, "PodFailurePolicy", "BackoffLimitExceeded"]),
    deletion=MOMENTS,
    suspended=st.booleans(),
    parallelism=st.integers(1, 3),
    ready=st.integers(0, 1),
    succeeded=st.integers(0, 1),
    failed=st.integers(0, 9),
)
WORKERS = st.sampled_from(
    [
        None,
        {"waiting_reason": "ErrImagePull"},
        {"terminated": True, "exit_code": 42, "exit_message": '{"reason": "InputChanged", "message": "it was"}'},
        {"terminated": True, "exit_code": 0, "exit_message": make_final().model_dump_json(by_alias=True)},
        {"terminated": True, "exit_code": 1, "exit_message": "[]"},
    ]
)
PODS = st.builds(
    make_pod,
    st.integers(0, 2),
    child=LABELS,
    phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
    unschedulable=st.booleans(),
    deletion=MOMENTS,
    worker=WORKERS,
)
FINALS = st.none() | st.builds(
    make_final, failed=st.integers(0, 3), complete=st.booleans(), code=st.sampled_from(CODES)
)
WRITTEN = st.builds(make_progress, committed=st.integers(0, 3), failed=st.integers(0, 1), final=FINALS).map(
    lambda progress: progress.model_copy(update={"workers": [make_report(0, in_flight=3, unreachable="refused")]})
)
INVALID = Validation(reason="ValidationFailed", problems=["record 1: no"], total=1)
READ = st.sampled_from([make_reading(), make_reading(found=make_manifest()), make_reading(invalid=INVALID)])
TARGET = ObjectReference(api_version="batch/v1", kind="Job", namespace="team", name="triage-0")
REASONS = ("QuotaExceeded", TEMPLATE_TIMEOUT, PLANNING_FAILED, "ArtifactStoreFull")
REFUSALS = st.sampled_from([(), *((Refusal(TARGET, it, "no"),) for it in REASONS)])
OBSERVED: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "job": jobs(),
        "child_jobs": st.lists(CHILDREN, max_size=4, unique_by=lambda child: child.name).map(tuple),
        "pods": st.lists(PODS, max_size=4, unique_by=lambda pod: pod.name).map(tuple),
        "progress": st.none() | st.just(Unavailable("away")) | WRITTEN | READ,
        "backends": st.sampled_from([(), (make_backend(),), (make_backend(ready=False),)]),
        "earlier_job": st.none() | jobs(),
        "workload": st.sampled_from([None, WorkloadMissing()]),
        "creation_trouble": st.sampled_from(["", "exceeded quota"]),
        "refusals": REFUSALS,
    }
)
AGES = st.sampled_from([0, 29, 30, 59, 60, 61, 3600])


def snapshot_of(observed: dict[str, Any]) -> JobSnapshot:
    return make_snapshot(**observed)


@given(observed=OBSERVED, age=AGES)
@settings(max_examples=250)
def test_every_observation_has_an_answer(observed: dict[str, Any], age: int) -> None:
    job: InferenceJob = observed["job"]
    decision = plan(snapshot_of(observed), NOW + timedelta(seconds=age))
    status, made = decision.status, [it for it in decision.actions if isinstance(it, Create)]

    assert len(status.model_dump_json(by_alias=True).encode()) <= BYTE_BUDGET
    if job.status.phase in TERMINAL_PHASES:
        assert status.phase == job.status.phase, "terminal is for ever"
        assert made == []
    else:
        assert [it.type for it in status.conditions] == TYPES
        assert not any(isinstance(it, Archive) for it in decision.actions)
    if "deletionTimestamp" in job.metadata or observed["refusals"]:
        assert decision.actions == ()
    if status.phase == "Suspended":
        assert made == []
    assert len(made) <= 1
    assert decision.requeue_after is None or decision.requeue_after > 0
