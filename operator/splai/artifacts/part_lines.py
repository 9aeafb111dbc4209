"""The lines of a part as bytes.

A part is written and read by this module alone, in one fixed form, so that a record's line is serialised once when it
is answered and from then on only copied: finalizing a large job parses no answer.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

Kind = Literal["output", "error"]
RawLine = tuple[bytes, bytes, bytes, bytes]
"""A line of a part as it was cut out: position, kind, attempts, line. To make objects of them costs more than that."""
_LINE = re.compile(rb'^\{"position":(\d+),"kind":"(output|error)","attempts":(\d+),"line":(\{.*\})\}$', re.MULTILINE)
_HEAD = re.compile(rb'\{"position":(\d+),"kind":"(output|error)","attempts":(\d+),"line":(?=\{)')
_KINDS: dict[bytes, Kind] = {b"output": "output", b"error": "error"}
_NAMES: dict[Kind, bytes] = {kind: name for name, kind in _KINDS.items()}
ENVELOPE_BYTES = 80
"""At most so many bytes of a part's line are not the record's own line."""


class PartInvalid(ValueError):
    """A part holds something else than lines of this form."""


class RecordLine(NamedTuple):
    """One record's durable outcome; ``line`` is a JSON object without a line break."""

    position: int
    kind: Kind
    attempts: int
    line: bytes


def encode(records: Iterable[RecordLine]) -> bytes:
    """A part: of each record an ``api.ledger.PartLine`` and its line break."""
    return b"".join(
        [
            b'{"position":%d,"kind":"%s","attempts":%d,"line":%s}\n' % (position, _NAMES[kind], attempts, line)
            for position, kind, attempts, line in records
        ]
    )


def decode(part: bytes) -> Iterator[RecordLine]:
    """The lines of a part, in order; raises PartInvalid."""
    for number, raw in enumerate(part.splitlines(), start=1):
        head = _HEAD.match(raw)
        if head is None or not raw.endswith(b"}}"):
            raise PartInvalid(f"line {number} is no line of a part")
        yield RecordLine(int(head[1]), _KINDS[head[2]], int(head[3]), raw[head.end() : -1])


def split(part: bytes) -> list[RawLine]:
    """All lines of a part at once, for whoever goes through millions of them; raises PartInvalid."""
    lines: list[RawLine] = _LINE.findall(part)
    if len(lines) != part.count(b"\n") + (not part.endswith(b"\n") and bool(part)):
        raise PartInvalid("a line is no line of a part")
    return lines
