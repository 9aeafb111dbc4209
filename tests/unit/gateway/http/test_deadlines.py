"""Callers that take their time, each ended by the deadline for its way of doing so."""

import asyncio
import socket

import h11
import pytest

from splai.gateway.http.exchange import Exchange, Handler
from splai.gateway.http.limits import Limits
from tests.unit.gateway.http.conftest import Running, Start, until

GET = b"GET / HTTP/1.1\r\nHost: test\r\n"
POST = b"POST / HTTP/1.1\r\nHost: test\r\n"


async def test_a_connection_without_a_request_is_closed_in_silence(serving: Start, echoing: Handler) -> None:
    async with serving(echoing, limits=Limits(header_seconds=0.05)) as running:
        caller = await running.caller()

        assert await caller.rest() == b""


@pytest.mark.parametrize("first", [True, False])
async def test_a_slow_head_gets_408(serving: Start, echoing: Handler, first: bool) -> None:
    async with serving(echoing, limits=Limits(header_seconds=0.2)) as running:
        caller = await running.caller()
        if not first:
            await caller.ask(GET + b"\r\n")
        dripping = asyncio.create_task(drip(caller.writer, GET + b"X: " + b"x" * 10_000))
        reply = await caller.reply()
        dripping.cancel()

        assert (reply.status, reply.header(b"connection")) == (408, b"close")


async def test_an_idle_connection_is_closed(serving: Start, echoing: Handler) -> None:
    async with serving(echoing, limits=Limits(idle_seconds=0.05)) as running:
        caller = await running.caller()
        assert (await caller.ask(GET + b"\r\n")).status == 200

        assert await caller.rest() == b""
        await until(lambda: running.server.connections == 0)


@pytest.mark.parametrize(
    "head", [b"Content-Length: 5\r\n\r\nab", b"Content-Length: 5\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"]
)
async def test_a_body_that_stops_coming_gets_408(serving: Start, echoing: Handler, head: bytes) -> None:
    async with serving(echoing, limits=Limits(body_stall_seconds=0.05)) as running:
        caller = await running.caller()
        reply = await caller.ask(POST + head)

        assert (reply.status, reply.header(b"connection")) == (408, b"close")


async def test_a_body_that_drips_gets_408(serving: Start, echoing: Handler) -> None:
    async with serving(echoing, limits=Limits(body_stall_seconds=0.2, body_bytes_per_second=1e6)) as running:
        caller = await running.caller()
        dripping = asyncio.create_task(drip(caller.writer, POST + b"Content-Length: 10000\r\n\r\n" + b"x" * 10_000))
        reply = await caller.reply()
        dripping.cancel()

        assert reply.status == 408


async def test_a_slow_body_that_keeps_its_rate_arrives(serving: Start, echoing: Handler) -> None:
    async with serving(echoing, limits=Limits(body_stall_seconds=0.5, body_bytes_per_second=10)) as running:
        caller = await running.caller()
        await drip(caller.writer, POST + b"Content-Length: 80\r\n\r\n" + b"x" * 80)

        assert (await caller.reply()).status == 200


async def test_a_caller_that_reads_nothing_is_cut_off(serving: Start) -> None:
    told: list[bool] = []
    ended = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        exchange.on_writable = told.append
        exchange.start(200, [])
        try:
            while True:
                exchange.write(b"x" * 65536)
                await exchange.drain()
        finally:
            ended.set()

    async with serving(endless, limits=Limits(write_stall_seconds=0.1)) as running:
        caller = await deaf_caller(running)
        caller.send(GET + b"\r\n")
        await asyncio.wait_for(ended.wait(), 10)
        await until(lambda: running.server.connections == 0)

        with pytest.raises(ConnectionResetError):  # the kernel, too, has given up what it had still to send
            await rest_of(caller)
    assert told[0] is False


async def test_a_whole_reply_that_nobody_reads_does_not_keep_the_connection(serving: Start) -> None:
    async def large(exchange: Exchange) -> None:
        exchange.reply(200, [], b"x" * 20_000_000)

    async with serving(large, limits=Limits(write_stall_seconds=0.1)) as running:
        caller = await deaf_caller(running)
        caller.send(GET + b"Connection: close\r\n\r\n")
        await until(lambda: running.server.connections == 1)

        await until(lambda: running.server.connections == 0)
        with pytest.raises(ConnectionResetError):
            await rest_of(caller)


async def test_replies_to_a_caller_that_only_asks_do_not_pile_up(serving: Start) -> None:
    served = 0

    async def large(exchange: Exchange) -> None:
        nonlocal served
        served += 1
        exchange.reply(200, [], b"x" * 100_000)

    async with serving(large, limits=Limits(write_stall_seconds=0.5)) as running:
        caller = await deaf_caller(running)
        caller.send((GET + b"\r\n") * 300)
        await until(lambda: served > 0)

        await until(lambda: running.server.connections == 0)
        caller.close()

    assert served < 300, "more than the kernel's buffers hold"


async def test_a_caller_that_asks_ahead_gets_all_replies_when_it_reads(serving: Start) -> None:
    full = asyncio.Event()

    async def large(exchange: Exchange) -> None:
        exchange.on_writable = lambda writable: None if writable else full.set()
        exchange.reply(200, [], b"x" * 100_000)

    async with serving(large) as running:
        caller = await running.caller()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport can be both
        caller.send((GET + b"\r\n") * 300)
        await asyncio.wait_for(full.wait(), 10)
        caller.writer.transport.resume_reading()  # type: ignore[attr-defined]

        assert [len((await caller.reply()).body) for _ in range(300)] == [100_000] * 300


async def test_a_slow_reader_that_reads_gets_everything(serving: Start) -> None:
    told: list[bool] = []

    async def large(exchange: Exchange) -> None:
        exchange.on_writable = told.append
        exchange.start(200, [])
        for _ in range(200):
            exchange.write(b"x" * 65536)
            await exchange.drain()
        exchange.finish()

    async with serving(large) as running:
        caller = await running.caller()
        reply = await caller.ask(GET + b"\r\n")

    assert len(reply.body) == 200 * 65536
    assert told
    assert told == [index % 2 == 1 for index in range(len(told))]


async def test_a_cut_reply_is_no_whole_one(serving: Start) -> None:
    async def cut(exchange: Exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"begun")
        await exchange.receive()
        exchange.abort()

    async with serving(cut) as running:
        caller = await running.caller()
        with pytest.raises(h11.RemoteProtocolError):
            await caller.ask(GET + b"\r\n")
        caller = await running.caller()
        caller.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await caller.rest()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    for byte in data:
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.01)


async def deaf_caller(running: Running) -> socket.socket:
    """A connection that nothing reads from."""
    caller = socket.socket()
    caller.setblocking(False)
    await asyncio.get_running_loop().sock_connect(caller, ("127.0.0.1", running.server.port))
    return caller


async def rest_of(caller: socket.socket) -> None:
    """Read what is there until the end, or an error."""
    with caller:
        while await asyncio.get_running_loop().sock_recv(caller, 65536):
            pass
