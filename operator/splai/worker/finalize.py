"""The output files: a pure function of the tasks' commits, or of ``closing``.

Whoever finalizes, and however many do, the bytes are the same, so that files may be overwritten while another
finalizer runs. A task's lines come in the order of their positions; of a position that is held twice the first counts,
in the order of the parts. Memory holds an index of one task and a few parts, whatever the size of the job: lines are
copied through a temporary file once a task is larger than 16 MiB.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple
from typing import Final as Constant

from splai.api.inference_job import RequestCounts, Usage
from splai.api.ledger import ERRORS, OUTPUT, Closing, ClosingTask, FileSummary, Final, TaskRange, WorkOrder
from splai.artifacts.part_lines import Kind, RecordLine, decode
from splai.core.inferencejob.prompt import RequestBuilder
from splai.worker.batch_lines import error_line, line_id
from splai.worker.ledger import Ledger, LedgerBroken
from splai.worker.outcome import Tokens
from splai.worker.store import PatientFolder
from splai.worker.tally import Tally, tokens_of

CHUNK_BYTES: Constant = 1024 * 1024
MEMORY_BYTES: Constant = 16 * 1024 * 1024
PARTS_AHEAD: Constant = 4


class NotCommitted(Exception):  # noqa: N818 - a state of the data, not of this program
    """Tasks lack their commit, and nobody said that the job ends without them."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the outputs are made of: of each task its parts; ``closing`` if the job ends without all commits."""

    parts: Mapping[str, Sequence[str]]
    usage: Usage = field(default_factory=Usage)
    closing: Closing | None = None


async def settle(ledger: Ledger, order: WorkOrder, *, closing_code: str = "", closing_message: str = "") -> Contents:
    """Decide what the outputs are made of, or adopt what was decided; raises NotCommitted without a code."""
    survey = await ledger.survey()
    open_tasks = [task.id for task in order.tasks if task.id not in survey.committed]
    if open_tasks and not closing_code:
        raise NotCommitted(f"{len(open_tasks)} of {len(order.tasks)} tasks are not committed, {open_tasks[0]} first")
    if open_tasks:
        committed = await _commit_parts(ledger, order, survey.committed)
        tasks = [
            ClosingTask(task=task.id, parts=committed.get(task.id, survey.parts.get(task.id, [])))
            for task in order.tasks
        ]
        await ledger.close(closing_code, closing_message, tasks)
    closing = await ledger.decide(closing=bool(open_tasks))
    if closing:
        closed = await ledger.read_closing()
        return Contents({task.task: task.parts for task in closed.tasks}, closing=closed)
    return await _committed_contents(ledger, order)


async def _commit_parts(ledger: Ledger, order: WorkOrder, committed: frozenset[str]) -> dict[str, list[str]]:
    tasks = [task.id for task in order.tasks if task.id in committed]
    commits = await asyncio.gather(*(ledger.read_commit(task) for task in tasks))
    return {task: commit.parts for task, commit in zip(tasks, commits, strict=True)}


async def _committed_contents(ledger: Ledger, order: WorkOrder) -> Contents:
    commits = await asyncio.gather(*(ledger.read_commit(task.id) for task in order.tasks))
    tokens = Tally()
    for commit in commits:
        tokens.add_usage(commit.usage)
    parts = {task.id: commit.parts for task, commit in zip(order.tasks, commits, strict=True)}
    return Contents(parts, tokens.usage)


async def write_outputs(ledger: Ledger, folder: PatientFolder, order: WorkOrder, contents: Contents) -> Final:
    """Write both files, then ``final``."""
    reader = _TaskReader(ledger, order, contents)
    output = await _write(folder, OUTPUT, lambda: _File(reader, "output", order.tasks))
    with_errors = [task for task in order.tasks if task.id in output.others]
    errors = await _write(folder, ERRORS, lambda: _File(reader, "error", with_errors))
    tally = output.tally
    tally.failed += errors.tally.failed
    tally.retried += errors.tally.retried
    final = Final(
        nonce=ledger.new_nonce(),
        complete=contents.closing is None,
        counts=RequestCounts(
            total=len(order.records), completed=tally.completed, failed=tally.failed, retried=tally.retried
        ),
        usage=output.tally.usage if contents.closing else contents.usage,
        output=output.summary,
        errors=errors.summary,
        closed_tasks=contents.closing.tasks if contents.closing else [],
    )
    return await ledger.finish(final)


