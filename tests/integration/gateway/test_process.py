"""The gateway as a process: it finds an engine through the apiserver, answers, and ends cleanly."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from splai.kube.client import Client
from tests.integration.gateway.conftest import create_backend
from tests.integration.gateway.gateway_process import GatewayProcess, own_address, running_process
from tests.integration.running_control_plane import RunningControlPlane
from tests.unit.gateway.scripted_engine import STREAM_HEAD, Connection, Received, answer, running_engine

CHAT = {"model": "llama3.1:8b", "messages": [{"role": "user", "content": "Hi"}]}
STREAMS = 200
PIECES = 10
PIECE_SECONDS = 0.2

END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@dataclass
class Site:
    """A gateway with one backend, whose engine starts a stream and goes on when it is told to."""

    gateway: GatewayProcess
    http: httpx.AsyncClient
    go_on: asyncio.Event


@pytest.fixture
async def site(
    control_plane: RunningControlPlane, client: Client, namespace: str, tmp_path: Path
) -> AsyncIterator[Site]:
    go_on = asyncio.Event()

    async def engine_script(request: Received, connection: Connection) -> None:
        if not request.json.get("stream"):
            await answer({"model": "llama3-8b-q4", "choices": []})(request, connection)
            return
        await connection.send(STREAM_HEAD)
        await connection.chunk(event("first"))
        await go_on.wait()
        for number in range(PIECES):
            await asyncio.sleep(PIECE_SECONDS)  # an engine takes its time
            await connection.chunk(event(f" {number}"))
        await connection.chunk(END)
        await connection.chunk(b"")

    async with (
        running_engine(engine_script, host=own_address()) as engine,
        running_process(control_plane, namespace, tmp_path / "gateway.log") as gateway,
        httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=60) as http,
    ):
        await create_backend(client, namespace, "llama", engine.address, "llama3-8b-q4", "llama3.1:8b")
        await gateway.answers(http, "llama3.1:8b")
        yield Site(gateway, http, go_on)


def event(text: str) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode()


async def test_from_the_resource_to_the_answer(site: Site) -> None:
    assert (await site.http.get("/readyz")).status_code == 200

    reply = await site.http.post("/v1/chat/completions", json=CHAT)

    assert reply.json() == {"model": "llama3.1:8b", "choices": []}


async def test_200_live_streams_come_to_their_end_after_sigterm(site: Site) -> None:
    async with AsyncExitStack() as stack:
        streams = [await begun_stream(site.gateway.port, stack) for _ in range(STREAMS)]
        site.gateway.process.send_signal(signal.SIGTERM)
        await site.gateway.refuses()
        assert site.gateway.is_running

        site.go_on.set()
        async with asyncio.timeout(60):
            rests = await asyncio.gather(*(stream.read() for stream in streams))

    whole = b"".join(event(f" {number}") for number in range(PIECES)) + END
    assert [unchunked(rest) for rest in rests] == [whole] * STREAMS
    assert await site.gateway.exit_code() == 0


async def test_what_it_has_to_do_is_told_beside_the_metrics_alone(site: Site, namespace: str) -> None:
    async with AsyncExitStack() as stack:
        stream = await begun_stream(site.gateway.port, stack)

        told = (await site.http.get(f"http://127.0.0.1:{site.gateway.metrics_port}/internal/load")).json()

        assert told["models"] == [{"namespace": namespace, "backend": "llama", "inFlight": 1, "held": 0}]
        assert (await site.http.get("/internal/load")).status_code == 404
        site.go_on.set()
        async with asyncio.timeout(60):
            await stream.readuntil(b"0\r\n\r\n")


async def begun_stream(port: int, stack: AsyncExitStack) -> asyncio.StreamReader:
    """A connection on which the first event of a stream has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    body = json.dumps({**CHAT, "stream": True}).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    async with asyncio.timeout(60):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await reader.readuntil(event("first") + b"\r\n")
    return reader


def unchunked(data: bytes) -> bytes:
    """What chunks hold; raises ValueError if their end is missing."""
    whole = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return whole
        whole, data = whole + data[:length], data[length + 2 :]
