"""``openai-batch``: the lines of the OpenAI Batch output and error files, as they are."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Final

CHUNK_BYTES: Final = 1024 * 1024
FLUSH_SECONDS: Final = 10.0


async def json_lines(
    lines: AsyncIterator[list[bytes]], *, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[bytes]:
    """The file's bytes in chunks of some MiB, or what there is after ten seconds.

    Of a few errors among many answers a chunk may take hours, and a store gives up who is silent for minutes.
    """
    pending: list[bytes] = []
    size, flushed_at = 0, clock()
    async for some in lines:
        pending += some
        size += sum(map(len, some))
        if size >= CHUNK_BYTES or (pending and clock() - flushed_at >= FLUSH_SECONDS):
            yield _joined(pending)
            pending, size, flushed_at = [], 0, clock()
    if pending:
        yield _joined(pending)


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join([*lines, b""])
