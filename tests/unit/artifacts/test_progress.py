"""What a ledger says: tables from objects to progress."""

from splai.api.inference_job import RequestCounts, Usage
from splai.api.ledger import (
    FileSummary,
    Final,
    HeldTask,
    TaskCounts,
    TaskProgress,
    WorkerReport,
)
from splai.artifacts.progress import CommitSummary, Ledger, PlanSummary, largest_counts, summarize, unnamed_claims

TWO_TASKS = PlanSummary(spec_hash="abc", records=2)
WIDE_TASKS = PlanSummary(spec_hash="abc", records=20_000)  # 250 tasks of eighty records


def counts(completed: int = 0, failed: int = 0, retried: int = 0) -> TaskCounts:
    return TaskCounts(completed=completed, failed=failed, retried=retried)


def report(worker: str, *held: HeldTask, in_flight: int = 0, state: str = "running") -> WorkerReport:
    return WorkerReport(
        worker=worker, child_job="j-0", index=0, pod_uid="p", held=list(held), in_flight=in_flight, state=state
    )


def held(task: str, epoch: int, completed: int = 0, failed: int = 0) -> HeldTask:
    return HeldTask(task=task, epoch=epoch, counts=counts(completed, failed))


def commit(worker: str, completed: int, failed: int = 0, tokens: int = 0) -> CommitSummary:
    usage = Usage(prompt_tokens=tokens, completion_tokens=2 * tokens, total_tokens=3 * tokens)
    return CommitSummary(worker=worker, counts=counts(completed, failed), usage=usage)


def test_without_a_plan_nothing_is_known() -> None:
    progress = summarize(Ledger())
    assert not progress.planned
    assert progress.tasks == []


def test_a_plan_alone_is_all_pending() -> None:
    progress = summarize(Ledger(plan=TWO_TASKS))
    assert (progress.planned, progress.spec_hash, progress.counts) == (True, "abc", RequestCounts(total=2))
    assert progress.tasks == [TaskProgress(id="0000"), TaskProgress(id="0001")]


def test_a_claim_shows_its_epoch_and_the_worker_that_reports_it() -> None:
    ledger = Ledger(plan=TWO_TASKS, epochs={"0001": 3}, reports=[report("w", held("0001", 3))], alive={"w"})
    assert summarize(ledger).tasks[1] == TaskProgress(id="0001", state="claimed", epoch=3, worker="w")


def test_a_claim_that_nobody_reports_shows_the_worker_it_names() -> None:
    ledger = Ledger(plan=TWO_TASKS, epochs={"0000": 2}, reports=[report("old", held("0000", 1))])
    assert unnamed_claims(ledger) == [("0000", 2)]
    assert (
        summarize(Ledger(plan=TWO_TASKS, epochs={"0000": 2}, claimants={("0000", 2): "new"})).tasks[0].worker == "new"
    )


def test_a_committed_task_counts_what_its_commit_says_whatever_is_reported() -> None:
    ledger = Ledger(
        plan=WIDE_TASKS,
        epochs={"0000": 2},
        commits={"0000": commit("a", completed=19, failed=1, tokens=5)},
        reports=[report("zombie", held("0000", 1, completed=7))],
        alive={"zombie"},
    )
    progress = summarize(ledger)
    assert progress.tasks[0] == TaskProgress(id="0000", state="committed", epoch=2, worker="a", counts=counts(19, 1))
    assert progress.counts == RequestCounts(total=20_000, completed=19, failed=1)
    assert progress.usage == Usage(prompt_tokens=5, completion_tokens=10, total_tokens=15)
    assert unnamed_claims(ledger) == []


def test_an_open_task_counts_the_most_durable_lines_of_any_epoch() -> None:
    ledger = Ledger(
        plan=WIDE_TASKS,
        epochs={"0000": 2},
        reports=[report("dead", held("0000", 1, completed=11, failed=1)), report("new", held("0000", 2))],
        alive={"new"},
    )
    progress = summarize(ledger)
    assert progress.tasks[0] == TaskProgress(id="0000", state="claimed", epoch=2, worker="new", counts=counts(11, 1))


def test_an_overwritten_report_still_counts() -> None:
    largest = largest_counts([report("w", held("0000", 1, completed=5))], {})
    ledger = Ledger(plan=WIDE_TASKS, epochs={"0000": 1}, reports=[report("w", state="released")], largest=largest)
    assert summarize(ledger).counts.completed == 5


def test_in_flight_is_of_workers_that_live_and_run() -> None:
    ledger = Ledger(
        plan=TWO_TASKS,
        reports=[
            report("alive", in_flight=3),
            report("silent", in_flight=5),
            report("released", in_flight=7, state="released"),
        ],
        alive={"alive", "released"},
    )
    progress = summarize(ledger)
    assert progress.counts.in_flight == 3
    assert [worker.worker for worker in progress.workers] == ["alive"]


def test_retried_is_the_sum_over_tasks() -> None:
    ledger = Ledger(
        plan=TWO_TASKS,
        epochs={"0000": 1, "0001": 1},
        commits={"0000": CommitSummary("a", counts(1, retried=2), Usage())},
        reports=[report("b", HeldTask(task="0001", epoch=1, counts=counts(0, retried=3)))],
    )
    assert summarize(ledger).counts.retried == 5


def test_the_claim_of_the_finalizer_is_no_task() -> None:
    ledger = Ledger(plan=TWO_TASKS, epochs={"final": 1}, reports=[report("w", held("final", 1))], alive={"w"})
    assert [task.id for task in summarize(ledger).tasks] == ["0000", "0001"]
    assert summarize(ledger).counts == RequestCounts(total=2)


def test_final_is_the_answer() -> None:
    empty = FileSummary(bytes=0, sha256="", lines=0)
    final = Final(
        nonce="n",
        complete=False,
        counts=RequestCounts(total=2, completed=1, failed=1),
        usage=Usage(total_tokens=9),
        output=empty,
        errors=empty,
    )
    progress = summarize(
        Ledger(plan=TWO_TASKS, commits={"0000": commit("a", 1)}, reports=[report("w", in_flight=4)], alive={"w"},
               closing=True, final=final)
    )  # fmt: skip
    assert (progress.counts, progress.usage, progress.final, progress.closing) == (
        final.counts,
        final.usage,
        final,
        True,
    )


def test_what_live_workers_wrote_of_the_output_is_shown() -> None:
    writing = report("w").model_copy(update={"finalized_bytes": 4096})
    dead = report("dead").model_copy(update={"finalized_bytes": 1024})
    assert summarize(Ledger(plan=TWO_TASKS, reports=[writing, dead], alive={"w"})).finalized_bytes == 4096
