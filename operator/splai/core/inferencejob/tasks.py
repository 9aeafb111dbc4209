"""A task's line in the status, from what the ledger shows and what was known before; it never goes back."""

from collections.abc import Sequence
from functools import lru_cache

from splai.api.inference_job import InferenceJobStatus, JobPhase, TaskPhase, TaskStatus
from splai.api.ledger import Final, TaskProgress, TaskRange, records_a_task, split_into_tasks
from splai.core.inferencejob.facts import Facts

URI_LIMIT = 100
"""Up to so many tasks each has a URI of its own; beyond, the status has one prefix for all."""
_ORDER: dict[TaskPhase, int] = {"Pending": 0, "Running": 1, "Completed": 2, "Canceled": 2}

cached_tasks = lru_cache(maxsize=16)(split_into_tasks)


def count_tasks(records: int) -> int:
    """As many as ``split_into_tasks`` makes."""
    return -(-records // records_a_task(records))


def task_statuses(before: InferenceJobStatus, facts: Facts, phase: JobPhase, *, prefix: str) -> list[TaskStatus]:
    """All tasks, in order; ``prefix`` is where their outputs are found."""
    if not facts.planned:
        return []
    if facts.progress is None and facts.final is None and before.tasks:
        return before.tasks
    seen = {task.id: task for task in facts.progress.tasks} if facts.progress else {}
    known = {task.id: task for task in before.tasks}
    ranges: Sequence[TaskRange] = cached_tasks(facts.total)
    address = prefix if len(ranges) <= URI_LIMIT else None
    unset = TaskProgress(id="")
    return [_task(it, known.get(it.id), seen.get(it.id, unset), facts.final, phase, address) for it in ranges]


def _task(
    task: TaskRange,
    before: TaskStatus | None,
    seen: TaskProgress,
    final: Final | None,
    phase: JobPhase,
    prefix: str | None,
) -> TaskStatus:
    now = _phase(seen, final, phase)
    if before and _ORDER[before.phase] > _ORDER[now]:
        now = before.phase
    completed = max(seen.counts.completed, before.completed if before else 0)
    failed = max(seen.counts.failed, before.failed if before else 0)
    attempts = max(seen.epoch, before.attempts if before else 0)
    if now == "Completed" and completed + failed < task.count and final is not None and final.counts.failed == 0:
        completed, attempts = task.count, max(1, attempts)  # a worker's final report came before the ledger was read
    return TaskStatus(
        id=task.id,
        phase=now,
        records=task.count,
        completed=completed,
        failed=failed,
        attempts=attempts,
        worker=seen.worker or (before.worker if before else None),
        output_artifact_uri=f"{prefix}{task.id}/output.jsonl" if prefix and now == "Completed" else None,
        message=f"{failed} of {task.count} records failed, see the errors file" if failed else None,
    )


def _phase(seen: TaskProgress, final: Final | None, phase: JobPhase) -> TaskPhase:
    if seen.state == "committed" or (final is not None and final.complete):
        return "Completed"
    if phase in ("Canceled", "Failed"):
        return "Canceled"
    return "Running" if seen.state == "claimed" else "Pending"
