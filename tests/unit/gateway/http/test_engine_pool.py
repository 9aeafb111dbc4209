"""The engines' side of HTTP/1.1: what a reply is, what is no reply, and which connection is used again."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splai.gateway.http import engine_connection, engine_pool
from splai.gateway.http.engine_connection import EngineConnection
from splai.gateway.http.engine_pool import (
    EngineBroken,
    EngineDisconnected,
    EngineError,
    EnginePool,
    EngineReply,
    EngineReplyTooLarge,
    EngineUnreachable,
)
from tests.unit.gateway.http.raw_engine import ENOUGH_SECONDS, Peer, RawEngine, Script, raw_engine, until

GET = b"GET /health HTTP/1.1\r\nHost: engine\r\n\r\n"
HEAD = b"HEAD /health HTTP/1.1\r\nHost: engine\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HTTP_103 = b"HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n"
MEBIBYTE = 1024 * 1024


@asynccontextmanager
async def pool_and_engine(script: Script, host: str = "127.0.0.1") -> AsyncIterator[tuple[EnginePool, RawEngine]]:
    """And after the test, nothing is left over."""
    pool = EnginePool()
    async with asyncio.timeout(ENOUGH_SECONDS), raw_engine(script, host) as engine:
        with closing(pool):
            yield pool, engine
        assert (pool.in_use, pool.idle) == (0, 0)


def replying(*replies: bytes, then_close: bool = False) -> Script:
    """Each request on a connection is answered by the next of these; then the connection closes, or stays silent."""

    async def script(peer: Peer) -> None:
        for reply in replies:
            await peer.request()
            await peer.send(reply)
        if not then_close:
            await peer.left()

    return script


async def answer(pool: EnginePool, engine: RawEngine, head: bytes = GET, body: bytes = b"") -> bytes:
    with closing(await pool.send(engine.address, head, body)) as reply:
        return await reply.read(64 * MEBIBYTE)


async def failure(pool: EnginePool, engine: RawEngine, head: bytes = GET) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await answer(pool, engine, head)
    return caught.value


# A whole reply


async def test_gives_status_headers_in_lower_case_and_body() -> None:
    reply_bytes = b"HTTP/1.1 418 Teapot\r\nX-Kind: \t green tea \t\r\nX-Empty:\r\nContent-Length: 3\r\n\r\ntea"
    async with pool_and_engine(replying(reply_bytes)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            assert reply.status == 418
            assert reply.headers == [(b"x-kind", b"green tea"), (b"x-empty", b""), (b"content-length", b"3")]
            assert reply.delimited
            assert await reply.read(3) == b"tea"


async def test_sends_head_and_body_as_they_are() -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
    async with pool_and_engine(replying(OK)) as (pool, engine):
        await answer(pool, engine, head, b"\x00\r\n\xff")
        assert engine.requests == [head + b"\x00\r\n\xff"]


async def test_a_chunked_body_comes_without_its_framing_and_its_trailers_are_no_headers() -> None:
    body = b"3;extension=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
    async with pool_and_engine(replying(CHUNKED + body, OK)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            assert await reply.read(5) == b"abcde"
            assert reply.delimited
            assert reply.headers == [(b"transfer-encoding", b"chunked")]
        assert pool.idle == 1


async def test_nothing_of_one_reply_is_left_for_the_next_on_its_connection() -> None:
    first = CHUNKED + b"2\r\nab\r\n0\r\nX-Trailer: 1\r\n\r\n"
    async with pool_and_engine(replying(first, OK, HTTP_103 + OK)) as (pool, engine):
        await answer(pool, engine)
        for _ in range(2):
            with closing(await pool.send(engine.address, GET, b"")) as reply:
                assert (reply.status, reply.headers) == (200, [(b"content-length", b"2")])
                assert await reply.read(2) == b"ok"
        assert engine.connections == 1


async def test_a_body_of_no_stated_length_ends_with_the_connection_and_says_so() -> None:
    async with pool_and_engine(replying(b"HTTP/1.1 200 OK\r\n\r\nto the end", then_close=True)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            assert await reply.read(100) == b"to the end"
            assert not reply.delimited
        assert pool.idle == 0


@pytest.mark.parametrize("coding", [b"gzip", b"chunked, gzip", b"xchunked"])
async def test_a_body_of_another_transfer_coding_ends_with_the_connection(coding: bytes) -> None:
    reply_bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %b\r\n\r\n2\r\nab" % coding
    async with pool_and_engine(replying(reply_bytes, then_close=True)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            assert not reply.delimited
            assert await reply.read(100) == b"2\r\nab"


async def test_skips_interim_replies() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" + HTTP_103
    async with pool_and_engine(replying(interim + OK, OK)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            assert (reply.status, reply.headers) == (200, [(b"content-length", b"2")])
            assert await reply.read(2) == b"ok"
        assert pool.idle == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_204_and_304_have_no_body_whatever_their_length_says(status: bytes) -> None:
    async with pool_and_engine(replying(b"HTTP/1.1 %b\r\nContent-Length: 9\r\n\r\n" % status, OK)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            assert reply.delimited
            assert await reply.read(0) == b""
        assert pool.idle == 1


@pytest.mark.parametrize("headers", [b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_the_reply_to_head_has_no_body(headers: bytes) -> None:
    async with pool_and_engine(replying(b"HTTP/1.1 200 OK\r\n%b\r\n" % headers)) as (pool, engine):
        assert await answer(pool, engine, HEAD) == b""


async def test_connects_to_an_ipv6_address() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with pool_and_engine(replying(OK), "::1") as (pool, engine):
        assert engine.address.startswith("[::1]:")
        assert await answer(pool, engine) == b"ok"


@settings(max_examples=100, deadline=None)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    framing=st.sampled_from(["length", "chunked"]),
    interim=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
async def test_a_reply_is_the_same_wherever_reads_cut_it(
    chunks: list[bytes], framing: str, interim: bool, cuts: list[int]
) -> None:
    reply_bytes = framed(chunks, framing, interim)
    async with fed_by_hand() as (reply_task, feed, _):
        for piece in pieces_of(reply_bytes, cuts):
            feed(piece)
        with closing(await reply_task) as reply:
            assert reply.status == 200
            assert (b"x-empty", b"") in reply.headers
            assert (b"x-name", b"value") in reply.headers
            assert await reply.read(1000) == b"".join(chunks)


@settings(max_examples=100, deadline=None)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    framing=st.sampled_from(["length", "chunked"]),
    interim=st.booleans(),
    cut=st.floats(0, 1, exclude_max=True),
)
async def test_a_cut_reply_never_passes_for_a_whole_one(
    chunks: list[bytes], framing: str, interim: bool, cut: float
) -> None:
    reply_bytes = framed(chunks, framing, interim)
    part = reply_bytes[: int(len(reply_bytes) * cut)]
    async with fed_by_hand() as (reply_task, feed, hang_up):
        if part:
            feed(part)
        hang_up()
        with pytest.raises(EngineBroken if part else EngineDisconnected), closing(await reply_task) as reply:
            await reply.read(1000)


def framed(chunks: list[bytes], framing: str, interim: bool) -> bytes:
    head = b"HTTP/1.1 100 Continue\r\n\r\n" * interim + b"HTTP/1.1 200 OK\r\nX-Empty:\r\nX-Name: value\r\n"
    if framing == "length":
        body = b"".join(chunks)
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(places)]


@asynccontextmanager
async def fed_by_hand() -> AsyncIterator[tuple[asyncio.Task[EngineReply], Callable[[bytes], None], Callable[[], None]]]:
    """A request on a real connection; the reply's bytes, and their end, are as if the loop had read them."""

    async def silent(peer: Peer) -> None:
        await peer.left()

    async with raw_engine(silent) as engine:
        host, port = engine.address.split(":")
        transport, connection = await asyncio.get_running_loop().create_connection(
            lambda: EngineConnection(engine.address, lambda *_: None, lambda _: None), host, int(port)
        )
        reply = asyncio.ensure_future(connection.exchange(GET, b""))
        await asyncio.sleep(0)
        yield reply, connection.data_received, connection.eof_received
        transport.abort()


