"""What goes wrong at engines: what a caller is to see of it, how often an engine is asked, what its breaker does."""

import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.unit.gateway.apis import ANSWER, Api, chat_chunk, response, response_event, sse, text_chunk
from tests.unit.gateway.scripted_engine import STREAM_HEAD, Connection, Received, Script, answer, stream

TRIES = 3
"""Of one pod: the first and the two retries that a backend has by default."""
_BROKEN = "engine_broken_reply"
_CUT = "stream_interrupted"
_REASON = "because"


@dataclass(frozen=True)
class Fault:
    """One way to fail; ``status``, ``code`` and ``calls`` are for the only pod of a backend."""

    name: str
    script: Script | None
    """None: nobody listens."""
    status: int
    code: str
    calls: int = TRIES
    opens: bool = True
    """It counts against the pod: its breaker opens after five in a row."""
    repaired: bool = True
    """Where another pod can answer the caller sees nothing of it."""
    takes_time: bool = False
    """It is noticed by a deadline."""


def faults(api: Api) -> Iterator[Fault]:
    """All that can go wrong with an API."""
    yield from _of_connections()
    yield from _of_statuses()
    yield from _of_garbage(api)
    if not api.events:
        yield from _of_whole_answers(api)
        return
    yield from _cut_after_each_event(api)
    yield from _of_streams(api)


async def reset(_: Received, connection: Connection) -> None:
    """As a process that dies: RST, not FIN."""
    plain = connection.writer.transport.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.reset()


async def close(_: Received, connection: Connection) -> None:
    connection.writer.close()


async def hang(_: Received, connection: Connection) -> None:
    await connection.peer_left()


async def no_http(_: Received, connection: Connection) -> None:
    await connection.send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    connection.writer.close()


