"""Requests and replies between a caller and real connections to engines."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from splai.gateway.http.limits import Limits
from splai.gateway.inference import attempts
from tests.unit.gateway.conftest import EngineRoom, Gateway, running_gateway
from tests.unit.gateway.scripted_engine import (
    STREAM_HEAD,
    Connection,
    Received,
    Script,
    answer,
    stream,
    unused_address,
)

COMPLETION = {"id": "c-1", "object": "chat.completion", "model": "llama", "choices": [{"message": {"content": "hi"}}]}
CHAT = "/v1/chat/completions"
DONE = b"data: [DONE]\n\n"


def event(content: str, *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "llama", "choices": [choice]}).encode() + b"\n\n"


def body(model: str = "llama", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}


async def post(gateway: Gateway, path: str = CHAT, **options: Any) -> httpx.Response:
    async with gateway.http() as http:
        return await http.post(path, **({"json": body()} | options))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what follows from an event elsewhere; the test's time limit ends it."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a metric tells nobody that it changed
            await asyncio.sleep(0.005)


async def until_still(count: Callable[[], int]) -> int:
    """Wait until a count stays as it is for a while."""
    last = -1
    while (now := count()) != last or now == 0:
        last = now
        await asyncio.sleep(0.2)
    return last


def code_of(reply: httpx.Response) -> str:
    document = reply.json()
    assert document["error"].keys() >= {"message", "type", "param", "code"}
    assert document["detail"] == document["error"]["message"]
    return str(document["error"]["code"])


@pytest.mark.parametrize("prefix", ["/v1", "/v1/openai"])
@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/embeddings"])
async def test_each_route_reaches_the_engines_own(
    gateway: Gateway, engines: EngineRoom, prefix: str, path: str
) -> None:
    engine = await engines.start(answer(COMPLETION))
    gateway.serve("llama", engine.address)

    reply = await post(gateway, prefix + path)

    assert reply.status_code == 200
    assert reply.json() == COMPLETION
    assert [request.path for request in engine.received] == ["/v1" + path]


async def test_bytes_pass_untouched_in_both_directions(gateway: Gateway, engines: EngineRoom) -> None:
    sent = b'{ "model":"llama",  "messages" : [], "seed": 1.50, "text": "\\u00e9" }'
    replied = b'{ "model": "llama", "choices":[ ], "x": 1.0e-7 }\n'
    engine = await engines.start(answer(replied))
    gateway.serve("llama", engine.address)

    reply = await post(gateway, json=None, content=sent)

    assert engine.received[0].body == sent
    assert reply.content == replied


async def test_json_is_read_whatever_the_content_type_says(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(answer(COMPLETION))
    gateway.serve("llama", engine.address)
    curls_own = {"Content-Type": "application/x-www-form-urlencoded"}

    reply = await post(gateway, json=None, content=json.dumps(body()).encode(), headers=curls_own)

    assert reply.status_code == 200
    assert engine.received[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("authorization", [{}, {"Authorization": "Bearer anything"}])
async def test_with_auth_off_any_key_and_none_will_do_and_none_reaches_the_engine(
    gateway: Gateway, engines: EngineRoom, authorization: dict[str, str]
) -> None:
    engine = await engines.start(answer(COMPLETION))
    gateway.serve("llama", engine.address)

    reply = await post(gateway, headers=authorization)

    assert reply.status_code == 200
    assert "authorization" not in engine.received[0].headers


async def test_an_alias_reaches_the_engine_as_its_id_and_comes_back_as_asked(
    gateway: Gateway, engines: EngineRoom
) -> None:
    engine = await engines.start(answer(COMPLETION))
    gateway.serve("llama", engine.address, aliases=("gpt-4o-mini",))

    for asked in ("gpt-4o-mini", "team-a/llama"):
        reply = await post(gateway, json=body(asked))

        assert engine.received[-1].json == body("llama")
        assert reply.json() == {**COMPLETION, "model": asked}


async def test_a_request_id_is_kept_sent_on_and_given_back(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(answer(COMPLETION, headers="X-Request-ID: of-the-engine\r\n"))
    gateway.serve("llama", engine.address)

    reply = await post(gateway, headers={"X-Request-ID": "mine-1"})

    assert reply.headers.get_list("X-Request-ID") == ["mine-1"]
    assert engine.received[0].headers["x-request-id"] == "mine-1"


async def test_a_request_without_an_id_gets_one(gateway: Gateway) -> None:
    first, second = await post(gateway), await post(gateway, headers={"X-Request-ID": "has spaces"})

    assert len(first.headers["X-Request-ID"]) == len(second.headers["X-Request-ID"]) == 32
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


async def test_an_unknown_model_is_404_and_names_those_that_exist(gateway: Gateway) -> None:
    gateway.serve("llama", unused_address(), aliases=("gpt",))

    reply = await post(gateway, json=body("lama"))

    assert reply.status_code == 404
    assert code_of(reply) == "model_not_found"
    assert reply.json()["detail"] == "The model 'lama' does not exist. Models: gpt, llama"


async def test_a_long_list_of_models_is_cut(gateway: Gateway) -> None:
    gateway.serve("m-00", unused_address(), aliases=tuple(f"m-{number:02}" for number in range(1, 25)))

    reply = await post(gateway, json=body("x"))

    assert reply.json()["detail"].endswith("m-18, m-19 and 5 more")


async def test_a_model_without_a_ready_replica_is_503_and_says_when_to_come_back(gateway: Gateway) -> None:
    gateway.serve("llama")

    reply = await post(gateway)

    assert reply.status_code == 503
    assert code_of(reply) == "model_not_ready"
    assert reply.headers["Retry-After"] == "5"


async def test_a_body_that_is_no_request_is_400(gateway: Gateway) -> None:
    reply = await post(gateway, json=None, content=b'{"model": NaN}')

    assert reply.status_code == 400
    assert code_of(reply) == "invalid_json"


async def test_a_request_without_model_names_the_parameter(gateway: Gateway) -> None:
    reply = await post(gateway, json={"messages": []})

    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "model"


async def test_a_body_that_is_too_large_is_413_before_it_is_sent(gateway: Gateway) -> None:
    async def announced_only() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return head

    assert b" 413 " in await announced_only()


async def test_a_body_that_turns_out_too_large_is_413() -> None:
    async with running_gateway(limits=Limits(body_bytes=1000)) as small:

        async def endless() -> Any:
            for _ in range(100):
                yield b"x" * 100

        reply = await post(small, json=None, content=endless())

    assert reply.status_code == 413
    assert code_of(reply) == "request_too_large"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, 400), (404, 404), (422, 422), (429, 429), (500, 500), (503, 503), (401, 502), (302, 502)],
)
async def test_what_an_engine_refuses(gateway: Gateway, engines: EngineRoom, status: int, expected: int) -> None:
    engine = await engines.start(answer({"detail": "no"}, status=status, headers="Retry-After: 7\r\n"))
    gateway.serve("llama", engine.address)

    reply = await post(gateway)

    assert reply.status_code == expected
    code_of(reply)
    if expected == status:
        assert reply.json()["error"]["message"] == "no"
        assert reply.headers["Retry-After"] == "7"
    assert len(engine.received) == 1


async def test_an_engine_that_does_not_serve_its_model_is_not_the_callers_mistake(
    gateway: Gateway, engines: EngineRoom
) -> None:
    engine = await engines.start(answer({"error": {"message": "x", "code": "model_not_found"}}, status=404))
    gateway.serve("llama", engine.address)

    reply = await post(gateway)

    assert reply.status_code == 502
    assert code_of(reply) == "engine_model_mismatch"
    assert gateway.value("splai_gateway_upstream_errors_total", model="llama", reason="model_mismatch") == 1


async def test_an_engine_that_cannot_be_reached_costs_one_more_try(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(answer(COMPLETION))
    gateway.serve("llama", unused_address(), engine.address)

    replies = [await post(gateway) for _ in range(8)]

    assert {reply.status_code for reply in replies} == {200}
    assert gateway.value("splai_gateway_upstream_errors_total", model="llama", reason="unreachable") > 0
    assert gateway.selection.in_flight(unused_address()) == 0


async def test_no_reachable_engine_is_502(gateway: Gateway) -> None:
    gateway.serve("llama", unused_address())

    reply = await post(gateway)

    assert reply.status_code == 502
    assert code_of(reply) == "engine_unreachable"


async def test_a_connection_that_died_idle_is_replaced(gateway: Gateway, engines: EngineRoom) -> None:
    async def answer_once(request: Received, connection: Connection) -> None:
        if connection.reader in used:
            connection.reset()
        else:
            used.add(connection.reader)
            await answer(COMPLETION)(request, connection)

    used: set[asyncio.StreamReader] = set()
    engine = await engines.start(answer_once)
    gateway.serve("llama", engine.address)

    replies = [await post(gateway) for _ in range(2)]

    assert [reply.status_code for reply in replies] == [200, 200]
    assert engine.connections == 2
    assert len(engine.received) == 3


async def cut_in_the_middle(_: Received, connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{")
    connection.writer.close()


async def cut_without_length(_: Received, connection: Connection) -> None:
    await connection.send(
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"model":"lla'
    )
    connection.writer.close()


async def not_http(_: Received, connection: Connection) -> None:
    await connection.send(b"SSH-2.0-OpenSSH\r\n\r\n")
    connection.writer.close()


@pytest.mark.parametrize("script", [cut_in_the_middle, cut_without_length, not_http])
async def test_half_a_reply_is_502_after_the_retries(gateway: Gateway, engines: EngineRoom, script: Script) -> None:
    engine = await engines.start(script)
    gateway.serve("llama", engine.address, retries=1)

    reply = await post(gateway)

    assert reply.status_code == 502
    assert code_of(reply) == "engine_broken_reply"
    assert reply.headers["X-Should-Retry"] == "false"
    assert len(engine.received) == 2


async def test_an_engine_that_says_nothing_is_504(engines: EngineRoom) -> None:
    async def silence(_: Received, connection: Connection) -> None:
        await connection.peer_left()

    engine = await engines.start(silence)
    async with running_gateway() as gateway:
        gateway.serve("llama", engine.address, timeout=0.1)

        reply = await post(gateway)

    assert reply.status_code == 504
    assert code_of(reply) == "engine_timeout"
    assert len(engine.received) == 1


NO_CHOICES = b'data: {"choices":[],"usage":{"total_tokens":5}}\n\n'
WHOLE = event("Hel") + event("lo", finish="stop") + DONE


@pytest.mark.parametrize(
    ("chunks", "end", "expected"),
    [
        pytest.param((WHOLE,), True, WHOLE, id="in one piece"),
        pytest.param(tuple(WHOLE[at : at + 1] for at in range(len(WHOLE))), True, WHOLE, id="byte by byte"),
        pytest.param((WHOLE[:30], WHOLE[30:]), True, WHOLE, id="an event split over two reads"),
        pytest.param((WHOLE.replace(b"\n", b"\r\n"),), True, WHOLE, id="CRLF"),
        pytest.param((WHOLE.replace(b"data: ", b"data:"),), True, WHOLE, id="no space"),
        pytest.param((WHOLE.replace(b"llama", b"/m.gguf"),), True, WHOLE, id="another model"),
        pytest.param((WHOLE.removesuffix(DONE),), True, WHOLE, id="no [DONE]"),
        pytest.param((event("Hel"), NO_CHOICES, event("lo", finish="stop"), DONE), True, WHOLE, id="unasked usage"),
        pytest.param((WHOLE + event("late"),), True, WHOLE, id="more after [DONE]"),
    ],
)  # fmt: skip
async def test_a_stream(
    gateway: Gateway, engines: EngineRoom, chunks: tuple[bytes, ...], end: bool, expected: bytes
) -> None:
    engine = await engines.start(stream(*chunks, end=end))
    gateway.serve("llama", engine.address)

    reply = await post(gateway, json=body(stream=True))

    assert reply.status_code == 200
    assert reply.content == expected


async def test_the_headers_of_a_stream(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(stream(WHOLE))
    gateway.serve("llama", engine.address)

    reply = await post(gateway, json=body(stream=True), headers={"Origin": "http://ui"})

    assert reply.headers["Content-Type"] == "text/event-stream"
    assert reply.headers["Cache-Control"] == "no-cache"
    assert reply.headers["Connection"] == "keep-alive"
    assert reply.headers.get_list("Access-Control-Allow-Origin") == ["*"]


async def test_events_leave_as_they_come(gateway: Gateway, engines: EngineRoom) -> None:
    seen = asyncio.Event()

    async def wait_for_the_reader(_: Received, connection: Connection) -> None:
        await connection.send(STREAM_HEAD)
        await connection.chunk(event("first") + event("sec")[:10])
        await seen.wait()
        await connection.chunk(event("sec")[10:] + event("", finish="stop") + DONE)
        await connection.chunk(b"")

    engine = await engines.start(wait_for_the_reader)
    gateway.serve("llama", engine.address)

    async with gateway.http() as http, http.stream("POST", CHAT, json=body(stream=True)) as reply:
        pieces = reply.aiter_raw()
        assert await anext(pieces) == event("first")
        seen.set()
        assert b"".join([piece async for piece in pieces]) == event("sec") + event("", finish="stop") + DONE


@pytest.mark.parametrize("end", [True, False])
async def test_a_stream_that_breaks_off_says_so(gateway: Gateway, engines: EngineRoom, end: bool) -> None:
    seen = asyncio.Event()

    async def break_off(_: Received, connection: Connection) -> None:
        await connection.send(STREAM_HEAD)
        await connection.chunk(event("Hel"))
        await seen.wait()
        if end:
            await connection.chunk(b"")
        else:
            connection.reset()

    engine = await engines.start(break_off)
    gateway.serve("llama", engine.address)

    async with gateway.http() as http, http.stream("POST", CHAT, json=body(stream=True)) as reply:
        pieces = reply.aiter_raw()
        assert await anext(pieces) == event("Hel")
        seen.set()
        rest = b"".join([piece async for piece in pieces])

    error, done, _ = rest.split(b"\n\n")
    assert json.loads(error.removeprefix(b"data: "))["error"]["code"] == "stream_interrupted"
    assert done + b"\n\n" == DONE
    assert len(engine.received) == 1


@pytest.mark.parametrize("end", [True, False])
async def test_a_stream_that_breaks_off_before_its_first_event_is_502(
    gateway: Gateway, engines: EngineRoom, end: bool
) -> None:
    engine = await engines.start(stream(b"data: {", end=end))
    gateway.serve("llama", engine.address)

    reply = await post(gateway, json=body(stream=True))

    assert reply.status_code == 502
    assert code_of(reply).startswith("engine_")


async def test_a_refusal_of_a_stream_is_a_status(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(answer({"error": {"message": "too long", "code": 400}}, status=400))
    gateway.serve("llama", engine.address)

    reply = await post(gateway, json=body(stream=True))

    assert reply.status_code == 400
    assert reply.headers["Content-Type"] == "application/json"


async def test_the_connection_of_a_finished_stream_serves_the_next_request(
    gateway: Gateway, engines: EngineRoom
) -> None:
    engine = await engines.start(stream(WHOLE))
    gateway.serve("llama", engine.address)

    for _ in range(3):
        await post(gateway, json=body(stream=True))

    assert engine.connections == 1


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_caller_that_leaves_stops_the_engine(gateway: Gateway, engines: EngineRoom, streamed: bool) -> None:
    stopped = asyncio.Event()
    begun = asyncio.Event()

    async def work_on(_: Received, connection: Connection) -> None:
        if streamed:
            await connection.send(STREAM_HEAD)
            await connection.chunk(event("first"))
        begun.set()
        await connection.peer_left()
        stopped.set()

    engine = await engines.start(work_on)
    gateway.serve("llama", engine.address)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    content = json.dumps(body(stream=streamed)).encode()
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (CHAT.encode(), len(content), content)
    )
    await begun.wait()
    if streamed:
        await reader.readuntil(b"first")

    writer.close()

    async with asyncio.timeout(60):
        await stopped.wait()
    labels = {"route": CHAT, "model": "llama", "code": "499"}
    await until(lambda: gateway.value("splai_gateway_requests_total", **labels) == 1)
    assert gateway.selection.in_flight(engine.address) == 0


async def test_a_caller_that_leaves_in_mid_stream_is_no_error_in_the_log(
    gateway: Gateway, engines: EngineRoom, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk_on(_: Received, connection: Connection) -> None:
        await connection.send(STREAM_HEAD)
        while not connection.writer.transport.is_closing():
            await connection.chunk(words)

    words = event("word") * 10
    engine = await engines.start(talk_on)
    gateway.serve("llama", engine.address)

    for _ in range(5):
        async with gateway.http() as http, http.stream("POST", CHAT, json=body(stream=True)) as reply:
            await anext(reply.aiter_raw())
    labels = {"route": CHAT, "model": "llama", "code": "499"}
    await until(lambda: gateway.value("splai_gateway_requests_total", **labels) == 5)

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_slow_reader_slows_the_engine_and_loses_nothing(gateway: Gateway, engines: EngineRoom) -> None:
    sent = 0
    piece = event("x" * 64_000)

    async def flood(request: Received, connection: Connection) -> None:
        nonlocal sent
        await connection.send(STREAM_HEAD)
        for _ in range(400):
            await connection.chunk(piece)
            sent += 1
        await connection.chunk(event("", finish="stop") + DONE)
        await connection.chunk(b"")

    engine = await engines.start(flood)
    gateway.serve("llama", engine.address, timeout=0.3)
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.connect(("127.0.0.1", gateway.port))
    caller.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=caller, limit=4096)
    content = json.dumps(body(stream=True)).encode()
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
        % (CHAT.encode(), len(content), content)
    )

    await reader.readuntil(b"\r\n\r\n")
    held_back = await until_still(lambda: sent)
    assert await until_still(lambda: sent) == held_back  # by now longer than an engine may be silent
    received = await reader.read(-1)
    writer.close()

    assert held_back < 300
    assert received.count(b'"content": "xxx') == 400
    assert received.count(b"[DONE]") == 1


async def test_requests_spread_over_the_engines_of_a_pool(gateway: Gateway, engines: EngineRoom) -> None:
    pool = [await engines.start(answer(COMPLETION)) for _ in range(3)]
    gateway.serve("llama", *(engine.address for engine in pool))

    async with gateway.http() as http:
        for _ in range(60):
            await http.post(CHAT, json=body())

    assert all(len(engine.received) >= 10 for engine in pool)


async def test_what_is_counted(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(answer(COMPLETION))
    gateway.serve("llama", engine.address)

    await post(gateway)
    await post(gateway, json=body("made-up-by-a-caller"))

    requests = "splai_gateway_requests_total"
    assert gateway.value(requests, route=CHAT, model="llama", code="200") == 1
    assert gateway.value(requests, route=CHAT, model="", code="404") == 1
    assert gateway.value("splai_gateway_request_duration_seconds_count", route=CHAT, model="llama") == 1
    assert gateway.value("splai_gateway_overhead_seconds_count", route=CHAT, model="llama") == 1
    assert gateway.value("splai_gateway_requests_in_flight") == 0
    assert b"made-up-by-a-caller" not in await gateway.metrics.scrape()


async def test_neither_prompts_nor_answers_are_logged(
    gateway: Gateway, engines: EngineRoom, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await engines.start(answer({"error": {"message": "SECRET-ANSWER"}}, status=500))
    gateway.serve("llama", engine.address)
    caplog.set_level("DEBUG")

    await post(gateway, json=body(messages=[{"role": "user", "content": "SECRET-PROMPT"}]))
    await post(gateway, json=None, content=b'{"SECRET-PROMPT')

    assert "engine failed" in caplog.text
    assert "SECRET" not in caplog.text


async def test_a_reply_without_end_is_given_up(
    gateway: Gateway, engines: EngineRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MAX_REPLY_BYTES", 1024 * 1024)

    async def talk_on(_: Received, connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not connection.writer.transport.is_closing():
            await connection.send(bytes(64 * 1024))

    engine = await engines.start(talk_on)
    gateway.serve("llama", engine.address)

    reply = await post(gateway)

    assert reply.status_code == 502
    assert code_of(reply) == "engine_broken_reply"


async def test_half_a_surrogate_pair_is_no_json_and_no_internal_error(gateway: Gateway) -> None:
    reply = await post(gateway, json=None, content=b'{"model": "\\ud800", "messages": []}')

    assert reply.status_code == 400
    assert code_of(reply) == "invalid_json"


async def test_half_a_surrogate_pair_in_an_engines_error_reaches_the_caller_as_json(
    gateway: Gateway, engines: EngineRoom
) -> None:
    engine = await engines.start(answer(b'{"error": {"message": "bad token \\ud800"}}', status=400))
    gateway.serve("llama", engine.address)

    reply = await post(gateway)

    assert reply.status_code == 400
    assert reply.json()["error"]["message"].startswith("bad token")


async def test_what_an_engine_takes_is_not_the_gateways_own_time(gateway: Gateway, engines: EngineRoom) -> None:
    go_on = asyncio.Event()

    async def wait_then_answer(request: Received, connection: Connection) -> None:
        asyncio.get_running_loop().call_later(0.3, go_on.set)
        await go_on.wait()
        await answer(COMPLETION)(request, connection)

    engine = await engines.start(wait_then_answer)
    gateway.serve("llama", engine.address)

    await post(gateway)

    labels = {"route": CHAT, "model": "llama"}
    whole = gateway.value("splai_gateway_request_duration_seconds_sum", **labels)
    own = gateway.value("splai_gateway_overhead_seconds_sum", **labels)
    assert 0 < own <= whole - 0.29