# No reply, or none that can be trusted


async def test_a_refused_connection_is_unreachable() -> None:
    async with raw_engine(replying()) as engine:
        gone = engine.address
    pool = EnginePool()
    with pytest.raises(EngineUnreachable, match=gone):
        await pool.send(gone, GET, b"")
    assert (pool.in_use, pool.idle) == (0, 0)


@pytest.mark.parametrize("address", ["", "engine", "127.0.0.1:", "127.0.0.1:http2", "127.0.0.1:70000", "a..b:80"])
async def test_what_is_no_address_is_unreachable(address: str) -> None:
    with pytest.raises(EngineUnreachable):
        await EnginePool().send(address, GET, b"")


async def test_a_connection_that_does_not_come_about_in_time_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_pool.CONNECT_SECONDS == 5
    monkeypatch.setattr(engine_pool, "CONNECT_SECONDS", 0.05)
    with ExitStack() as opened:
        address = a_listener_with_a_full_queue(opened)
        with pytest.raises(EngineUnreachable, match=r"within 0\.05 seconds"):
            await EnginePool().send(address, GET, b"")


async def test_cancelled_while_connecting_nothing_is_left() -> None:
    pool = EnginePool()
    with ExitStack() as opened:
        address = a_listener_with_a_full_queue(opened)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.send(address, GET, b"")
    assert (pool.in_use, pool.idle) == (0, 0)


