"""Request bodies in bounded memory: small ones whole, under a limit for all together; large ones as a stream."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final as Constant

from aiohttp import web

from splai.artifacts.errors import APIError

MAX_WHOLE: Constant = 16 * 1024 * 1024  # a plan with its records, or a part, which has at most 8 MiB
SMALL: Constant = 256 * 1024
LARGE_AT_ONCE: Constant = 8
WHOLE_SECONDS: Constant = 60.0
PIECE_SECONDS: Constant = 600.0  # whoever reads a large ledger may seldom find a line of the file that it writes


class BodyReader:
    """Reads bodies; of those above 256 KiB eight at a time, so that memory stays below 128 MiB for them."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def whole(self, request: web.Request) -> bytes:
        """The body of an object that is created, at most 16 MiB."""
        if (request.content_length or 0) > MAX_WHOLE:
            raise _too_large()
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                if request.content_length is not None and request.content_length <= SMALL:
                    return await _collect(request)
                async with self._large:
                    return await _collect(request)
        except TimeoutError:
            raise APIError(408, "slow_body", "the body did not arrive in time") from None


async def stream(request: web.Request) -> AsyncIterator[bytes]:
    """The body in chunks as they arrive; fails when it breaks off, so nothing is written of it.

    A sender that is killed or restarted ends its connection, so only one that was cut off is waited for in vain.
    """
    chunks = request.content.iter_chunked(SMALL)
    while True:
        async with asyncio.timeout(PIECE_SECONDS):
            chunk = await anext(chunks, None)
        if chunk is None:
            return
        yield chunk


async def _collect(request: web.Request) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        if len(body) + len(chunk) > MAX_WHOLE:
            raise _too_large()
        body += chunk
    return bytes(body)


def _too_large() -> APIError:
    return APIError(413, "too_large", f"an object that is created has at most {MAX_WHOLE} bytes")
