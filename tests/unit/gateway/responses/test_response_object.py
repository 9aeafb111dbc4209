"""A whole chat completion as a response: what was said, how it ended, and every key that clients read unguarded."""

import json
import re
from typing import Any

import pytest
from openai.types.responses import Response

from splai.gateway.responses.chat_reply import NotAnAnswer
from splai.gateway.responses.response_object import WholeResponse, whole_response

REQUEST = {"model": "asked", "input": "Hi"}


def completion(finish_reason: str | None = "stop", *, logprobs: Any = None, **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    choice["logprobs"] = logprobs
    return json.dumps({"id": "c-1", "object": "chat.completion", "model": "m", "choices": [choice]}).encode()


def translated(reply: bytes, **fields: Any) -> dict[str, Any]:
    found: WholeResponse = whole_response(REQUEST | fields, reply)
    response: dict[str, Any] = json.loads(found.body)
    Response.model_validate(response)
    return response


def test_a_text() -> None:
    response = translated(completion(content="Hello"))

    assert (response["object"], response["status"], response["model"]) == ("response", "completed", "asked")
    assert re.fullmatch("resp_[0-9a-f]{32}", response["id"])
    assert response["completed_at"] >= response["created_at"] > 1_600_000_000
    assert response["error"] is response["incomplete_details"] is None
    (message,) = response["output"]
    assert re.fullmatch("msg_[0-9a-f]{32}", message.pop("id"))
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    assert message == {"type": "message", "status": "completed", "role": "assistant", "content": [part]}


def test_what_open_responses_requires_is_there() -> None:
    response = translated(completion(content="Hello"))

    required = {
        "temperature": 1.0,
        "top_p": 1.0,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "tool_choice": "auto",
        "truncation": "disabled",
        "background": False,
        "service_tier": "default",
        "tools": [],
        "parallel_tool_calls": True,
        "store": False,
        "text": {"format": {"type": "text"}},
        "metadata": {},
    }
    assert {name: response[name] for name in required} == required


def test_the_request_is_repeated() -> None:
    tool = {"type": "function", "name": "clock"}
    asked: dict[str, Any] = {
        "temperature": 0,
        "top_p": 0.5,
        "max_output_tokens": 9,
        "metadata": {"a": "b"},
        "instructions": "Be brief.",
        "user": "u",
        "tool_choice": "none",
        "parallel_tool_calls": False,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
    }

    response = translated(completion(content="Hello"), tools=[tool], reasoning={"effort": "low"}, **asked)

    assert {name: response[name] for name in asked} == asked
    assert response["tools"] == [tool | {"description": None, "parameters": None, "strict": None}]
    assert response["reasoning"] == {"effort": "low", "summary": None}


def test_what_is_not_done_is_not_claimed() -> None:
    wishes = {"store": True, "truncation": "auto", "service_tier": "priority", "reasoning": {"summary": "auto"}}

    response = translated(completion(content="Hello"), **wishes)

    assert (response["store"], response["truncation"], response["service_tier"]) == (False, "disabled", "default")
    assert response["reasoning"] == {"effort": None, "summary": None}


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_text_and_calls_in_their_order(name: str) -> None:
    function = {"name": "clock", "arguments": '{"zone":"UTC"}'}
    calls = [{"id": "call_7", "type": "function", "function": function}]

    response = translated(completion("tool_calls", content="Let me see.", tool_calls=calls, **{name: "Hm."}))

    reasoning, message, call = response["output"]
    assert (reasoning["type"], reasoning["content"]) == ("reasoning", [{"type": "reasoning_text", "text": "Hm."}])
    assert message["content"][0]["text"] == "Let me see."
    assert re.fullmatch("fc_[0-9a-f]{32}", call.pop("id"))
    assert call == {"type": "function_call", "status": "completed", "call_id": "call_7", **function}


def test_a_call_without_an_id_gets_one() -> None:
    response = translated(completion("tool_calls", tool_calls=[{"function": {"name": "f", "arguments": "{}"}}]))

    assert re.fullmatch("call_[0-9a-f]{32}", response["output"][0]["call_id"])


def test_a_refusal() -> None:
    response = translated(completion(content=None, refusal="No."))

    assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    response = translated(completion(content=None))

    assert response["output"][0]["content"][0]["text"] == ""


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter"), ("repetition", "repetition")],
)
def test_a_part_of_an_answer_is_incomplete(finish_reason: str, reason: str) -> None:
    reply = completion(finish_reason, reasoning="Hm.", content="Hel")

    response = json.loads(whole_response(REQUEST, reply).body)

    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert response["completed_at"] is None
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]


def test_usage() -> None:
    usage = {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }

    found = whole_response(
        REQUEST, completion(content="a").replace(b"{", b'{"usage":%b,' % json.dumps(usage).encode(), 1)
    )

    assert found.usage == usage
    assert json.loads(found.body)["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 5,
    }


def test_an_engine_that_counts_no_details() -> None:
    usage = b'{"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":null},'

    response = translated(completion(content="a").replace(b"{", usage, 1))

    assert response["usage"]["total_tokens"] == 5
    assert response["usage"]["input_tokens_details"]["cached_tokens"] == 0


def test_log_probabilities() -> None:
    token = {
        "token": "a",
        "logprob": -0.25,
        "bytes": [97],
        "top_logprobs": [{"token": "b", "logprob": -2, "bytes": None}],
    }

    response = translated(completion(content="a", logprobs={"content": [token]}))

    other = {"token": "b", "logprob": -2, "bytes": []}
    assert response["output"][0]["content"][0]["logprobs"] == [token | {"top_logprobs": [other]}]


@pytest.mark.parametrize("text", ["naïve — 東京 🗼", '"\\\n\t\u2028\x00', "\ud83d", "\ud83d\ude00 \udc00"])
def test_no_character_is_lost(text: str) -> None:
    response = json.loads(whole_response(REQUEST, completion(content=text)).body)

    assert response["output"][0]["content"][0]["text"] == json.loads(json.dumps(text))


@pytest.mark.parametrize(
    "reply",
    [
        completion("abort", content="Hel"),
        completion("error", content="Hel"),
        completion(None, content="Hel"),
        completion(content=5),
        completion(content="a", tool_calls="x"),
        b'{"choices":[]}',
        b'{"choices":[{"message":[],"finish_reason":"stop"}]}',
        b'{"choices":["a"]}',
        b"[]",
        b"<html>",
        b'{"choices":[{"message":{"content":"Hel',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_anything_but_a_finished_answer_is_refused(reply: bytes) -> None:
    with pytest.raises(NotAnAnswer) as caught:
        whole_response(REQUEST, reply)

    assert "Hel" not in str(caught.value)
