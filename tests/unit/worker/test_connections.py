"""A Service chooses a replica for each connection, so only new connections reach replicas that are added later."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from yarl import URL

from splai.worker import engine
from splai.worker.engine import EngineClient
from tests.fake_engine import FakeEngine, running

LANES = 16
ROUND_SECONDS = 2.0  # in which every lane sends a request


class Service:
    """One address, as kube-proxy makes it: for each connection a replica by chance, which it keeps."""

    def __init__(self) -> None:
        self.replicas: list[URL] = []
        self._chance = random.Random(3)

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replica = self._chance.choice(self.replicas)
        up_reader, up_writer = await asyncio.open_connection(replica.host, replica.port)
        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Backend:
    """Three engines, of which the Service knows those that are scaled up, and a worker's lanes."""

    def __init__(self, service: Service, engines: list[FakeEngine], urls: list[str], address: str) -> None:
        self._service = service
        self._engines = engines
        self._urls = urls
        self._now = 0.0
        jitter = random.Random(4).random
        self.lanes = [
            EngineClient(f"{address}/v1/completions", timeout=5, clock=lambda: self._now, jitter=jitter)
            for _ in range(LANES)
        ]

    def scale(self, replicas: int) -> None:
        self._service.replicas = [URL(url) for url in self._urls[:replicas]]

    async def work(self, seconds: float) -> list[float]:
        """The share of each replica in what the lanes send meanwhile."""
        before = self._served
        for _ in range(int(seconds / ROUND_SECONDS)):
            await asyncio.gather(*(lane.post(b'{"prompt":"hello"}') for lane in self.lanes))
            self._now += ROUND_SECONDS
        served = [after - earlier for after, earlier in zip(self._served, before, strict=True)]
        return [count / sum(served) for count in served]

    @property
    def _served(self) -> list[int]:
        return [engine.prompts.total() for engine in self._engines]


@asynccontextmanager
async def one_backend() -> AsyncIterator[Backend]:
    service = Service()
    engines = [FakeEngine() for _ in range(3)]
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(running(engine)) for engine in engines]
        server = await stack.enter_async_context(await asyncio.start_server(service.connect, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        backend = Backend(service, engines, urls, f"http://127.0.0.1:{port}")
        for lane in backend.lanes:
            stack.push_async_callback(lane.close)
        yield backend


async def test_replicas_that_are_added_in_mid_job_serve_a_fifth_each_at_least() -> None:
    async with one_backend() as backend:
        backend.scale(1)
        assert await backend.work(40) == [1, 0, 0]
        backend.scale(3)
        assert min(await backend.work(160)) >= 0.2


async def test_short_requests_reach_new_replicas_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CONNECTION_SECONDS", 1e9)
    monkeypatch.setattr(engine, "CONNECTION_REQUESTS", 10)
    async with one_backend() as backend:
        backend.scale(1)
        await backend.work(10)
        backend.scale(3)
        assert min(await backend.work(160)) >= 0.2
