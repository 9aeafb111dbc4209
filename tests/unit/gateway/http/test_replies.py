"""What a caller gets for what a handler does."""

import asyncio
from collections.abc import Callable

import pytest

from splai.gateway.http.exchange import Exchange, Handler
from tests.unit.gateway.http.conftest import Start

GET = b"GET / HTTP/1.1\r\nHost: test\r\n"


async def streaming(exchange: Exchange) -> None:
    length = exchange.query_string
    exchange.start(200, [(b"content-type", b"text/plain")], length=int(length) if length else None)
    exchange.write(b"one ")
    exchange.write(b"")
    exchange.write(b"two ")
    exchange.finish(b"three")


async def test_a_reply_has_its_length_a_date_an_id_its_time_and_the_common_headers(
    serving: Start, echoing: Handler
) -> None:
    async with serving(echoing, common_headers=b"x-common: 1\r\n") as running:
        caller = await running.caller()
        reply = await caller.ask(GET + b"X-Request-ID: id\r\n\r\n")

    names = [name for name, _ in reply.headers]
    ours = [b"x-common", b"date", b"x-request-id", b"openai-processing-ms"]
    assert names == [b"content-type", *ours, b"content-length"]
    assert (reply.header(b"x-common"), reply.header(b"x-request-id")) == (b"1", b"id")
    assert int(reply.header(b"openai-processing-ms") or b"") >= 0
    assert (reply.header(b"date") or b"").endswith(b" GMT")


async def test_a_stream_is_chunked_each_write_a_chunk(serving: Start) -> None:
    async with serving(streaming) as running:
        caller = await running.caller()
        caller.send(GET + b"\r\n")
        head = await caller.read_until(b"\r\n\r\n")
        body = await caller.read_until(b"0\r\n\r\n")

    assert b"transfer-encoding: chunked\r\n" in head
    assert body == b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"


async def test_a_stream_of_known_length_is_not_chunked(serving: Start) -> None:
    async with serving(streaming) as running:
        caller = await running.caller()
        reply = await caller.ask(b"GET /?13 HTTP/1.1\r\nHost: test\r\n\r\n")

    assert (reply.header(b"content-length"), reply.body) == (b"13", b"one two three")


async def test_a_stream_shorter_than_its_length_is_cut(serving: Start) -> None:
    async with serving(streaming) as running:
        caller = await running.caller()
        caller.send(b"GET /?14 HTTP/1.1\r\nHost: test\r\n\r\n")

        assert (await caller.rest()).endswith(b"\r\n\r\none two ")


@pytest.mark.parametrize("query", [b"", b"?13"])
async def test_head_gets_the_head_alone(serving: Start, query: bytes) -> None:
    async with serving(streaming) as running:
        caller = await running.caller()
        for _ in range(2):
            head = await caller.ask(b"HEAD /%b HTTP/1.1\r\nHost: test\r\n\r\n" % query, "HEAD")
            assert head.body == b""
            assert (head.header(b"content-length") or head.header(b"transfer-encoding")) in (b"13", b"chunked")


async def test_head_of_a_whole_reply_tells_its_length(serving: Start, echoing: Handler) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        head = await caller.ask(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", "HEAD")

        assert (head.header(b"content-length"), head.body) == (b"8", b"")
        assert (await caller.ask(GET + b"\r\n")).body == b"GET /  "


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_a_body_have_no_length(serving: Start, status: int) -> None:
    async def bare(exchange: Exchange) -> None:
        exchange.reply(status, [], b"")

    async with serving(bare) as running:
        caller = await running.caller()
        replies = [await caller.ask(GET + b"\r\n") for _ in range(2)]

    assert [(reply.status, reply.header(b"content-length")) for reply in replies] == [(status, None)] * 2


async def test_http_1_0_closes_unless_asked_to_keep_alive(serving: Start, echoing: Handler) -> None:
    async with serving(echoing) as running:
        kept, closed = await running.caller(), await running.caller()
        reply = await kept.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert reply.header(b"connection") == b"keep-alive"
        reply = await kept.ask(b"GET / HTTP/1.0\r\n\r\n")
        assert reply.header(b"connection") == b"close"
        assert await kept.rest() == b""

        assert (await closed.ask(b"GET / HTTP/1.0\r\n\r\n")).status == 200
        assert await closed.rest() == b""


async def test_a_stream_for_http_1_0_ends_with_the_connection(serving: Start) -> None:
    async with serving(streaming) as running:
        caller = await running.caller()
        caller.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        reply = await caller.rest()

    assert b"\r\nconnection: close\r\n" in reply
    assert reply.endswith(b"\r\n\r\none two three")


async def test_connection_close_is_obeyed(serving: Start, echoing: Handler) -> None:
    async with serving(echoing) as running:
        caller = await running.caller()
        reply = await caller.ask(GET + b"Connection: TE, Close\r\n\r\n" + GET + b"\r\n")

        assert reply.header(b"connection") == b"close"
        assert await caller.rest() == b""


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b"])
async def test_a_reply_header_of_more_than_one_line_is_refused(serving: Start, value: bytes) -> None:
    async def splitting(exchange: Exchange) -> None:
        for header in ((b"x", value), (value, b"x")):
            with pytest.raises(ValueError, match="CR, LF or NUL"):
                exchange.reply(200, [header], b"")
        exchange.reply(200, [], b"checked")

    async with serving(splitting) as running:
        caller = await running.caller()

        assert (await caller.ask(GET + b"\r\n")).body == b"checked"


async def test_a_reply_has_one_start_and_one_end(serving: Start) -> None:
    refused = []

    async def insistent(exchange: Exchange) -> None:
        steps: list[Callable[[], None]] = [
            lambda: exchange.write(b"early"),
            lambda: exchange.start(200, [], length=2),
            lambda: exchange.reply(200, [], b""),
            lambda: exchange.write(b"long"),
            exchange.abort,
            exchange.finish,
        ]
        for step in steps:
            try:
                step()
            except ValueError as error:
                refused.append(str(error))

    async with serving(insistent) as running:
        caller = await running.caller()
        caller.send(GET + b"\r\n")
        await caller.rest()

    assert refused == [
        "a reply's data comes between its start and its end",
        "the reply has started already",
        "more data than the reply's length",
        "a reply's data comes between its start and its end",
    ]


@pytest.mark.parametrize("ending", ["raises", "returns", "is cancelled from within"])
@pytest.mark.parametrize("started", [False, True])
async def test_a_handler_that_fails(
    serving: Start, caplog: pytest.LogCaptureFixture, ending: str, started: bool
) -> None:
    async def failing(exchange: Exchange) -> None:
        if started:
            exchange.start(200, [])
            exchange.write(b"begun")
        if ending == "raises":
            raise RuntimeError("secret")
        if ending == "is cancelled from within":
            raise asyncio.CancelledError

    async with serving(failing) as running:
        caller = await running.caller()
        caller.send(GET + b"\r\n")
        if started:
            assert (await caller.rest()).endswith(b"\r\n\r\n5\r\nbegun\r\n")
        else:
            assert (await caller.reply()).status == 500
            assert (await caller.ask(GET + b"\r\n")).body == b"500: Error processing request: internal error"
    assert "secret" not in caplog.text
