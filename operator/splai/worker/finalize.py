"""The output files: a pure function of the tasks' commits, or of ``closing``.

Whoever finalizes, and however many do, the bytes are the same, so that files may be overwritten while another
finalizer runs. A task's lines come in the order of their positions, or in that of its parts; of a position that is held
twice the first counts, in the order of the parts.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from splai.api.inference_job import RequestCounts, Usage
from splai.api.job_output import Output, OutputFormat
from splai.api.ledger import Closing, ClosingTask, Commit, FileSummary, Final, TaskRange, WorkOrder
from splai.artifacts.part_lines import Kind, RecordLine
from splai.outputs.destination import Destination, Produce
from splai.outputs.json_lines import json_lines
from splai.worker.ledger import Ledger, LedgerBroken
from splai.worker.records import Records
from splai.worker.store import PatientFolder
from splai.worker.tally import Tally, tokens_of
from splai.worker.task_lines import Lines, TaskLines


class NotCommitted(Exception):
    """Tasks lack their commit, and nobody said that the job ends without them."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the outputs are made of: of each task its parts; ``closing`` if the job ends without all commits.

    ``usage`` is what the commits say; of ``uncounted`` tasks, whose parts no commit vouches for, the lines say it.
    Of ``unanswered`` tasks a commit says that every record failed: they are not read for the output.
    """

    parts: Mapping[str, Sequence[str]]
    usage: Usage = field(default_factory=Usage)
    uncounted: frozenset[str] = frozenset()
    unanswered: frozenset[str] = frozenset()
    closing: Closing | None = None


@dataclass(slots=True)
class Written:
    """Bytes of the files so far, for the heartbeat; a file that is begun anew counts anew."""

    files: dict[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(self.files.values())


async def settle(ledger: Ledger, order: WorkOrder, *, closing_code: str = "", closing_message: str = "") -> Contents:
    """Decide what the outputs are made of, or adopt what was decided; raises NotCommitted without a code."""
    survey = await ledger.survey()
    open_tasks = [task.id for task in order.tasks if task.id not in survey.committed]
    if open_tasks and not closing_code:
        raise NotCommitted(f"{len(open_tasks)} of {len(order.tasks)} tasks are not committed, {open_tasks[0]} first")
    commits = await _commits(ledger, order, survey.committed)
    if open_tasks:
        parts = {**survey.parts, **{task: commit.parts for task, commit in commits.items()}}
        tasks = [ClosingTask(task=task.id, parts=parts.get(task.id, [])) for task in order.tasks]
        await ledger.close(closing_code, closing_message, tasks)
    if await ledger.decide(closing=bool(open_tasks)):
        return _closed_contents(order, await ledger.read_closing(), commits)
    if open_tasks:  # the last commits came while this one looked, and somebody else saw them
        commits = await _commits(ledger, order, [task.id for task in order.tasks])
    parts = {task: commit.parts for task, commit in commits.items()}
    return Contents(parts, _usage(commits.values()), unanswered=_unanswered(order, commits))


async def _commits(ledger: Ledger, order: WorkOrder, committed: Collection[str]) -> dict[str, Commit]:
    tasks = [task.id for task in order.tasks if task.id in committed]
    return dict(zip(tasks, await asyncio.gather(*map(ledger.read_commit, tasks)), strict=True))


def _closed_contents(order: WorkOrder, closing: Closing, commits: Mapping[str, Commit]) -> Contents:
    """A commit vouches for the parts of ``closing`` if they are the same; a later one may name more."""
    parts = {task.task: task.parts for task in closing.tasks}
    counted = {task: commit for task, commit in commits.items() if commit.parts == parts.get(task)}
    return Contents(
        parts,
        usage=_usage(counted.values()),
        uncounted=frozenset(task for task, named in parts.items() if named).difference(counted),
        unanswered=_unanswered(order, counted),
        closing=closing,
    )


def _unanswered(order: WorkOrder, commits: Mapping[str, Commit]) -> frozenset[str]:
    return frozenset(
        task.id for task in order.tasks if task.id in commits and commits[task.id].counts.failed == task.count
    )


def _usage(commits: Iterable[Commit]) -> Usage:
    tokens = Tally()
    for commit in commits:
        tokens.add_usage(commit.usage)
    return tokens.usage


async def write_outputs(
    ledger: Ledger,
    folder: PatientFolder,
    order: WorkOrder,
    contents: Contents,
    *,
    destination: Destination | None = None,
    written: Written | None = None,
) -> Final:
    """Write both files, then ``final``; into the job's own folder unless there is a ``destination``."""
    lines = TaskLines(ledger, Records(folder, order), order, contents.parts, contents.closing)
    write = destination.write if destination else folder.put_stream
    writer = _Writer(lines, order.output, contents.uncounted, write, written or Written())
    output = await writer.write("output", [task for task in order.tasks if task.id not in contents.unanswered])
    with_errors = [task for task in order.tasks if task.id in output.others | contents.unanswered]
    if destination and not with_errors:
        await destination.remove(order.output.file_name("errors"))
        errors = _File(lines.read([], "error"), "error", frozenset())
    else:
        errors = await writer.write("error", with_errors)
    if output.lines + errors.lines != order.total:
        raise LedgerBroken(f"the files have {output.lines} and {errors.lines} lines, and the job {order.total} records")
    tokens = output.tokens
    tokens.add_usage(contents.usage)
    final = Final(
        nonce=ledger.new_nonce(),
        complete=contents.closing is None,
        closing_code=contents.closing.code if contents.closing else "",
        uri=order.output.folder_uri(order.job),
        counts=RequestCounts(
            total=order.total, completed=output.lines, failed=errors.lines, retried=output.retried + errors.retried
        ),
        usage=tokens.usage,
        output=output.summary,
        errors=errors.summary,
        closed_tasks=contents.closing.tasks if contents.closing else [],
    )
    return await ledger.finish(final)


