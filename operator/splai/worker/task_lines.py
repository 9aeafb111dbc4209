"""The lines of tasks out of the parts that the ledger names: each position once, in the order that the job wants.

Memory holds one task's index, and its lines as long as they are few; the lines of a larger task wait in a temporary
file. So the size of the job does not matter, and for the many tasks of a large one nothing is done line by line that
can be done for all lines of a part at once.
"""

import asyncio
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, NamedTuple, cast
from typing import Final as Constant

from splai.api.ledger import Closing, TaskRange, WorkOrder
from splai.artifacts.part_lines import Kind, RawLine, split
from splai.core.inferencejob.prompt import RequestBuilder
from splai.worker.batch_lines import error_line, line_id
from splai.worker.ledger import Ledger, LedgerBroken
from splai.worker.records import Records

MEMORY_BYTES: Constant = 8 * 1024 * 1024
PARTS_AHEAD: Constant = 6
LINES_AT_ONCE: Constant = 512
_ONE_ATTEMPT = b"1"


@dataclass(slots=True)
class Lines:
    """Some lines of one task: those of the kind that was asked for, and how many there are of the other."""

    task: TaskRange
    wanted: list[bytes]
    retried: int  # of the wanted
    others: int


class TaskLines:
    """Reads one task after the other."""

    def __init__(
        self,
        ledger: Ledger,
        records: Records,
        order: WorkOrder,
        parts: Mapping[str, Sequence[str]],
        closing: Closing | None,
    ) -> None:
        self._ledger = ledger
        self._records = records
        self._order = order
        self._parts = parts
        self._closing = closing
        self._requests = RequestBuilder.for_order(order)

    async def read(self, tasks: Sequence[TaskRange], kind: Kind) -> AsyncIterator[Lines]:
        """All lines of a kind; raises LedgerBroken or PartInvalid."""
        parts = self._read_ahead([(task.id, part) for task in tasks for part in self._parts.get(task.id, ())])
        in_order = self._in_order if self._order.output.order == "input" else self._as_answered
        for task in tasks:
            async for lines in in_order(task, parts, kind):
                yield lines

    async def _in_order(self, task: TaskRange, parts: AsyncIterator[bytes], kind: Kind) -> AsyncIterator[Lines]:
        with _Shelf() as shelf:
            for _ in self._parts.get(task.id, ()):
                shelf.add(_by_position(await anext(parts), task))
            step = shelf.lines_at_once
            for first in range(task.first, task.first + task.count, step):
                positions = range(first, min(first + step, task.first + task.count))
                yield await self._complete(task, positions, shelf.get(positions), kind)

    async def _as_answered(self, task: TaskRange, parts: AsyncIterator[bytes], kind: Kind) -> AsyncIterator[Lines]:
        missing = set(task.positions)
        for _ in self._parts.get(task.id, ()):
            lines = _by_position(await anext(parts), task)
            new = [line for position, line in lines.items() if position in missing]
            missing.difference_update(lines)
            yield _of_kind(task, new, kind)
        rest = sorted(missing)
        for start in range(0, len(rest), LINES_AT_ONCE):
            positions = rest[start : start + LINES_AT_ONCE]
            yield await self._complete(task, positions, [None] * len(positions), kind)

    async def _complete(
        self, task: TaskRange, positions: Sequence[int], found: list[RawLine | None], kind: Kind
    ) -> Lines:
        """The lines, with an error in the place of each that is missing."""
        if None not in found:
            return _of_kind(task, cast("list[RawLine]", found), kind)
        if kind == "output":  # the error lines are made when they are asked for
            lines = _of_kind(task, [line for line in found if line is not None], kind)
            lines.others += found.count(None)
            return lines
        pairs = zip(positions, found, strict=True)
        return _of_kind(task, [line or await self._missing(task, position) for position, line in pairs], kind)

    async def _missing(self, task: TaskRange, position: int) -> RawLine:
        if self._closing is None:
            raise LedgerBroken(f"task {task.id} is committed, but no part holds record {position}")
        custom_id = self._requests.custom_id(await self._records.record(position), position)
        identifier = line_id(self._order.uid, position)
        line = error_line(identifier, custom_id, code=self._closing.code, message=self._closing.message)
        return b"", b"error", _ONE_ATTEMPT, line

    async def _read_ahead(self, wanted: Sequence[tuple[str, str]]) -> AsyncIterator[bytes]:
        """The parts in order; the next few are on their way while one is used."""
        reads: deque[asyncio.Task[bytes]] = deque()
        names = iter(wanted)
        try:
            for name in islice(names, PARTS_AHEAD):
                reads.append(asyncio.create_task(self._ledger.read_part(*name)))
            while reads:
                part = await reads.popleft()
                for name in islice(names, 1):
                    reads.append(asyncio.create_task(self._ledger.read_part(*name)))
                yield part
        finally:
            for read in reads:
                read.cancel()


def _by_position(part: bytes, task: TaskRange) -> dict[int, RawLine]:
    """A part's lines in their order; of a position that it holds twice the first."""
    lines = split(part)
    found = {int(line[0]): line for line in lines}
    if len(found) != len(lines):
        found = {}
        for line in lines:
            found.setdefault(int(line[0]), line)
    for position in (min(found), max(found)) if found else ():
        if position not in task.positions:
            raise LedgerBroken(f"a part of task {task.id} holds record {position}")
    return found


def _of_kind(task: TaskRange, lines: Sequence[RawLine], kind: Kind) -> Lines:
    name = kind.encode()
    wanted = [line for line in lines if line[1] == name]
    retried = sum([line[2] != _ONE_ATTEMPT for line in wanted])
    return Lines(task, [line[3] for line in wanted], retried, others=len(lines) - len(wanted))


class _Place(NamedTuple):
    """Where a line stands in the temporary file."""

    offset: int
    length: int
    kind: bytes
    attempts: bytes


class _Shelf:
    """One line of each position of a task, the first that was added: in memory, or beyond 8 MiB in a file."""

    def __init__(self) -> None:
        self._lines: dict[int, RawLine] = {}
        self._size = 0
        self._file: IO[bytes] | None = None
        self._places: dict[int, _Place] = {}
        self._longest = 1

    def __enter__(self) -> "_Shelf":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, lines: dict[int, RawLine]) -> None:
        for known in (lines.keys() & self._lines.keys(), lines.keys() & self._places.keys()):
            for position in known:
                del lines[position]
        self._lines.update(lines)
        lengths = [len(line[3]) for line in lines.values()]
        self._size += sum(lengths)
        self._longest = max(self._longest, *lengths, 1)
        if self._size > MEMORY_BYTES:
            self._move()

    def _move(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the task
        offset = self._file.seek(0, 2)
        for position, (_, kind, attempts, line) in self._lines.items():
            self._places[position] = _Place(offset, len(line), kind, attempts)
            offset += len(line)
        self._file.writelines(line[3] for line in self._lines.values())
        self._lines, self._size = {}, 0

    @property
    def lines_at_once(self) -> int:
        """How many lines fit into 1 MiB, whichever they are."""
        return LINES_AT_ONCE if self._file is None else max(1, min(LINES_AT_ONCE, 1024 * 1024 // self._longest))

    def get(self, positions: Sequence[int]) -> list[RawLine | None]:
        if self._file is None:
            return list(map(self._lines.get, positions))
        return [self._lines.get(position) or self._read(self._file, position) for position in positions]

    def _read(self, file: IO[bytes], position: int) -> RawLine | None:
        if (place := self._places.get(position)) is None:
            return None
        file.seek(place.offset)
        return b"", place.kind, place.attempts, file.read(place.length)
