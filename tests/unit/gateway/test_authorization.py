"""One bearer token in front of everything but probes and what a browser asks first."""

import httpx
import pytest

from tests.unit.gateway.apis import ANSWER, APIS, CHAT, Api, outcome
from tests.unit.gateway.conftest import EngineRoom, running_gateway
from tests.unit.gateway.raw_caller import calling

TOKEN = "correct-horse"


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
async def test_a_caller_without_the_token_is_401(engines: EngineRoom, api: Api, shown: dict[str, str]) -> None:
    engine = await engines.start(api.good())
    async with running_gateway(token=TOKEN) as gateway, calling(gateway.port) as caller:
        gateway.serve("llama", engine.address, native_responses=api.native)

        seen = await caller.post(api.path, api.document, **shown)

    assert (seen.status, outcome(api, seen)) == (401, "invalid_api_key")
    assert seen.headers["www-authenticate"] == "Bearer"
    assert seen.headers["access-control-allow-origin"] == "*"
    assert TOKEN not in seen.body.decode()
    assert engine.received == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_the_token_opens_and_does_not_reach_the_engine(engines: EngineRoom, scheme: str) -> None:
    engine = await engines.start(CHAT.good())
    async with running_gateway(token=TOKEN) as gateway, calling(gateway.port) as caller:
        gateway.serve("llama", engine.address)

        seen = await caller.post(CHAT.path, CHAT.document, Authorization=f"{scheme} {TOKEN}")

    assert outcome(CHAT, seen) == ANSWER
    assert "authorization" not in engine.received[0].headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("OPTIONS", "/v1/chat/completions", 200),
        ("GET", "/v1/models", 401),
        ("GET", "/v1/metrics/prometheus", 401),
        ("GET", "/v1/", 401),
        ("GET", "/nowhere", 401),
    ],
)
async def test_probes_and_options_need_no_token(method: str, path: str, status: int) -> None:
    async with running_gateway(token=TOKEN) as gateway, httpx.AsyncClient(trust_env=False) as http:
        reply = await http.request(method, gateway.url + path)

    assert reply.status_code == status
