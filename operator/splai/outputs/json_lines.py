"""``openai-batch``: the lines of the OpenAI Batch output and error files, as they are."""

from collections.abc import AsyncIterator
from typing import Final

CHUNK_BYTES: Final = 1024 * 1024


async def json_lines(lines: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    """The file's bytes in chunks of some MiB."""
    pending: list[bytes] = []
    size = 0
    async for some in lines:
        pending += some
        size += sum(map(len, some))
        if size >= CHUNK_BYTES:
            yield _joined(pending)
            pending, size = [], 0
    if pending:
        yield _joined(pending)


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join([*lines, b""])
