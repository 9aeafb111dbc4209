"""What the lines of an input mean: JSON Lines, text and CSV.

Each format makes of numbered lines the records in them, one by one, or says what is wrong with one and goes on. Every
record comes with its JSON on one line, which is what is stored and what the engine's request is later made from.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from splai.api.json import refuse_constant
from splai.core.inferencejob.lines import LONGEST_RECORD, Line, Unreadable

LineFormat = Literal["jsonl", "openai-batch", "csv", "text"]

csv.field_size_limit(LONGEST_RECORD)  # of the process, which reads CSV nowhere else; the default is 128 KiB


class Entry(NamedTuple):
    """A record and the line or row where it begins; ``json`` is the record on one line."""

    number: int
    record: dict[str, Any]
    json: bytes


class Fault(NamedTuple):
    """What is wrong with the record that begins at a line or row; the words never quote contents."""

    number: int
    problem: str
    column: int | None = None


def read_lines(line_format: LineFormat, lines: Iterable[Line]) -> Iterator[Entry | Fault]:
    """The records of lines in a format; raises Unreadable when the rest makes no sense."""
    return _FORMATS[line_format](lines)


def json_lines(lines: Iterable[Line]) -> Iterator[Entry | Fault]:
    """A JSON object a line; blank lines are skipped."""
    for number, line in lines:
        stripped = line.rstrip(b" \t\r")
        if not stripped:
            continue
        try:
            record = parse(stripped)
        except json.JSONDecodeError as error:
            yield Fault(number, f"not valid JSON: {error.msg}", error.colno)
        except UnicodeDecodeError as error:
            yield Fault(number, f"not valid UTF-8 at byte {error.start + 1} of the line")
        except RecursionError:
            yield Fault(number, "not valid JSON: nested too deeply")
        except ValueError as error:
            yield Fault(number, f"not valid JSON: {error}")
        else:
            yield (
                Entry(number, record, stripped) if isinstance(record, dict) else Fault(number, "must be a JSON object")
            )


def text_lines(lines: Iterable[Line]) -> Iterator[Entry | Fault]:
    """Each line is the field ``text`` of a record; blank lines are skipped."""
    for number, line in lines:
        stripped = line.removesuffix(b"\r")
        if not stripped.strip():
            continue
        try:
            yield _entry(number, {"text": stripped.decode()})
        except UnicodeDecodeError as error:
            yield Fault(number, f"not valid UTF-8 at byte {error.start + 1} of the line")


def csv_rows(lines: Iterable[Line]) -> Iterator[Entry | Fault]:
    """RFC 4180: the first row names the fields, whose values are texts; blank rows are skipped."""
    # What is no UTF-8 survives as half surrogates, which are found when the record is written as JSON.
    reader = csv.reader((line.decode(errors="surrogateescape") + "\n" for _, line in lines), strict=True)
    header: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if header is None:
                raise Unreadable(f"line {number}: the header is not valid CSV: {error}") from None
            yield Fault(number, f"not valid CSV: {error}")
            continue
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        if header is None:
            header = _check_header(number, row)
        elif len(row) != len(header):
            yield Fault(number, f"the row has {len(row)} fields, the header has {len(header)}")
        else:
            yield _entry(number, dict(zip(header, row, strict=True)))


_FORMATS: Mapping[LineFormat, Callable[[Iterable[Line]], Iterator[Entry | Fault]]] = {
    "jsonl": json_lines,
    "openai-batch": json_lines,
    "csv": csv_rows,
    "text": text_lines,
}


def _check_header(number: int, names: list[str]) -> list[str]:
    for place, name in enumerate(names, 1):
        if not name.strip():
            raise Unreadable(f"line {number}: field {place} of the header has no name")
        if name in names[: place - 1]:
            raise Unreadable(f"line {number}: fields {names.index(name) + 1} and {place} of the header have one name")
        if not _is_unicode(name):
            raise Unreadable(f"line {number}: field {place} of the header is not valid UTF-8")
    return names


def _entry(number: int, record: dict[str, Any]) -> Entry | Fault:
    try:
        line = to_json(record)
    except UnicodeEncodeError:
        return Fault(number, "not valid UTF-8")
    if len(line) > LONGEST_RECORD:
        return Fault(number, f"longer than {LONGEST_RECORD >> 20} MiB as JSON")
    return Entry(number, record, line)


def parse(line: bytes) -> Any:
    """The value of a JSON text that other programs understand as well: no NaN, no half of a surrogate pair.

    Raises ValueError, and RecursionError for a value that is nested too deeply.
    """
    text = line.decode()
    value = _decode(text)
    if ("\\ud" in text or "\\uD" in text) and not _is_unicode(_encode(value)):
        raise ValueError("holds half of a surrogate pair")
    return value


def to_json(record: Mapping[str, Any]) -> bytes:
    """A record on one line; raises UnicodeEncodeError, and ValueError for a number that is none."""
    return _encode(record).encode()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


_decode = json.JSONDecoder(parse_constant=refuse_constant, parse_float=_finite).decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
