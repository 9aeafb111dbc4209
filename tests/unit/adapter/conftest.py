"""An adapter that runs in the test's own loop, in front of a provider of ours on a real connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from splai.adapter.server import adapting
from splai.adapter.settings import Settings
from splai.api.backend_remote import Provider as ProviderName
from tests.unit.adapter.fake_providers import KEY, Fake
from tests.unit.gateway.scripted_engine import Script, ScriptedEngine

MODEL = "weather"


class RunningProvider(ScriptedEngine):
    """A provider on a real connection, which knows when all its connections are closed."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self._serving: set[asyncio.Task[Any] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        await super().serve(reader, writer)
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def left(self) -> None:
        """Returns once nobody is connected any more."""
        await asyncio.gather(*filter(None, self._serving))


@asynccontextmanager
async def running_provider(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RunningProvider]:
    provider = RunningProvider(script)
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()
    provider.address = f"{host}:{port}"
    try:
        yield provider
        await provider.left()
    finally:
        server.close()


@dataclass
class Site:
    """A running adapter with its provider."""

    url: str
    provider: ScriptedEngine
    key_file: Path

    def sdk(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="of-the-caller", max_retries=0)


StartSite = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "api-key"
    path.write_text(f"{KEY}\n")  # as most Secrets are made: with a line's end
    return path


@pytest.fixture
def start(key_file: Path) -> StartSite:
    @asynccontextmanager
    async def site(script: Script, provider: ProviderName = "OpenAICompatible", **options: Any) -> AsyncIterator[Site]:
        async with running_provider(script) as engine:
            settings = Settings(
                **{
                    "provider": provider,
                    "served": (MODEL, "weather-alias"),
                    "base_url": f"http://{engine.address}",
                    "api_key_file": key_file,
                    "allow_private_urls": True,
                    "port": 0,
                    **options,
                }
            )
            async with adapting(settings, "127.0.0.1") as port:
                yield Site(f"http://127.0.0.1:{port}", engine, key_file)

    return site


@pytest.fixture
def hold(start: StartSite) -> Callable[..., AbstractAsyncContextManager[Site]]:
    """A site for one of the fakes."""

    def site(fake: Fake, **how: Any) -> AbstractAsyncContextManager[Site]:
        return start(fake.script(**how), fake.provider, **fake.options)

    return site
