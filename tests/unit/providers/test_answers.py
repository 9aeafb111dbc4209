"""What a provider answers, and what its caller reads: why it ended, what it cost, and what is no answer."""

import json
from typing import Any

import pytest

from splai.api.backend_remote import Provider as ProviderName
from splai.providers.errors import RequestError
from splai.providers.protocol import CHAT, AnswerStream, Event, Exchange
from splai.providers.selection import provider
from tests.unit.providers.translating import IDENTITY, USER


def exchange(name: ProviderName, **fields: Any) -> Exchange:
    document = {"model": "asked-for", "messages": [USER], **fields}
    return provider(name, model="theirs").exchange(CHAT, document, IDENTITY)


def streaming(name: ProviderName, *events: Any, **fields: Any) -> tuple[AnswerStream, list[dict[str, Any]]]:
    """The stream after these events, and what it gave out."""
    stream = exchange(name, stream=True, **fields).stream()
    given = [chunk for data in events for chunk in stream.feed(Event("message", json.dumps(data)))]
    return stream, given


def message(stop_reason: str | None, *content: Any, **usage: int) -> dict[str, Any]:
    return {"id": "msg_1", "content": list(content), "stop_reason": stop_reason, "usage": usage}


def candidate(finish: str | None, *parts: Any, **usage: int) -> dict[str, Any]:
    found = {"content": {"parts": list(parts)}, **({"finishReason": finish} if finish else {})}
    return {"candidates": [found], "usageMetadata": usage, "responseId": "r1"}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ],
)
def test_anthropics_reasons_to_end(reason: str, finish: str) -> None:
    reply = exchange("Anthropic").whole(message(reason, {"type": "text", "text": "Hi"}))

    assert reply["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), *((it, "content_filter") for it in ("SAFETY", "RECITATION", "SPII"))],
)
def test_geminis_reasons_to_end(reason: str, finish: str) -> None:
    assert exchange("Gemini").whole(candidate(reason, {"text": "Hi"}))["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("Anthropic", message("pause_turn")),
        ("Anthropic", message("a_reason_of_tomorrow")),
        ("Anthropic", message(None)),
        ("Gemini", candidate("MALFORMED_FUNCTION_CALL")),
        ("Gemini", candidate("OTHER")),
        ("Gemini", candidate(None, {"text": "Hi"})),
    ],
)
def test_what_is_not_finished_is_no_answer(name: ProviderName, reply: Any) -> None:
    with pytest.raises(RequestError) as caught:
        exchange(name).whole(reply)

    assert caught.value.status == 502


def test_a_prompt_that_gemini_blocks_is_the_callers_to_change() -> None:
    with pytest.raises(RequestError, match="PROHIBITED_CONTENT") as caught:
        exchange("Gemini").whole({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})

    assert (caught.value.status, caught.value.code) == (400, "content_filter")


def test_cached_tokens_are_a_part_of_the_prompt() -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 7, "output_tokens": 3}

    assert exchange("Anthropic").whole(message("end_turn", **usage))["usage"] == {
        "prompt_tokens": 32,
        "completion_tokens": 3,
        "total_tokens": 35,
        "prompt_tokens_details": {"cached_tokens": 20},
    }


def test_thoughts_are_a_part_of_the_completion() -> None:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 6, "cachedContentTokenCount": 8}

    assert exchange("Gemini").whole(candidate("STOP", {"text": "Hi"}, **usage))["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 10,
        "total_tokens": 19,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }


def test_thinking_is_none_of_the_answer() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    anthropic = exchange("Anthropic").whole(message("end_turn", thinking, {"type": "text", "text": "Hi"}))
    gemini = exchange("Gemini").whole(candidate("STOP", {"text": "hm", "thought": True}, {"text": "Hi"}))

    assert [reply["choices"][0]["message"]["content"] for reply in (anthropic, gemini)] == ["Hi", "Hi"]


