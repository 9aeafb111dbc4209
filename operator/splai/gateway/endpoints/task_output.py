"""The lines of one task, in the order of the input, out of the parts that its commit names.

Parts hold lines in the order in which answers came. So they are read twice: once to learn where each position's first
line stands, once to copy the lines out. Only a few parts are in memory at a time; mostly that is all of them, and then
each is fetched once.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

from splai.artifacts.part_lines import Kind, RecordLine, decode

FetchPart = Callable[[str], Awaitable[bytes]]
"""The bytes of a part, by its path."""

PARTS_IN_MEMORY = 4
CHUNK_BYTES = 64 * 1024


class Place(NamedTuple):
    """Where a line stands."""

    part: str
    line: int


async def task_lines(paths: Sequence[str], kind: Kind, fetch: FetchPart) -> AsyncIterator[bytes]:
    """The task's lines of a kind, each with its line break, in chunks; raises PartInvalid if a part holds no lines."""
    parts = _PartCache(fetch)
    places: dict[int, Place | None] = {}
    for path in paths:
        for number, record in enumerate(await parts.get(path)):
            places.setdefault(record.position, Place(path, number) if record.kind == kind else None)
    chunk = bytearray()
    for position in sorted(places):
        if (place := places[position]) is None:
            continue
        chunk += (await parts.get(place.part))[place.line].line + b"\n"
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


class _PartCache:
    """The parts that were used last."""

    def __init__(self, fetch: FetchPart) -> None:
        self._fetch = fetch
        self._parts: OrderedDict[str, list[RecordLine]] = OrderedDict()

    async def get(self, path: str) -> list[RecordLine]:
        if path in self._parts:
            self._parts.move_to_end(path)
        else:
            self._parts[path] = list(decode(await self._fetch(path)))
            if len(self._parts) > PARTS_IN_MEMORY:
                self._parts.popitem(last=False)
        return self._parts[path]