async def _write(folder: PatientFolder, path: str, new_file: Callable[[], "_File"]) -> "_File":
    tries: list[_File] = []

    def produce() -> AsyncIterator[bytes]:
        tries.append(new_file())
        return tries[-1].chunks()

    await folder.put_stream(path, produce)
    return tries[-1]


class _Entry(NamedTuple):
    """Where a line stands in the temporary file."""

    offset: int
    length: int
    kind: Kind
    attempts: int


class _TaskReader:
    """Reads one task after the other."""

    def __init__(self, ledger: Ledger, order: WorkOrder, contents: Contents) -> None:
        self._ledger = ledger
        self._order = order
        self._contents = contents
        self._requests = RequestBuilder.for_order(order)
        self.counts_tokens = contents.closing is not None  # commits say it, closing does not

    async def lines(self, tasks: Sequence[TaskRange]) -> AsyncIterator[tuple[TaskRange, RecordLine]]:
        """All lines of the tasks in order, one for each position."""
        wanted = [(task.id, part) for task in tasks for part in self._contents.parts.get(task.id, ())]
        parts = self._read_ahead(wanted)
        for task in tasks:
            with tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES) as spool:
                index: dict[int, _Entry] = {}
                for _ in self._contents.parts.get(task.id, ()):
                    _spool(await anext(parts), task, spool, index)
                for position in task.positions:
                    if entry := index.get(position):
                        spool.seek(entry.offset)
                        yield task, RecordLine(position, entry.kind, entry.attempts, spool.read(entry.length))
                    else:
                        yield task, self._missing(task, position)

    async def _read_ahead(self, wanted: Sequence[tuple[str, str]]) -> AsyncIterator[bytes]:
        """The parts in order; the next few are on their way while one is used."""
        reads = [asyncio.create_task(self._ledger.read_part(*name)) for name in wanted[:PARTS_AHEAD]]
        try:
            for number in range(len(wanted)):
                part = await reads.pop(0)
                if number + PARTS_AHEAD < len(wanted):
                    reads.append(asyncio.create_task(self._ledger.read_part(*wanted[number + PARTS_AHEAD])))
                yield part
        finally:
            for read in reads:
                read.cancel()

    def _missing(self, task: TaskRange, position: int) -> RecordLine:
        closing = self._contents.closing
        if closing is None:
            raise LedgerBroken(f"task {task.id} is committed, but no part holds record {position}")
        custom_id = self._requests.custom_id(self._order.records[position], position)
        line = error_line(line_id(self._order.uid, position), custom_id, code=closing.code, message=closing.message)
        return RecordLine(position, "error", 1, line)


def _spool(part: bytes, task: TaskRange, spool: IO[bytes], index: dict[int, _Entry]) -> None:
    """Copy the part's lines that are the first of their position."""
    for record in decode(part):
        if record.position not in task.positions:
            raise LedgerBroken(f"a part of task {task.id} holds record {record.position}")
        if record.position not in index:
            index[record.position] = _Entry(spool.tell(), len(record.line), record.kind, record.attempts)
            spool.write(record.line)


class _File:
    """One try to write one file: its bytes, and what was counted on the way."""

    def __init__(self, reader: _TaskReader, kind: Kind, tasks: Sequence[TaskRange]) -> None:
        self._reader = reader
        self._kind = kind
        self._tasks = tasks
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._lines = 0
        self.tally = Tally()
        self.others: set[str] = set()  # tasks that have lines of the other kind

    @property
    def summary(self) -> FileSummary:
        return FileSummary(bytes=self._bytes, sha256=self._digest.hexdigest(), lines=self._lines)

    async def chunks(self) -> AsyncIterator[bytes]:
        pending: list[bytes] = []
        size = 0
        async for task, record in self._reader.lines(self._tasks):
            if record.kind != self._kind:
                self.others.add(task.id)
                continue
            self._lines += 1
            self.tally.add(record, tokens_of(record) if self._reader.counts_tokens else Tokens())
            pending += (record.line, b"\n")
            size += len(record.line) + 1
            if size >= CHUNK_BYTES:
                yield self._take(pending)
                pending, size = [], 0
        if pending:
            yield self._take(pending)

    def _take(self, pending: list[bytes]) -> bytes:
        chunk = b"".join(pending)
        self._digest.update(chunk)
        self._bytes += len(chunk)
        return chunk