async def half_a_head(_: Received, connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    connection.writer.close()


def half(document: dict[str, Any], *, sized: bool) -> Script:
    """The first half of a whole answer; without its length only the JSON tells."""
    body = json.dumps(document).encode()
    length = f"Content-Length: {len(body)}\r\n" if sized else ""

    async def script(_: Received, connection: Connection) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n{length}\r\n"
        await connection.send(head.encode() + body[: len(body) // 2])
        connection.writer.close()

    return script


def typed(content_type: str, body: bytes) -> Script:
    """A whole reply of this type."""

    async def script(_: Received, connection: Connection) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        await connection.send(head.encode() + body)

    return script


def silent_after(*chunks: bytes) -> Script:
    """A stream that stops in the middle and stays open."""

    async def script(_: Received, connection: Connection) -> None:
        await connection.send(STREAM_HEAD)
        for chunk in chunks:
            await connection.chunk(chunk)
        await connection.peer_left()

    return script


def _of_connections() -> Iterator[Fault]:
    yield Fault("refuses", None, 502, "engine_unreachable")
    yield Fault("resets before headers", reset, 502, "engine_disconnected")
    yield Fault("closes before headers", close, 502, "engine_disconnected")
    yield Fault("cut in the headers", half_a_head, 502, _BROKEN)
    yield Fault("is no HTTP", no_http, 502, _BROKEN)
    yield Fault("hangs", hang, 504, "engine_timeout", calls=1, takes_time=True)


def _of_statuses() -> Iterator[Fault]:
    error = {"error": {"message": "no", "type": "x", "param": None, "code": _REASON}}
    for status in (500, 502, 503, 504, 408):
        yield Fault(f"{status}", answer(error, status=status), status, _REASON)
    for status in (401, 403):
        yield Fault(f"{status}", answer(error, status=status), 502, "engine_refused", calls=1)
    yield Fault("429", answer(error, status=429), 429, _REASON, opens=False)
    soon, late = (answer(error, status=429, headers=f"Retry-After: {seconds}\r\n") for seconds in (0, 30))
    yield Fault("429, come back at once", soon, 429, _REASON, opens=False)
    yield Fault("429, come back late", late, 429, _REASON, calls=1, opens=False)
    yield Fault("400", answer(error, status=400), 400, _REASON, calls=1, opens=False, repaired=False)


def _of_garbage(api: Api) -> Iterator[Fault]:
    body = json.dumps(api.whole).encode()
    yield Fault("a page", typed("text/html", b"<html>Welcome to nginx!</html>"), 502, _BROKEN)
    if api.events:
        yield Fault("a whole answer for a stream", answer(api.whole), 502, _BROKEN)
        yield Fault("a stream of the wrong type", typed("text/plain", b"".join(api.events.values())), 502, _BROKEN)
    else:
        yield Fault("JSON with something behind it", answer(body + b"}"), 502, _BROKEN)
        yield Fault("not JSON", answer(b"Hello"), 502, _BROKEN)
        yield Fault("no object", answer(b'["Hello"]'), 502, _BROKEN)
        yield Fault("a stream for a whole answer", stream(b"data: " + body + b"\n\n"), 502, _BROKEN)


def _of_whole_answers(api: Api) -> Iterator[Fault]:
    yield Fault("half, by its length", half(api.whole, sized=True), 502, _BROKEN)
    yield Fault("half, by its JSON", half(api.whole, sized=False), 502, _BROKEN)
    yield Fault("an error with 200", answer({"error": {"message": "oom", "code": 500}}), 502, _BROKEN)
    if api.native:
        yield Fault("failed", answer(response("failed")), 502, _BROKEN)
    elif "choices" in api.whole:
        aborted = {**api.whole, "choices": [{**api.whole["choices"][0], "finish_reason": "abort"}]}
        yield Fault("abort", answer(aborted), 502, _BROKEN)


def _cut_after_each_event(api: Api) -> Iterator[Fault]:
    names, events = list(api.events), list(api.events.values())
    for count in range(len(events)):
        place = f"after {names[count - 1]}" if count else "before the first event"
        for how, ends in (("ends", True), ("dies", False)):
            fault = Fault(f"{how} {place}", stream(*events[:count], end=ends), 502, _BROKEN)
            if count > names.index("finish"):
                fault = replace(fault, status=200, code=ANSWER, calls=1, opens=False)
            elif count > names.index("content"):
                fault = _after_content(fault, _CUT)
            yield fault


def _after_content(fault: Fault, code: str) -> Fault:
    return replace(fault, status=200, code=code, calls=1, repaired=False)


def _of_streams(api: Api) -> Iterator[Fault]:
    before = [event for name, event in api.events.items() if name in ("role", "created", "added")]
    content, more, finish = (api.events[name] for name in ("content", "more", "finish"))
    done = [] if api.native else [api.events["done"]]
    error, error_code = _reported(api)
    for name, broken, code, code_early in (
        ("error event", error, error_code, "engine_reported_error"),
        ("gives up", _given_up(api), "server_error" if api.native else _CUT, None),
        ("garbage", _garbage(api), _CUT, _BROKEN),
    ):
        early = code_early or ("engine_reported_error" if api.native else _BROKEN)
        late = [content, more, broken, *done]
        yield Fault(f"{name} before content", stream(*before, broken, *done), 502, early)
        yield _after_content(Fault(f"{name} after content", stream(*before, *late), 200, ""), code)
    hole = stream(*before, content, _garbage(api), finish, *done)
    yield _after_content(Fault("garbage in the place of a piece", hole, 200, ""), _CUT)
    yield Fault("hangs before content", silent_after(*before), 504, "engine_timeout", calls=1, takes_time=True)
    yield _after_content(Fault("hangs after content", silent_after(*before, content), 200, "", takes_time=True), _CUT)
    if done:
        yield _after_content(Fault("[DONE] without a finish", stream(*before, content, *done), 200, ""), _CUT)


def _reported(api: Api) -> tuple[bytes, str]:
    if api.native:
        return sse({"type": "error", "code": "oom", "message": "out of memory", "param": None}, "error"), "oom"
    return sse({"error": {"message": "out of memory", "type": "x", "param": None, "code": "oom"}}), "oom"


def _given_up(api: Api) -> bytes:
    if api.native:
        failed = {**response("failed"), "error": {"code": "server_error", "message": "out of memory"}}
        return response_event("failed", sequence_number=4, response=failed)
    return text_chunk("", "abort") if api.path == "/v1/completions" else chat_chunk("abort")


def _garbage(api: Api) -> bytes:
    return b'event: response.output_text.delta\ndata: {"del\n\n' if api.native else b'data: {"choi\n\n'
