"""An OpenAI-compatible engine that writes down what reaches it, and answers by the model that is asked for.

The word before the colon of a model id says how: ``busy:…`` answers 429 with Retry-After, ``recovering:…`` does so once
and then answers, ``unavailable:…`` answers 503, ``picky:…`` 400, ``dying:…`` resets the connection in the middle of a
stream, ``torn:…`` streams with CRLF, without the space after ``data:`` and in pieces that end anywhere. All other
models answer: with a call of the first tool where tools are offered and no result of one is there yet, else with words.
"""

import asyncio
import base64
import json
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WORDS = ("The ", "capital ", "of ", "France ", "is ", "Paris.")
ANSWER = "".join(WORDS)
ARGUMENTS = ('{"city"', ': "Par', 'is"}')
EMBEDDING = (0.25, -0.5, 1.0)
USAGE = {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13}
RETRY_AFTER_SECONDS = 1
WAYS = ("busy", "recovering", "unavailable", "picky", "dying", "torn")


@dataclass(frozen=True)
class Received:
    """A request as it reached the engine; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    at: float
    """Seconds of a monotonic clock."""


@dataclass
class RecordingEngine:
    """A running engine; ``received`` may be read and cleared between requests."""

    address: tuple[str, int] = ("", 0)
    received: list[Received] = field(default_factory=list)
    _calls: Counter[str] = field(default_factory=Counter)

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self._chat)
        application.router.add_post("/v1/completions", self._completion)
        application.router.add_post("/v1/embeddings", self._embeddings)
        return application

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._record(request)
        way = str(body["model"]).partition(":")[0]
        self._calls[body["model"]] += 1
        if (refusal := _refusal(way, self._calls[body["model"]])) is not None:
            return refusal
        if not body.get("stream"):
            return web.json_response(_whole_answer(body))
        return await _stream(request, body, way)

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        body = await self._record(request)
        choice = {"index": 0, "text": ANSWER, "finish_reason": "stop", "logprobs": None}
        document = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
        return web.json_response({**document, "choices": [choice], "usage": USAGE})

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await self._record(request)
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        packed = base64.b64encode(struct.pack(f"<{len(EMBEDDING)}f", *EMBEDDING)).decode()
        vector = packed if body.get("encoding_format") == "base64" else EMBEDDING
        data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return web.json_response({"object": "list", "model": body["model"], "data": data, "usage": usage})

    async def _record(self, request: web.Request) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body: dict[str, Any] = json.loads(await request.read())
        self.received.append(Received(request.path, headers, body, time.monotonic()))
        return body


def _refusal(way: str, call: int) -> web.Response | None:
    if way == "busy" or (way == "recovering" and call == 1):
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return _error(429, "Too many requests are in progress", "rate_limit_exceeded", headers=headers)
    if way == "unavailable":
        return _error(503, "The model is being loaded", "loading")
    if way == "picky":
        return _error(400, "`temperature` must be at most 2", "invalid_value", param="temperature")
    return None


def _error(
    status: int, message: str, code: str, *, param: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    kind = "invalid_request_error" if status == 400 else "server_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def _calls_a_tool(body: Mapping[str, Any]) -> bool:
    return bool(body.get("tools")) and all(message["role"] != "tool" for message in body["messages"])


def _tool_call(body: Mapping[str, Any], arguments: str) -> dict[str, Any]:
    name = body["tools"][0]["function"]["name"]
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def _whole_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ANSWER}
    if _calls_a_tool(body):
        message = {"role": "assistant", "content": None, "tool_calls": [_tool_call(body, "".join(ARGUMENTS))]}
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(body), "logprobs": None}
    document = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
    return {**document, "choices": [choice], "usage": USAGE}


def _finish_reason(body: Mapping[str, Any]) -> str:
    return "tool_calls" if _calls_a_tool(body) else "stop"


def _deltas(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a streamed answer is made of, the role first and alone."""
    yield {"role": "assistant", "content": None if _calls_a_tool(body) else ""}
    if not _calls_a_tool(body):
        yield from ({"content": word} for word in WORDS)
        return
    yield {"tool_calls": [{"index": 0, **_tool_call(body, "")}]}
    for piece in ARGUMENTS:
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _events(body: Mapping[str, Any]) -> Iterator[bytes]:
    with_usage = (body.get("stream_options") or {}).get("include_usage") is True
    document = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    if with_usage:
        document["usage"] = None
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in _deltas(body)]
    choices.append({"index": 0, "delta": {}, "finish_reason": _finish_reason(body)})
    for choice in choices:
        yield _event({**document, "choices": [choice]})
    if with_usage:
        yield _event({**document, "choices": [], "usage": USAGE})
    yield b"data: [DONE]\n\n"


def _event(document: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


async def _stream(request: web.Request, body: Mapping[str, Any], way: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    events = list(_events(body))
    if way == "dying":
        events = events[: len(events) // 2]
    if way == "torn":
        untidy = b"".join(events).replace(b"data: ", b"data:").replace(b"\n", b"\r\n")
        events = [untidy[start : start + 50] for start in range(0, len(untidy), 50)]
    for event in events:
        await response.write(event)
        await asyncio.sleep(0)
    if way == "dying" and request.transport is not None:
        request.transport.abort()
    return response


@contextmanager
def running_recording_engine(host: str) -> Iterator[RecordingEngine]:
    """An engine on an event loop of its own: the clients are programs that a test waits for."""
    engine = RecordingEngine()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="recording-engine")
    thread.start()
    runner = web.AppRunner(engine.application(), access_log=None, shutdown_timeout=0.1)
    try:
        asyncio.run_coroutine_threadsafe(_listen(runner, host), loop).result(timeout=30)
        engine.address = (host, int(runner.addresses[0][1]))
        yield engine
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(runner: web.AppRunner, host: str) -> None:
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
