"""The official client reads what the translation writes: it adds the events up, and raises where an answer was cut."""

import itertools
import json
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

from splai.gateway.responses.response_object import whole_response
from splai.gateway.responses.response_stream import ResponseStream
from splai.gateway.responses.to_chat import chat_request
from tests.unit.gateway.responses.chat_engine import DONE, ROLE, USAGE, call, chunk


class Translator:
    """An engine that speaks chat behind the translation, as the SDK's transport."""

    def __init__(self, *chunks: bytes, reply: dict[str, Any] | None = None) -> None:
        self._chunks = chunks
        self._reply = reply
        self.asked: dict[str, Any] = {}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        document = json.loads(request.content)
        self.asked = chat_request(document)
        if self._reply is not None:
            body = whole_response(document, json.dumps(self._reply).encode()).body
            return httpx2.Response(200, headers={"content-type": "application/json"}, content=body)
        stream = ResponseStream(document)
        body = b"".join(stream.feed(read) for read in self._chunks) + stream.end()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)


def client(translator: Translator) -> openai.OpenAI:
    http = httpx2.Client(transport=httpx2.MockTransport(translator))
    return openai.OpenAI(base_url="http://gateway/v1", api_key="k", http_client=http, max_retries=0)


def completion(finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]}


CLOCK: Any = {"type": "function", "name": "clock", "parameters": {"type": "object"}, "strict": False}


def test_create() -> None:
    engine = Translator(reply=completion(content="Hello"))

    response = client(engine).responses.create(model="llama", input="Hi", instructions="Be brief.")

    assert response.output_text == "Hello"
    assert engine.asked["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_turn_with_a_tool_is_answered_with_what_the_sdk_returned() -> None:
    function = {"name": "clock", "arguments": "{}"}
    engine = Translator(reply=completion("tool_calls", reasoning="Hm.", tool_calls=[{"id": "a", "function": function}]))
    sdk = client(engine)
    first = sdk.responses.create(model="llama", input="What time is it?", tools=[CLOCK])

    output: Any = {"type": "function_call_output", "call_id": "a", "output": "noon"}
    earlier: Any = [{"role": "user", "content": "What time is it?"}, *first.output, output]
    sdk.responses.create(model="llama", input=earlier, tools=[CLOCK])

    assert [message["role"] for message in engine.asked["messages"]] == ["user", "assistant", "tool"]
    assert engine.asked["messages"][1]["tool_calls"] == [{"id": "a", "type": "function", "function": function}]


def test_the_stream_helper_adds_the_events_up() -> None:
    engine = Translator(
        ROLE,
        chunk(reasoning="Hm."),
        chunk(content="Hel"),
        chunk(content="lo"),
        chunk(tool_calls=[call(0, '{"zone":', id="a", name="clock")]),
        chunk(tool_calls=[call(0, '"UTC"}')]),
        chunk("tool_calls"),
        USAGE,
        DONE,
    )

    with client(engine).responses.stream(model="llama", input="Hi", tools=[CLOCK]) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()

    assert snapshots == ["Hel", "Hello"]
    assert response.output_text == "Hello"
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert response.usage
    assert response.usage.total_tokens == 5
    assert engine.asked["stream_options"] == {"include_usage": True}


def test_structured_output_is_parsed() -> None:
    class Place(BaseModel):
        city: str

    engine = Translator(reply=completion(content='{"city":"東京"}'))

    response = client(engine).responses.parse(model="llama", input="Where?", text_format=Place)

    assert response.output_parsed == Place(city="東京")
    assert engine.asked["response_format"]["json_schema"]["name"] == "Place"


def test_a_cut_stream_raises() -> None:
    engine = Translator(ROLE, chunk(content="Hel"))
    events = client(engine).responses.create(model="llama", input="Hi", stream=True)

    seen = list(itertools.islice(events, 6))

    assert seen[-1].type == "response.failed"
    with pytest.raises(openai.APIError, match="before the answer was finished"):
        next(events)


def test_a_cut_stream_raises_in_the_stream_helper() -> None:
    engine = Translator(ROLE, chunk(content="Hel"))

    with (
        pytest.raises(openai.APIError, match="before the answer was finished"),
        client(engine).responses.stream(model="llama", input="Hi") as stream,
    ):
        stream.get_final_response()
