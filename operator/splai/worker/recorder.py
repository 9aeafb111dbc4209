"""From answers to durable lines to commits, in the background of the requests.

Lines gather in memory and become a part at 8 MiB, after 5 seconds, or with the last line of their task. All parts of a
task written, it is committed. Neither is waited for by whoever brings the next answer, until what is not yet durable
exceeds a bound: then ``room`` holds new requests back, so that a store that is away pauses the worker, and nothing
that was answered is lost.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from typing import Final as Constant

from splai.api.ledger import HeldTask, TaskRange
from splai.artifacts.part_lines import ENVELOPE_BYTES, RecordLine, decode, encode
from splai.worker.ledger import Ledger
from splai.worker.outcome import Tokens
from splai.worker.spans import TaskSpan, TaskSpans
from splai.worker.tally import Tally, tokens_of

PART_BYTES: Constant = 8 * 1024 * 1024
PART_SECONDS: Constant = 5.0
MEMORY_BYTES: Constant = 64 * 1024 * 1024
_TICK: Constant = 1.0


@dataclass(slots=True)
class _Buffer:
    """Outcomes as they came: what can be done for all of them at once costs half as much."""

    since: float
    records: list[RecordLine] = field(default_factory=list)
    tokens: list[Tokens] = field(default_factory=list)
    size: int = 0


@dataclass(slots=True, eq=False)
class OpenTask:
    """A task that this worker claimed and has not committed."""

    range: TaskRange
    epoch: int
    remaining: int
    parts: list[str] = field(default_factory=list)
    durable: Tally = field(default_factory=Tally)
    buffer: _Buffer | None = None
    next_number: int = 0
    writes: list[asyncio.Task[None]] = field(default_factory=list)
    span: TaskSpan | None = None


@dataclass(slots=True)
class Adopted:
    """What earlier holders of a task left: their parts, and the positions that these lack."""

    parts: list[str]
    missing: list[int]
    durable: Tally


async def adopt(ledger: Ledger, task: TaskRange) -> Adopted:
    """Rule (c): read the durable parts of earlier epochs. To be called after the task was claimed."""
    parts = await ledger.durable_parts(task.id)
    missing = set(task.positions)
    durable = Tally()
    for part in parts:
        for record in decode(await ledger.read_part(task.id, part)):
            if record.position in missing:
                missing.remove(record.position)
                durable.add([record], [tokens_of(record)])
    return Adopted(parts, sorted(missing), durable)


class Recorder:
    """All open tasks of a worker."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        on_commit: Callable[[str], None],
        memory_bytes: int = MEMORY_BYTES,
        spans: TaskSpans | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._spawn = spawn
        self._on_commit = on_commit
        self._memory_bytes = memory_bytes
        self._spans = spans
        self._pending_bytes = 0
        self.has_room = True
        """Whether another answer can be kept; an attribute, because every request asks."""
        self._room = asyncio.Event()
        self._room.set()
        self._open: dict[str, OpenTask] = {}
        self._commits: set[asyncio.Task[None]] = set()

    @property
    def open_tasks(self) -> Mapping[str, OpenTask]:
        return self._open

    @property
    def held(self) -> list[HeldTask]:
        """The open tasks for the heartbeat, with what is durable of each."""
        return [
            HeldTask(task=task.range.id, epoch=task.epoch, counts=task.durable.counts) for task in self._open.values()
        ]

    def open(self, task: TaskRange, epoch: int, adopted: Adopted | None = None) -> OpenTask:
        """Begin with a task just claimed; one that lacks nothing is committed at once."""
        opened = OpenTask(task, epoch, remaining=task.count)
        if adopted is not None:
            opened.remaining, opened.parts, opened.durable = len(adopted.missing), adopted.parts, adopted.durable
        if self._spans is not None:
            opened.span = self._spans.claimed(task, epoch, opened.remaining)
        self._open[task.id] = opened
        if opened.remaining == 0:
            self._complete(opened)
        return opened

    def add(self, task: OpenTask, record: RecordLine, tokens: Tokens) -> None:
        """Take a record's outcome; each position of a task exactly once."""
        size = len(record.line) + ENVELOPE_BYTES
        buffer = task.buffer
        if buffer is not None and buffer.size + size > PART_BYTES:
            self._flush(task)
            buffer = None
        if buffer is None:
            buffer = task.buffer = _Buffer(since=self._clock())
        buffer.records.append(record)
        buffer.tokens.append(tokens)
        buffer.size += size
        self._pending_bytes += size
        if self._pending_bytes > self._memory_bytes:
            self.has_room = False
            self._room.clear()
        task.remaining -= 1
        if task.remaining == 0:
            self._complete(task)

    async def room(self) -> None:
        """Wait until another answer can be kept."""
        await self._room.wait()

    async def keep_flushing(self) -> None:
        """Write lines that are old enough; runs as long as the worker."""
        while True:
            await asyncio.sleep(_TICK)
            now = self._clock()
            for task in self._open.values():
                if task.buffer is not None and now - task.buffer.since >= PART_SECONDS:
                    self._flush(task)

    async def settle(self) -> None:
        """Make every line durable and finish every commit that can be made."""
        for task in self._open.values():
            self._flush(task)
        writes = [write for task in self._open.values() for write in task.writes]
        await asyncio.gather(*writes, *self._commits)

    def give_up(self) -> None:
        """Nothing more will become of the open tasks here."""
        for task in self._open.values():
            if task.span is not None:
                task.span.given_up()

    def _complete(self, task: OpenTask) -> None:
        self._flush(task)
        commit = self._spawn(self._commit(task))
        self._commits.add(commit)
        commit.add_done_callback(self._commits.discard)

    def _flush(self, task: OpenTask) -> None:
        if (buffer := task.buffer) is None:
            return
        task.buffer = None
        # The name now, so that parts stand in the order of their lines whichever is written first.
        task.writes = [write for write in task.writes if not write.done()]
        task.writes.append(self._spawn(self._write(task, task.next_number, buffer)))
        task.parts.append(f"{task.epoch}-{task.next_number}")
        task.next_number += 1

    async def _write(self, task: OpenTask, number: int, buffer: _Buffer) -> None:
        await self._ledger.write_part(task.range.id, task.epoch, number, encode(buffer.records))
        task.durable.add(buffer.records, buffer.tokens)
        self._pending_bytes -= buffer.size
        if self._pending_bytes <= self._memory_bytes:
            self.has_room = True
            self._room.set()

    async def _commit(self, task: OpenTask) -> None:
        await asyncio.gather(*task.writes)
        await self._ledger.commit(task.range.id, task.parts, task.durable.counts, task.durable.usage)
        del self._open[task.range.id]
        if task.span is not None:
            task.span.committed(task.durable)
        self._on_commit(task.range.id)
