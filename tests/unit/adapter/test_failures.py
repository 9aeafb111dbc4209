"""Whatever goes wrong at the provider: the status, the words and the pause that callers are told."""

import json
import logging
from typing import Any

import httpx
import pytest

from splai.api.backend_remote import Provider as ProviderName
from tests.unit.adapter.conftest import MODEL, Site, StartSite
from tests.unit.adapter.fake_providers import FAKES, KEY
from tests.unit.gateway.scripted_engine import STREAM_HEAD, Connection, Received, answer, stream

PROMPT = "a prompt that is nobody's business"
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
OPTIONS: dict[ProviderName, dict[str, Any]] = {"AzureOpenAI": {"deployment": "d"}}
NATIVE: tuple[ProviderName, ...] = ("OpenAI", "AzureOpenAI", "OpenAICompatible", "Anthropic", "Gemini")


async def post(site: Site, body: Any = CHAT, path: str = "/v1/chat/completions") -> httpx.Response:
    async with httpx.AsyncClient() as client:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.post(f"{site.url}{path}", content=content, headers={"Authorization": "Bearer caller"})


def error_of(reply: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = reply.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert reply.json()["detail"] == error["message"]
    return error


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (400, 400, None),
        (401, 502, "provider_refuses_key"),
        (402, 502, "provider_refuses_key"),
        (403, 502, "provider_refuses_key"),
        (404, 404, "model_not_found"),
        (408, 504, None),
        (409, 409, None),
        (413, 413, None),
        (422, 422, None),
        (429, 429, None),
        (500, 500, None),
        (502, 502, None),
        (503, 503, None),
        (504, 504, None),
        (529, 503, None),
        (520, 502, "provider_error"),
        (418, 502, "provider_error"),
        (204, 502, "provider_error"),
    ],
)
async def test_a_status_of_the_provider_becomes_one_about_the_request(
    start: StartSite, name: ProviderName, status: int, told: int, code: str | None
) -> None:
    document = {"error": {"message": "so it is", "code": None, "type": None}}
    script = answer(b"" if status == 204 else document, status=status)
    async with start(script, name, **OPTIONS.get(name, {})) as site:
        reply = await post(site)

    assert reply.status_code == told
    error = error_of(reply)
    assert code is None or error["code"] == code
    if code is None:
        assert error["message"] == "so it is"


@pytest.mark.parametrize("status", [429, 503])
async def test_the_pause_that_the_provider_asks_for_is_passed_on(start: StartSite, status: int) -> None:
    async with start(answer({}, status=status, headers="Retry-After: 17\r\n"), "Anthropic") as site:
        assert (await post(site)).headers["Retry-After"] == "17"


@pytest.mark.parametrize(("delay", "pause"), [("22s", "22"), ("1.5s", "2")])
async def test_gemini_asks_for_a_pause_in_the_body(start: StartSite, delay: str, pause: str) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    error = {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}
    async with start(answer({"error": error}, status=429), "Gemini") as site:
        reply = await post(site)

    assert (reply.status_code, reply.headers["Retry-After"], error_of(reply)["code"]) == (
        429,
        pause,
        "RESOURCE_EXHAUSTED",
    )


@pytest.mark.parametrize(
    "error",
    [
        {
            "code": 400,
            "message": "API key not valid",
            "status": "INVALID_ARGUMENT",
            "details": [{"reason": "API_KEY_INVALID"}],
        },
        {"code": 400, "message": "no free tier here", "status": "FAILED_PRECONDITION"},
    ],
)
async def test_gemini_calls_a_bad_key_a_bad_request(start: StartSite, error: dict[str, Any]) -> None:
    async with start(answer({"error": error}, status=400), "Gemini") as site:
        reply = await post(site)

    assert (reply.status_code, error_of(reply)["code"]) == (502, "provider_refuses_key")


@pytest.mark.parametrize(("status", "advice"), [(401, "false"), (403, "false"), (429, None), (500, None)])
async def test_only_what_somebody_has_to_correct_is_not_to_be_tried_again(
    start: StartSite, status: int, advice: str | None
) -> None:
    async with start(answer({}, status=status), "Anthropic") as site:
        assert (await post(site)).headers.get("X-Should-Retry") == advice


