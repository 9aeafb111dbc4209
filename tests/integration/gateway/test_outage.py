"""The apiserver is gone for a while: callers do not notice, and the gateway finds what changed when it is back."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from splai.kube.resource import MODEL_BACKENDS
from tests.integration.gateway.conftest import client_of, create_backend
from tests.integration.gateway.gateway_process import own_address, running_process
from tests.integration.running_control_plane import RunningControlPlane
from tests.unit.gateway.scripted_engine import STREAM_HEAD, Connection, Received, answer, running_engine

OUTAGE_SECONDS = float(os.environ.get("SPLAI_OUTAGE_SECONDS", "90"))
LANES = 4
WARM_UP_REQUESTS = 500
GROWTH_MB = 10.0
"""Above it something piles up; one is what was seen."""
NAMESPACE = "team-a"

CONTENT = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


async def engine_script(request: Received, connection: Connection) -> None:
    if not request.json.get("stream"):
        await answer({"choices": [{"index": 0, "message": {"content": "Hello"}}]})(request, connection)
        return
    await connection.send(STREAM_HEAD)
    for chunk in (CONTENT, DONE, b""):
        await connection.chunk(chunk)


@dataclass
class Callers:
    """Ask for whole and for streamed answers, and whether the gateway is ready, one after the other."""

    http: httpx.AsyncClient
    requests: int = 0
    failures: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            lanes = [tasks.create_task(self._lane()) for _ in range(LANES)]
            try:
                yield
            finally:
                for lane in lanes:
                    lane.cancel()

    async def _lane(self) -> None:
        while True:
            await self._expect(self._chat(), lambda reply: b'"Hello"' in reply.content)
            await self._expect(self._chat(stream=True), lambda reply: reply.content == CONTENT + DONE)
            await self._expect(self.http.get("/readyz"), lambda reply: True)
            self.requests += 3

    def _chat(self, **parameters: Any) -> Any:
        body = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}], **parameters}
        return self.http.post("/v1/chat/completions", json=body)

    async def _expect(self, sent: Any, is_right: Callable[[httpx.Response], bool]) -> None:
        try:
            reply = await sent
        except httpx.HTTPError as error:
            self.failures.append(repr(error))
            return
        if reply.status_code != 200 or not is_right(reply):
            self.failures.append(f"{reply.url.path} {reply.status_code}: {reply.text[:200]}")


async def test_requests_flow_through_an_outage_of_the_apiserver_and_routes_converge_after_it(
    own_control_plane: RunningControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_control_plane.kubectl("create", "namespace", NAMESPACE)
    async with (
        running_engine(engine_script, host=own_address()) as engine,
        client_of(own_control_plane, monkeypatch) as client,
        running_process(own_control_plane, NAMESPACE, tmp_path / "gateway.log") as gateway,
        httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=60) as http,
    ):
        await create_backend(client, NAMESPACE, "llama", engine.address, "llama")
        await create_backend(client, NAMESPACE, "old", engine.address, "old")
        await gateway.answers(http, "llama")
        await gateway.answers(http, "old")
        callers = Callers(http)
        async with callers.asking():
            while callers.requests < WARM_UP_REQUESTS:  # noqa: ASYNC110 - the callers only count
                await asyncio.sleep(0.1)
            before_mb, before = gateway.resident_mb, callers.requests

            own_control_plane.kill("kube-apiserver")
            await asyncio.sleep(OUTAGE_SECONDS)  # the outage is what is tested
            during = callers.requests - before
            await asyncio.to_thread(own_control_plane.start)
            await client.delete(MODEL_BACKENDS, NAMESPACE, "old")
            await create_backend(client, NAMESPACE, "new", engine.address, "new")

            await gateway.serves(http, "new")
            await gateway.answers(http, "old", status=404)

        assert during > 0
        assert callers.failures == []
        assert gateway.is_running, "and as the same process"
        assert gateway.resident_mb - before_mb < GROWTH_MB
