import json
from typing import Any

import pytest

from splai.api.inference_job import Input
from splai.core.inferencejob.records import Problems, Records, read_records


def read(lines: str | None = None, **source: Any) -> tuple[Records, list[str]]:
    problems = Problems()
    fields = {"configMap": {"name": "tickets", "key": "lines"}} if lines is not None else {}
    records = read_records(Input.model_validate({**fields, **source}), lines, problems)
    return records, problems.found


def test_a_text_is_one_record() -> None:
    records, problems = read(text="hello")
    assert (records.records, problems) == ([{"text": "hello"}], [])


def test_items_are_objects_or_texts() -> None:
    records, problems = read(items=["a", {"b": None}])
    assert records.records == [{"text": "a"}, {"b": None}]
    assert records.places == ["item 1", "item 2"]
    assert problems == []


def test_lines_are_records_and_blank_ones_are_skipped() -> None:
    records, problems = read('\ufeff{"a": 1}\r\n\n   \n{"a": 2}')
    assert records.records == [{"a": 1}, {"a": 2}]
    assert records.places == ["record 1 (line 1)", "record 2 (line 4)"]
    assert problems == []


def test_a_line_separator_inside_a_text_ends_no_line() -> None:
    records, _ = read('{"a": "x\u2028y"}')
    assert records.records == [{"a": "x\u2028y"}]


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ('{"a": }', "record 2 (line 3, column 7): not valid JSON: Expecting value"),
        ("[1]", "record 2 (line 3): must be a JSON object"),
        ('"a"', "record 2 (line 3): must be a JSON object"),
        ('{"a": NaN}', "record 2 (line 3): not valid JSON: NaN is not a JSON number"),
        ('{"a": -Infinity}', "record 2 (line 3): not valid JSON: -Infinity is not a JSON number"),
        ('{"a": "\\ud800"}', "record 2 (line 3): not valid JSON: holds half of a surrogate pair"),
        ("[" * 100_000, "record 2 (line 3): not valid JSON: nested too deeply"),
    ],
)
def test_a_bad_line_is_told_with_its_place(line: str, want: str) -> None:
    _, problems = read('{"a": 1}\n\n' + line)
    assert problems == [want]


def test_a_whole_surrogate_pair_is_fine() -> None:
    records, problems = read('{"a": "\\ud83d\\ude00"}')
    assert (records.records, problems) == ([{"a": "😀"}], [])


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ({"text": " \n"}, "spec.input.text: is empty"),
        ({"items": []}, "spec.input: holds no record"),
        ({"items": ["a", 5]}, "item 2: must be an object or a text"),
        ({"items": ["x" * 70_000]}, "spec.input.items: 70004 bytes as JSON, the limit is 65536; use configMap"),
    ],
)
def test_an_input_without_records_or_with_wrong_ones_is_refused(source: dict[str, Any], want: str) -> None:
    assert read(**source)[1] == [want]


def test_an_empty_config_map_value_is_refused() -> None:
    assert read("\n \n")[1] == ["spec.input: holds no record"]


@pytest.mark.parametrize(
    ("record", "wanted", "want"),
    [
        ({"custom_id": "a", "body": {}}, "auto", "openai-batch"),
        ({"custom_id": "a", "body": {}}, "jsonl", "jsonl"),
        ({"custom_id": "a"}, "auto", "jsonl"),
        ({"text": "a"}, "openai-batch", "openai-batch"),
    ],
)
def test_the_format_is_told_by_the_first_record(record: dict[str, Any], wanted: str, want: str) -> None:
    assert read(json.dumps(record), format=wanted)[0].format == want


def test_only_the_first_twenty_problems_are_told() -> None:
    _, problems = read("oops\n" * 100)
    assert len(problems) == 20
    assert problems[-1].startswith("record 20 (line 20, column 1)")
