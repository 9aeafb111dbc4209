"""Compressed data are recognised, read whole, and never believed to be whole when they are not."""

import gzip
import random
from collections.abc import Callable, Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from splai.core.inferencejob.lines import Unreadable
from splai.inputs.compression import decompressed, peek

compress_zstd = zstandard.ZstdCompressor().compress


def stream_zstd(content: bytes) -> bytes:
    """Without the size of the content in the frame's head."""
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(content) + compressor.flush()


COMPRESSORS: list[Callable[[bytes], bytes]] = [gzip.compress, compress_zstd, stream_zstd]


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def read(content: bytes, size: int = 1000) -> bytes:
    return b"".join(decompressed(pieces(content, size))[1])


@pytest.mark.parametrize("compress", COMPRESSORS)
@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=4), st.integers(1, 3000))
def test_all_members_are_read_however_the_stream_is_cut(
    compress: Callable[[bytes], bytes], contents: list[bytes], size: int
) -> None:
    assert read(b"".join(map(compress, contents)), size) == b"".join(contents)


@pytest.mark.parametrize("compress", COMPRESSORS)
@pytest.mark.parametrize("missing", [1, 9, 500])
def test_data_that_end_too_early_are_damaged(compress: Callable[[bytes], bytes], missing: int) -> None:
    content = compress(random.Random(0).randbytes(5000))
    with pytest.raises(Unreadable, match="end too early"):
        read(content[:-missing])


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_data_that_are_not_what_they_say_are_damaged(compress: Callable[[bytes], bytes]) -> None:
    content = compress(b"abc" * 1000)
    with pytest.raises(Unreadable, match="damaged"):
        read(content + b"what is this")
    with pytest.raises(Unreadable, match="damaged"):
        read(content[:6] + b"\xff" * 20)


def test_zeros_that_pad_a_gzip_file_are_no_content() -> None:
    assert read(gzip.compress(b"a") + bytes(512)) == b"a"


@pytest.mark.parametrize("content", [b"", b"a", b"abc", b"\x1f", b"plain text"])
def test_what_is_not_compressed_is_left_as_it_is(content: bytes) -> None:
    is_compressed, blocks = decompressed(iter([content]))
    assert (is_compressed, b"".join(blocks)) == (False, content)


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_a_bomb_grows_piece_by_piece(compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(bytes(100_000_000))
    sizes = [len(block) for block in decompressed(pieces(bomb, 1 << 20))[1]]
    assert sum(sizes) == 100_000_000
    assert max(sizes) <= 64 * 1024 * 1024


def test_a_peek_takes_nothing_away() -> None:
    first, blocks = peek(iter([b"a", b"", b"bc", b"def"]), 4)
    assert (first, b"".join(blocks)) == (b"abcd", b"abcdef")
