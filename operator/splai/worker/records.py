"""A job's records by position, whether they stand in plan.json or in chunks: the one reader of both.

Chunks are decoded once and kept while they are used; the next one is fetched while the current one is read, so that
whoever goes through the records in order waits for the first only. A line stays bytes until it is asked for as a
record: Python's objects take ten times the memory of the text.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from typing import Final as Constant

import zstandard

from splai.api.json import encode_compact
from splai.api.ledger import InputManifest, WorkOrder, chunk_path
from splai.artifacts.input_chunks import decode
from splai.worker.ledger import LedgerBroken
from splai.worker.store import PatientFolder

KEPT_BYTES: Constant = 32 * 1024 * 1024  # of decoded chunks
_LINE_OVERHEAD = 41  # of a bytes object and its place in a list
_parse = json.JSONDecoder().decode

Record = Mapping[str, Any]


class Records:
    """The records of one job."""

    def __init__(self, folder: PatientFolder, order: WorkOrder) -> None:
        self._inline = order.records
        self._chunks = _Chunks(folder, order.chunks) if order.chunks else None

    def at_hand(self, position: int) -> Record | None:
        """The record as an object, if nothing has to be fetched for it."""
        if self._chunks is None:
            return self._inline[position]
        first, lines = self._chunks.current
        if 0 <= position - first < len(lines):
            return _as_record(lines[position - first])
        return None

    async def record(self, position: int) -> Record:
        """The record as an object; raises LedgerBroken for a chunk that is missing or damaged."""
        if self._chunks is None:
            return self._inline[position]
        return _as_record(await self._chunks.line(position))

    async def line(self, position: int) -> bytes:
        """The record as JSON without a line break; raises LedgerBroken for a chunk that is missing or damaged."""
        if self._chunks is None:
            return encode_compact(self._inline[position])
        return await self._chunks.line(position)


class _Chunks:
    """The chunks that were used last."""

    def __init__(self, folder: PatientFolder, manifest: InputManifest) -> None:
        self._folder = folder
        self._manifest = manifest
        self._loads: dict[int, asyncio.Task[list[bytes]]] = {}  # the least recently used first
        self._sizes: dict[int, int] = {}  # of those that are loaded
        self.current: tuple[int, list[bytes]] = (0, [])
        """The position of the first record, and the lines, of the chunk that was used last."""

    async def line(self, position: int) -> bytes:
        first, lines = self.current
        if not 0 <= position - first < len(lines):
            first, lines = self.current = await self._use(position)
        return lines[position - first]

    async def _use(self, position: int) -> tuple[int, list[bytes]]:
        if not 0 <= position < self._manifest.records:
            raise IndexError(position)
        number = self._manifest.chunk_of(position)
        loads = [self._start(ahead) for ahead in (number, number + 1) if ahead < len(self._manifest.first)]
        self._loads[number] = self._loads.pop(number)
        return self._manifest.first[number], await asyncio.shield(loads[0])

    def _start(self, number: int) -> asyncio.Task[list[bytes]]:
        if (load := self._loads.get(number)) is None:
            load = self._loads[number] = asyncio.create_task(self._load(number))
            load.add_done_callback(lambda done: self._loaded(number, done))
        return load

    def _loaded(self, number: int, load: asyncio.Task[list[bytes]]) -> None:
        if load.cancelled() or load.exception() is not None:
            del self._loads[number]  # whoever waits for it knows; whoever asks later tries anew
            return
        lines = load.result()
        self._sizes[number] = sum(map(len, lines)) + _LINE_OVERHEAD * len(lines)
        for oldest in [kept for kept in self._loads if kept in self._sizes and kept != number]:
            if sum(self._sizes.values()) <= KEPT_BYTES:
                break
            del self._loads[oldest], self._sizes[oldest]

    async def _load(self, number: int) -> list[bytes]:
        path = chunk_path(self._manifest.attempt, number)
        data = await self._folder.get(path)
        if data is None:
            raise LedgerBroken(f"{path} is named by the plan but does not exist")
        try:
            lines = decode(data)
        except zstandard.ZstdError:
            raise LedgerBroken(f"{path} is damaged") from None
        ends = [*self._manifest.first[1:], self._manifest.records]
        if len(lines) != ends[number] - self._manifest.first[number]:
            raise LedgerBroken(f"{path} holds {len(lines)} records, and the plan says otherwise")
        return lines


def _as_record(line: bytes) -> Record:
    record: Record = _parse(line.decode())
    return record
