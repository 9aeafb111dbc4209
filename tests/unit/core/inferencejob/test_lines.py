from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splai.core.inferencejob.lines import LONGEST_RECORD, Unreadable, split_lines


def test_only_a_line_feed_ends_a_line() -> None:
    assert list(split_lines(["a\u2028b\x0bc\r\nd".encode()])) == [(1, "a\u2028b\x0bc\r".encode()), (2, b"d")]


@pytest.mark.parametrize(
    ("content", "want"),
    [
        (b"", []),
        (b"\n", [(1, b"")]),
        (b"a", [(1, b"a")]),
        (b"a\n", [(1, b"a")]),
        (b"a\n\nb", [(1, b"a"), (2, b""), (3, b"b")]),
    ],
)
def test_the_last_line_may_lack_its_end(content: bytes, want: list[tuple[int, bytes]]) -> None:
    assert list(split_lines([content])) == want


@pytest.mark.parametrize("content", ["\ufeffa\n\ufeffb\n", "\ufeffa"])
def test_a_byte_order_mark_is_dropped_at_the_very_beginning_only(content: str) -> None:
    lines = [line.decode() for _, line in split_lines([bytes([byte]) for byte in content.encode()])]
    assert lines == ["a", "\ufeffb"][: len(lines)]


@given(st.lists(st.binary(max_size=6).filter(lambda line: b"\n" not in line), max_size=8), st.data())
def test_it_does_not_matter_where_the_stream_is_split(lines: list[bytes], data: st.DataObject) -> None:
    content = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    blocks = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    assert list(split_lines(blocks)) == list(split_lines([content]))


@pytest.mark.parametrize("blocks", [1, 64])
def test_a_line_that_is_too_long_is_told_by_its_number(blocks: int) -> None:
    content = b"ok\n" + b"x" * (LONGEST_RECORD + 1) + b"\nok\n"
    size = len(content) // blocks + 1
    lines = split_lines(content[start : start + size] for start in range(0, len(content), size))
    assert next(lines) == (1, b"ok") if blocks > 1 else True
    with pytest.raises(Unreadable, match=r"^line 2 is longer than 15 MiB$"):
        list(lines)


def test_what_cannot_end_is_not_kept() -> None:
    with pytest.raises(Unreadable):
        list(split_lines(repeat(b"x" * 1_000_000)))
