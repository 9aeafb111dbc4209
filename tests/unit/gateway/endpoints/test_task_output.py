"""A task's lines: of one kind, each position once, in the order of the input, byte by byte."""

import json
from collections import Counter

import pytest

from splai.api.ledger import PartLine
from splai.artifacts.part_lines import Kind
from splai.gateway.endpoints import task_output
from splai.gateway.endpoints.task_output import task_lines


def part(*lines: tuple[int, Kind, str]) -> bytes:
    return b"".join(
        PartLine(position=position, kind=kind, line={"custom_id": name, "response": {"n": 1}})
        .model_dump_json()
        .encode()
        + b"\n"
        for position, kind, name in lines
    )


class Parts:
    """A store that counts what is fetched."""

    def __init__(self, parts: dict[str, bytes]) -> None:
        self.parts = parts
        self.fetched: Counter[str] = Counter()

    async def fetch(self, path: str) -> bytes:
        self.fetched[path] += 1
        return self.parts[path]

    async def names(self, kind: Kind) -> list[str]:
        chunks = [chunk async for chunk in task_lines(list(self.parts), kind, self.fetch)]
        return [json.loads(line)["custom_id"] for line in b"".join(chunks).splitlines()]


async def test_lines_come_in_input_order_and_by_kind() -> None:
    parts = Parts(
        {
            "1": part((7, "output", "seven"), (5, "output", "five")),
            "2": part((6, "error", "six"), (8, "output", "eight")),
        }
    )

    assert await parts.names("output") == ["five", "seven", "eight"]
    assert await parts.names("error") == ["six"]


async def test_a_position_that_is_there_twice_counts_as_it_came_first() -> None:
    parts = Parts({"1": part((5, "error", "first")), "2": part((5, "output", "second"), (5, "error", "third"))})

    assert await parts.names("error") == ["first"]
    assert await parts.names("output") == []


async def test_a_line_comes_out_as_its_worker_wrote_it() -> None:
    line = '{"custom_id": "é", "response":{"text":",\\"line\\":{}}"}, "error":null,"x":{"line":{}}}'
    parts = Parts({"1": f'{{"position":0,"kind":"output","attempts":2,"line":{line}}}\n'.encode()})

    chunks = [chunk async for chunk in task_lines(["1"], "output", parts.fetch)]

    assert b"".join(chunks) == line.encode() + b"\n"


async def test_parts_that_fit_into_memory_are_fetched_once() -> None:
    parts = Parts({str(number): part((9 - number, "output", str(number))) for number in range(4)})

    assert await parts.names("output") == ["3", "2", "1", "0"]
    assert set(parts.fetched.values()) == {1}


async def test_more_parts_than_fit_into_memory_are_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_output, "PARTS_IN_MEMORY", 1)
    parts = Parts({str(number): part((9 - number, "output", str(number))) for number in range(4)})

    assert await parts.names("output") == ["3", "2", "1", "0"]
    assert max(parts.fetched.values()) == 2


async def test_a_large_task_is_sent_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_output, "CHUNK_BYTES", 100)
    parts = Parts({"1": part(*((position, "output", "x" * 60) for position in range(20)))})

    chunks = [chunk async for chunk in task_lines(["1"], "output", parts.fetch)]

    assert len(chunks) > 5
    assert all(chunk.endswith(b"}\n") for chunk in chunks)


@pytest.mark.parametrize(
    "content", [b"not a line\n", b'{"position":1,"kind":"output","line":{"cut', b'{"position":1}\n']
)
async def test_a_part_that_holds_something_else_is_an_error(content: bytes) -> None:
    parts = Parts({"1": content})

    with pytest.raises(ValueError, match="no line of a part"):
        await parts.names("output")
