"""A file of a source as the reading sees it, and the account of the bytes that were taken from it."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from splai.api.job_input import InputFormat
from splai.api.ledger import SourceIdentity
from splai.inputs.errors import CHANGED, SourceUnusable

BLOCK_BYTES: Final = 1024 * 1024


@dataclass(kw_only=True)
class SourceFile(ABC):
    """One file of an input.

    ``uri`` is without credentials and query, and the ending of ``name`` may tell the format. ``etag`` is the source's
    own word for this version of the file, known at the latest when it is read. ``path`` is where a local program can
    open it, ``format`` what the source itself knows of it, ``wanted_sha256`` what the job's spec says of all its bytes.
    """

    uri: str
    name: str
    etag: str | None = None
    path: Path | None = None
    format: InputFormat = "auto"
    wanted_sha256: str | None = None

    @abstractmethod
    def read(self) -> Iterator[bytes]:
        """The bytes, once, in blocks; raises SourceUnavailable once its own tries are spent, and SourceUnusable."""

    def verify(self) -> None:  # noqa: B027 - most sources know with every block
        """Raise SourceUnusable if the file is not the one any more that was opened."""


def is_left_out(name: str) -> bool:
    """Whether a file or folder of a folder is none of its data: hidden, or a table's own such as ``_delta_log``."""
    return name.startswith((".", "_"))


class Account:
    """Counts and hashes what is read of a file."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._is_complete = False
        self.bytes = 0
        self.blocks: Generator[bytes, None, None] = self._counted()

    def read_elsewhere(self, size: int) -> None:
        """The file is opened by its path instead."""
        self.blocks.close()
        self.bytes = size

    def close(self) -> SourceIdentity:
        """What was read; if the job's spec says the checksum, all the rest is read and it is compared."""
        if self._file.wanted_sha256 is not None:
            for _ in self.blocks:
                pass
            if self._hash.hexdigest() != self._file.wanted_sha256:
                raise SourceUnusable(CHANGED, f"{self._file.uri} does not have the sha256 that the job's spec says")
        self.blocks.close()
        self._file.verify()
        sha256 = self._hash.hexdigest() if self._is_complete else None
        return SourceIdentity(uri=self._file.uri, bytes=self.bytes, etag=self._file.etag, sha256=sha256)

    def _counted(self) -> Generator[bytes, None, None]:
        for block in self._file.read():
            self.bytes += len(block)
            self._hash.update(block)
            yield block
        self._is_complete = True
