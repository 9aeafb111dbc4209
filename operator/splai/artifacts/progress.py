"""What a job's ledger says about the job: a pure function from its objects to ``Progress``.

Counts are of durable lines only. A committed task counts what its commit says. Of an open task the largest count that
any worker ever reported is taken: parts are never removed, so what was durable under an earlier epoch still is, even
while the task's new holder has not yet looked at it. This is why the counts never fall. In flight is apart: it is what
the workers that are alive say, and ends with them.

Once ``final`` exists its counts are the answer, because they are those of the output.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from splai.api.inference_job import RequestCounts, Usage
from splai.api.ledger import Final, HeldTask, Progress, TaskCounts, TaskProgress, WorkerReport, split_into_tasks


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """What of plan.json is kept: the records themselves are large and nobody's business here."""

    spec_hash: str
    records: int
    backend: str | None = None


@dataclass(frozen=True, slots=True)
class CommitSummary:
    """What of a commit is kept."""

    worker: str
    counts: TaskCounts
    usage: Usage


@dataclass(frozen=True, slots=True)
class Ledger:
    """The objects of a job's folder, read."""

    plan: PlanSummary | None = None
    epochs: Mapping[str, int] = field(default_factory=dict)  # the highest claim of each task
    claimants: Mapping[tuple[str, int], str] = field(default_factory=dict)  # where no report names the worker
    commits: Mapping[str, CommitSummary] = field(default_factory=dict)
    reports: Collection[WorkerReport] = ()
    alive: Collection[str] = frozenset()  # the workers whose report changed lately
    largest: Mapping[str, TaskCounts] = field(default_factory=dict)  # of open tasks, from reports since overwritten
    closing: bool = False
    final: Final | None = None


def summarize(ledger: Ledger) -> Progress:
    """Progress of the job; a job without plan.json has none."""
    if ledger.plan is None:
        return Progress(planned=False)
    held = largest_counts(ledger.reports, ledger.largest)
    holders = {(task.task, task.epoch): report.worker for report, task in _held(ledger.reports)}
    tasks = [_task(ledger, task, held, holders) for task in _task_ids(ledger.plan.records)]
    alive = [report for report in ledger.reports if report.worker in ledger.alive and report.state == "running"]
    return Progress(
        planned=True,
        spec_hash=ledger.plan.spec_hash,
        backend=ledger.plan.backend,
        tasks=tasks,
        counts=ledger.final.counts if ledger.final else _count(ledger.plan.records, tasks, alive),
        usage=ledger.final.usage if ledger.final else _usage(ledger.commits.values()),
        workers=alive,
        finalized_bytes=sum(report.finalized_bytes for report in alive),
        closing=ledger.closing,
        final=ledger.final,
    )


def largest_counts(reports: Iterable[WorkerReport], earlier: Mapping[str, TaskCounts]) -> dict[str, TaskCounts]:
    """For each task that somebody ever held the counts with the most durable lines."""
    largest = dict(earlier)
    for _, held in _held(reports):
        known = largest.get(held.task)
        if known is None or _lines(held.counts) >= _lines(known):
            largest[held.task] = held.counts
    return largest


def unnamed_claims(ledger: Ledger) -> list[tuple[str, int]]:
    """The claims of open tasks whose worker no report names: only they need to be read."""
    named = {(held.task, held.epoch) for _, held in _held(ledger.reports)}
    return [claim for claim in ledger.epochs.items() if claim[0] not in ledger.commits and claim not in named]


@lru_cache(maxsize=64)
def _task_ids(records: int) -> tuple[str, ...]:
    return tuple(task.id for task in split_into_tasks(records))


def _task(
    ledger: Ledger, task: str, held: Mapping[str, TaskCounts], holders: Mapping[tuple[str, int], str]
) -> TaskProgress:
    epoch = ledger.epochs.get(task, 0)
    if commit := ledger.commits.get(task):
        return TaskProgress(id=task, state="committed", epoch=epoch, worker=commit.worker, counts=commit.counts)
    if epoch == 0:
        return TaskProgress(id=task)
    claim = (task, epoch)
    worker = holders.get(claim) or ledger.claimants.get(claim)
    return TaskProgress(id=task, state="claimed", epoch=epoch, worker=worker, counts=held.get(task, TaskCounts()))


def _count(total: int, tasks: list[TaskProgress], alive: list[WorkerReport]) -> RequestCounts:
    return RequestCounts(
        total=total,
        completed=sum(task.counts.completed for task in tasks),
        failed=sum(task.counts.failed for task in tasks),
        in_flight=sum(report.in_flight for report in alive),
        retried=sum(task.counts.retried for task in tasks),
    )


def _usage(commits: Collection[CommitSummary]) -> Usage:
    return Usage(**{field: sum(getattr(commit.usage, field) for commit in commits) for field in Usage.model_fields})


def _held(reports: Iterable[WorkerReport]) -> Iterable[tuple[WorkerReport, HeldTask]]:
    return ((report, held) for report in reports for held in report.held)


def _lines(counts: TaskCounts) -> int:
    return counts.completed + counts.failed
