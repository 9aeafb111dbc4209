"""gzip and zstd, recognised by their first bytes, in bounded memory whatever they grow to."""

import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Final

import zstandard

from splai.core.inferencejob.lines import Unreadable

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
_OUTPUT_BYTES: Final = 1024 * 1024
_ZSTD_INPUT_BYTES: Final = 2048
"""At a time: four bytes of zstd may stand for 128 KiB, and a decompressor gives all that they stand for at once."""


def peek(blocks: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """The first ``count`` bytes, or as many as there are, and all the blocks as if nothing had been read."""
    begun: list[bytes] = []
    size = 0
    while size < count and (block := next(blocks, None)) is not None:
        begun.append(block)
        size += len(block)
    first = b"".join(begun)
    return first[:count], chain([first] if first else [], blocks)


def decompressed(blocks: Iterator[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Whether the blocks are compressed, and what they hold; reading raises Unreadable where they are damaged."""
    magic, blocks = peek(blocks, len(ZSTD))
    if magic.startswith(GZIP):
        return True, _gzip(blocks)
    if magic == ZSTD:
        return True, _zstd(blocks)
    return False, blocks


def _gzip(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The members of a gzip file, one after the other; zeros that pad the end are no member."""
    member = None
    for block in blocks:
        data = block
        while data:
            if member is None:
                data = data.lstrip(b"\0")
                if not data:
                    break
                member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            try:
                output = member.decompress(data, _OUTPUT_BYTES)
            except zlib.error:
                raise Unreadable("the gzip data are damaged") from None
            if output:
                yield output
            data = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member = None
    if member is not None:
        yield from _rest(member)


def _rest(member: "zlib._Decompress") -> Iterator[bytes]:
    """What a member still holds back when all of the file was given to it."""
    while output := member.decompress(b"", _OUTPUT_BYTES):
        yield output
    if not member.eof:
        raise Unreadable("the gzip data end too early")


def _zstd(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The frames of a zstd file, one after the other."""
    frame = None
    for block in blocks:
        for start in range(0, len(block), _ZSTD_INPUT_BYTES):
            data = block[start : start + _ZSTD_INPUT_BYTES]
            while data:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                try:
                    output = frame.decompress(data)
                except zstandard.ZstdError:
                    raise Unreadable("the zstd data are damaged") from None
                if output:
                    yield output
                data = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame = None
    if frame is not None:
        raise Unreadable("the zstd data end too early")
