"""The one form of the Range header that is served: a single range of bytes (RFC 9110, section 14)."""

import re

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class RangeNotSatisfiable(Exception):
    """The object ends before the range starts."""


def resolve(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) in an object of ``size`` bytes; None for the whole: no range, or none we serve."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None  # malformed: to be ignored
    if start >= size or start >= end:
        raise RangeNotSatisfiable
    return start, end
