"""What a handler learns of a request, and in which order requests are served."""

import asyncio

import pytest

from splai.gateway.http.exchange import Exchange, Handler
from splai.gateway.http.request_body import READ_AHEAD_BYTES
from tests.unit.gateway.http.conftest import Start

HEAD = b"GET / HTTP/1.1\r\nHost: test\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_names_are_lower_case_values_stripped_and_order_and_repetition_kept(serving: Start) -> None:
    async def headers(exchange: Exchange) -> None:
        exchange.reply(200, [], repr(exchange.headers).encode())

    async with serving(headers) as running:
        caller = await running.caller()
        reply = await caller.ask(b"GET / HTTP/1.1\r\nHost: test \t\r\nX-B: 1\r\nA:\r\nx-b:\t2\r\n\r\n")

    assert reply.body == repr([(b"host", b"test"), (b"x-b", b"1"), (b"a", b""), (b"x-b", b"2")]).encode()


async def test_of_a_repeated_header_the_first_counts(serving: Start) -> None:
    async def header(exchange: Exchange) -> None:
        exchange.reply(200, [], exchange.header(b"x-b") or b"none")

    async with serving(header) as running:
        caller = await running.caller()

        assert (await caller.ask(HEAD + b"X-B: 1\r\nX-B: 2\r\n\r\n")).body == b"1"
        assert (await caller.ask(HEAD + b"\r\n")).body == b"none"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (b"GET /a%20b%2Fc?q=%20", b"GET /a b/c q=%20 "),
        (b"GET /%FF", "GET /\ufffd  ".encode()),
        (b"GET http://test/path?q", b"GET /path q "),
        (b"GET HTTPS://test", b"GET /  "),
        (b"GET http://test?q=/", b"GET / q=/ "),
        (b"OPTIONS *", b"OPTIONS *  "),
        (b"QUERY /", b"QUERY /  "),
    ],
)
async def test_targets_in_every_form(serving: Start, echoing: Handler, target: bytes, told: bytes) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        reply = await caller.ask(target + b" HTTP/1.1\r\nHost: test\r\n\r\n")

    assert reply.body == told


async def test_a_request_may_come_byte_by_byte(serving: Start, echoing: Handler) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        for byte in b"POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody":
            caller.send(bytes((byte,)))
            await asyncio.sleep(0)
        reply = await caller.reply()

    assert reply.body == b"POST /x  body"


async def test_a_chunked_body_loses_its_extensions_and_trailers(serving: Start) -> None:
    async def names(exchange: Exchange) -> None:
        body = await exchange.body()
        exchange.reply(200, [], body + repr([name for name, _ in exchange.headers]).encode())

    async with serving(names) as running:
        caller = await running.caller()
        reply = await caller.ask(CHUNKED + b'3;a="b"\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\nX-Trailer: 1\r\n\r\n')

        assert reply.body == b"abc\r\n\r\n" + repr([b"host", b"transfer-encoding"]).encode()
        assert (await caller.ask(HEAD + b"\r\n")).status == 200


async def test_pipelined_requests_are_served_one_at_a_time_and_in_order(serving: Start) -> None:
    running_now, most = 0, 0

    async def slow_first(exchange: Exchange) -> None:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await asyncio.sleep(0.02 if exchange.path == "/1" else 0)
        running_now -= 1
        exchange.reply(200, [], exchange.path.encode() + await exchange.body())

    async with serving(slow_first) as running:
        caller = await running.caller()
        caller.send(
            b"GET /1 HTTP/1.1\r\nHost: test\r\n\r\n"
            b"POST /2 HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nab"
            b"POST /3 HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"
            b"\r\nGET /4 HTTP/1.1\r\nHost: test\r\n\r\n"
        )
        bodies = [(await caller.reply()).body for _ in range(4)]

    assert bodies == [b"/1", b"/2ab", b"/3c", b"/4"]
    assert most == 1


async def test_a_caller_that_pipelines_without_end_is_not_read_from(serving: Start) -> None:
    release = asyncio.Event()

    async def held(exchange: Exchange) -> None:
        await release.wait()
        exchange.reply(200, [], b"")

    async with serving(held) as running:
        caller = await running.caller()
        requests = 2_000
        caller.send((HEAD + b"X: " + b"x" * 10_000 + b"\r\n\r\n") * requests)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(caller.writer.drain(), 0.2)
        release.set()
        for _ in range(requests):
            assert (await caller.reply()).status == 200


async def test_a_body_that_nobody_takes_is_not_read_and_nothing_of_it_is_lost(serving: Start) -> None:
    release = asyncio.Event()
    size = 64 * READ_AHEAD_BYTES

    async def late(exchange: Exchange) -> None:
        await release.wait()
        taken = 0
        while piece := await exchange.receive():
            taken += len(piece)
        exchange.reply(200, [], b"%d" % taken)

    async with serving(late) as running:
        caller = await running.caller()
        caller.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(caller.writer.drain(), 0.2)
        release.set()

        assert (await caller.reply()).body == b"%d" % size


async def test_a_caller_that_expects_100_gets_it_when_its_body_is_awaited(serving: Start) -> None:
    async def picky(exchange: Exchange) -> None:
        if exchange.path == "/refused":
            exchange.reply(403, [], b"no")
        else:
            exchange.reply(200, [], await exchange.body())

    head = b"POST %b HTTP/1.1\r\nHost: test\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n"
    async with serving(picky) as running:
        wanted = await running.caller()
        wanted.send(head % b"/")
        assert await wanted.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await wanted.ask(b"body")).body == b"body"

        impatient = await running.caller()
        assert (await impatient.ask((head % b"/") + b"body")).body == b"body"

        refused = await running.caller()
        reply = await refused.ask(head % b"/refused")
        assert (reply.status, reply.header(b"connection")) == (403, b"close")
        assert await refused.rest() == b""


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", b"\r\n"],
)
async def test_a_wish_for_another_protocol_is_ignored(serving: Start, echoing: Handler, rest: bytes) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        upgrade = b"POST / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"

        assert (await caller.ask(upgrade + rest)).body == (b"POST /  body" if b"body" in rest else b"POST /  ")
        assert (await caller.ask(HEAD + b"\r\n")).body == b"GET /  "


async def test_a_wish_for_another_protocol_on_a_last_request_is_ignored(serving: Start, echoing: Handler) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        upgrade = b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n"
        reply = await caller.ask(upgrade + b"Content-Length: 4\r\n\r\nbody")

        assert (reply.body, reply.header(b"connection")) == (b"POST /  body", b"close")


async def test_a_callers_request_id_is_kept_if_it_is_harmless(serving: Start, echoing: Handler) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        ids = [
            (await caller.ask(HEAD + b"X-Request-ID: " + asked + b"\r\n\r\n")).header(b"x-request-id") or b""
            for asked in (b"req_1.a:B-9", b"x" * 128, b"", b"two words", b"x" * 129, b"\xff")
        ]

    assert ids[:2] == [b"req_1.a:B-9", b"x" * 128]
    assert [len(fresh) for fresh in ids[2:]] == [32] * 4
    assert len(set(ids)) == 6