def a_listener_with_a_full_queue(opened: ExitStack) -> str:
    """Nobody accepts, so that the kernel ignores whoever comes next."""
    listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):
        waiting = opened.enter_context(socket.socket())
        waiting.setblocking(False)
        with suppress(BlockingIOError):
            waiting.connect(listener.getsockname())
    return f"127.0.0.1:{listener.getsockname()[1]}"


async def test_closed_before_a_byte_is_disconnected_and_a_fresh_connection_is_not_tried_again() -> None:
    async with pool_and_engine(replying(b"", then_close=True)) as (pool, engine):
        assert isinstance(await failure(pool, engine), EngineDisconnected)
        assert engine.connections == 1


@pytest.mark.parametrize(
    "cut",
    [
        b"H",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        CHUNKED,
        CHUNKED + b"2\r\nab\r\n",
        CHUNKED + b"2\r\nab\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n",
    ],
)
async def test_closed_in_mid_reply_is_broken(cut: bytes) -> None:
    async with pool_and_engine(replying(cut, then_close=True)) as (pool, engine):
        assert isinstance(await failure(pool, engine), EngineBroken)
        assert engine.connections == 1


@pytest.mark.parametrize("head", [CHUNKED + b"2\r\nab\r\n", b"HTTP/1.1 200 OK\r\n\r\nab"])
async def test_a_reset_in_mid_reply_is_broken_even_where_a_close_would_end_it(head: bytes) -> None:
    seen = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head)
        await seen.wait()
        peer.reset()

    async with pool_and_engine(script) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            ended = reply.stream(lambda _: seen.set())
            with pytest.raises(EngineBroken):
                await ended


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        CHUNKED + b"xyz\r\n",
        CHUNKED + b"1\r\nabc\r\n",
    ],
)
async def test_what_is_not_http_is_broken_and_the_connection_closed(garbage: bytes) -> None:
    async with pool_and_engine(replying(garbage)) as (pool, engine):
        assert isinstance(await failure(pool, engine), EngineBroken)
        await until(lambda: engine.open == 0)


async def test_the_connection_of_a_broken_reply_is_closed_before_its_caller_closes_the_reply() -> None:
    async with pool_and_engine(replying(CHUNKED + b"1\r\na\r\nxyz\r\n")) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")):
            await until(lambda: engine.open == 0)


