"""The lines of one task, in the order of the input, out of the parts that its commit names.

Parts hold lines in the order in which answers came. So they are read twice: once to learn where each position's first
line stands, once to copy the lines out. Only a few parts are in memory at a time; mostly that is all of them, and then
each is fetched once.
"""

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Literal, NamedTuple

Kind = Literal["output", "error"]
FetchPart = Callable[[str], Awaitable[bytes]]
"""The bytes of a part, by its path."""

PARTS_IN_MEMORY = 4
CHUNK_BYTES = 64 * 1024
_LINE = b',"line":'


class Place(NamedTuple):
    """Where a line stands."""

    part: str
    start: int
    end: int


async def task_lines(paths: Sequence[str], kind: Kind, fetch: FetchPart) -> AsyncIterator[bytes]:
    """The task's lines of a kind, each with its line break, in chunks; raises ValueError if a part holds no lines."""
    parts = _PartCache(fetch)
    places: dict[int, Place | None] = {}
    for path in paths:
        for position, found, start, end in part_lines(await parts.get(path)):
            places.setdefault(position, Place(path, start, end) if found == kind else None)
    chunk = bytearray()
    for position in sorted(places):
        if (place := places[position]) is None:
            continue
        chunk += (await parts.get(place.part))[place.start : place.end] + b"\n"
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


def part_lines(part: bytes) -> Iterator[tuple[int, Kind, int, int]]:
    """Position, kind, start and end of the ``line`` of every ``api.ledger.PartLine``.

    ``line`` is the last field, so the answer in it need not be parsed, and comes out byte by byte as it went in.
    """
    begin = 0
    for raw in part.splitlines(keepends=True):
        text = raw.rstrip()
        head, separator, line = text.partition(_LINE)
        if not separator or not line.endswith(b"}}"):
            raise ValueError("a part holds something else than lines of records")
        fields = json.loads(head + b"}")
        start = begin + len(head) + len(separator)
        yield int(fields["position"]), fields["kind"], start, start + len(line) - 1
        begin += len(raw)


class _PartCache:
    """The parts that were used last."""

    def __init__(self, fetch: FetchPart) -> None:
        self._fetch = fetch
        self._parts: OrderedDict[str, bytes] = OrderedDict()

    async def get(self, path: str) -> bytes:
        if path in self._parts:
            self._parts.move_to_end(path)
        else:
            self._parts[path] = await self._fetch(path)
            if len(self._parts) > PARTS_IN_MEMORY:
                self._parts.popitem(last=False)
        return self._parts[path]
