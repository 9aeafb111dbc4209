"""One attempt over a real connection, and every way in which it ends early."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from splai.artifacts import http
from splai.artifacts.http import HTTP, Reply, TransportError

MIB = 1024 * 1024


class Peer:
    """A server that does with each connection, one after the other, what the test says."""

    def __init__(self, *behaviours: str) -> None:
        self.behaviours = list(behaviours)
        self.requests: list[bytes] = []
        self.over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.behaviours:
            head = await reader.readuntil(b"\r\n\r\n")
            match self.behaviours.pop(0):
                case "answer":
                    self.requests.append(head)
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    await writer.drain()
                case "take":
                    self.requests.append(await reader.readuntil(b"\r\n0\r\n\r\n"))
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    await writer.drain()
                case "take and ponder":
                    self.requests.append(await reader.readuntil(b"\r\n0\r\n\r\n"))
                    asyncio.get_running_loop().call_later(0.3, self.over.set)
                    await self.over.wait()
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    await writer.drain()
                case "close":
                    break
                case "cut":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
                    await writer.drain()
                    break
                case "nonsense":
                    writer.write(b"SSH-2.0-nonsense\r\n\r\n")
                    await writer.drain()
                    break
                case "silence":
                    await self.over.wait()
        writer.close()


@asynccontextmanager
async def connected(*behaviours: str) -> AsyncIterator[tuple[HTTP, Peer]]:
    peer = Peer(*behaviours)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    client = HTTP(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    try:
        yield client, peer
    finally:
        peer.over.set()
        await client.close()
        server.close()


async def test_a_whole_answer_is_given_and_the_connection_is_used_again() -> None:
    async with connected("answer", "answer") as (client, peer):
        for path in ("/a/b/plan.json", "/a/b/"):
            assert await client.send("GET", path, headers={"X": "y"}, query={"list": "tasks/"}) == Reply(200, b"ok")
        assert peer.requests[0].startswith(b"GET /a/b/plan.json?list=tasks/ HTTP/1.1\r\n")
        assert b"\r\nX: y\r\n" in peer.requests[0]


@pytest.mark.parametrize("behaviour", ["cut", "nonsense", "silence"])
async def test_anything_but_a_whole_answer_is_a_failure(behaviour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SILENCE_SECONDS", 0.05)
    async with connected(behaviour) as (client, _):
        with pytest.raises(TransportError):
            await client.send("GET", "/x", headers={})


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    client = HTTP("http://127.0.0.1:1")
    with pytest.raises(TransportError):
        await client.send("GET", "/x", headers={})
    await client.close()


async def test_a_server_that_takes_nothing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(MIB)

    monkeypatch.setattr(http, "SILENCE_SECONDS", 0.1)
    async with connected("silence") as (client, _):
        with pytest.raises(TransportError):
            await client.send("PUT", "/x", headers={}, body=endless())


async def test_a_slow_producer_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        asyncio.get_running_loop().call_later(0.3, released.set)
        await released.wait()
        yield b"late"

    monkeypatch.setattr(http, "SILENCE_SECONDS", 0.1)
    async with connected("take") as (client, peer):
        assert await client.send("PUT", "/x", headers={}, body=slow()) == Reply(200, b"ok")
        assert b"late" in peer.requests[0]


async def test_a_server_that_has_the_whole_stream_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"

    monkeypatch.setattr(http, "SILENCE_SECONDS", 0.1)
    async with connected("take and ponder") as (client, _):
        assert await client.send("PUT", "/x", headers={}, body=pieces()) == Reply(200, b"ok")


async def test_a_server_that_has_the_whole_stream_is_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"

    monkeypatch.setattr(http, "KEEPING_SECONDS", 0.1)
    async with connected("silence") as (client, _):
        with pytest.raises(TransportError):
            await client.send("PUT", "/x", headers={}, body=pieces())


async def test_a_producers_own_failure_is_raised_as_it_is() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    async with connected("silence") as (client, _):
        with pytest.raises(ZeroDivisionError):
            await client.send("PUT", "/x", headers={}, body=broken())


async def test_a_stream_that_broke_off_is_not_sent_again_by_its_second_half() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"piece"

    async with connected("answer", "close", "answer") as (client, peer):
        await client.send("GET", "/first", headers={})
        with pytest.raises(TransportError):
            await client.send("PUT", "/x", headers={}, body=pieces())
        assert len(peer.requests) == 1


async def test_an_answer_is_read_while_it_comes() -> None:
    async with connected("answer") as (client, _), client.open("GET", "/x", headers={}) as reply:
        assert (reply.status, reply.headers["Content-Length"]) == (200, "2")
        assert b"".join([chunk async for chunk in reply.chunks()]) == b"ok"


async def test_an_answer_that_is_cut_is_a_failure_while_it_is_read() -> None:
    async with connected("cut") as (client, _), client.open("GET", "/x", headers={}) as reply:
        with pytest.raises(TransportError):
            assert [chunk async for chunk in reply.chunks()]


async def test_a_large_body_is_sent_whole() -> None:
    async with connected("answer") as (client, peer):
        await client.send("PUT", "/x", headers={}, body=bytes(3 * MIB))
        assert b"Content-Length: 3145728\r\n" in peer.requests[0]