async def test_an_error_quotes_nothing_of_what_the_engine_sent() -> None:
    async with pool_and_engine(replying(b"HTTP/1.1 200 OK\r\nsecret\x00prompt: 1\r\n\r\n")) as (pool, engine):
        error = await failure(pool, engine)
        assert "secret" not in f"{error!r} {error.__cause__!r} {error.__context__!r}"


@pytest.mark.parametrize("more", [0, 1])
async def test_a_head_of_64_kib_is_the_longest(more: int) -> None:
    start, end = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Long: ", b"\r\n\r\n"
    head = start + b"x" * (64 * 1024 - len(start) - len(end) + more) + end
    async with pool_and_engine(replying(head + b"ok")) as (pool, engine):
        if more:
            assert "longer than 65536 bytes" in str(await failure(pool, engine))
        else:
            assert await answer(pool, engine) == b"ok"


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x" * 1000),
        (b"HTTP/1.1 200 ", b"x" * 1000),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (CHUNKED + b"2\r\nab\r\n0\r\n", b"X-Trailer: x\r\n" * 100),
    ],
)
async def test_a_head_or_trailers_without_end_are_broken_before_they_fill_the_memory(
    start: bytes, again: bytes
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(start)
        while True:
            await peer.send(again)

    async with pool_and_engine(script) as (pool, engine):
        assert isinstance(await failure(pool, engine), EngineBroken)
        await until(lambda: engine.open == 0)


# Which connection


async def test_a_connection_is_used_again() -> None:
    async with pool_and_engine(replying(OK, CHUNKED + b"1\r\na\r\n0\r\n\r\n", OK)) as (pool, engine):
        assert [await answer(pool, engine) for _ in range(3)] == [b"ok", b"a", b"ok"]
        assert (engine.connections, pool.in_use, pool.idle) == (1, 0, 1)


async def test_a_connection_in_use_is_used_by_no_other() -> None:
    async with pool_and_engine(replying(OK, OK)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")):
            await answer(pool, engine)
            assert (engine.connections, pool.in_use, pool.idle) == (2, 1, 1)
        assert (pool.in_use, pool.idle) == (0, 2)


async def test_the_connection_used_last_is_used_next() -> None:
    async def script(peer: Peer) -> None:
        number = peer.engine.connections
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

    async with pool_and_engine(script) as (pool, engine):
        first = await pool.send(engine.address, GET, b"")
        second = await pool.send(engine.address, GET, b"")
        with closing(second), closing(first):
            await asyncio.gather(first.read(1), second.read(1))
        assert await answer(pool, engine) == b"2"


async def test_engines_have_connections_of_their_own() -> None:
    async with pool_and_engine(replying(OK)) as (pool, engine), raw_engine(replying(OK)) as other:
        await answer(pool, engine)
        await answer(pool, other)
        assert (engine.connections, other.connections, pool.idle) == (1, 1, 2)


@pytest.mark.parametrize(
    ("reply_bytes", "idle"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 0),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 0),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n", 0),
        (OK + b"x", 0),
        (OK + OK, 0),
        (OK + b"HTTP/1.1 408 Request Timeout\r\n", 0),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + OK, 0),
    ],
)
async def test_a_connection_is_kept_only_if_its_engine_keeps_it_and_the_reply_ended_where_it_should(
    reply_bytes: bytes, idle: int
) -> None:
    async with pool_and_engine(replying(reply_bytes)) as (pool, engine):
        assert await answer(pool, engine) == b"ok"
        assert pool.idle == idle
        await until(lambda: engine.open == idle)


async def test_bytes_that_come_after_the_end_but_before_the_close_spoil_the_connection() -> None:
    more, sent = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await more.wait()
        await peer.send(b"x")
        sent.set()
        await peer.left()

    async with pool_and_engine(script) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            assert await reply.read(2) == b"ok"
            more.set()
            await sent.wait()
            await turns_of_the_loop()
        assert pool.idle == 0


async def test_bytes_that_nobody_asked_for_close_an_idle_connection() -> None:
    late = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await late.wait()
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await peer.left()

    async with pool_and_engine(script) as (pool, engine):
        await answer(pool, engine)
        assert pool.idle == 1
        late.set()
        await until(lambda: engine.open == 0)
        assert pool.idle == 0


