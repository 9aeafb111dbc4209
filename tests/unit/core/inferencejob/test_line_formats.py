"""What is written in a format is read back; what is wrong is told with its line and costs no other record."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splai.core.inferencejob.line_formats import Entry, Fault, LineFormat, read_lines
from splai.core.inferencejob.lines import LONGEST_RECORD, Unreadable, split_lines

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def read(line_format: LineFormat, content: str | bytes) -> list[Entry | Fault]:
    data = content.encode() if isinstance(content, str) else content
    return list(read_lines(line_format, split_lines([data])))


def records(entries: list[Entry | Fault]) -> list[dict[str, Any]]:
    assert all(isinstance(entry, Entry) for entry in entries), entries
    return [entry.record for entry in entries if isinstance(entry, Entry)]


@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=5), st.booleans())
def test_json_lines_are_read_as_they_were_written(objects: list[dict[str, Any]], ascii_only: bool) -> None:
    entries = read("jsonl", "\r\n".join(json.dumps(record, ensure_ascii=ascii_only) for record in objects))
    assert records(entries) == objects
    assert [json.loads(entry.json) for entry in entries if isinstance(entry, Entry)] == objects


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))


@given(
    st.lists(CELLS.filter(str.strip), min_size=1, max_size=4, unique=True),
    st.lists(st.lists(CELLS, min_size=4, max_size=4), max_size=5),
)
def test_csv_is_read_as_it_was_written(header: list[str], rows: list[list[str]]) -> None:
    rows = [row[: len(header)] for row in rows if len(header) > 1 or row[0].strip()]
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    entries = read("csv", file.getvalue())
    assert records(entries) == [dict(zip(header, row, strict=True)) for row in rows]
    assert all(isinstance(entry, Entry) and json.loads(entry.json) == entry.record for entry in entries)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")).filter(str.strip)))
def test_text_is_read_as_it_was_written(lines: list[str]) -> None:
    content = "\r\n".join(lines)
    want = [{"text": line} for line in lines]
    if lines and lines[0].startswith("\ufeff"):
        want[0] = {"text": lines[0][1:]}
        want = want if want[0]["text"].strip() else want[1:]
    assert records(read("text", content)) == want


def test_an_entry_knows_its_line_and_keeps_its_bytes() -> None:
    assert read("jsonl", '\n {"a":  1} \r\n') == [Entry(2, {"a": 1}, b' {"a":  1}')]


@pytest.mark.parametrize(
    ("line", "want"),
    [
        (b'{"a": }', Fault(2, "not valid JSON: Expecting value", 7)),
        (b"[1]", Fault(2, "must be a JSON object")),
        (b'"a"', Fault(2, "must be a JSON object")),
        (b'{"a": NaN}', Fault(2, "not valid JSON: NaN is not a JSON number")),
        (b'{"a": -Infinity}', Fault(2, "not valid JSON: -Infinity is not a JSON number")),
        (b'{"a": 1e999}', Fault(2, "not valid JSON: a number is too large")),
        (b'{"a": "\\ud800"}', Fault(2, "not valid JSON: holds half of a surrogate pair")),
        (b'{"a": "\\uDfff"}', Fault(2, "not valid JSON: holds half of a surrogate pair")),
        (b'{"a": "\xff"}', Fault(2, "not valid UTF-8 at byte 8 of the line")),
        (b'{"a": "\xed\xa0\x80"}', Fault(2, "not valid UTF-8 at byte 8 of the line")),
        (b"[" * 100_000, Fault(2, "not valid JSON: nested too deeply")),
    ],
)
def test_a_bad_json_line_is_told_with_its_number(line: bytes, want: Fault) -> None:
    assert read("jsonl", b'{"a": 1}\n' + line + b'\n{"a": 2}')[1:] == [want, Entry(3, {"a": 2}, b'{"a": 2}')]


def test_a_whole_surrogate_pair_is_fine() -> None:
    assert records(read("jsonl", '{"a": "\\ud83d\\ude00", "b": "\\\\ud800"}')) == [{"a": "😀", "b": "\\ud800"}]


def test_a_line_separator_inside_a_text_ends_no_record() -> None:
    assert records(read("jsonl", '{"a": "x\u2028y"}')) == [{"a": "x\u2028y"}]
    assert records(read("text", "x\u2028y")) == [{"text": "x\u2028y"}]
    assert records(read("csv", "a\nx\u2028y\n")) == [{"a": "x\u2028y"}]


def test_a_quoted_field_may_hold_what_separates_others() -> None:
    entries = read("csv", 'a,b\n"x ""y"", z\n\nend",1\n2,3\n')
    assert records(entries) == [{"a": 'x "y", z\n\nend', "b": "1"}, {"a": "2", "b": "3"}]
    assert [entry.number for entry in entries] == [2, 5]


@pytest.mark.parametrize(
    ("row", "want"),
    [
        (b"1", Fault(3, "the row has 1 fields, the header has 2")),
        (b"1,2,3", Fault(3, "the row has 3 fields, the header has 2")),
        (b"1,\xff", Fault(3, "not valid UTF-8")),
        (b'"1"x,2', Fault(3, "not valid CSV: ',' expected after '\"'")),
    ],
)
def test_a_bad_row_is_told_with_its_line(row: bytes, want: Fault) -> None:
    entries = read("csv", b"a,b\n\n" + row + b"\n8,9\n")
    assert entries == [want, Entry(4, {"a": "8", "b": "9"}, b'{"a":"8","b":"9"}')]


def test_a_quote_that_never_closes_is_told_with_the_line_where_it_opens() -> None:
    assert read("csv", 'a,b\n1,"2\n3,4\n') == [Fault(2, "not valid CSV: unexpected end of data")]


@pytest.mark.parametrize(
    ("header", "want"),
    [
        (b"a,,c", "line 1: field 2 of the header has no name"),
        (b"a,b,a", "line 1: fields 1 and 3 of the header have one name"),
        (b"a,\xff", "line 1: field 2 of the header is not valid UTF-8"),
        (b'"a"b', "line 1: the header is not valid CSV: ',' expected after '\"'"),
    ],
)
def test_a_header_that_names_no_fields_ends_the_reading(header: bytes, want: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read("csv", header + b"\n1,2,3\n")
    assert str(caught.value) == want


@pytest.mark.parametrize("line_format", ["jsonl", "openai-batch", "csv", "text"])
def test_nothing_holds_no_record(line_format: LineFormat) -> None:
    assert read(line_format, "\ufeff\n \r\n") == []


def test_a_long_field_is_read() -> None:
    assert records(read("csv", "a\n" + "x" * 1_000_000 + "\n")) == [{"a": "x" * 1_000_000}]


def test_a_text_that_grows_too_long_as_json_is_a_fault() -> None:
    assert read("text", "\x01" * (LONGEST_RECORD // 6 + 1)) == [Fault(1, "longer than 15 MiB as JSON")]
