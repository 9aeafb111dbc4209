"""Lines become parts, parts become commits, and nothing is lost on the way."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from splai.api.inference_job import Usage
from splai.api.ledger import Commit, TaskCounts, TaskRange
from splai.artifacts.part_lines import RecordLine, decode
from splai.worker.ledger import Ledger
from splai.worker.outcome import Tokens
from splai.worker.recorder import OpenTask, Recorder, adopt
from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Store, Weather
from tests.unit.worker.virtual_time import run

TASK = TaskRange(id="0007", first=70, count=4)
TOKENS = Tokens(prompt=1, completion=2, total=3)


class Desk:
    """A recorder over a store in memory."""

    def __init__(self, *, memory_bytes: int = 10_000_000) -> None:
        self.store = Store()
        self.folder = SimulatedFolder(self.store)
        self.ledger = Ledger(PatientFolder(self.folder, pulse=lambda: None), "me")
        self.committed: list[str] = []
        self.recorder = Recorder(
            self.ledger,
            clock=asyncio.get_running_loop().time,
            spawn=asyncio.create_task,
            on_commit=self.committed.append,
            memory_bytes=memory_bytes,
        )

    def add(self, task: OpenTask, position: int, *, size: int = 0, attempts: int = 1, kind: str = "output") -> None:
        usage = b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'
        line = b'{"id":"%d","response":{"body":{%s}},"pad":"%s"}' % (position, usage, b"x" * size)
        if kind == "error":
            self.recorder.add(task, RecordLine(position, "error", attempts, line), Tokens())
        else:
            self.recorder.add(task, RecordLine(position, "output", attempts, line), TOKENS)

    def commit_of(self, task: str) -> Commit:
        return Commit.model_validate_json(self.store.objects[f"tasks/{task}/commit"])


def at_the_desk(scenario: Callable[[Desk], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main() -> None:
        desk = Desk(**options)
        flushing = asyncio.create_task(desk.recorder.keep_flushing())
        await scenario(desk)
        flushing.cancel()

    run(main())


def test_a_task_of_one_record_is_written_and_committed_at_once() -> None:
    async def scenario(desk: Desk) -> None:
        task = desk.recorder.open(TaskRange(id="0003", first=3, count=1), 1)
        desk.add(task, 3)
        await asyncio.sleep(0.1)
        assert desk.committed == ["0003"]
        assert desk.commit_of("0003").parts == ["1-0"]
        assert not desk.recorder.open_tasks

    at_the_desk(scenario)


def test_lines_become_durable_after_five_seconds() -> None:
    async def scenario(desk: Desk) -> None:
        task = desk.recorder.open(TASK, 2)
        desk.add(task, 71)
        await asyncio.sleep(4.5)
        desk.add(task, 73)
        assert "tasks/0007/2-0" not in desk.store.objects
        await asyncio.sleep(2)
        assert [line.position for line in decode(desk.store.objects["tasks/0007/2-0"])] == [71, 73]
        assert desk.committed == []

    at_the_desk(scenario)


def test_a_part_holds_at_most_eight_mebibytes() -> None:
    async def scenario(desk: Desk) -> None:
        task = desk.recorder.open(TASK, 1)
        for position in (70, 71, 72):
            desk.add(task, position, size=3 * 1024 * 1024)
        await asyncio.sleep(0.1)
        assert [line.position for line in decode(desk.store.objects["tasks/0007/1-0"])] == [70, 71]
        desk.add(task, 73)
        await asyncio.sleep(0.1)
        assert desk.commit_of("0007").parts == ["1-0", "1-1"]
        assert all(len(desk.store.objects[f"tasks/0007/1-{number}"]) <= 8 * 1024 * 1024 for number in (0, 1))

    at_the_desk(scenario)


def test_a_commit_comes_after_all_parts_however_slow() -> None:
    async def scenario(desk: Desk) -> None:
        task = desk.recorder.open(TASK, 1)
        desk.folder.frozen_until = 100.0
        desk.add(task, 70)
        await asyncio.sleep(7)
        for position in (71, 72, 73):
            desk.add(task, position)
        await asyncio.sleep(80)
        assert not desk.store.objects
        await asyncio.sleep(20)
        assert [path for _, path in desk.store.log][-1] == "tasks/0007/commit"
        assert desk.commit_of("0007").parts == ["1-0", "1-1"]

    at_the_desk(scenario)


def test_a_commit_counts_what_is_in_its_parts() -> None:
    async def scenario(desk: Desk) -> None:
        task = desk.recorder.open(TASK, 1)
        desk.add(task, 70)
        desk.add(task, 71, attempts=3)
        desk.add(task, 72, attempts=3, kind="error")
        desk.add(task, 73)
        await asyncio.sleep(0.1)
        commit = desk.commit_of("0007")
        assert commit.counts == TaskCounts(completed=3, failed=1, retried=2)
        assert commit.usage == Usage(prompt_tokens=3, completion_tokens=6, total_tokens=9)

    at_the_desk(scenario)


def test_only_durable_lines_are_reported() -> None:
    async def scenario(desk: Desk) -> None:
        task = desk.recorder.open(TASK, 2)
        desk.add(task, 70)
        desk.add(task, 71)
        assert desk.recorder.held[0].counts == TaskCounts()
        await asyncio.sleep(7)
        assert desk.recorder.held[0].counts == TaskCounts(completed=2)
        assert (desk.recorder.held[0].task, desk.recorder.held[0].epoch) == ("0007", 2)

    at_the_desk(scenario)


def test_a_taker_adopts_what_is_durable_and_counts_it_once() -> None:
    async def scenario(desk: Desk) -> None:
        for epoch, positions in ((1, (70, 72)), (2, (72, 73))):
            earlier = desk.recorder.open(TASK, epoch)
            for position in positions:
                desk.add(earlier, position, attempts=2)
            await desk.recorder.settle()
        adopted = await adopt(desk.ledger, TASK)
        assert adopted.missing == [71]
        assert adopted.parts == ["1-0", "2-0"]
        assert adopted.durable.counts == TaskCounts(completed=3, retried=3)
        assert adopted.durable.usage.total_tokens == 9

        task = desk.recorder.open(TASK, 3, adopted)
        desk.add(task, 71)
        await asyncio.sleep(0.1)
        assert desk.commit_of("0007").parts == ["1-0", "2-0", "3-0"]
        assert desk.commit_of("0007").counts.completed == 4

    at_the_desk(scenario)


def test_an_adopted_task_that_lacks_nothing_is_committed() -> None:
    async def scenario(desk: Desk) -> None:
        single = TaskRange(id="0001", first=1, count=1)
        await desk.ledger.write_part("0001", 1, 0, b'{"position":1,"kind":"error","attempts":1,"line":{"id":"1"}}\n')
        desk.recorder.open(single, 2, await adopt(desk.ledger, single))
        await asyncio.sleep(0.1)
        assert desk.commit_of("0001").parts == ["1-0"]
        assert desk.commit_of("0001").counts == TaskCounts(failed=1)

    at_the_desk(scenario)


def test_a_store_that_is_away_holds_new_requests_back_and_loses_nothing() -> None:
    async def scenario(desk: Desk) -> None:
        desk.folder.weather = Weather(refused=1.0)
        task = desk.recorder.open(TASK, 1)
        desk.add(task, 70, size=600)
        desk.add(task, 71, size=600)
        waiting = asyncio.create_task(desk.recorder.room())
        await asyncio.sleep(3600)
        assert not waiting.done()
        desk.folder.weather = Weather()
        await waiting
        assert [line.position for line in decode(desk.store.objects["tasks/0007/1-0"])] == [70, 71]

    at_the_desk(scenario, memory_bytes=1000)


def test_settling_makes_every_line_durable() -> None:
    async def scenario(desk: Desk) -> None:
        task = desk.recorder.open(TASK, 1)
        desk.add(task, 72)
        await desk.recorder.settle()
        assert "tasks/0007/1-0" in desk.store.objects

    at_the_desk(scenario)


def test_the_first_of_two_commits_decides_and_the_task_is_done_for_both() -> None:
    async def scenario(desk: Desk) -> None:
        await Ledger(PatientFolder(desk.folder, pulse=lambda: None), "other").commit(
            "0001", ["1-0"], TaskCounts(completed=1), Usage()
        )
        task = desk.recorder.open(TaskRange(id="0001", first=1, count=1), 2)
        desk.add(task, 1)
        await asyncio.sleep(0.1)
        assert desk.committed == ["0001"]
        assert desk.commit_of("0001").worker == "other"

    at_the_desk(scenario)