class _Writer:
    """Writes the files to their place."""

    def __init__(
        self,
        lines: TaskLines,
        output: Output,
        uncounted: frozenset[str],
        write: Callable[[str, Produce], Awaitable[None]],
        written: Written,
    ) -> None:
        self._lines = lines
        self._output = output
        self._uncounted = uncounted
        self._write = write
        self._written = written

    async def write(self, kind: Kind, tasks: Sequence[TaskRange]) -> "_File":
        name = self._output.file_name("errors" if kind == "error" else "output")
        tries: list[_File] = []

        def produce() -> AsyncIterator[bytes]:
            tries.append(_File(self._lines.read(tasks, kind), kind, self._uncounted))
            return self._watched(name, tries[-1].chunks(self._output.format))

        await self._write(name, produce)
        if not tries[-1].is_whole:
            raise RuntimeError(f"{name} was written without all of its lines")
        return tries[-1]

    async def _watched(self, name: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._written.files[name] = 0
        async for chunk in chunks:
            self._written.files[name] += len(chunk)
            yield chunk


class _File:
    """One try to write one file: its bytes, and what was counted on the way."""

    def __init__(self, source: AsyncIterator[Lines], kind: Kind, uncounted: frozenset[str]) -> None:
        self._source = source
        self._kind = kind
        self._uncounted = uncounted
        self._digest = hashlib.sha256()
        self._bytes = 0
        self.lines = 0
        self.retried = 0
        self.tokens = Tally()  # of the uncounted tasks
        self.others: set[str] = set()  # tasks that have lines of the other kind
        self.is_whole = False

    @property
    def summary(self) -> FileSummary:
        return FileSummary(bytes=self._bytes, sha256=self._digest.hexdigest(), lines=self.lines)

    async def chunks(self, file_format: OutputFormat) -> AsyncIterator[bytes]:
        async for chunk in _encoder(file_format)(self._wanted()):
            self._digest.update(chunk)
            self._bytes += len(chunk)
            yield chunk
        self.is_whole = True

    async def _wanted(self) -> AsyncIterator[list[bytes]]:
        async for lines in self._source:
            self.lines += len(lines.wanted)
            self.retried += lines.retried
            if lines.others:
                self.others.add(lines.task.id)
            if self._kind == "output" and lines.task.id in self._uncounted:
                records = [RecordLine(0, self._kind, 1, line) for line in lines.wanted]
                self.tokens.add(records, [tokens_of(record) for record in records])
            yield lines.wanted


def _encoder(file_format: OutputFormat) -> Callable[[AsyncIterator[list[bytes]]], AsyncIterator[bytes]]:
    if file_format == "parquet":
        from splai.outputs.parquet import parquet  # takes 60 MB of memory: only for those who ask for it

        return parquet
    return json_lines