def test_an_answer_of_calls_alone_has_no_content() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}}
    told = exchange("Anthropic").whole(message("tool_use", use))["choices"][0]["message"]

    function = {"name": "look", "arguments": '{"at": 1}'}
    assert told["content"] is None
    assert told["tool_calls"] == [{"id": "t1", "type": "function", "function": function}]


def test_calls_that_gemini_does_not_name_get_names_of_their_own() -> None:
    parts = [{"functionCall": {"name": "look", "args": {}}}, {"functionCall": {"id": "f7", "name": "hear"}}]
    calls = exchange("Gemini").whole(candidate("STOP", *parts))["choices"][0]["message"]["tool_calls"]

    assert [call["id"] for call in calls] == ["call_r1_1", "f7"]
    assert [call["function"]["arguments"] for call in calls] == ["{}", "{}"]


def test_parallel_calls_are_streamed_under_numbers_of_their_own() -> None:
    one = {"functionCall": {"name": "look", "args": {"at": 1}}}
    _, given = streaming("Gemini", candidate(None, one, one), candidate("STOP", one))

    pieces = [piece for chunk in given for piece in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [piece["index"] for piece in pieces] == [0, 1, 2]
    assert len({piece["id"] for piece in pieces}) == 3


def test_a_streamed_tool_without_arguments_still_has_json() -> None:
    block = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    _, given = streaming(
        "Anthropic",
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ""}},
        {"type": "content_block_stop", "index": 0},
    )

    pieces = [chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] for chunk in given]
    assert "".join(pieces) == "{}"


def test_new_events_and_new_deltas_of_anthropic_are_passed_over() -> None:
    _, given = streaming(
        "Anthropic",
        {"type": "something_new", "x": 1},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "something_new"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "something_new"}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "signature_delta", "signature": "s"}},
        {"type": "content_block_stop", "index": 0},
    )

    assert given == []


@pytest.mark.parametrize("name", ["OpenAI", "Anthropic", "Gemini"])
@pytest.mark.parametrize("data", ["{", "[]", '"x"', "[" * 100_000])
def test_an_event_that_is_no_object_is_an_error(name: ProviderName, data: str) -> None:
    with pytest.raises(RequestError) as caught:
        exchange(name, stream=True).stream().feed(Event("message", data))

    assert caught.value.status == 502


class TestPassedThrough:
    """What passes as it is, but for its end."""

    @staticmethod
    def chunk(index: int, finish: str | None = None) -> dict[str, Any]:
        return {"id": "1", "choices": [{"index": index, "delta": {}, "finish_reason": finish}]}

    def test_all_choices_must_be_finished(self) -> None:
        stream, _ = streaming("OpenAI", self.chunk(0, "stop"), self.chunk(1), n=2)
        with pytest.raises(RequestError, match="before the answer was finished"):
            stream.end()

        stream, given = streaming("OpenAI", self.chunk(0, "stop"), self.chunk(1), self.chunk(1, "length"), n=2)
        assert (given, stream.end()) == ([self.chunk(1)], [self.chunk(0, "stop"), self.chunk(1, "length")])

    def test_done_is_believed_of_a_server_that_does_not_know_n(self) -> None:
        stream, _ = streaming("OpenAI", self.chunk(0, "stop"), n=2)
        stream.feed(Event("message", "[DONE]"))

        assert (stream.done, stream.end()) == (True, [self.chunk(0, "stop")])

    def test_done_without_a_reason_is_no_end(self) -> None:
        stream, _ = streaming("OpenAI", self.chunk(0))
        stream.feed(Event("message", "[DONE]"))

        with pytest.raises(RequestError):
            stream.end()

    def test_usage_is_for_those_who_asked(self) -> None:
        usage = {"id": "1", "choices": [], "usage": {"total_tokens": 3}}
        asked, _ = streaming("OpenAI", self.chunk(0, "stop"), usage, stream_options={"include_usage": True})
        silent, _ = streaming("OpenAI", self.chunk(0, "stop"), usage)

        assert asked.end() == [self.chunk(0, "stop"), usage]
        assert silent.end() == [self.chunk(0, "stop")]
