"""The columns of Parquet files."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from splai.outputs import parquet as module
from splai.outputs.parquet import SCHEMA, parquet
from splai.worker.batch_lines import answer_line, error_line, failure_line
from splai.worker.outcome import Answer

CHAT = {
    "id": "chatcmpl-1",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Zürich"}, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "content": "other"}, "finish_reason": "length"},
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
COMPLETION = {"choices": [{"text": "and then", "finish_reason": "length"}], "usage": {"prompt_tokens": 1}}
EMBEDDING = {"data": [{"embedding": [0.1, 0.2]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}}
RESPONSE = {
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "Hel"}, {"type": "output_text", "text": "lo"}]},
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}


def answered(body: dict[str, Any] | bytes, custom_id: str = "a") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return answer_line("batch_req_1", custom_id, Answer(200, data, "req-1"))


async def written(*lines: list[bytes]) -> bytes:
    async def batches() -> AsyncIterator[list[bytes]]:
        for some in lines:
            yield some

    return b"".join([chunk async for chunk in parquet(batches())])


async def rows(*lines: bytes) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = pq.read_table(io.BytesIO(await written(list(lines)))).to_pylist()
    return table


async def test_an_answer_is_there_whole_and_in_columns() -> None:
    (row,) = await rows(answered(CHAT, custom_id='tick"et-1'))
    assert json.loads(row.pop("body")) == CHAT
    assert row == {
        "custom_id": 'tick"et-1',
        "id": "batch_req_1",
        "status_code": 200,
        "request_id": "req-1",
        "error_code": None,
        "error_message": None,
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 7,
        "text": "Zürich",
        "finish_reason": "stop",
    }


async def test_the_body_is_the_engines_byte_for_byte() -> None:
    body = b'{"logprob": -0.10, "big": 1E5, "choices": [], "text": "\\u00e9"}'
    (row,) = await rows(answered(body))
    assert row["body"] == body.decode()


@pytest.mark.parametrize(
    ("body", "text", "tokens"),
    [(COMPLETION, "and then", (1, None, None)), (EMBEDDING, None, (4, None, 4)), (RESPONSE, "Hello", (3, 2, 5))],
)
async def test_every_type_of_answer_has_its_text_and_tokens(
    body: dict[str, Any], text: str | None, tokens: tuple[int | None, ...]
) -> None:
    (row,) = await rows(answered(body))
    assert row["text"] == text
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == tokens


async def test_a_record_without_an_answer_has_its_error() -> None:
    (row,) = await rows(error_line("batch_req_1", "a", code="request_timeout", message="no answer in 600 s"))
    assert (row["error_code"], row["error_message"]) == ("request_timeout", "no answer in 600 s")
    assert (row["status_code"], row["body"], row["text"]) == (None, None, None)


async def test_an_answer_that_is_an_error_shows_the_engines_words() -> None:
    body = b'{"error": {"message": "too long", "type": "invalid_request_error", "code": 400}}'
    (row,) = await rows(failure_line("batch_req_1", "a", Answer(400, body)))
    assert (row["status_code"], row["error_code"], row["error_message"]) == (400, "400", "too long")


@pytest.mark.parametrize(
    "body",
    [
        {"choices": "none", "usage": [1], "output": {"text": 1}},
        {"choices": [1], "usage": {"prompt_tokens": True, "total_tokens": 2**70}, "output": [1, {"content": [None]}]},
        {"choices": [{"message": None, "finish_reason": {}}], "error": "no object"},
    ],
)
async def test_an_answer_of_an_unexpected_shape_is_kept_without_the_columns(body: dict[str, Any]) -> None:
    (row,) = await rows(answered(body))
    assert json.loads(row["body"]) == body
    assert {row[name] for name in ("text", "finish_reason", "prompt_tokens", "total_tokens", "error_code")} == {None}


async def test_half_a_surrogate_pair_is_a_question_mark_in_the_columns_and_an_escape_in_the_body() -> None:
    body = b'{"choices": [{"message": {"content": "ok \\ud83d"}, "finish_reason": "\\ude00"}]}'
    line = answered(body, custom_id="a").replace(b'"a"', b'"a\\ud83d"').replace(b'"req-1"', b'"\\ud83d"')
    (row,) = await rows(line)
    assert (row["custom_id"], row["request_id"], row["text"], row["finish_reason"]) == ("a?", "?", "ok ?", "?")
    assert row["body"] == body.decode()


async def test_half_a_surrogate_pair_in_an_error_is_a_question_mark() -> None:
    (row,) = await rows(failure_line("batch_req_1", "a", Answer(400, b'{"error": {"message": "not \\ud83d"}}')))
    assert row["error_message"] == "not ?"
    (row,) = await rows(error_line("batch_req_1", "a", code="bad", message="").replace(b'""', b'"\\ud83d"'))
    assert row["error_message"] == "?"


async def test_row_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    line = answered(CHAT)
    monkeypatch.setattr(module, "GROUP_BYTES", 2 * len(line))
    file = pq.ParquetFile(io.BytesIO(await written([line], [line], [line, line, line], [line])))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [2, 3, 1]


async def test_a_file_without_rows_has_its_columns() -> None:
    table = pq.read_table(io.BytesIO(await written()))
    assert (table.num_rows, table.schema) == (0, SCHEMA)


async def test_the_same_lines_make_the_same_bytes() -> None:
    lines = [answered(CHAT, custom_id=f"record-{number}") for number in range(100)]
    assert await written(lines[:50], lines[50:]) == await written(lines)


def test_columns_have_the_types_of_the_documentation() -> None:
    assert {field.name: str(field.type) for field in SCHEMA} == {
        **dict.fromkeys(("custom_id", "id", "request_id", "body", "text", "finish_reason"), "string"),
        **dict.fromkeys(("error_code", "error_message"), "string"),
        "status_code": "int32",
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), "int64"),
    }
