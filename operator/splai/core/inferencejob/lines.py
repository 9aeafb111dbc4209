"""From bytes to lines, in memory that one line bounds: the way to every format but Parquet."""

from collections.abc import Iterable, Iterator

LONGEST_RECORD = 15 * 1024 * 1024
"""Of a line, and of a record as JSON; a chunk that holds just one is an object of at most 16 MiB in the store."""
_BOM = b"\xef\xbb\xbf"

Line = tuple[int, bytes]
"""A line's number, counted from 1, and its bytes without the line feed."""


class Unreadable(ValueError):
    """The input cannot be read any further; the words name a place and never quote contents."""


def split_lines(blocks: Iterable[bytes]) -> Iterator[Line]:
    """The lines of blocks of any size; only LF ends a line, and a byte order mark at the very beginning is dropped.

    Raises Unreadable at a line that is longer than any record may be.
    """
    number = 0
    begun: list[bytes] = []  # of a line whose end has not come yet
    length = 0
    for block in blocks:
        if not block:
            continue
        lines = block.split(b"\n")
        begun.append(lines[0])
        length += len(lines[0])
        _check(length, number + 1)
        if len(lines) == 1:
            continue
        lines[0] = b"".join(begun)
        begun = [lines.pop()]
        length = len(begun[0])
        if len(block) > LONGEST_RECORD:
            for ahead, line in enumerate(lines, number + 1):
                _check(len(line), ahead)
        if number == 0:
            lines[0] = lines[0].removeprefix(_BOM)
        yield from enumerate(lines, number + 1)
        number += len(lines)
    last = b"".join(begun)
    if number == 0:
        last = last.removeprefix(_BOM)
    if last:
        yield number + 1, last


def _check(length: int, number: int) -> None:
    if length > LONGEST_RECORD:
        raise Unreadable(f"line {number} is longer than {LONGEST_RECORD >> 20} MiB")
