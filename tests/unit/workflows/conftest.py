"""A running server, with nothing registered but what the test registers."""

import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import openai
import pytest

from splai.workflows.registry import WorkflowRegistry
from splai.workflows.server import serving


@pytest.fixture(autouse=True)
def _empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkflowRegistry, "_workflows", {})


@pytest.fixture(autouse=True)
def _imports_of_the_test_alone() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(0, "127.0.0.1") as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as http:
        yield http


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", timeout=10) as sdk:
        yield sdk
