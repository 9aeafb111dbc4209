"""Reading a ledger again and again: right, never falling, and without reading what is known."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest
from obstore.store import MemoryStore

from splai.api.base import APIModel
from splai.api.inference_job import RequestCounts, Retry, Usage
from splai.api.ledger import (
    Claim,
    Commit,
    FileSummary,
    Final,
    HeldTask,
    InputManifest,
    SourceIdentity,
    TaskCounts,
    Validation,
    WorkerReport,
    WorkOrder,
    claim_path,
    commit_path,
    worker_path,
)
from splai.artifacts.folder import StoredObject
from splai.artifacts.ledger_reader import LedgerInvalid, LedgerReader, LedgerReaders
from splai.artifacts.store_folder import StoreFolder


class CountingFolder(StoreFolder):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), "team-a", "uid-1")
        self.gets: Counter[str] = Counter()
        self.lists = 0
        self.before_get: dict[str, Callable[[], Awaitable[None]]] = {}

    async def get(self, path: str) -> bytes | None:
        self.gets[path] += 1
        if path in self.before_get:
            await self.before_get.pop(path)()
        return await super().get(path)

    async def list(self, prefix: str = "") -> Sequence[StoredObject]:
        self.lists += 1
        return await super().list(prefix)

    async def write(self, path: str, value: APIModel) -> None:
        await self.put(path, value.model_dump_json(by_alias=True).encode())


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder() -> CountingFolder:
    return CountingFolder()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(folder: CountingFolder, clock: Clock) -> LedgerReader:
    return LedgerReader(folder, clock)


def plan(records: int) -> WorkOrder:
    return WorkOrder(
        namespace="team-a", job="triage", uid="uid-1", type="chat", backend="b", model="m", endpoint="http://b",
        format="jsonl", records=[{"text": str(number)} for number in range(records)], concurrency=4, retry=Retry(),
        request_timeout_seconds=600, spec_hash="abc",
    )  # fmt: skip


def report(sequence: int, *held: HeldTask, worker: str = "w", in_flight: int = 0) -> WorkerReport:
    return WorkerReport(
        worker=worker, child_job="j", index=0, pod_uid="p", sequence=sequence, held=list(held), in_flight=in_flight
    )


def commit(completed: int) -> Commit:
    return Commit(
        worker="w", nonce="n", parts=["1-0"], counts=TaskCounts(completed=completed), usage=Usage(total_tokens=7)
    )


def final(records: int) -> Final:
    nothing = FileSummary(bytes=0, sha256="", lines=0)
    counts = RequestCounts(total=records, completed=records)
    return Final(nonce="n", complete=True, counts=counts, usage=Usage(), output=nothing, errors=nothing)


async def test_a_folder_without_plan_is_not_planned(folder: CountingFolder, reader: LedgerReader) -> None:
    assert not (await reader.read()).planned
    await folder.write("plan.json", plan(3))
    progress = await reader.read()
    assert (progress.counts, progress.spec_hash, progress.backend) == (RequestCounts(total=3), "abc", "b")


async def test_immutable_objects_are_read_once(folder: CountingFolder, reader: LedgerReader) -> None:
    await folder.write("plan.json", plan(3))
    await folder.write(claim_path("0000", 1), Claim(worker="w", nonce="n"))
    await folder.write(commit_path("0000"), commit(1))
    await folder.write(claim_path("0001", 1), Claim(worker="v", nonce="n"))
    await folder.write(worker_path("w"), report(1))
    for _ in range(3):
        progress = await reader.read()
    assert [(task.state, task.worker, task.epoch) for task in progress.tasks] == [
        ("committed", "w", 1), ("claimed", "v", 1), ("pending", None, 0),
    ]  # fmt: skip
    assert progress.usage.total_tokens == 7
    assert set(folder.gets.values()) == {1}
    assert claim_path("0000", 1) not in folder.gets  # its commit says more


async def test_a_higher_claim_names_the_new_worker(folder: CountingFolder, reader: LedgerReader) -> None:
    await folder.write("plan.json", plan(1))
    await folder.write(claim_path("0000", 9), Claim(worker="first", nonce="n"))
    assert (await reader.read()).tasks[0].worker == "first"
    await folder.write(claim_path("0000", 10), Claim(worker="second", nonce="n"))
    task = (await reader.read()).tasks[0]
    assert (task.worker, task.epoch) == ("second", 10)


async def test_a_worker_is_alive_while_its_report_changes(
    folder: CountingFolder, reader: LedgerReader, clock: Clock
) -> None:
    await folder.write("plan.json", plan(1))
    await folder.write(worker_path("w"), report(1, in_flight=4))
    assert (await reader.read()).counts.in_flight == 4
    clock.now += 59
    await folder.write(worker_path("w"), report(2, in_flight=3))
    assert (await reader.read()).counts.in_flight == 3
    clock.now += 59
    assert (await reader.read()).counts.in_flight == 3
    clock.now += 1
    progress = await reader.read()
    assert (progress.counts.in_flight, progress.workers) == (0, [])


async def test_counts_never_fall_when_a_worker_is_replaced(folder: CountingFolder, reader: LedgerReader) -> None:
    await folder.write("plan.json", plan(2000))
    for epoch in (1, 2):
        await folder.write(claim_path("0000", epoch), Claim(worker="wv"[epoch - 1], nonce="n"))
    seen = []
    steps = [
        report(1, HeldTask(task="0000", epoch=1, counts=TaskCounts(completed=1))),
        report(2),  # released without commit
        report(1, HeldTask(task="0000", epoch=2), worker="v"),  # has not looked at the parts yet
        report(2, HeldTask(task="0000", epoch=2, counts=TaskCounts(completed=2)), worker="v"),
    ]
    for step in steps:
        await folder.write(worker_path(step.worker), step)
        seen.append((await reader.read()).counts.completed)
    await folder.write(commit_path("0000"), commit(2))
    await folder.delete(worker_path("v"))
    seen.append((await reader.read()).counts.completed)
    assert seen == [1, 1, 1, 2, 2]


async def test_counts_do_not_fall_when_a_new_reader_meets_a_commit_younger_than_its_list(
    folder: CountingFolder, clock: Clock
) -> None:
    await folder.write("plan.json", plan(1))
    await folder.write(claim_path("0000", 1), Claim(worker="w", nonce="n"))
    await folder.write(worker_path("w"), report(1, HeldTask(task="0000", epoch=1, counts=TaskCounts(completed=1))))
    assert (await LedgerReader(folder, clock).read()).counts.completed == 1

    async def commit_meanwhile() -> None:
        await folder.write(commit_path("0000"), commit(1))
        await folder.write(worker_path("w"), report(2))

    folder.before_get["plan.json"] = commit_meanwhile
    assert (await LedgerReader(folder, clock).read()).counts.completed == 1


async def test_after_final_nothing_is_read_any_more(folder: CountingFolder, reader: LedgerReader) -> None:
    await folder.write("plan.json", plan(1))
    await folder.write("final", final(1))
    await reader.read()
    settled = await reader.read()  # of a list that was surely made after final
    lists = folder.lists
    assert await reader.read() == settled
    assert settled.final == final(1)
    assert folder.lists == lists == 2


async def test_an_object_that_is_not_what_the_ledger_says_is_named(
    folder: CountingFolder, reader: LedgerReader
) -> None:
    await folder.write("plan.json", plan(1))
    await folder.put(commit_path("0000"), b'{"worker": "secret answer"}')
    with pytest.raises(LedgerInvalid, match="tasks/0000/commit is not a Commit: counts, nonce, parts") as invalid:
        await reader.read()
    assert "secret" not in str(invalid.value)


async def test_readers_are_kept_up_to_a_number_of_tasks(clock: Clock) -> None:
    readers = LedgerReaders(clock, capacity=3)
    folders = {name: CountingFolder() for name in "abc"}
    for folder in folders.values():
        await folder.write("plan.json", plan(1))
        await folder.write(commit_path("0000"), commit(1))
    for name in "abbab":
        await readers.read(name, folders[name])
    assert [folders[name].gets["plan.json"] for name in "ab"] == [2, 2]  # each weighs 2: only one fits


async def test_a_forgotten_job_is_read_anew(folder: CountingFolder, clock: Clock) -> None:
    readers = LedgerReaders(clock)
    await folder.write("plan.json", plan(1))
    await folder.write("final", final(1))
    for _ in range(3):
        await readers.read("a", folder)
    await folder.remove()
    readers.forget("a")
    assert not (await readers.read("a", folder)).planned


def manifest(records: int) -> InputManifest:
    source = SourceIdentity(uri="s3://bucket/tickets.jsonl", bytes=12)
    return InputManifest(
        attempt="pod-1", first=[0], records=records, bytes=12, format="jsonl", sources=[source], spec_hash="abc"
    )


async def test_the_input_that_a_planning_pod_read_is_shown_until_it_is_planned(
    folder: CountingFolder, reader: LedgerReader
) -> None:
    await folder.write("input.json", manifest(3))
    for _ in range(2):
        progress = await reader.read()
        assert (progress.planned, progress.input) == (False, manifest(3))
    assert folder.gets["input.json"] == 1

    await folder.write("plan.json", plan(0).model_copy(update={"chunks": manifest(3)}))
    progress = await reader.read()
    assert (progress.planned, progress.input, progress.counts.total, len(progress.tasks)) == (True, None, 3, 3)


async def test_an_input_that_cannot_be_used_is_shown(folder: CountingFolder, reader: LedgerReader) -> None:
    invalid = Validation(reason="ValidationFailed", problems=["record 2 (line 2): not valid JSON"], total=1)
    await folder.write("validation.json", invalid)

    progress = await reader.read()

    assert (progress.planned, progress.input, progress.invalid) == (False, None, invalid)


async def test_a_report_that_a_power_cut_emptied_counts_as_none(folder: CountingFolder, reader: LedgerReader) -> None:
    await folder.write("plan.json", plan(1))
    await folder.put("workers/w", b"")

    assert (await reader.read()).workers == []

    await folder.write("workers/w", report(1))
    assert [worker.worker for worker in (await reader.read()).workers] == ["w"]
