"""The tasks of a status: how many there are, and that what is said of them for ever is what the ledger says."""

from typing import Any

import pytest

from splai.api.ledger import Final, split_into_tasks
from splai.core.inferencejob.snapshot import Unavailable
from splai.core.inferencejob.tasks import count_tasks
from splai.core.observed import ObservedPod
from tests.unit.core.builders import (
    canceled,
    make_child,
    make_final,
    make_pod,
    make_progress,
    make_running_job,
    suspended,
)
from tests.unit.core.inferencejob.decisions import Observed, condition, decide

AWAY = Unavailable("refused")


@pytest.mark.parametrize("records", [0, 1, 2, 999, 1000, 1001, 1999, 2000, 2001, 12_345, 10_000])
def test_tasks_are_counted_without_making_them(records: int) -> None:
    assert count_tasks(records) == len(split_into_tasks(records))


def reporting(final: Final, *, child: int | str = 0) -> ObservedPod:
    """A pod that left its report, in a store that may be away by now."""
    report = final.model_dump_json(by_alias=True)
    return make_pod(child=child, phase="Succeeded", worker={"terminated": True, "exit_message": report})


REPORTED: dict[str, tuple[Any, Observed, Final]] = {
    "by a worker": (make_running_job(), {"child_jobs": (make_child(complete=True),)}, make_final(failed=1)),
    "by one that has not ended yet": (make_running_job(), {"child_jobs": (make_child(),)}, make_final(failed=1)),
    "of a suspended job": (suspended(make_running_job()), {"child_jobs": (make_child(),)}, make_final(failed=1)),
    "of a job cut short": (
        canceled(make_running_job()),
        {"child_jobs": (make_child("finish"),)},
        make_final(failed=2, complete=False, code="batch_cancelled"),
    ),
}


@pytest.mark.parametrize(("job", "seen", "final"), REPORTED.values(), ids=REPORTED)
def test_which_records_failed_is_read_before_the_job_is_over(job: Any, seen: Observed, final: Final) -> None:
    child = "finish" if job.spec.cancel else 0
    seen = {**seen, "pods": (reporting(final, child=child),)}

    waiting = decide(job, **seen, progress=AWAY)

    assert waiting.status.completion_time is None
    assert (waiting.actions, waiting.requeue_after) == ((), 5.0)
    assert condition(waiting.status, "WorkersReady")[1] == "ArtifactStoreUnavailable"
    over = decide(job, **seen, progress=make_progress(committed=3, failed=1, final=final)).status
    assert over.completion_time is not None
    assert [task.failed for task in over.tasks] == [1, 0, 0]


def test_a_report_without_failures_says_it_all() -> None:
    seen: Observed = {"child_jobs": (make_child(complete=True),), "pods": (reporting(make_final()),)}
    status = decide(make_running_job(), **seen, progress=AWAY).status
    assert (status.phase, [task.completed for task in status.tasks]) == ("Completed", [1, 1, 1])
