"""The requests that Open WebUI makes to a connection of the kind "OpenAI API", replayed.

Read from its public repository, open-webui/open-webui: from the server's side ``backend/open_webui/routers/openai.py``
(the list of models, chats, titles, embeddings; a key in every request, an empty one included),
``backend/open_webui/utils/headers.py`` and ``env.py`` (the headers that tell who asks, with
ENABLE_FORWARD_USER_INFO_HEADERS) and ``backend/open_webui/retrieval/utils.py`` (batches of embeddings); from the
browser, in "direct connections", ``src/lib/apis/openai/index.ts``: the same requests from a page of another origin.
"""

import json
from typing import Any

import httpx
import pytest

from tests.integration.clients.recording_engine import ANSWER, EMBEDDING, USAGE, WORDS, RecordingEngine

ORIGIN = "https://chat.example.com"
KEY = {"Authorization": "Bearer sk-0000"}
WHO = {
    "X-OpenWebUI-User-Name": "Ada%20L",
    "X-OpenWebUI-User-Id": "3f0c6a52-8a57-4c0e-9d06-6c2a6de3a3a1",
    "X-OpenWebUI-User-Email": "ada@example.com",
    "X-OpenWebUI-User-Role": "user",
    "X-OpenWebUI-Chat-Id": "a4a3d6ae-1c3f-4f5e-8d6b-5c2f6f9d7e10",
    "X-OpenWebUI-Message-Id": "b7c1f4de-5a0b-44b2-9c55-0a1c2d3e4f50",
}
CHAT: dict[str, Any] = {
    "stream": True,
    "model": "llama3.1:8b",
    "messages": [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]},
    ],
    "stream_options": {"include_usage": True},
    # Parameters of the model's page, and parameters that an administrator adds for an engine.
    "temperature": 0.7,
    "top_p": 0.9,
    "min_p": 0.05,
    "seed": 7,
    "stop": ["###"],
    "chat_template_kwargs": {"enable_thinking": False},
}


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def events_of(reply: httpx.Response) -> list[Any]:
    """The chunks of a stream that ended as it should."""
    *events, done = [line.removeprefix("data: ") for line in reply.text.splitlines() if line]
    assert done == "[DONE]"
    return [json.loads(event) for event in events]


def test_a_connection_is_verified_by_its_list_of_models(http: httpx.Client) -> None:
    headers = {"Content-Type": "application/json", **KEY, **WHO}

    reply = http.get("/v1/models", headers=headers)

    assert reply.status_code == 200
    models = {model["id"]: model for model in reply.json()["data"]}
    assert models["llama3-8b-q4"].keys() >= {"id", "object", "created", "owned_by"}


@pytest.mark.parametrize("key", [KEY, {"Authorization": "Bearer"}, {}])
def test_a_key_is_not_needed(http: httpx.Client, key: dict[str, str]) -> None:
    assert http.get("/v1/models", headers=key).status_code == 200


def test_a_chat_is_streamed(http: httpx.Client, engine: RecordingEngine) -> None:
    headers = {"Content-Type": "application/json", **KEY, **WHO}

    reply = http.post("/v1/chat/completions", content=json.dumps(CHAT), headers=headers)

    assert "text/event-stream" in reply.headers["Content-Type"]  # else it takes the reply for a whole one
    chunks = events_of(reply)
    texts = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    assert [text for text in texts if text] == list(WORDS)
    assert chunks[-1]["usage"] == USAGE
    (request,) = engine.received
    assert request.body == {**CHAT, "model": "llama3-8b-q4"}


def test_a_chat_with_tools_of_the_model(http: httpx.Client, engine: RecordingEngine) -> None:
    chat = {**CHAT, "tools": [TOOL], "tool_choice": "auto"}

    reply = http.post("/v1/chat/completions", json=chat, headers=KEY | WHO)

    chunks = events_of(reply)
    calls = [call for chunk in chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", [])]
    assert "".join(call["function"]["arguments"] for call in calls) == '{"city": "Paris"}'
    assert engine.received[0].body["tools"] == [TOOL]


def test_a_title_is_made_without_a_stream(http: httpx.Client, engine: RecordingEngine) -> None:
    messages = [{"role": "user", "content": "### Task: a title for this chat"}]
    request = {"model": "llama3.1:8b", "messages": messages, "stream": False, "max_tokens": 1000}

    reply = http.post("/v1/chat/completions", json=request, headers=KEY | WHO)

    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.json()["choices"][0]["message"]["content"] == ANSWER
    assert engine.received[0].body["max_tokens"] == 1000


def test_documents_are_embedded_in_batches(http: httpx.Client) -> None:
    request = {"input": ["one", "two"], "model": "llama3-8b-q4"}

    reply = http.post("/v1/embeddings", json=request, headers=KEY | WHO)

    assert [item["embedding"] for item in reply.json()["data"]] == [list(EMBEDDING)] * 2


def test_an_error_has_words_to_show(http: httpx.Client) -> None:
    reply = http.post("/v1/chat/completions", json={**CHAT, "model": "nobody"}, headers=KEY | WHO)

    assert reply.status_code == 404
    assert "nobody" in reply.json()["error"]["message"]
    assert reply.json()["detail"] == reply.json()["error"]["message"]


@pytest.mark.parametrize(("path", "method"), [("/v1/models", "GET"), ("/v1/chat/completions", "POST")])
def test_a_page_of_another_origin_asks_whether_it_may(http: httpx.Client, path: str, method: str) -> None:
    preflight = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }

    reply = http.options(path, headers=preflight)

    assert reply.is_success
    assert reply.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
    assert method in reply.headers["Access-Control-Allow-Methods"]
    allowed = {name.strip().lower() for name in reply.headers["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "content-type"} <= allowed  # `*` does not stand for Authorization


@pytest.mark.parametrize("model", ["llama3.1:8b", "nobody"])
def test_a_page_of_another_origin_may_read_replies(http: httpx.Client, model: str) -> None:
    listed = http.get("/v1/models", headers={"Origin": ORIGIN, "Content-Type": "application/json", **KEY})
    streamed = http.post("/v1/chat/completions", json={**CHAT, "model": model}, headers={"Origin": ORIGIN, **KEY})

    assert listed.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
    assert streamed.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
