"""The chunks of an input, stored while it is read."""

from typing import Protocol

from splai.api.ledger import chunk_path
from splai.artifacts import input_chunks


class ChunkStore(Protocol):
    """The job's folder for somebody who works in a thread; it waits for a store that is away or full."""

    def begin_create(self, path: str, content: bytes) -> None:
        """Start to create an object, of which a few are under way at once."""

    def finish(self) -> None:
        """Wait for all that was started."""

    def get(self, path: str) -> bytes | None:
        """An object's content."""


class ChunkWriter:
    """Collects records and stores a chunk whenever there are enough."""

    def __init__(self, store: ChunkStore, attempt: str) -> None:
        self._store = store
        self._attempt = attempt
        self._lines: list[bytes] = []
        self._pending = 0
        self.first: list[int] = []
        self.records = 0
        self.bytes = 0

    def add(self, line: bytes) -> None:
        """Take a record as JSON on one line; a long one gets a chunk of its own."""
        size = len(line) + 1
        if self._pending + size > input_chunks.CHUNK_BYTES and self._lines:
            self._flush()
        self._lines.append(line)
        self._pending += size
        self.records += 1

    def close(self) -> None:
        """Store the rest, and wait until all is stored."""
        if self._lines:
            self._flush()
        self._store.finish()

    def read(self, number: int) -> list[bytes]:
        """The lines of a chunk that was stored."""
        content = self._store.get(chunk_path(self._attempt, number))
        return input_chunks.decode(content) if content is not None else []

    def _flush(self) -> None:
        self._store.begin_create(chunk_path(self._attempt, len(self.first)), input_chunks.encode(self._lines))
        self.first.append(self.records - len(self._lines))
        self.bytes += self._pending
        self._lines = []
        self._pending = 0
