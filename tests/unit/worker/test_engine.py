"""The client against a real HTTP server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from splai.worker.engine import EngineClient, EngineProbe
from splai.worker.outcome import Answer, NoAnswer, Reset, Unreachable
from tests.fake_engine import FakeEngine, running


@asynccontextmanager
async def client_of(url: str, *, seconds: float = 60) -> AsyncIterator[EngineClient]:
    client = EngineClient(f"{url}/v1/chat/completions", timeout=seconds, clock=time.monotonic, jitter=lambda: 0.0)
    try:
        yield client
    finally:
        await client.close()


def chat(prompt: str) -> bytes:
    return b'{"messages":[{"role":"user","content":"%s"}]}' % prompt.encode()


async def test_an_answer_is_taken_whole() -> None:
    async with running(FakeEngine()) as url, client_of(url) as client:
        reaction = await client.post(chat("hello"))
    assert isinstance(reaction, Answer)
    assert reaction.status == 200
    assert b"echo hello" in reaction.body


async def test_errors_are_answers_too() -> None:
    async with running(FakeEngine(retry_after="7")) as url, client_of(url) as client:
        failed = await client.post(chat("fault:500"))
        throttled = await client.post(chat("fault:429"))
    assert isinstance(failed, Answer)
    assert failed.status == 500
    assert isinstance(throttled, Answer)
    assert (throttled.status, throttled.retry_after) == (429, 7.0)


async def test_retry_after_as_a_date_is_left_out() -> None:
    engine = FakeEngine(retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    async with running(engine) as url, client_of(url) as client:
        reaction = await client.post(chat("fault:429"))
    assert isinstance(reaction, Answer)
    assert reaction.retry_after is None


@pytest.mark.parametrize(
    ("fault", "seconds", "reaction"),
    [
        ("reset", 60, Reset()),
        ("truncated", 60, NoAnswer("broken_response", "The connection ended in the middle of the answer.")),
        ("hang", 2, NoAnswer("request_timeout", "No answer within 2 seconds.")),
    ],
)
async def test_what_is_no_answer_is_told_apart(fault: str, seconds: float, reaction: object) -> None:
    async with running(FakeEngine()) as url, client_of(url, seconds=seconds) as client:
        assert await client.post(chat(f"fault:{fault}")) == reaction
        assert isinstance(await client.post(chat("and goes on")), Answer)


async def test_an_answer_without_end_is_given_up() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        with suppress(ConnectionError):
            while not writer.transport.is_closing():
                writer.write(bytes(1024 * 1024))
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with client_of(f"http://127.0.0.1:{port}") as client:
            reaction = await client.post(chat("hello"))
    assert reaction == NoAnswer("response_too_large", "The answer has more than 8 MiB.")


async def test_a_backend_that_is_not_there_is_unreachable() -> None:
    async with running(FakeEngine()) as url:
        pass
    async with client_of(url) as client:
        assert await client.post(chat("hello")) == Unreachable("connection refused")


async def test_something_that_does_not_speak_http_is_no_answer() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with client_of(f"http://127.0.0.1:{port}") as client:
            reaction = await client.post(chat("hello"))
    assert isinstance(reaction, NoAnswer)
    assert reaction.code == "invalid_response"


async def test_a_connection_serves_a_thousand_requests() -> None:
    engine = FakeEngine()
    async with running(engine) as url, client_of(url) as client:
        for _ in range(1001):
            await client.post(chat("hello"))
    assert sorted(engine.connections.values()) == [1, 1000]


async def test_a_connection_lives_for_thirty_seconds() -> None:
    engine, times = FakeEngine(), iter((0.0, 29.9, 30.0, 31.0))
    async with running(engine) as url:
        client = EngineClient(f"{url}/v1/chat/completions", timeout=5, clock=lambda: next(times), jitter=lambda: 0.0)
        for _ in range(4):
            await client.post(chat("hello"))
        await client.close()
    assert sorted(engine.connections.values()) == [2, 2]


async def test_the_probe_says_why_the_engine_does_not_work() -> None:
    engine = FakeEngine()
    async with running(engine) as url:
        probe = EngineProbe(url)
        assert await probe() == ""
        engine.down = True
        assert await probe() == "connection reset"
    assert await probe() == "connection refused"
