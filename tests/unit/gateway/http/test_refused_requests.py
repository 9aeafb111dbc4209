"""Requests that no handler ever sees, or whose body it never gets."""

import pytest

from splai.gateway.http.exchange import Exchange, Handler
from splai.gateway.http.limits import Limits
from tests.unit.gateway.http.conftest import Start

HOST = b"Host: test\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMALL = Limits(header_bytes=1000, header_count=10, body_bytes=100)


async def unreachable(exchange: Exchange) -> None:
    raise AssertionError(exchange.raw_path)


MALFORMED = {
    "both framings": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both framings, the other way round": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "two equal lengths": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": POST + b"Content-Length: 1, 1\r\n\r\na",
    "a signed length": POST + b"Content-Length: +1\r\n\r\na",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a length beyond 64 bits": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "a folded header": GET + b"X: a\r\n b\r\n\r\n",
    "a space before the colon": GET + b"X : a\r\n\r\n",
    "no header name": GET + b": a\r\n\r\n",
    "no colon": GET + b"X\r\n\r\n",
    "NUL in a value": GET + b"X: a\0b\r\n\r\n",
    "CR in a value": GET + b"X: a\rb\r\n\r\n",
    "LF in a value": GET + b"X: a\nb\r\n\r\n",
    "lines that end with LF alone": b"GET / HTTP/1.1\nHost: test\n\n",
    "a first byte that begins no method": b"\x16\x03\x01\x02\x00\x01",
    "an unknown method": b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a lower-case method": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /\r\n\r\n",
    "another protocol": b"GET / RTSP/1.0\r\n" + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"Host: other\r\n\r\n",
    "a relative target": b"GET path HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target of another scheme": b"GET ftp://test/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without a host": b"GET http:///path HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk for GET": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /#a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a byte above ASCII in the target": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_not_http_gets_400_and_the_connection_ends(serving: Start, request_bytes: bytes) -> None:
    async with serving(unreachable) as running:
        caller = await running.caller()
        reply = await caller.ask(request_bytes)

        assert (reply.status, reply.header(b"connection")) == (400, b"close")
        assert reply.body.startswith(b"400: The ")
        assert await caller.rest() == b""


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"CONNECT test:80 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (GET + b"X: " + b"x" * 1000 + b"\r\n\r\n", 431),
        (GET + b"X: " + b"x" * 1000, 431),
        (GET + b"X: 1\r\n" * 9 + b"\r\n", 200),
        (GET + b"X: 1\r\n" * 10 + b"\r\n", 431),
        (POST + b"Content-Length: 101\r\n\r\n", 413),
        (POST + b"Expect: 100-continue\r\nContent-Length: 101\r\n\r\n", 413),
        (POST + b"Content-Length: 100\r\n\r\n" + b"x" * 100, 200),
        (CHUNKED + b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n", 200),
        (CHUNKED + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n", 413),
        (CHUNKED + b"65\r\n" + b"x" * 101, 413),
        (CHUNKED + b"1\r\nx\r\n" * 100 + b"0\r\n\r\n", 200),
        (CHUNKED + b"0\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431),
        (CHUNKED + b"1;" + b"x" * 1100, 431),
        (CHUNKED + b"x\r\n\r\n", 400),
        (CHUNKED + b"1\r\nab\r\n0\r\n\r\n", 400),
    ],
)
async def test_sizes_and_protocols(serving: Start, echoing: Handler, request_bytes: bytes, status: int) -> None:
    async with serving(echoing, limits=SMALL) as running:
        caller = await running.caller()
        reply = await caller.ask(request_bytes)

        assert reply.status == status
        if status != 200:
            assert reply.header(b"connection") == b"close"
            assert await caller.rest() == b""


async def test_a_caller_still_sending_its_too_large_body_gets_to_read_why(serving: Start, echoing: Handler) -> None:
    async with serving(echoing, limits=SMALL) as running:
        caller = await running.caller()
        caller.send(POST + b"Content-Length: 5000000\r\n\r\n" + b"x" * 5_000_000)
        await caller.writer.drain()

        assert (await caller.reply()).status == 413


async def test_requests_before_a_malformed_one_are_answered(serving: Start, echoing: Handler) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        caller.send(GET + b"\r\n" + b"GET / HTTP/1.1\r\n\r\n" + GET + b"\r\n")

        assert [(await caller.reply()).status for _ in range(2)] == [200, 400]
        assert await caller.rest() == b""


async def test_a_handler_learns_why_its_body_does_not_come(serving: Start) -> None:
    async def catching(exchange: Exchange) -> None:
        try:
            await exchange.body()
        except Exception as error:
            exchange.reply(418, [], repr(error).encode())

    async with serving(catching) as running:
        caller = await running.caller()
        reply = await caller.ask(CHUNKED + b"x\r\n\r\n")

    assert reply.status == 418
    assert b"RequestRefused" in reply.body


async def test_a_connection_too_many_gets_503(serving: Start, echoing: Handler) -> None:
    async with serving(echoing, limits=Limits(max_connections=1)) as running:
        first = await running.caller()
        assert (await first.ask(GET + b"\r\n")).status == 200
        second = await running.caller()

        assert (await second.reply()).status == 503
        assert (await first.ask(GET + b"\r\n")).status == 200
