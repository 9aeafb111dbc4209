"""A provider behind TLS: its certificate counts, and an authority of one's own can be named."""

import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.adapter.conftest import MODEL, RunningProvider, StartSite, running_provider
from tests.unit.certificates import self_signed
from tests.unit.gateway.scripted_engine import answer

CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
ANSWER = {"id": "1", "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
StartProvider = Callable[[], AbstractAsyncContextManager[RunningProvider]]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with its key in the same file."""
    key, made = self_signed("provider", address="127.0.0.1")
    path = tmp_path / "provider.pem"
    path.write_bytes(key + made)
    return path


@pytest.fixture
def provider(certificate: Path) -> StartProvider:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return lambda: running_provider(answer(ANSWER), tls=context)


async def test_a_certificate_that_nobody_vouches_for_is_refused(start: StartSite, provider: StartProvider) -> None:
    async with (
        provider() as running,
        start(answer({}), base_url=f"https://{running.address}") as site,
        httpx.AsyncClient() as client,
    ):
        reply = await client.post(f"{site.url}/v1/chat/completions", json=CHAT)

    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "provider_unreachable")
    assert running.received == []


async def test_an_authority_of_ones_own_is_named_by_the_usual_variable(
    start: StartSite, provider: StartProvider, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async with (
        provider() as running,
        start(answer({}), base_url=f"https://{running.address}") as site,
        httpx.AsyncClient() as client,
    ):
        reply = await client.post(f"{site.url}/v1/chat/completions", json=CHAT)

    assert reply.json() == ANSWER
