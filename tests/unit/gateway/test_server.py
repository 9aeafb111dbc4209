"""Stopping: what is in flight comes to its end, within bounds."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from splai.gateway.server import listening


class Slow:
    """An application whose answer waits for the test."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.app = web.Application()
        self.app.router.add_get("/", self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first ")
        self.asked.set()
        await self.go_on.wait()
        await response.write(b"last")
        return response


async def ask(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return reader, writer


async def test_a_stream_in_flight_is_finished_and_nobody_new_comes_in() -> None:
    slow = Slow()
    stack = AsyncExitStack()
    port = await stack.enter_async_context(listening(slow.app, 0, host="127.0.0.1"))
    reader, writer = await ask(port)
    idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    await slow.asked.wait()

    stopping = asyncio.create_task(stack.aclose())
    async with asyncio.timeout(60):
        assert await idle_reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert not stopping.done()
    slow.go_on.set()

    assert (await reader.read()).endswith(b"4\r\nlast\r\n0\r\n\r\n")
    async with asyncio.timeout(60):
        await stopping
    writer.close()
    idle_writer.close()


async def test_a_stream_without_end_is_cut_when_the_time_is_up() -> None:
    slow = Slow()
    stack = AsyncExitStack()
    port = await stack.enter_async_context(listening(slow.app, 0, host="127.0.0.1", drain_seconds=0.1))
    reader, writer = await ask(port)
    await slow.asked.wait()

    async with asyncio.timeout(60):
        await stack.aclose()

    assert not (await reader.read()).endswith(b"0\r\n\r\n")
    writer.close()
