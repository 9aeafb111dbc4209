"""Speed and time left, from what is durable at two moments."""

from datetime import timedelta
from typing import Any

import pytest

from splai.api.inference_job import InferenceJob, InferenceJobStatus, Throughput, Usage
from tests.unit.core.builders import NOW, make_child, make_pod, make_progress, make_running_job, suspended, with_status
from tests.unit.core.inferencejob.decisions import decide

RECORDS = 100_000
RUNNING: dict[str, Any] = {"child_jobs": (make_child(),), "pods": (make_pod(),)}


def look(job: InferenceJob, seconds: float, *, done: int, tokens: int = 0) -> InferenceJobStatus:
    """The status after ``seconds`` of work, with so many durable answers."""
    progress = make_progress(3)
    counts = progress.counts.model_copy(update={"total": RECORDS, "completed": done})
    seen = progress.model_copy(update={"counts": counts, "usage": Usage(total_tokens=tokens)})
    return decide(job, at=NOW + timedelta(seconds=seconds), **RUNNING, progress=seen).status


def follow(*moments: tuple[float, int]) -> InferenceJobStatus:
    """The status after the job was looked at in each of these moments: seconds, and answers by then."""
    job = make_running_job()
    for seconds, done in moments:
        job = with_status(job, look(job, seconds, done=done, tokens=10 * done))
    return job.status


def speed(status: InferenceJobStatus) -> float:
    assert status.throughput is not None
    return float(status.throughput.records_per_second)


def test_nothing_is_known_at_the_first_start() -> None:
    status = make_running_job().status
    assert status.throughput == Throughput(measured_at="2026-05-01T12:00:00Z")
    assert status.estimated_remaining_seconds is None


def test_in_the_first_minutes_it_is_the_average() -> None:
    status = follow((10, 100), (30, 600))
    assert speed(status) == pytest.approx(20)
    assert status.throughput is not None
    assert float(status.throughput.tokens_per_second) == pytest.approx(200)
    assert status.estimated_remaining_seconds == (RECORDS - 600) / 20


def test_later_it_follows_what_happened_lately() -> None:
    steady = tuple((float(second), second * 10) for second in range(0, 1200, 30))
    faster = tuple((1200.0 + second, 12_000 + second * 50) for second in range(0, 600, 30))
    assert speed(follow(*steady)) == pytest.approx(10, rel=0.05)
    assert speed(follow(*steady, *faster)) == pytest.approx(50, rel=0.05)


def test_fractions_of_a_second_are_lost_nowhere() -> None:
    looks = tuple((second * 2.7, int(second * 2.7) * 100) for second in range(200))
    assert speed(follow(*looks)) == pytest.approx(100, rel=0.02)


def test_small_steps_of_a_slow_job_add_up() -> None:
    looks = tuple((float(second), second // 200) for second in range(0, 20_000, 30))
    assert speed(follow(*looks)) == pytest.approx(0.005, rel=0.25)


def test_time_in_which_nobody_looked_counts_too() -> None:
    assert speed(follow((10, 100), (3610, 3700))) == pytest.approx(1, rel=0.05)


def test_a_job_that_stands_still_is_rewritten_once_a_minute_until_it_is_known_to() -> None:
    moving = follow((10, 100), (20, 200))
    job = with_status(make_running_job(), moving)
    assert look(job, 79, done=200, tokens=2000).throughput == moving.throughput
    assert speed(look(job, 80, done=200, tokens=2000)) < speed(moving)
    still = follow((10, 100), *((10 + 60.0 * minute, 100) for minute in range(1, 240)))
    assert still.throughput is not None
    assert still.throughput.records_per_second == "0"
    assert still.estimated_remaining_seconds is None
    assert look(with_status(make_running_job(), still), 90_000, done=100, tokens=1000).throughput == still.throughput


def test_a_job_without_a_running_worker_is_looked_at_until_it_is_known_to_stand_still() -> None:
    job = with_status(make_running_job(), follow((10, 100), (20, 200)))
    waiting = {"child_jobs": (make_child(),), "pods": (make_pod(unschedulable=True),)}
    early = decide(job, at=NOW + timedelta(seconds=21), **waiting)
    assert (early.status.phase, early.status.throughput) == ("Running", job.status.throughput)
    assert early.poll_after == 60.0
    late = decide(job, at=NOW + timedelta(seconds=81), **waiting)
    assert late.status.throughput == Throughput(measured_at="2026-05-01T12:01:21Z")
    assert (late.status.estimated_remaining_seconds, late.poll_after) == (None, None)


def test_it_is_said_only_while_the_job_runs() -> None:
    job = with_status(make_running_job(), follow((10, 100)))
    paused = decide(suspended(job), at=NOW + timedelta(seconds=20), progress=make_progress()).status
    assert (paused.throughput, paused.estimated_remaining_seconds) == (None, None)