async def test_an_idle_connection_that_the_engine_closes_is_forgotten() -> None:
    async with pool_and_engine(replying(OK, then_close=True)) as (pool, engine):
        await answer(pool, engine)
        await until(lambda: pool.idle == 0)
        assert await answer(pool, engine) == b"ok"
        assert engine.connections == 2


async def test_a_request_into_a_kept_connection_that_closes_is_sent_once_more_on_a_fresh_one() -> None:
    async with pool_and_engine(replying(OK, b"", then_close=True)) as (pool, engine):
        await answer(pool, engine)
        assert await answer(pool, engine) == b"ok"
        assert (engine.connections, len(engine.requests)) == (2, 3)


async def test_it_is_never_sent_a_third_time() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.engine.connections == 1:
            await peer.send(OK)
            await peer.request()

    async with pool_and_engine(script) as (pool, engine):
        await answer(pool, engine)
        assert isinstance(await failure(pool, engine), EngineDisconnected)
        assert (engine.connections, len(engine.requests)) == (2, 3)


@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_request_of_which_a_byte_of_the_reply_came_is_not_sent_again(part: bytes) -> None:
    async with pool_and_engine(replying(OK, part, then_close=True)) as (pool, engine):
        await answer(pool, engine)
        assert isinstance(await failure(pool, engine), EngineBroken)
        assert engine.connections == 1


