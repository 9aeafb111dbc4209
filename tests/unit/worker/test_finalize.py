"""The output files are a function of the ledger."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from splai.api.inference_job import Usage
from splai.api.ledger import Final, TaskCounts
from splai.artifacts.part_lines import RecordLine, encode
from splai.outputs import json_lines
from splai.outputs.destination import Produce
from splai.worker import task_lines
from splai.worker.batch_lines import answer_line, error_line, line_id
from splai.worker.finalize import settle, write_outputs
from splai.worker.ledger import Ledger, LedgerBroken
from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Store, Weather
from tests.unit.worker.simulation import answer, ids, make_order, read_file
from tests.unit.worker.virtual_time import run


@pytest.fixture(autouse=True)
def two_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six records: 0, 1, 2 and 3, 4, 5."""
    monkeypatch.setattr("splai.api.ledger.MAX_TASKS", 2)


def output(position: int, text: str, *, attempts: int = 1) -> bytes:
    line = answer_line(line_id("0000-1111", position), f"record-{position + 1}", answer(text))
    return encode([RecordLine(position, "output", attempts, line)])


def error(position: int, *, attempts: int = 1) -> bytes:
    line = error_line(line_id("0000-1111", position), f"record-{position + 1}", code="bad", message="")
    return encode([RecordLine(position, "error", attempts, line)])


class Job:
    """A job of two tasks, whose parts and commits a test writes."""

    def __init__(self) -> None:
        self.order = make_order(6)
        self.store = Store()

    def part(self, task: str, name: str, *lines: bytes) -> None:
        self.store.put(f"tasks/{task}/{name}", b"".join(lines))

    async def commit(self, task: str, *parts: str, tokens: int = 0, failed: int = 0) -> None:
        usage = Usage(total_tokens=tokens)
        await self.ledger().commit(task, list(parts), TaskCounts(failed=failed), usage)

    def ledger(self, weather: Weather | None = None) -> Ledger:
        return Ledger(self.folder(weather), "me")

    def folder(self, weather: Weather | None = None) -> PatientFolder:
        return PatientFolder(SimulatedFolder(self.store, weather), pulse=lambda: None)

    async def finish(self, *, code: str = "", weather: Weather | None = None) -> Final:
        ledger = self.ledger(weather)
        contents = await settle(ledger, self.order, closing_code=code, closing_message="over")
        return await write_outputs(ledger, self.folder(weather), self.order, contents)

    def texts(self) -> list[str]:
        lines = read_file(self.store, "output.jsonl")
        return [line["response"]["body"]["choices"][0]["message"]["content"] for line in lines]


