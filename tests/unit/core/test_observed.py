"""Slim records keep of an object what decisions look at, also of objects that have hardly begun to exist."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from splai.core.observed import ObservedJob, ObservedPod

METADATA: dict[str, Any] = {
    "namespace": "team",
    "name": "triage-0",
    "uid": "u",
    "creationTimestamp": "2026-05-01T12:00:00Z",
    "labels": {"splai.dev/child": "0", "splai.dev/inferencejob-uid": "j", "team": "a"},
    "ownerReferences": [{"uid": "not this"}, {"uid": "owner", "controller": True}],
}
NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def test_a_new_job_has_counts_of_zero() -> None:
    job = ObservedJob.from_object({"metadata": METADATA, "spec": {"parallelism": 4}})
    assert (job.name, job.owner_uid, job.created, job.parallelism) == ("triage-0", "owner", NOON, 4)
    assert (job.active, job.ready, job.succeeded, job.failed, job.ended) == (0, 0, 0, 0, None)


def test_a_job_has_ended_once_a_condition_says_so() -> None:
    conditions = [
        {"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"},
        {"type": "Complete", "status": "False"},
        {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "exit code 42"},
    ]
    job = ObservedJob.from_object({"metadata": METADATA, "status": {"conditions": conditions, "failed": 1}})
    assert job.ended is job.failure
    assert job.failure is not None
    assert (job.failure.reason, job.failure.message, job.complete) == ("PodFailurePolicy", "exit code 42", None)


def suspension(status: str, since: str) -> list[dict[str, str]]:
    return [{"type": "Suspended", "status": status, "reason": "JobResumed", "lastTransitionTime": since}]


def test_a_job_is_known_to_have_been_suspended_before() -> None:
    resumed = ObservedJob.from_object(
        {"metadata": METADATA, "status": {"conditions": suspension("False", "2026-05-01T13:00:00Z")}}
    )
    assert resumed.suspension is not None
    assert ObservedJob.from_object({"metadata": METADATA}).suspension is None


@pytest.mark.parametrize(
    ("conditions", "want"),
    [
        ([], NOON),
        (suspension("False", "2026-05-01T13:00:00Z"), NOON + timedelta(hours=1)),
        (suspension("True", "2026-05-01T12:00:01Z"), None),
    ],
    ids=["never suspended", "resumed", "resumed, but its controller has not seen it yet"],
)
def test_pods_can_be_expected_from_a_job_that_was_resumed(conditions: Any, want: datetime | None) -> None:
    job = ObservedJob.from_object({"metadata": METADATA, "status": {"conditions": conditions}})
    assert job.makes_pods_since == want


def test_a_pod_keeps_only_the_labels_that_are_ours() -> None:
    pod = ObservedPod.from_object({"metadata": METADATA})
    assert pod.labels == {"splai.dev/child": "0", "splai.dev/inferencejob-uid": "j"}
    assert (pod.phase, pod.ready, pod.scheduled, pod.containers) == ("Pending", False, None, ())


def test_a_pod_that_waits_for_a_node_has_the_schedulers_words() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
    pod = ObservedPod.from_object({"metadata": METADATA, "status": {"conditions": [condition]}})
    assert pod.scheduled is not None
    assert (pod.scheduled.status, pod.scheduled.message) == ("False", "no GPU")


def test_containers_say_how_they_are_and_how_they_ended() -> None:
    status = {
        "phase": "Running",
        "initContainerStatuses": [
            {
                "name": "engine",
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            }
        ],
        "containerStatuses": [
            {"name": "worker", "state": {"terminated": {"exitCode": 42, "reason": "Error", "message": "{}"}}}
        ],
    }
    pod = ObservedPod.from_object({"metadata": METADATA, "status": status})
    engine, worker = pod.container("engine"), pod.container("worker")
    assert engine is not None
    assert (engine.waiting_reason, engine.restarts, engine.exit_reason, engine.terminated) == (
        "CrashLoopBackOff",
        3,
        "OOMKilled",
        False,
    )
    assert worker is not None
    assert (worker.exit_code, worker.exit_message, worker.terminated) == (42, "{}", True)
    assert pod.container("other") is None


def pod_with(*conditions: tuple[str, str, str | None]) -> ObservedPod:
    """A pod with these conditions: type, status and time."""
    return ObservedPod.from_object(
        {
            "metadata": METADATA,
            "status": {
                "conditions": [
                    {"type": kind, "status": status, "lastTransitionTime": since} for kind, status, since in conditions
                ]
            },
        }
    )


FIRST, LATER = "2026-05-01T12:00:00Z", "2026-05-01T12:00:01Z"


@pytest.mark.parametrize(
    ("conditions", "never_ready"),
    [
        ([("Initialized", "True", FIRST), ("Ready", "False", FIRST)], True),
        ([("Initialized", "True", LATER), ("Ready", "False", FIRST)], True),
        ([("Initialized", "True", FIRST), ("Ready", "False", LATER)], False),
        ([("Initialized", "True", FIRST), ("Ready", "True", FIRST)], False),
        ([("Initialized", "True", None), ("Ready", "False", FIRST)], False),
        ([("Initialized", "True", FIRST), ("Ready", "False", None)], False),
        ([("Ready", "False", FIRST)], False),
        ([("PodScheduled", "True", FIRST)], False),
    ],
    ids=[
        "since the start",
        "init containers came first",
        "was ready",
        "is",
        "no time",
        "no time of its own",
        "",
        "new",
    ],
)
def test_a_pod_was_never_ready_only_if_that_is_certain(
    conditions: list[tuple[str, str, str | None]], never_ready: bool
) -> None:
    assert pod_with(*conditions).never_ready is never_ready
