"""The bytes of a part."""

import json

import pytest

from splai.api.ledger import PartLine
from splai.artifacts.part_lines import ENVELOPE_BYTES, PartInvalid, RecordLine, decode, encode, split

RECORDS = [
    RecordLine(0, "output", 1, b'{"id":"a","response":{"body":{"x":"\xc3\xa9 \xe2\x80\xa8"}}}'),
    RecordLine(17, "error", 3, b'{"id":"b"}'),
]


def test_lines_are_read_back_as_they_were_written() -> None:
    assert list(decode(encode(RECORDS))) == RECORDS


def test_all_lines_at_once_are_the_same_lines() -> None:
    part = encode(RECORDS)
    expected = [(b"%d" % r.position, r.kind.encode(), b"%d" % r.attempts, r.line) for r in RECORDS]
    assert split(part) == split(part[:-1]) == expected
    assert split(b"") == []


def test_a_line_is_a_part_line_of_the_ledger() -> None:
    line = PartLine.model_validate_json(encode(RECORDS[1:2]))
    assert (line.position, line.kind, line.attempts, line.line) == (17, "error", 3, {"id": "b"})
    assert set(PartLine.model_fields) == set(json.loads(encode(RECORDS[1:2])))


@pytest.mark.parametrize(
    "broken", [b'{"position":1}', encode(RECORDS[:1])[:-9], b"", b'{"position":-1,"kind":"output"']
)
def test_anything_else_is_refused_with_its_line_number(broken: bytes) -> None:
    with pytest.raises(PartInvalid, match="line 2"):
        list(decode(encode(RECORDS[:1]) + broken + b"\n"))
    with pytest.raises(PartInvalid):
        split(encode(RECORDS[:1]) + broken + b"\n")


def test_the_size_of_a_part_is_never_underestimated() -> None:
    record = RecordLine(10**12, "output", 10**9, b"{}")
    assert len(encode([record])) <= len(record.line) + ENVELOPE_BYTES
