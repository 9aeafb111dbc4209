"""From the inputs that the apiserver holds to records, each with the place a person would look for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from splai.api.job_input import Input, InputFormat
from splai.api.json import compact_text
from splai.core.inferencejob.line_formats import Entry, Fault, LineFormat, read_lines
from splai.core.inferencejob.lines import Unreadable, split_lines
from splai.core.inferencejob.prompt import RecordFormat

ITEMS_LIMIT = 64 * 1024
PROBLEM_LIMIT = 20
_ENDINGS: dict[str, InputFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".txt": "text",
    ".parquet": "parquet",
}


@dataclass
class Problems:
    """The first problems of an input, enough to see what is wrong and few enough for a status, and how many in all."""

    found: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, problem: str) -> None:
        self.total += 1
        if not self.full:
            self.found.append(problem)

    @property
    def full(self) -> bool:
        return len(self.found) >= PROBLEM_LIMIT


@dataclass(frozen=True)
class Records:
    """The input, in order."""

    format: RecordFormat
    records: Sequence[dict[str, Any]]


class Placed(NamedTuple):
    """A record, or what is wrong with it, and its place: ``record 3 (line 5)``, ``item 3`` or ``spec.input.text``."""

    place: str
    record: dict[str, Any] | None = None
    problem: str = ""


def read_records(source: Input, config_map_text: str | bytes | None) -> Iterator[Placed]:
    """The records of ``source``, as many as its limit allows.

    ``config_map_text`` is the value of the key when the input is a ConfigMap.
    """
    if source.text is not None:
        records = _text_record(source)
    elif source.items is not None:
        records = _item_records(source)
    else:
        records = _line_records(source, config_map_text or "")
    return islice(records, source.limit)


def format_of_name(name: str) -> InputFormat:
    """The format that a file's name speaks of by its ending; ``auto`` where it says nothing."""
    stem, dot, ending = name.lower().rpartition(".")
    if dot and f".{ending}" in (".gz", ".zst", ".zstd"):
        _, dot, ending = stem.rpartition(".")
    return _ENDINGS.get(f".{ending}", "auto") if dot else "auto"


def record_format(wanted: InputFormat, first: dict[str, Any] | None, *, is_json: bool = True) -> RecordFormat:
    """What the records are, told by the first one where the input does not say; only JSON can hold a request."""
    if wanted == "openai-batch":
        return "openai-batch"
    if wanted == "auto" and is_json and first and "custom_id" in first and "body" in first:
        return "openai-batch"
    return "jsonl"


def _text_record(source: Input) -> Iterator[Placed]:
    if source.format not in ("auto", "jsonl", "text"):
        yield Placed("spec.input.format", problem=f"a text is one record, not a file in {source.format} format")
    elif source.text and source.text.strip():
        yield Placed("spec.input.text", {"text": source.text})
    else:
        yield Placed("spec.input.text", problem="is empty")


def _item_records(source: Input) -> Iterator[Placed]:
    items = source.items or []
    size = len(compact_text(items).encode())
    if size > ITEMS_LIMIT:
        yield Placed("spec.input.items", problem=f"{size} bytes as JSON, the limit is {ITEMS_LIMIT}; use configMap")
        return
    if source.format not in ("auto", "jsonl", "openai-batch"):
        yield Placed("spec.input.format", problem=f"items are JSON, not lines in {source.format} format")
        return
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            yield Placed(f"item {number}", item)
        elif isinstance(item, str):
            yield Placed(f"item {number}", {"text": item})
        else:
            yield Placed(f"item {number}", problem="must be an object or a text")


def config_map_format(source: Input) -> InputFormat:
    """The format of a ConfigMap's text: as it is said, or as the key's ending has it."""
    named = format_of_name(source.config_map.key) if source.config_map else "auto"
    return named if source.format == "auto" else source.format


def _line_records(source: Input, text: str | bytes) -> Iterator[Placed]:
    wanted = config_map_format(source)
    if wanted == "parquet":
        yield Placed(
            "spec.input", problem="a ConfigMap cannot be read as a Parquet file; use persistentVolumeClaim, s3 or http"
        )
        return
    line_format: LineFormat = "jsonl" if wanted == "auto" else wanted
    content = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    try:
        for number, entry in enumerate(read_lines(line_format, split_lines([content])), 1):
            yield _placed(number, entry)
    except Unreadable as error:
        yield Placed("spec.input", problem=str(error))


def _placed(number: int, entry: Entry | Fault) -> Placed:
    if isinstance(entry, Entry):
        return Placed(place_of(number, entry.number), entry.record)
    return Placed(place_of(number, entry.number, column=entry.column), problem=entry.problem)


def place_of(record: int, number: int, *, file: str = "", unit: str = "line", column: int | None = None) -> str:
    """Where a record is: ``record 3 (b.jsonl line 5, column 7)``; with ``unit`` the row instead of the line."""
    within = f", column {column}" if column is not None else ""
    return f"record {record} ({f'{file} ' if file else ''}{unit} {number}{within})"
