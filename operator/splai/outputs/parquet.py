"""``parquet``: the same outcomes as columns, in row groups of at most 16 MiB of lines.

=================  ======  ====================================================================================
column             type    content
=================  ======  ====================================================================================
custom_id          string  the record's name
id                 string  of the line, as in the OpenAI Batch format
status_code        int32   of the engine's HTTP answer; null when there was none
request_id         string  the engine's
body               string  the engine's answer as JSON text, byte for byte
error_code         string  why there is no answer, or the ``code`` of the error that is the answer
error_message      string  the same in words
prompt_tokens      int64   from the answer's ``usage``, as the two below; null when it has none
completion_tokens  int64
total_tokens       int64
text               string  what the model said, in the first choice or output; null for embeddings
finish_reason      string  of the first choice
=================  ======  ====================================================================================
"""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from splai.api.json import compact_text

GROUP_BYTES: Final = 16 * 1024 * 1024
GROUP_ROWS: Final = 50_000
SCHEMA: Final = pa.schema(
    [
        pa.field("custom_id", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("status_code", pa.int32()),
        pa.field("request_id", pa.string()),
        pa.field("body", pa.string()),
        pa.field("error_code", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("prompt_tokens", pa.int64()),
        pa.field("completion_tokens", pa.int64()),
        pa.field("total_tokens", pa.int64()),
        pa.field("text", pa.string()),
        pa.field("finish_reason", pa.string()),
    ]
)
_STRING = rb'"(?:[^"\\]|\\.)*"'
_BEFORE_BODY = re.compile(
    rb'\{"id":%b,"custom_id":%b,"response":\{"status_code":\d+,"request_id":%b,"body":' % (_STRING, _STRING, _STRING)
)
_AFTER_BODY = b'},"error":null}'


async def parquet(lines: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    """The file's bytes, a row group at a time; the work is done in a thread, since a group takes some tenths of one."""
    file = _Taken()
    writer = pq.ParquetWriter(file, SCHEMA, compression="zstd")
    group: list[bytes] = []
    size = 0
    async for some in lines:
        group += some
        size += sum(map(len, some))
        if size >= GROUP_BYTES or len(group) >= GROUP_ROWS:
            await asyncio.to_thread(_write, writer, group)
            yield file.take()
            group, size = [], 0
    if group:
        await asyncio.to_thread(_write, writer, group)
    await asyncio.to_thread(writer.close)
    yield file.take()


class _Taken(io.RawIOBase):
    """A file whose bytes are taken away as they are written; Arrow needs to know only how many there were."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._pending += view
        self._size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        taken = bytes(self._pending)
        self._pending.clear()
        return taken


def _write(writer: pq.ParquetWriter, lines: Sequence[bytes]) -> None:
    rows = [_row(line) for line in lines]
    columns = dict(zip(SCHEMA.names, zip(*rows, strict=True), strict=True))
    writer.write_table(pa.Table.from_pydict(columns, schema=SCHEMA), row_group_size=len(rows))


def _row(line: bytes) -> tuple[Any, ...]:
    value = json.loads(line)
    response, error = value["response"] or {}, value["error"] or {}
    body = response.get("body")
    answer = body if isinstance(body, dict) else {}
    if not error:
        error = _mapping(answer.get("error"))
    usage = _mapping(answer.get("usage"))
    choice = _first(answer.get("choices"))
    return (
        _text(value["custom_id"]),
        _text(value["id"]),
        response.get("status_code"),
        _text(response.get("request_id")),
        _body_text(line, body) if response else None,
        _text(error.get("code")),
        _text(error.get("message")),
        _number(usage.get("prompt_tokens", usage.get("input_tokens"))),
        _number(usage.get("completion_tokens", usage.get("output_tokens"))),
        _number(usage.get("total_tokens")),
        _text(_mapping(choice.get("message")).get("content", choice.get("text"))) or _output_text(answer.get("output")),
        _text(choice.get("finish_reason")),
    )


def _body_text(line: bytes, body: Any) -> str:
    before = _BEFORE_BODY.match(line)
    if before and line.endswith(_AFTER_BODY):
        return line[before.end() : -len(_AFTER_BODY)].decode()
    return _encodable(compact_text(body))


def _output_text(output: Any) -> str | None:
    """Of an answer of the Responses API: the texts of its messages."""
    items = [_mapping(item) for item in output] if isinstance(output, list) else []
    contents = [item["content"] for item in items if isinstance(item.get("content"), list)]
    texts = [_text(_mapping(part).get("text")) for content in contents for part in content]
    return "".join(text for text in texts if text) or None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(value: Any) -> Mapping[str, Any]:
    return _mapping(value[0]) if isinstance(value, list) and value else {}


def _text(value: Any) -> str | None:
    """A text, or a number that some engines give where OpenAI has a text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _encodable(value) if isinstance(value, str) else None


def _encodable(text: str) -> str:
    """Half a surrogate pair, which JSON may hold as an escape and UTF-8 may not, becomes a question mark."""
    return text.encode(errors="replace").decode()


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None
