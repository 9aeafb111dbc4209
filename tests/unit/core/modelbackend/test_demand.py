"""What is asked of a backend: over time, and by jobs."""

from datetime import timedelta
from typing import Any

import pytest

from splai.api.inference_job import InferenceJobStatus
from splai.api.policy import Policy
from splai.core.modelbackend.demand import GAP, DemandHistory, asked_by, backend_of
from tests.unit.core.builders import make_job


def watched(*samples: tuple[float, int], window: float = 300, complete: bool = True) -> DemandHistory:
    history = DemandHistory()
    for now, total in samples:
        history.add(total, now, window=window, complete=complete)
    return history


def every_three_seconds(start: int, end: int, total: int) -> list[tuple[float, int]]:
    return [(float(now), total) for now in range(start, end, 3)]


def test_the_highest_is_that_of_the_window_alone() -> None:
    samples = [*every_three_seconds(0, 30, 9), *every_three_seconds(30, 90, 2), *every_three_seconds(90, 120, 0)]

    assert watched(*samples).highest == 9
    assert watched(*samples, window=60).highest == 2
    assert watched(*samples, window=20).highest == 0


def test_traffic_that_comes_and_goes_has_one_highest() -> None:
    history = DemandHistory()

    for now, total in [(0, 0), (3, 40), (6, 0), (9, 40), (12, 0), (15, 40)]:
        history.add(total, now, window=300, complete=True)
        assert history.highest == (40 if now else 0)


def test_a_new_process_has_watched_for_no_time() -> None:
    assert watched((1000, 0)).watched(1000) == timedelta()
    assert watched((1000, 0), (1003, 0)).watched(1003) == timedelta(seconds=3)


def test_nothing_is_watched_before_every_gateway_has_answered() -> None:
    history = watched((0, 0), (3, 0), complete=False)
    history.add(0, 6, window=300, complete=True)

    assert history.watched(9) == timedelta(seconds=3)


def test_a_short_silence_is_bridged_by_the_last_answer() -> None:
    history = watched((0, 5))
    history.add(5, 30, window=300, complete=False)
    history.add(0, 50, window=300, complete=True)

    assert history.watched(50) == timedelta(seconds=50)


def test_what_was_asked_during_a_long_one_nobody_knows() -> None:
    history = watched((0, 0))
    history.add(0, GAP, window=300, complete=False)
    assert history.silent_for(GAP) == timedelta(seconds=GAP)

    history.add(0, GAP + 1, window=300, complete=True)

    assert history.watched(GAP + 1) == timedelta()


def test_a_process_that_was_held_up_begins_anew() -> None:
    assert watched((0, 0), (1000, 0)).watched(1000) == timedelta()


def test_a_longer_delay_needs_moments_that_were_dropped() -> None:
    history = watched((0, 0), (30, 0), window=10)

    history.add(0, 33, window=600, complete=True)

    assert history.watched(33) == timedelta()


@pytest.mark.parametrize(
    ("chosen", "mode", "key"),
    [("smol", "Shared", "team/smol"), ("other/smol", "Shared", "other/smol"), ("smol", "Dedicated", None)],
)
def test_whose_backend_a_job_calls(chosen: str, mode: str, key: str | None) -> None:
    job = make_job(workers={"mode": mode}, status=InferenceJobStatus(backend=chosen))

    assert backend_of(job) == key


def running(*, total: int = 1000, done: int = 0, failed: int = 0) -> InferenceJobStatus:
    return InferenceJobStatus(phase="Running", total=total, succeeded=done, failed=failed)


@pytest.mark.parametrize(
    ("status", "workers", "requests"),
    [
        pytest.param(running(), {}, 16, id="one worker"),
        pytest.param(running(), {"parallelism": 3, "concurrency": 8}, 24, id="several"),
        pytest.param(running(done=990, failed=5), {}, 5, id="no more than records are left"),
        pytest.param(running(done=1000), {}, 0, id="none is left"),
        pytest.param(InferenceJobStatus(phase="Pending", total=5), {}, 0, id="its workers wait for a node"),
        pytest.param(InferenceJobStatus(phase="Queued", total=5), {}, 0, id="held by a queue"),
        pytest.param(InferenceJobStatus(phase="Suspended", total=5), {}, 0, id="suspended"),
        pytest.param(InferenceJobStatus(phase="Finalizing", total=5), {}, 0, id="only the output is missing"),
    ],
)
def test_what_a_job_asks_for(status: InferenceJobStatus, workers: dict[str, Any], requests: int) -> None:
    assert asked_by(make_job(workers=workers, status=status), {}) == requests


@pytest.mark.parametrize(("reason", "requests"), [("BackendNotReady", 1), ("WaitingForWorkers", 0)])
def test_a_job_that_waits_for_the_backend_alone_asks_for_it(reason: str, requests: int) -> None:
    condition = {"type": "Ready", "status": "Unknown", "reason": reason, "lastTransitionTime": "2026-05-01T12:00:00Z"}
    status = InferenceJobStatus.model_validate({"phase": "Pending", "conditions": [condition]})

    assert asked_by(make_job(status=status), {}) == requests


def test_what_a_policy_says_of_workers_counts() -> None:
    policy = Policy.model_validate({"defaults": {"parallelism": 4, "concurrency": 2}})

    assert asked_by(make_job(policy="p", status=running()), {"p": policy}) == 8