async def test_the_callers_credential_never_reaches_the_provider(start: StartSite) -> None:
    async with start(answer({}, status=500)) as site:
        await post(site)

    assert site.provider.received[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_redirect_is_not_followed(start: StartSite) -> None:
    async with start(answer({}, status=307, headers="Location: http://127.0.0.1:1/v1\r\n")) as site:
        reply = await post(site)

    assert reply.status_code == 502
    assert "redirect" in error_of(reply)["message"]
    assert len(site.provider.received) == 1


async def test_a_provider_that_cannot_be_reached(start: StartSite) -> None:
    async with start(answer({}), base_url="http://127.0.0.1:1") as site:
        reply = await post(site)

    assert (reply.status_code, error_of(reply)["code"]) == (502, "provider_unreachable")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"text"', b"[" * 100_000])
@pytest.mark.parametrize("name", ["OpenAI", "Anthropic", "Gemini"])
async def test_a_reply_that_is_no_answer(start: StartSite, name: ProviderName, body: bytes) -> None:
    async with start(answer(body), name) as site:
        reply = await post(site)

    assert (reply.status_code, error_of(reply)["type"]) == (502, "upstream_error")


@pytest.mark.parametrize(
    ("name", "event", "told"),
    [
        ("Anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 503),
        ("Anthropic", {"type": "error", "error": {"type": "authentication_error", "message": "x"}}, 502),
        ("Gemini", {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}, 503),
        ("OpenAI", {"error": {"message": "The server had an error", "type": "server_error", "code": None}}, 500),
        ("OpenAI", {"error": {"message": "slow down", "code": 429}}, 429),
    ],
)
async def test_an_error_as_the_first_event_is_still_a_status(
    start: StartSite, name: ProviderName, event: dict[str, Any], told: int
) -> None:
    async with start(stream(b"data: " + json.dumps(event).encode() + b"\n\n"), name) as site:
        reply = await post(site, {**CHAT, "stream": True})

    assert reply.status_code == told
    error_of(reply)


async def test_an_error_after_the_first_words_is_an_event_and_no_end(start: StartSite) -> None:
    events = [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    ]
    chunks = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    async with start(stream(*chunks), "Anthropic") as site:
        reply = await post(site, {**CHAT, "stream": True})
        metrics = await metrics_of(site)

    first, error, done = [line for line in reply.text.split("\n\n") if line]
    assert reply.status_code == 200
    assert json.loads(first.removeprefix("data: "))["choices"][0]["delta"]["content"] == "Hel"
    assert json.loads(error.removeprefix("data: "))["error"]["message"] == "Overloaded"
    assert done == "data: [DONE]"
    assert 'finish_reason": "' not in reply.text
    assert 'splai_adapter_requests_total{api="/chat/completions",code="interrupted"} 1.0' in metrics


@pytest.mark.parametrize("name", ["OpenAI", "Anthropic", "Gemini"])
async def test_a_stream_that_ends_in_good_order_but_unfinished_is_an_error(start: StartSite, name: str) -> None:
    first = FAKES[name].events(False)[: len(FAKES[name].events(False)) // 2]
    async with start(stream(*first), FAKES[name].provider, **FAKES[name].options) as site:
        reply = await post(site, {**CHAT, "stream": True})

    assert "before the answer was finished" in reply.text


async def test_a_provider_without_done_has_finished_all_the_same(start: StartSite) -> None:
    events = FAKES["OpenAI"].events(True)[:-1]
    async with start(stream(*events)) as site:
        reply = await post(site, {**CHAT, "stream": True})

    assert reply.text.endswith("data: [DONE]\n\n")
    assert '"finish_reason":"stop"' in reply.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "invalid_json"),
        ({"messages": []}, 400, "invalid_value"),
        ({**CHAT, "model": "another"}, 404, "model_not_found"),
    ],
)
async def test_a_request_that_is_none_does_not_reach_the_provider(
    start: StartSite, body: Any, status: int, code: str
) -> None:
    async with start(answer({})) as site:
        reply = await post(site, body)

    assert (reply.status_code, error_of(reply)["code"]) == (status, code)
    assert site.provider.received == []


@pytest.mark.parametrize("path", ["/v1/responses", "/", "/v1/files"])
async def test_an_unknown_path_is_told_in_openais_shape(start: StartSite, path: str) -> None:
    async with start(answer({})) as site:
        reply = await post(site, path=path)

    assert reply.status_code == 404
    error_of(reply)


@pytest.mark.parametrize(
    ("name", "path"), [("Anthropic", "/v1/embeddings"), ("Anthropic", "/v1/completions"), ("Gemini", "/v1/completions")]
)
async def test_an_api_that_the_provider_lacks(start: StartSite, name: ProviderName, path: str) -> None:
    async with start(answer({}), name) as site:
        reply = await post(site, {"model": MODEL, "input": "a", "prompt": "a"}, path)

    assert (reply.status_code, error_of(reply)["code"]) == (404, "unsupported_api")


async def test_a_refused_address_is_told_before_anything_is_sent(start: StartSite) -> None:
    async with start(answer({}), allow_private_urls=False) as site:
        reply = await post(site)

    assert (reply.status_code, error_of(reply)["code"]) == (502, "address_refused")
    assert site.provider.received == []


async def test_neither_prompt_nor_key_nor_the_providers_words_reach_log_and_metrics(
    start: StartSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    quoting = {"error": {"message": f"cannot answer {PROMPT} for {KEY}"}}
    async with start(answer(quoting, status=500)) as site:
        await post(site)
        metrics = await metrics_of(site)

    said = metrics + "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "the provider failed" in said
    assert PROMPT not in said
    assert KEY not in said


async def test_the_provider_is_left_when_the_caller_leaves(start: StartSite) -> None:
    left = []

    async def endless(_: Received, connection: Connection) -> None:
        await connection.send(STREAM_HEAD)
        await connection.chunk(FAKES["OpenAI"].events(True)[0])
        await connection.peer_left()
        left.append(True)

    async with start(endless) as site:
        async with httpx.AsyncClient() as client:
            body = {**CHAT, "stream": True}
            async with client.stream("POST", f"{site.url}/v1/chat/completions", json=body) as reply:
                await anext(reply.aiter_lines())
        while not left:
            await metrics_of(site)

    assert left == [True]


async def metrics_of(site: Site) -> str:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{site.url}/metrics")).text
