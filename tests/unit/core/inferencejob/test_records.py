from typing import Any

import pytest

from splai.api.job_input import Input
from splai.core.inferencejob.records import Placed, format_of_name, read_records, record_format


def read(lines: str | bytes | None = None, *, key: str = "lines", **source: Any) -> list[Placed]:
    fields = {"configMap": {"name": "tickets", "key": key}} if lines is not None else {}
    return list(read_records(Input.model_validate({**fields, **source}), lines))


def problems(placed: list[Placed]) -> list[str]:
    return [f"{it.place}: {it.problem}" for it in placed if it.problem]


def test_a_text_is_one_record() -> None:
    assert read(text="hello") == [Placed("spec.input.text", {"text": "hello"})]


def test_items_are_objects_or_texts() -> None:
    assert read(items=["a", {"b": None}]) == [Placed("item 1", {"text": "a"}), Placed("item 2", {"b": None})]


def test_a_config_map_holds_a_record_a_line() -> None:
    assert read('\ufeff{"a": 1}\r\n\n   \n{"a": 2}') == [
        Placed("record 1 (line 1)", {"a": 1}),
        Placed("record 2 (line 4)", {"a": 2}),
    ]


@pytest.mark.parametrize(
    ("key", "named", "text", "want"),
    [
        ("tickets.csv", "auto", "a,b\n1,2\n", {"a": "1", "b": "2"}),
        ("tickets.txt", "auto", "hello\n", {"text": "hello"}),
        ("tickets", "csv", "a\n1\n", {"a": "1"}),
        ("tickets.csv", "text", "a,b\n", {"text": "a,b"}),
        ("tickets.csv", "jsonl", '{"a": 1}', {"a": 1}),
    ],
)
def test_a_config_maps_format_is_said_or_told_by_the_keys_ending(
    key: str, named: str, text: str, want: dict[str, Any]
) -> None:
    assert [it.record for it in read(text, key=key, format=named)] == [want]


def test_a_bad_record_is_told_with_its_place_and_the_others_are_read() -> None:
    placed = read('{"a": 1}\n\n{"a": }\n[]\n{"a": 2}')
    assert problems(placed) == [
        "record 2 (line 3, column 7): not valid JSON: Expecting value",
        "record 3 (line 4): must be a JSON object",
    ]
    assert [it.record for it in placed if it.record] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ({"text": " \n"}, "spec.input.text: is empty"),
        ({"text": "a", "format": "csv"}, "spec.input.format: a text is one record, not a file in csv format"),
        ({"items": ["a", 5]}, "item 2: must be an object or a text"),
        ({"items": ["a"], "format": "csv"}, "spec.input.format: items are JSON, not lines in csv format"),
        ({"items": ["x" * 70_000]}, "spec.input.items: 70004 bytes as JSON, the limit is 65536; use configMap"),
        ({"lines": "a,\n1,2\n", "format": "csv"}, "spec.input: line 1: field 2 of the header has no name"),
        (
            {"lines": "", "format": "parquet"},
            "spec.input: a ConfigMap cannot be read as a Parquet file; use persistentVolumeClaim, s3 or http",
        ),
        ({"lines": b"a\xff", "format": "text"}, "record 1 (line 1): not valid UTF-8 at byte 2 of the line"),
        ({"lines": "\udc80", "format": "text"}, "record 1 (line 1): not valid UTF-8 at byte 1 of the line"),
    ],
)
def test_what_cannot_be_read_is_refused(source: dict[str, Any], want: str) -> None:
    assert problems(read(**source)) == [want]


@pytest.mark.parametrize(
    "source", [{"items": ["a", "b", 5]}, {"lines": '{"text": "a"}\n{"text": "b"}\noops'}, {"text": "a"}]
)
def test_beyond_the_limit_nothing_is_looked_at(source: dict[str, Any]) -> None:
    placed = read(**source, limit=2)
    assert [it.record for it in placed] == [{"text": "a"}, {"text": "b"}][: len(placed)]
    assert len(placed) == (1 if "text" in source else 2)


@pytest.mark.parametrize(
    ("first", "wanted", "want"),
    [
        ({"custom_id": "a", "body": {}}, "auto", "openai-batch"),
        ({"custom_id": "a", "body": {}}, "jsonl", "jsonl"),
        ({"custom_id": "a"}, "auto", "jsonl"),
        ({"text": "a"}, "openai-batch", "openai-batch"),
        (None, "auto", "jsonl"),
    ],
)
def test_the_format_of_records_is_told_by_the_first(first: dict[str, Any] | None, wanted: Any, want: str) -> None:
    assert record_format(wanted, first) == want


def test_a_table_holds_no_requests_whatever_its_columns_are_called() -> None:
    assert record_format("auto", {"custom_id": "a", "body": "b"}, is_json=False) == "jsonl"


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("a.jsonl", "jsonl"),
        ("a.NDJSON", "jsonl"),
        ("a.b.csv.gz", "csv"),
        ("a.txt.zst", "text"),
        ("a.parquet", "parquet"),
        ("lines", "auto"),
        ("csv", "auto"),
        ("a.gz", "auto"),
    ],
)
def test_a_name_speaks_of_a_format_by_its_ending(name: str, want: str) -> None:
    assert format_of_name(name) == want
