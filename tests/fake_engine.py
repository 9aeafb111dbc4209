"""A fast OpenAI-compatible engine that answers at once, and misbehaves on request.

As a process: ``python tests/fake_engine.py --port 9000 --delay 0.001``; in a test: ``running(FakeEngine())``. A word in
the prompt says what goes wrong: ``fault:500`` or another status, ``fault:429`` with Retry-After, ``fault:reset``,
``fault:truncated``, ``fault:garbage``, ``fault:empty``, ``fault:hang``, ``fault:slow``; with ``*2`` behind it only the
first two times. ``down`` and ``busy`` fail all requests while they are set.
"""

import argparse
import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

SLOW_SECONDS = 1.0
_FAULT = re.compile(r"fault:(\w+)(?:\*(\d+))?")


@dataclass
class FakeEngine:
    """Settings that may be changed while it runs, and what it saw."""

    delay: float = 0.0
    retry_after: str = "1"
    down: bool = False  # every request, probes too, has its connection reset
    busy: int = 0  # a status such as 503 for all requests but probes
    prompts: Counter[str] = field(default_factory=Counter)
    connections: Counter[int] = field(default_factory=Counter)  # requests by the client's port
    traceparents: set[str] = field(default_factory=set)
    in_flight: int = 0
    most_in_flight: int = 0

    def application(self) -> web.Application:
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_get("/v1/models", self._models)
        application.router.add_post("/v1/chat/completions", self._answer)
        application.router.add_post("/v1/completions", self._answer)
        application.router.add_post("/v1/embeddings", self._answer)
        return application

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return _reset(request)
        return web.json_response({"object": "list", "data": [{"id": "fake", "object": "model"}]})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.connections[_peer_port(request)] += 1
        self.traceparents.update(request.headers.getall("traceparent", ()))
        try:
            return await self._react(request, await request.json())
        finally:
            self.in_flight -= 1

    async def _react(self, request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        prompt = _prompt(body)
        self.prompts[prompt] += 1
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.down:
            return _reset(request)
        if self.busy:
            return _error(self.busy)
        match = _FAULT.search(prompt)
        if match and (match[2] is None or self.prompts[prompt] <= int(match[2])):
            return await self._misbehave(request, prompt, match[1])
        return web.json_response(_reply(request.path, prompt), dumps=_dumps)

    async def _misbehave(self, request: web.Request, prompt: str, fault: str) -> web.StreamResponse:
        match fault:
            case "reset":
                return _reset(request)
            case "slow":
                await asyncio.sleep(SLOW_SECONDS)
                return web.json_response(_reply(request.path, prompt), dumps=_dumps)
            case "hang":
                await asyncio.sleep(3600)
                return web.Response()
            case "garbage":
                return web.Response(text="<html>not an answer</html>")
            case "empty":
                return web.json_response({"choices": []})
            case "truncated":
                response = web.StreamResponse(headers={"Content-Length": "1000"})
                await response.prepare(request)
                await response.write(b'{"choices": [')
                return _reset(request)
            case "429":
                return _error(429, {"Retry-After": self.retry_after})
            case _:
                return _error(int(fault))


def _peer_port(request: web.Request) -> int:
    assert request.transport is not None
    port: int = request.transport.get_extra_info("peername")[1]
    return port


def _prompt(body: dict[str, object]) -> str:
    match body:
        case {"messages": [*_, {"content": str(text)}]} | {"prompt": str(text)} | {"input": str(text)}:
            return text
        case _:
            return ""


def _reply(path: str, prompt: str) -> dict[str, object]:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    match path.rpartition("/")[2], path:
        case "embeddings", _:
            return {"object": "list", "data": [{"index": 0, "embedding": [0.25, 0.5]}], "usage": usage}
        case _, "/v1/completions":
            return {"object": "text_completion", "choices": [{"index": 0, "text": f"echo {prompt}"}], "usage": usage}
        case _:
            message = {"role": "assistant", "content": f"echo {prompt}"}
            return {
                "object": "chat.completion",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": usage,
            }


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _error(status: int, headers: dict[str, str] | None = None) -> web.Response:
    error = {"message": f"made to answer {status}", "type": "fake", "param": None, "code": None}
    return web.json_response({"error": error}, status=status, headers=headers)


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def running(engine: FakeEngine, *, port: int = 0) -> AsyncIterator[str]:
    """Serve on the loopback interface; gives the base URL."""
    runner = web.AppRunner(engine.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _serve(engine: FakeEngine, port: int) -> None:
    async with running(engine, port=port) as url:
        print(url, flush=True)  # noqa: T201 - whoever starts the process reads the port here
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until an answer")
    arguments = parser.parse_args()
    asyncio.run(_serve(FakeEngine(delay=arguments.delay), arguments.port))


if __name__ == "__main__":
    main()
