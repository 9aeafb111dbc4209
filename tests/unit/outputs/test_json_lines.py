"""The lines of the OpenAI Batch format as a file."""

from collections.abc import AsyncIterator

from splai.outputs import json_lines
from splai.outputs.json_lines import CHUNK_BYTES


async def batches(*lines: list[bytes]) -> AsyncIterator[list[bytes]]:
    for some in lines:
        yield some


async def test_every_line_ends_with_a_line_break() -> None:
    chunks = [chunk async for chunk in json_lines.json_lines(batches([b"{}", b"[]"], [], [b"1"]))]
    assert b"".join(chunks) == b"{}\n[]\n1\n"


async def test_no_line_is_no_byte() -> None:
    assert [chunk async for chunk in json_lines.json_lines(batches([], []))] == []


async def test_chunks_are_of_about_a_mebibyte() -> None:
    line = b"x" * (CHUNK_BYTES // 4)
    chunks = [chunk async for chunk in json_lines.json_lines(batches(*[[line]] * 9))]
    assert [chunk.count(b"\n") for chunk in chunks] == [4, 4, 1]


async def test_few_lines_among_many_of_the_other_kind_do_not_wait_for_a_mebibyte() -> None:
    now = 0.0

    async def seldom() -> AsyncIterator[list[bytes]]:
        nonlocal now
        for some in ([b"1"], [], [], [], [b"2"], [], []):
            yield some
            now += 4

    chunks = [chunk async for chunk in json_lines.json_lines(seldom(), clock=lambda: now)]
    assert chunks == [b"1\n", b"2\n"]
