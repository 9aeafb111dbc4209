"""A provider behind TLS: its certificate counts, and an authority of one's own can be named."""

import ipaddress
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.adapter.conftest import MODEL, RunningProvider, StartSite, running_provider
from tests.unit.gateway.scripted_engine import answer

CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
ANSWER = {"id": "1", "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
StartProvider = Callable[[], AbstractAsyncContextManager[RunningProvider]]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2023, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2096, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "provider.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
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
