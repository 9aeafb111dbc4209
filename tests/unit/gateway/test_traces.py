"""What a trace shows of a request to the gateway, as it arrives at a collector."""

import json
from typing import Any

import httpx

from splai.tracing.span import Tracing
from tests.unit.gateway.conftest import EngineRoom, Gateway, running_gateway
from tests.unit.gateway.scripted_engine import Script, answer, stream, unused_address
from tests.unit.trace_collector import ExportedSpan, traced

QUESTION = "which colour has the moon"
ANSWER = "the moon is made of green cheese"
USAGE = {"prompt_tokens": 7, "completion_tokens": 11, "total_tokens": 18}
COMPLETION = {"model": "llama", "choices": [{"message": {"content": ANSWER}, "finish_reason": "stop"}], "usage": USAGE}
CALLERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLERS_SPAN = "b7ad6b7169203331"
SAMPLED = 0x01
CALLERS = {"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"}


def event(content: str, *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "llama", "choices": [choice]}).encode() + b"\n\n"


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "llama", "messages": [{"role": "user", "content": QUESTION}], **fields}


async def ask(tracing: Tracing, addresses: list[str], *, headers: dict[str, str], **fields: Any) -> httpx.Response:
    """One request to a gateway with engines at these addresses; when this returns, all spans have ended."""
    async with running_gateway(tracing=tracing) as gateway:
        gateway.serve("llama", *addresses)
        async with gateway.http() as http:
            return await http.post("/v1/chat/completions", json=body(**fields), headers=headers)


async def spans_of(
    engines: EngineRoom, script: Script, headers: dict[str, str] | None = None, **fields: Any
) -> tuple[ExportedSpan, list[ExportedSpan], dict[str, str]]:
    """The span of a request, those of its attempts, and the headers that the engine got."""
    engine = await engines.start(script)
    with traced("gateway") as (tracing, collector):
        await ask(tracing, [engine.address], headers=headers or {}, **fields)
        tracing.close()
        (server,) = collector.of_kind("server")
        return server, collector.of_kind("client"), engine.received[0].headers


async def test_a_request_is_a_span_and_each_attempt_one_below_it(engines: EngineRoom) -> None:
    server, (client,), _ = await spans_of(engines, answer(COMPLETION))

    assert (server.service, server.name) == ("splai-gateway", "chat llama")
    assert (
        server.attributes.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "llama",
            "gen_ai.provider.name": "splai",
            "gen_ai.request.stream": False,
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 11,
            "http.request.method": "POST",
            "http.route": "/v1/chat/completions",
            "http.response.status_code": 200,
        }.items()
    )
    assert (client.trace_id, client.parent_id) == (server.trace_id, server.span_id)
    assert client.attributes["server.address"] == "127.0.0.1"
    assert client.attributes["splai.backend"] == "team-a/backend"
    assert not server.is_error
    assert not client.is_error


async def test_the_callers_trace_goes_on_through_the_gateway_to_the_engine(engines: EngineRoom) -> None:
    server, (client,), received = await spans_of(engines, answer(COMPLETION), CALLERS)

    assert (server.trace_id, server.parent_id) == (CALLERS_TRACE, CALLERS_SPAN)
    assert received["traceparent"] == f"00-{CALLERS_TRACE}-{client.span_id}-01"


async def test_a_traceparent_that_is_none_begins_a_trace(engines: EngineRoom) -> None:
    server, _, received = await spans_of(engines, answer(COMPLETION), {"traceparent": "00-zz-01"})

    assert server.parent_id == ""
    assert received["traceparent"].startswith(f"00-{server.trace_id}-")


async def test_a_stream_tells_when_its_first_chunk_came(engines: EngineRoom) -> None:
    script = stream(event(ANSWER), event("", finish="stop"), b"data: [DONE]\n\n")

    server, (client,), _ = await spans_of(engines, script, stream=True)

    assert server.attributes["gen_ai.request.stream"] is True
    assert server.attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert not client.is_error


async def test_a_stream_that_breaks_is_an_error_though_its_status_was_200(engines: EngineRoom) -> None:
    server, (client,), _ = await spans_of(engines, stream(event(ANSWER), end=False), stream=True)

    assert server.attributes["http.response.status_code"] == 200
    assert [(span.is_error, span.attributes["error.type"]) for span in (server, client)] == [
        (True, "stream_interrupted"),
        (True, "stream_interrupted"),
    ]


async def test_each_attempt_says_why_it_failed(engines: EngineRoom) -> None:
    engine = await engines.start(answer({"error": {"message": ANSWER}}, status=500))
    with traced("gateway") as (tracing, collector):
        reply = await ask(tracing, [unused_address(), engine.address], headers={})
        tracing.close()

        (server,) = collector.of_kind("server")
        failures = {span.attributes["error.type"] for span in collector.of_kind("client")}
        assert reply.status_code == server.attributes["http.response.status_code"] == 500
        assert failures == {"unreachable", "server_error"}
        assert server.attributes["error.type"] == "500"


async def test_a_model_that_nobody_serves_is_not_named(engines: EngineRoom) -> None:
    engine = await engines.start(answer(COMPLETION))
    with traced("gateway") as (tracing, collector):
        await ask(tracing, [engine.address], headers={}, model=QUESTION)
        tracing.close()

        (server,) = collector.spans
        assert (server.name, server.attributes["http.response.status_code"]) == ("chat", 404)
        assert QUESTION.encode() not in collector.received


async def test_neither_question_nor_answer_is_in_anything_that_is_exported(engines: EngineRoom) -> None:
    whole = await engines.start(answer(COMPLETION))
    streamed = await engines.start(stream(event(ANSWER), event("", finish="stop"), b"data: [DONE]\n\n"))
    broken = await engines.start(stream(event(ANSWER), end=False))
    refusing = await engines.start(answer({"error": {"message": QUESTION}}, status=400))
    with traced("gateway") as (tracing, collector):
        for engine, fields in ((whole, {}), (streamed, {"stream": True}), (broken, {"stream": True}), (refusing, {})):
            await ask(tracing, [engine.address], headers={"authorization": "Bearer secret-of-mine"}, **fields)
        tracing.close()

        assert len(collector.of_kind("server")) == 4
        for word in (QUESTION, ANSWER, "moon", "secret-of-mine"):
            assert word.encode() not in collector.received


async def test_a_request_that_the_sampler_leaves_out_is_left_out_by_the_engine_too(engines: EngineRoom) -> None:
    engine = await engines.start(answer(COMPLETION))
    with traced("gateway", OTEL_TRACES_SAMPLER="parentbased_always_off") as (tracing, collector):
        await ask(tracing, [engine.address], headers={})
        await ask(tracing, [engine.address], headers=CALLERS)
        tracing.close()

        flags = int(engine.received[0].headers["traceparent"].rpartition("-")[2], 16)
        assert flags & SAMPLED == 0
        assert {span.trace_id for span in collector.spans} == {CALLERS_TRACE}


async def test_without_traces_the_callers_header_goes_on_as_it_is(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(answer(COMPLETION))
    gateway.serve("llama", engine.address)
    async with gateway.http() as http:
        await http.post("/v1/chat/completions", json=body(), headers=CALLERS)

    assert engine.received[0].headers["traceparent"] == CALLERS["traceparent"]
