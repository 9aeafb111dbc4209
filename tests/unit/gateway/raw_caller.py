"""A caller on one kept connection that reads replies as they are on the wire, and quickly."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Seen:
    """A reply; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawCaller:
    """Sends one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, path: str, document: Any, **headers: str) -> None:
        body = json.dumps(document).encode()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        self.writer.write(head.encode() + body)

    async def post(self, path: str, document: Any, **headers: str) -> Seen:
        self.send(path, document, **headers)
        status, replied = await self.head()
        if "content-length" in replied:
            return Seen(status, replied, await self.reader.readexactly(int(replied["content-length"])))
        pieces = [piece async for piece in self.chunks()]
        return Seen(status, replied, b"".join(pieces))

    async def head(self) -> tuple[int, dict[str, str]]:
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        return int(first.split()[1]), _headers(lines)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Of a chunked body; ends with it, and raises IncompleteReadError where the connection ends before that."""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    def leave(self) -> None:
        self.writer.transport.abort()


def _headers(lines: list[str]) -> dict[str, str]:
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[RawCaller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield RawCaller(reader, writer)
    finally:
        writer.close()
