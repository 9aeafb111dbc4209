"""Chunks of a job's input: the records as JSON lines, compressed.

The planning pod writes them, workers read them. A chunk is complete in itself and ends with a whole record.
"""

from collections.abc import Sequence
from typing import Final

import zstandard

CHUNK_BYTES: Final = 4 * 1024 * 1024
"""Of lines; a chunk is closed when it holds that much, so one long record can make it larger."""
_LEVEL = 3


def encode(lines: Sequence[bytes]) -> bytes:
    """Compress lines, each one JSON object without a line break."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(b"\n".join(lines))


def decode(chunk: bytes) -> list[bytes]:
    """The lines of a chunk; raises zstandard.ZstdError when it is damaged."""
    return zstandard.ZstdDecompressor().decompress(chunk).split(b"\n")
