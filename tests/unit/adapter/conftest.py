"""An adapter that runs in the test's own loop, in front of a provider of ours on a real connection."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from splai.adapter.server import listening
from splai.adapter.settings import Settings
from splai.api.backend_remote import Provider as ProviderName
from tests.unit.adapter.fake_providers import KEY, Fake
from tests.unit.gateway.scripted_engine import Script, ScriptedEngine, running_engine

MODEL = "weather"


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
        async with running_engine(script) as engine:
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
            async with listening(settings, "127.0.0.1") as port:
                yield Site(f"http://127.0.0.1:{port}", engine, key_file)

    return site


@pytest.fixture
def hold(start: StartSite) -> Callable[..., AbstractAsyncContextManager[Site]]:
    """A site for one of the fakes."""

    def site(fake: Fake, **how: Any) -> AbstractAsyncContextManager[Site]:
        return start(fake.script(**how), fake.provider, **fake.options)

    return site
