"""Callers that take more than their share: each is ended by its limit, and others are served meanwhile."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from splai.gateway.http.limits import Limits
from tests.unit.gateway.conftest import EngineRoom, Gateway, running_gateway
from tests.unit.gateway.scripted_engine import STREAM_HEAD, Connection, Received, ScriptedEngine, answer

LIMITS = Limits(
    header_bytes=4096,
    body_bytes=100_000,
    header_seconds=0.3,
    body_stall_seconds=0.3,
    idle_seconds=0.3,
    write_stall_seconds=0.3,
)
PATIENCE = 30.0
CROWD = 100

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n"
CHAT = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}
PROBE = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"


def request(**parameters: object) -> bytes:
    body = json.dumps({**CHAT, **parameters}).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def engine_script(received: Received, connection: Connection) -> None:
    """A short answer, or a stream that never ends."""
    if not received.json.get("stream"):
        await answer({"choices": [{"index": 0, "message": {"content": "Hello"}}]})(received, connection)
        return
    event = b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, "delta": {"content": "x" * 10_000}}]}).encode()
    await connection.send(STREAM_HEAD)
    while True:
        await connection.chunk(event)


@pytest.fixture
async def engine(engines: EngineRoom) -> ScriptedEngine:
    return await engines.start(engine_script)


@pytest.fixture
async def limited(engine: ScriptedEngine) -> AsyncIterator[Gateway]:
    async with running_gateway(limits=LIMITS) as gateway:
        gateway.serve("llama", engine.address)
        yield gateway


class Abuser:
    """A connection that gets bytes, and then waits for the server to end it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def rest(self) -> bytes:
        """What the server still says before it closes."""
        said = bytearray()
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):  # a reset ends it too
                while piece := await self._reader.read(65536):
                    said += piece
        return bytes(said)

    async def drip(self, byte: bytes) -> None:
        with suppress(ConnectionError):
            while True:
                self._writer.write(byte)
                await self._writer.drain()
                await asyncio.sleep(0.02)


@asynccontextmanager
async def abuser(gateway: Gateway, sent: bytes) -> AsyncIterator[Abuser]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(sent)
    yield Abuser(reader, writer)
    writer.close()


async def assert_others_are_served(gateway: Gateway) -> None:
    async with gateway.http() as http:
        reply = await http.post("/v1/chat/completions", json=CHAT)
    assert (reply.status_code, reply.json()["choices"][0]["message"]["content"]) == (200, "Hello")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(PROBE, b"200", id="nothing after a request"),
        pytest.param(HEAD, b"408", id="half a head"),
        pytest.param(HEAD + b"Content-Length: 1000\r\n\r\n{", b"408", id="half a body"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b"408", id="half a chunk"),
        pytest.param(HEAD + b"X: " + b"x" * 5000, b"431", id="an oversized head"),
        pytest.param(HEAD + b"X: x\r\n" * 200 + b"\r\n", b"431", id="too many headers"),
        pytest.param(HEAD + b"Content-Length: 100001\r\n\r\n{", b"413", id="an oversized body"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n186a1\r\n" + b"x" * 100_001,
            b"413",
            id="an oversized chunked body",
        ),
    ],
)
async def test_who_sends_too_little_or_too_much_is_closed(limited: Gateway, sent: bytes, status: bytes) -> None:
    async with abuser(limited, sent) as one:
        await assert_others_are_served(limited)

        said = await one.rest()

    assert said.startswith(b"HTTP/1.1 " + status) if status else said == b""
    await assert_others_are_served(limited)


@pytest.mark.parametrize(
    "begun", [HEAD + b"X: ", HEAD + b"Content-Length: 90000\r\n\r\n"], ids=["the head", "the body"]
)
async def test_who_sends_byte_by_byte_is_closed(limited: Gateway, begun: bytes) -> None:
    async with abuser(limited, begun) as one:
        dripping = asyncio.create_task(one.drip(b"x"))
        await assert_others_are_served(limited)

        said = await one.rest()
        dripping.cancel()

    assert said.startswith(b"HTTP/1.1 408 ")
    await assert_others_are_served(limited)


async def test_who_does_not_read_its_stream_is_cut_off_and_its_slot_is_free_again(
    limited: Gateway, engine: ScriptedEngine
) -> None:
    with socket.socket() as deaf:
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", limited.port))
        await loop.sock_sendall(deaf, request(stream=True))
        await until(lambda: len(engine.received) == 1)
        await assert_others_are_served(limited)

        await until(lambda: limited.value("splai_gateway_requests_in_flight", model="llama") == 0)

    await assert_others_are_served(limited)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - gateway and engine tell nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("sent", [b"", PROBE, HEAD], ids=["nothing", "nothing after a request", "half a head"])
async def test_a_crowd_is_closed_as_one_is(limited: Gateway, sent: bytes) -> None:
    async def wait_out() -> bytes:
        async with abuser(limited, sent) as one:
            return await one.rest()

    crowd = [asyncio.create_task(wait_out()) for _ in range(CROWD)]
    await assert_others_are_served(limited)
    said = await asyncio.gather(*crowd)

    assert len({reply[:12] for reply in said}) == 1
    await assert_others_are_served(limited)
