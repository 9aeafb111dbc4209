"""From ``spec.input`` to records, each with the place a person would look for it when something is wrong with it."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from splai.api.job_input import Input, InputFormat
from splai.core.inferencejob.prompt import RecordFormat

ITEMS_LIMIT = 64 * 1024
PROBLEM_LIMIT = 20
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass
class Problems:
    """The first problems of an input: enough to see what is wrong, few enough for a status."""

    found: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        if not self.full:
            self.found.append(problem)

    @property
    def full(self) -> bool:
        return len(self.found) >= PROBLEM_LIMIT


@dataclass(frozen=True)
class Records:
    """The input, in order. ``places`` runs beside ``records``: ``record 3 (line 5)``, ``item 3`` or ``text``."""

    format: RecordFormat
    records: Sequence[dict[str, Any]]
    places: Sequence[str]


def read_records(source: Input, config_map_text: str | None, problems: Problems) -> Records:
    """The records of ``source``; what cannot be read is left out and added to ``problems``.

    ``config_map_text`` is the value of the key when the input is a ConfigMap.
    """
    if source.text is not None:
        pairs = _text_record(source.text, problems)
    elif source.items is not None:
        pairs = _item_records(source.items, problems)
    else:
        pairs = _line_records(config_map_text or "", problems)
    placed = list(pairs)
    if not placed and not problems.found:
        problems.add("spec.input: holds no record")
    records, places = [record for record, _ in placed], [place for _, place in placed]
    return Records(_format(source.format, records), records, places)


def _format(wanted: InputFormat, records: Sequence[dict[str, Any]]) -> RecordFormat:
    if wanted in ("jsonl", "openai-batch"):
        return wanted
    return "openai-batch" if records and "custom_id" in records[0] and "body" in records[0] else "jsonl"


def _text_record(text: str, problems: Problems) -> Iterator[tuple[dict[str, Any], str]]:
    if text.strip():
        yield {"text": text}, "spec.input.text"
    else:
        problems.add("spec.input.text: is empty")


def _item_records(items: Sequence[Any], problems: Problems) -> Iterator[tuple[dict[str, Any], str]]:
    size = len(json.dumps(items, ensure_ascii=False, separators=(",", ":")).encode())
    if size > ITEMS_LIMIT:
        problems.add(f"spec.input.items: {size} bytes as JSON, the limit is {ITEMS_LIMIT}; use configMap")
        return
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            yield item, f"item {number}"
        elif isinstance(item, str):
            yield {"text": item}, f"item {number}"
        else:
            problems.add(f"item {number}: must be an object or a text")


def _line_records(text: str, problems: Problems) -> Iterator[tuple[dict[str, Any], str]]:
    for record, (number, line) in enumerate(_lines(text), 1):
        try:
            value = _parse(line)
        except json.JSONDecodeError as error:
            problems.add(f"record {record} (line {number}, column {error.colno}): not valid JSON: {error.msg}")
        except (ValueError, RecursionError) as error:
            detail = "nested too deeply" if isinstance(error, RecursionError) else error
            problems.add(f"record {record} (line {number}): not valid JSON: {detail}")
        else:
            if isinstance(value, dict):
                yield value, f"record {record} (line {number})"
            else:
                problems.add(f"record {record} (line {number}): must be a JSON object")
        if problems.full:
            return


def _lines(text: str) -> Iterable[tuple[int, str]]:
    """Lines that are not blank, with their numbers; only LF ends a line, as JSON Lines has it."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if line.strip():
            yield number, line


def _parse(line: str) -> Any:
    value = json.loads(line, parse_constant=_refuse_constant)
    if _SURROGATE.search(line):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("holds half of a surrogate pair") from error
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