async def test_connections_idle_for_some_seconds_are_closed_and_their_address_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert engine_pool.IDLE_SECONDS == 4
    monkeypatch.setattr(engine_pool, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(engine_pool, "SWEEP_SECONDS", 0.01)
    async with pool_and_engine(replying(OK)) as (pool, engine):
        await answer(pool, engine)
        await until(lambda: engine.open == 0)
        assert pool._idle == {}
        await until(lambda: pool._sweep_timer is None)
        await answer(pool, engine)
        await until(lambda: engine.open == 0)


async def test_a_sweep_spares_the_young() -> None:
    async with pool_and_engine(replying(OK, OK)) as (pool, engine):
        await asyncio.gather(answer(pool, engine), answer(pool, engine))
        old, _young = pool._idle[engine.address]
        old.idle_since -= engine_pool.IDLE_SECONDS
        pool._sweep()
        await until(lambda: engine.open == 1)
        assert list(pool._idle[engine.address]) == [_young]


async def test_no_more_than_256_connections_to_an_engine_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_pool.IDLE_PER_ADDRESS == 256
    monkeypatch.setattr(engine_pool, "IDLE_PER_ADDRESS", 2)
    async with pool_and_engine(replying(OK)) as (pool, engine):
        await asyncio.gather(*(answer(pool, engine) for _ in range(3)))
        assert (engine.connections, pool.idle) == (3, 2)
        await until(lambda: engine.open == 2)


async def test_a_closed_pool_keeps_no_connection() -> None:
    async with pool_and_engine(replying(OK, OK)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            await answer(pool, engine)
            pool.close()
            assert (pool.in_use, pool.idle) == (1, 0)
            assert await reply.read(2) == b"ok"
        assert (pool.in_use, pool.idle) == (0, 0)
        await until(lambda: engine.open == 0)


async def test_connections_send_at_once_and_probe_a_silent_peer() -> None:
    async with pool_and_engine(replying(OK)) as (pool, engine):
        await answer(pool, engine)
        (connection,) = pool._idle[engine.address]
        connected = connection.transport.get_extra_info("socket")
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


# The body, as it comes


async def test_a_stream_gives_each_chunk_as_it_comes_and_what_was_there_before_at_once() -> None:
    taken = asyncio.Queue[bytes]()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"1\r\na\r\n1\r\nb\r\n")
        assert [await taken.get(), await taken.get()] == [b"a", b"b"]
        await peer.chunk(b"c")
        assert await taken.get() == b"c"
        await peer.chunk(b"")
        await peer.left()

    async with pool_and_engine(script) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            ended = reply.stream(taken.put_nowait)
            assert taken.qsize() == 2
            await ended
        assert pool.idle == 1


async def test_a_body_that_broke_before_it_was_asked_for_is_given_as_far_as_it_came() -> None:
    async with pool_and_engine(replying(CHUNKED + b"1\r\na\r\n", then_close=True)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            await until(lambda: engine.open == 0)
            await turns_of_the_loop()
            pieces: list[bytes] = []
            ended = reply.stream(pieces.append)
            assert (pieces, ended.done()) == ([b"a"], True)
            with pytest.raises(EngineBroken):
                await ended


@pytest.mark.parametrize("rest", [b"", b"0\r\n\r\n"])
async def test_what_the_taker_of_a_stream_raises_ends_it(rest: bytes) -> None:
    def refuse(data: bytes) -> None:
        raise ValueError("not mine")

    async with pool_and_engine(replying(CHUNKED + b"1\r\na\r\n1\r\nb\r\n" + rest)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply, pytest.raises(ValueError, match="not mine"):
            await reply.stream(refuse)
        await until(lambda: engine.open == 0)


async def test_a_taker_may_close_the_reply_and_is_given_no_more() -> None:
    async with pool_and_engine(replying(CHUNKED + b"1\r\na\r\n1\r\nb\r\n")) as (pool, engine):
        reply = await pool.send(engine.address, GET, b"")
        pieces: list[bytes] = []

        def take_one(data: bytes) -> None:
            pieces.append(data)
            reply.close()

        ended = reply.stream(take_one)
        await until(lambda: engine.open == 0)
        assert (pieces, ended.cancelled(), pool.in_use) == ([b"a"], True, 0)


async def test_a_body_is_given_once_and_not_after_the_close() -> None:
    async with pool_and_engine(replying(OK, OK)) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            reply.stream(lambda _: None)
            with pytest.raises(RuntimeError, match="given once"):
                reply.stream(lambda _: None)
        closed = await pool.send(engine.address, GET, b"")
        closed.close()
        with pytest.raises(RuntimeError, match="before the reply is closed"):
            await closed.read(2)


@pytest.mark.parametrize("there_already", [False, True])
async def test_a_body_longer_than_the_limit_is_not_read(there_already: bool) -> None:
    async with pool_and_engine(replying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)) as (
        pool,
        engine,
    ):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            if there_already:
                await turns_of_the_loop()
            with pytest.raises(EngineReplyTooLarge, match="longer than 99 bytes"):
                await reply.read(99)
        await until(lambda: engine.open == 0)


async def large_reply(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (32 * MEBIBYTE))
    for _ in range(32):
        await peer.send(b"x" * MEBIBYTE)
    await peer.request()
    await peer.send(OK)


async def test_a_paused_stream_reads_no_more_until_it_is_resumed() -> None:
    async with pool_and_engine(large_reply) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            lengths: list[int] = []

            def take(data: bytes) -> None:
                lengths.append(len(data))
                if len(lengths) == 1:
                    reply.pause()

            ended = reply.stream(take)
            await until(lambda: bool(lengths))
            taken = sum(lengths)
            await turns_of_the_loop()
            assert sum(lengths) == taken
            reply.resume()
            await ended
            assert sum(lengths) == 32 * MEBIBYTE
        assert await answer(pool, engine) == b"ok"


async def test_a_reply_closed_while_paused_gives_back_a_connection_that_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_pool, "IDLE_SECONDS", 1000)  # it is the engine that closes
    given_back = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await given_back.wait()

    async with pool_and_engine(script) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            await reply.read(2)
            reply.pause()
        assert pool.idle == 1
        given_back.set()
        await until(lambda: pool.idle == 0)


async def test_little_is_kept_of_a_body_that_nobody_has_asked_for() -> None:
    async with pool_and_engine(large_reply) as (pool, engine):
        with closing(await pool.send(engine.address, GET, b"")) as reply:
            await until(lambda: reply._unasked_bytes > engine_connection.UNASKED_BYTES)
            await turns_of_the_loop()
            assert reply._unasked_bytes < 1 * MEBIBYTE
            assert len(await reply.read(32 * MEBIBYTE)) == 32 * MEBIBYTE


# The request's body


async def test_a_large_body_reaches_a_slow_engine_whole() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (16 * MEBIBYTE)
    body = random.Random(1).randbytes(16 * MEBIBYTE)
    async with pool_and_engine(replying(OK, OK)) as (pool, engine):
        assert await answer(pool, engine, head, body) == b"ok"
        assert engine.requests == [head + body]
        assert pool.idle == 1


@pytest.mark.parametrize("closes", [False, True])
async def test_a_reply_that_comes_before_the_body_was_sent_is_heard_and_the_connection_not_kept(closes: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        if not closes:
            await asyncio.Event().wait()

    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (16 * MEBIBYTE)
    async with pool_and_engine(script) as (pool, engine):
        with closing(await pool.send(engine.address, head, bytes(16 * MEBIBYTE))) as reply:
            assert reply.status == 413
            assert await reply.read(3) == b"big"
        assert (pool.in_use, pool.idle) == (0, 0)


# An end before the end


async def silent_or_endless(peer: Peer) -> None:
    """A head and a body without end to GET; nothing at all to HEAD."""
    if (await peer.request()).startswith(b"GET"):
        await peer.send(CHUNKED)
        await peer.chunk(b"a")
    await peer.left()


async def test_a_cancelled_send_closes_the_connection_at_once() -> None:
    async with pool_and_engine(silent_or_endless) as (pool, engine):
        sending = asyncio.ensure_future(pool.send(engine.address, HEAD, b""))
        await until(lambda: bool(engine.requests))
        assert pool.in_use == 1
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert pool.in_use == 0
        await until(lambda: engine.open == 0)


async def test_a_cancelled_read_closes_the_connection_at_once() -> None:
    async with pool_and_engine(silent_or_endless) as (pool, engine):
        reply = await pool.send(engine.address, GET, b"")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await reply.read(1000)
        assert pool.in_use == 0
        await until(lambda: engine.open == 0)


async def test_a_close_before_the_end_closes_the_connection_at_once() -> None:
    async with pool_and_engine(silent_or_endless) as (pool, engine):
        reply = await pool.send(engine.address, GET, b"")
        ended = reply.stream(lambda _: None)
        reply.close()
        assert pool.in_use == 0
        await until(lambda: engine.open == 0)
        assert ended.cancelled()


async def test_a_second_close_is_no_concern_of_who_has_the_connection_now() -> None:
    async with pool_and_engine(replying(OK, OK)) as (pool, engine):
        first = await pool.send(engine.address, GET, b"")
        await first.read(2)
        first.close()
        with closing(await pool.send(engine.address, GET, b"")) as second:
            first.close()
            first.pause()
            assert await second.read(2) == b"ok"
        assert (engine.connections, pool.in_use, pool.idle) == (1, 0, 1)


async def test_after_a_storm_of_good_and_bad_replies_the_counts_are_exact() -> None:
    chance = random.Random(5)
    replies = [OK, OK, OK + b"x", CHUNKED + b"1\r\na\r\n0\r\n\r\n", CHUNKED + b"1\r\na\r\n", b"HTTP/1.1 2", b"?", b""]

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(chance.choice(replies))
            if (fate := chance.random()) < 0.1:
                return
            if fate < 0.2:
                peer.reset()

    async def one(pool: EnginePool, engine: RawEngine) -> None:
        with suppress(EngineError, TimeoutError):
            async with asyncio.timeout(chance.choice([0, 0.01, 0.05])):
                await answer(pool, engine)

    async with pool_and_engine(script) as (pool, engine):
        for _ in range(40):
            await asyncio.gather(*(one(pool, engine) for _ in range(10)))
            assert pool.in_use == 0
        await until(lambda: pool.idle == engine.open)


async def turns_of_the_loop() -> None:
    """Long enough for whatever the loop has to read to be read."""
    for _ in range(100):
        await asyncio.sleep(0)
