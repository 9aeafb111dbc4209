"""The gateway as a process: it finds an engine through the apiserver, answers, and ends cleanly."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from local_cluster.ports import free_ports
from splai.kube.client import Client
from splai.kube.resource import ENDPOINT_SLICES, MODEL_BACKENDS
from tests.integration.gateway.conftest import endpoint_slice, model_backend
from tests.integration.running_control_plane import RunningControlPlane
from tests.unit.gateway.scripted_engine import STREAM_HEAD, Connection, Received, answer, running_engine

CHAT = {"model": "llama3.1:8b", "messages": [{"role": "user", "content": "Hi"}]}


def own_address() -> str:
    """Of this machine, for the engine: an EndpointSlice may not hold a loopback address. No packet is sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@asynccontextmanager
async def running_process(
    control_plane: RunningControlPlane, namespace: str, port: int, metrics_port: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SPLAI_WATCH_NAMESPACES": namespace,
        "SPLAI_GATEWAY_PORT": str(port),
        "SPLAI_METRICS_PORT": str(metrics_port),
    }
    command = (sys.executable, "-c", "from splai.cli import main; main()", "gateway", "serve")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ready(http: httpx.AsyncClient, model: str) -> None:
    """Wait until the gateway answers and knows the model."""
    async with asyncio.timeout(60):
        while True:
            try:
                if (await http.get(f"/v1/models/{model}")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def test_from_the_resource_to_the_answer_to_a_clean_end(
    control_plane: RunningControlPlane, client: Client, namespace: str
) -> None:
    go_on = asyncio.Event()

    async def engine_script(request: Received, connection: Connection) -> None:
        if not request.json.get("stream"):
            await answer({"model": "llama3-8b-q4", "choices": []})(request, connection)
            return
        await connection.send(STREAM_HEAD)
        await connection.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"first"}}]}\n\n')
        await go_on.wait()
        await connection.chunk(b"data: [DONE]\n\n")
        await connection.chunk(b"")

    port, metrics_port = free_ports(2)
    async with (
        running_engine(engine_script, host=own_address()) as engine,
        running_process(control_plane, namespace, port, metrics_port) as process,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http,
    ):
        host, _, engine_port = engine.address.rpartition(":")
        await client.create(ENDPOINT_SLICES, namespace, endpoint_slice("llama", host, port=int(engine_port)))
        await client.create(MODEL_BACKENDS, namespace, model_backend("llama", "llama3-8b-q4", "llama3.1:8b"))
        await ready(http, "llama3.1:8b")
        assert (await http.get("/readyz")).status_code == 200

        reply = await http.post("/v1/chat/completions", json=CHAT)
        assert reply.json() == {"model": "llama3.1:8b", "choices": []}

        async with http.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as stream:
            pieces = stream.aiter_raw()
            assert b"first" in await anext(pieces)
            process.send_signal(signal.SIGTERM)
            await refused(port)
            go_on.set()
            assert b"".join([piece async for piece in pieces]) == b"data: [DONE]\n\n"

        async with asyncio.timeout(60):
            assert await process.wait() == 0


async def refused(port: int) -> None:
    """Wait until nobody listens any more."""
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except (ConnectionRefusedError, ConnectionResetError):  # reset: it closed while the client connected
                return
            writer.close()
            await asyncio.sleep(0.02)