def with_job(scenario: Callable[[Job], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await scenario(Job())

    run(main())


async def fill(job: Job) -> None:
    job.part("0000", "1-0", output(2, "c"), output(0, "a", attempts=2))
    job.part("0000", "1-1", error(1, attempts=3))
    job.part("0001", "1-0", output(5, "f"), output(3, "d"), output(4, "e"))
    await job.commit("0000", "1-0", "1-1", tokens=6)
    await job.commit("0001", "1-0", tokens=9)


def test_lines_come_in_the_inputs_order_whatever_order_they_were_answered_in() -> None:
    async def scenario(job: Job) -> None:
        await fill(job)
        final = await job.finish()
        assert job.texts() == ["a", "c", "d", "e", "f"]
        assert ids(read_file(job.store, "errors.jsonl")) == ["record-2"]
        assert final.complete
        assert (final.counts.total, final.counts.completed, final.counts.failed, final.counts.retried) == (6, 5, 1, 2)
        assert final.usage.total_tokens == 15

    with_job(scenario)


def test_a_file_that_was_not_read_to_its_end_is_not_declared_to_be_the_output() -> None:
    class Careless:
        async def write(self, _name: str, produce: Produce) -> None:
            await anext(aiter(produce()))

        async def remove(self, name: str) -> None:
            raise AssertionError(name)

    async def scenario(job: Job) -> None:
        await fill(job)
        contents = await settle(job.ledger(), job.order)
        with pytest.raises(RuntimeError, match=r"output.jsonl was written without all of its lines"):
            await write_outputs(job.ledger(), job.folder(), job.order, contents, destination=Careless())
        assert "final" not in job.store.objects

    with_job(scenario)


def test_a_task_without_an_answer_is_read_for_the_errors_alone() -> None:
    async def scenario(job: Job) -> None:
        job.part("0000", "1-0", error(0), error(1), error(2))
        job.part("0001", "1-0", output(3, "d"), output(4, "e"), output(5, "f"))
        await job.commit("0000", "1-0", failed=3)
        await job.commit("0001", "1-0")
        reads: list[str] = []
        folder = SimulatedFolder(job.store)
        folder.before_call = lambda call, path: reads.append(path)
        patient = PatientFolder(folder, pulse=lambda: None)
        ledger = Ledger(patient, "me")
        final = await write_outputs(ledger, patient, job.order, await settle(ledger, job.order))
        assert (final.counts.completed, final.counts.failed) == (3, 3)
        assert ids(read_file(job.store, "errors.jsonl")) == ["record-1", "record-2", "record-3"]
        assert [reads.count(f"tasks/{task}/1-0") for task in ("0000", "0001")] == [1, 1]

    with_job(scenario)


def test_a_commit_that_counts_wrongly_loses_no_line_unseen() -> None:
    async def scenario(job: Job) -> None:
        await fill(job)
        del job.store.objects["tasks/0000/commit"]
        await job.commit("0000", "1-0", "1-1", failed=3)
        with pytest.raises(LedgerBroken, match="the files have 3 and 1 lines, and the job 6 records"):
            await job.finish()
        assert "final" not in job.store.objects

    with_job(scenario)


def test_only_the_parts_that_the_commit_names_are_read() -> None:
    async def scenario(job: Job) -> None:
        await fill(job)
        job.part("0001", "0-9", output(3, "a zombie's"))
        job.part("0001", "2-0", output(3, "a zombie's"), output(4, "a zombie's"))
        await job.finish()
        assert job.texts() == ["a", "c", "d", "e", "f"]

    with_job(scenario)


def test_of_a_position_held_twice_the_first_in_the_parts_order_counts() -> None:
    async def scenario(job: Job) -> None:
        job.part("0000", "2-0", output(0, "second"), output(1, "b"))
        job.part("0000", "1-0", output(0, "first"), error(0), output(2, "c"))
        job.part("0001", "1-0", output(3, "d"), output(4, "e"), output(5, "f"))
        await job.commit("0000", "1-0", "2-0")
        await job.commit("0001", "1-0")
        final = await job.finish()
        assert job.texts() == ["first", "b", "c", "d", "e", "f"]
        assert final.errors.lines == 0
        assert job.store.objects["errors.jsonl"] == b""

    with_job(scenario)


def test_a_large_task_goes_through_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(job: Job) -> None:
        await fill(job)
        in_memory = (await job.finish()).output
        del job.store.objects["final"]
        monkeypatch.setattr(task_lines, "MEMORY_BYTES", 1)
        monkeypatch.setattr(json_lines, "CHUNK_BYTES", 1)
        assert (await job.finish()).output == in_memory

    with_job(scenario)


def test_a_try_that_failed_leaves_nothing_in_the_sums() -> None:
    async def scenario(job: Job) -> None:
        await fill(job)
        final = await job.finish(weather=Weather(refused=0.8))
        assert (final.output.lines, final.counts.completed, final.counts.failed) == (5, 5, 1)
        assert final.output.bytes == len(job.store.objects["output.jsonl"])

    with_job(scenario)


def test_closing_takes_the_parts_of_open_tasks_and_names_the_rest() -> None:
    async def scenario(job: Job) -> None:
        job.part("0000", "1-0", output(0, "a"), output(1, "b"), output(2, "c"))
        await job.commit("0000", "1-0", tokens=9)
        job.part("0001", "2-0", output(4, "e"))
        job.part("0001", "10-0", output(4, "a zombie's"), error(5))
        final = await job.finish(code="batch_cancelled")
        assert job.texts() == ["a", "b", "c", "e"]
        errors = read_file(job.store, "errors.jsonl")
        assert [(line["custom_id"], line["error"]["code"]) for line in errors] == [
            ("record-4", "batch_cancelled"),
            ("record-6", "bad"),
        ]
        assert not final.complete
        assert [task.parts for task in final.closed_tasks] == [["1-0"], ["2-0", "10-0"]]
        assert (final.counts.completed, final.counts.failed) == (4, 2)
        assert final.usage.total_tokens == 12

    with_job(scenario)


def test_parts_that_come_after_closing_are_not_read() -> None:
    async def scenario(job: Job) -> None:
        contents = await settle(job.ledger(), job.order, closing_code="batch_cancelled", closing_message="")
        job.part("0000", "1-0", output(0, "too late"))
        await write_outputs(job.ledger(), job.folder(), job.order, contents)
        assert job.texts() == []

    with_job(scenario)


def test_a_job_with_all_commits_is_complete_although_somebody_wants_to_close_it() -> None:
    async def scenario(job: Job) -> None:
        await fill(job)
        assert (await job.finish(code="batch_cancelled")).complete
        assert "closing" not in job.store.objects

    with_job(scenario)


def test_a_decision_for_closing_stands_although_the_last_commit_came() -> None:
    """Two finalizers that disagree would leave a file that is not the one whose hash was published."""

    async def scenario(job: Job) -> None:
        job.part("0000", "0-0", output(0, "a"))
        await settle(job.ledger(), job.order, closing_code="batch_cancelled", closing_message="")
        await fill(job)
        assert not (await job.finish()).complete
        assert job.texts() == ["a"]

    with_job(scenario)


def test_a_decision_for_the_commits_stands_although_closing_exists() -> None:
    async def scenario(job: Job) -> None:
        await fill(job)
        await settle(job.ledger(), job.order)
        await job.ledger().close("batch_cancelled", "", [])
        final = await job.finish(code="batch_cancelled")
        assert final.complete
        assert len(job.texts()) == 5

    with_job(scenario)


def test_every_finalizer_writes_the_same_bytes() -> None:
    async def scenario(job: Job) -> None:
        await fill(job)
        finals = await asyncio.gather(*(job.finish(weather=Weather(slow=0.3)) for _ in range(4)))
        assert len({final.nonce for final in finals}) == 1
        assert len({final.output.sha256 for final in finals}) == 1

    with_job(scenario)


def test_a_committed_task_without_all_lines_is_not_passed_off_as_complete() -> None:
    async def scenario(job: Job) -> None:
        await fill(job)
        job.part("0001", "1-0", output(3, "d"), output(5, "f"))
        with pytest.raises(LedgerBroken, match="task 0001 is committed, but no part holds record 4"):
            await job.finish()
        assert "final" not in job.store.objects

    with_job(scenario)


def test_error_lines_of_closing_are_the_same_for_everyone() -> None:
    async def scenario(job: Job) -> None:
        await job.finish(code="batch_expired")
        line = json.loads(job.store.objects["errors.jsonl"].splitlines()[3])
        assert line["id"] == line_id("0000-1111", 3)
        assert line["error"] == {"code": "batch_expired", "message": "over"}

    with_job(scenario)
