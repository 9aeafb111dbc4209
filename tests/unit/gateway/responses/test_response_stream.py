"""Chat chunks as Responses events: their order, their text, and an end that never claims more than the engine said."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splai.gateway.responses.response_object import whole_response
from splai.gateway.responses.response_stream import ResponseStream
from tests.unit.gateway.responses.chat_engine import DONE, ROLE, USAGE, call, chunk, data, kinds, read_events

REQUEST = {"model": "asked", "input": "Hi", "stream": True}
OPENING = ["created", "in_progress"]
TEXT_OPENING = ["output_item.added", "content_part.added"]
TEXT_END = ["output_text.done", "content_part.done", "output_item.done"]
FAILED = ["failed", "error"]

PLAIN = ROLE + chunk(content="Hel") + chunk(content="lo") + chunk("stop") + USAGE + DONE
RICH = (
    ROLE
    + chunk(reasoning_content="Hm, 東")
    + chunk(reasoning_content="京.")
    + chunk(content='"Let" \\ me\n')
    + chunk(content="see 🗼")
    + chunk(tool_calls=[call(0, "", id="a", name="f")])
    + chunk(tool_calls=[call(0, '{"x":')])
    + chunk(tool_calls=[call(0, "1}"), call(1, "{}", id="b", name="g")])
    + chunk("tool_calls")
    + USAGE
    + DONE
)


def streamed(*reads: bytes, failure: str | None = None, **fields: Any) -> bytes:
    stream = ResponseStream(REQUEST | fields)
    passed = b"".join(stream.feed(read) for read in reads)
    return passed + stream.end(failure)


def without_ids(value: Any) -> Any:
    """What two streams of the same answer have in common."""
    if isinstance(value, list):
        return [without_ids(entry) for entry in value]
    if isinstance(value, dict):
        changing = ("id", "item_id", "created_at", "completed_at")
        return {key: without_ids(entry) for key, entry in value.items() if key not in changing}
    return value


def test_a_text() -> None:
    stream = streamed(PLAIN)

    deltas = ["output_text.delta"] * 2
    assert kinds(stream) == [*OPENING, *TEXT_OPENING, *deltas, *TEXT_END, "completed"]
    events = read_events(stream)
    assert [event["delta"] for event in events if "delta" in event] == ["Hel", "lo"]
    assert events[6]["text"] == "Hello"
    final = events[-1]["response"]
    assert (final["status"], final["model"], final["usage"]["total_tokens"]) == ("completed", "asked", 5)
    assert final["output"] == [events[8]["item"]]
    assert final["output"][0]["status"] == "completed"


def test_reasoning_text_and_calls_close_in_turn() -> None:
    assert kinds(streamed(RICH)) == [
        *OPENING,
        *TEXT_OPENING,
        *["reasoning_text.delta"] * 2,
        *["reasoning_text.done", "content_part.done", "output_item.done"],
        *TEXT_OPENING,
        *["output_text.delta"] * 2,
        *TEXT_END,
        "output_item.added",
        *["function_call_arguments.delta"] * 2,
        *["output_item.added", "function_call_arguments.delta"],
        *["function_call_arguments.done", "output_item.done"] * 2,
        "completed",
    ]


def test_the_events_add_up_to_the_response() -> None:
    events = read_events(streamed(RICH))

    text: dict[int, str] = {}
    for event in events:
        if "delta" in event:
            text[event["output_index"]] = text.get(event["output_index"], "") + event["delta"]
    reasoning, message, first, second = events[-1]["response"]["output"]
    assert text[0] == reasoning["content"][0]["text"] == "Hm, 東京."
    assert text[1] == message["content"][0]["text"] == '"Let" \\ me\nsee 🗼'
    assert (text[2], first["name"], first["call_id"]) == (first["arguments"], "f", "a") == ('{"x":1}', "f", "a")
    assert (text[3], second["name"], second["call_id"]) == (second["arguments"], "g", "b") == ("{}", "g", "b")
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]


def test_every_delta_belongs_to_an_item_that_is_open() -> None:
    opened: dict[int, str] = {}
    for event in read_events(streamed(RICH)):
        if event["type"] == "response.output_item.added":
            opened[event["output_index"]] = event["item"]["id"]
        elif event["type"] == "response.output_item.done":
            assert opened.pop(event["output_index"]) == event["item"]["id"]
        elif "item_id" in event:
            assert opened[event["output_index"]] == event["item_id"]
    assert not opened


def test_streamed_and_whole_are_the_same_response() -> None:
    function = {"name": "f", "arguments": "{}"}
    message = {"reasoning": "Hm.", "content": "Hi", "tool_calls": [{"id": "a", "function": function}]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    reply = json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": usage}).encode()
    calls = chunk("tool_calls", tool_calls=[call(0, "{}", id="a", name="f")])

    stream = streamed(chunk(reasoning="Hm.", content="Hi"), calls, USAGE, DONE)

    whole = json.loads(whole_response(REQUEST, reply).body)
    assert without_ids(read_events(stream)[-1]["response"]) == without_ids(whole)


def test_nothing_is_given_out_before_content() -> None:
    stream = ResponseStream(REQUEST)

    assert stream.feed(ROLE + chunk() + b": ping\n\n" + data({"choices": [], "usage": None})) == b""
    assert not stream.committed
    assert kinds(stream.feed(chunk(content="H"))) == [*OPENING, *TEXT_OPENING, "output_text.delta"]
    assert stream.committed


@pytest.mark.parametrize(
    "delta",
    [{"content": "a"}, {"reasoning": "a"}, {"refusal": "a"}, {"tool_calls": [call(0, "", id="a", name="f")]}],
)
def test_any_content_commits(delta: dict[str, Any]) -> None:
    stream = ResponseStream(REQUEST)

    stream.feed(chunk(**delta))

    assert stream.committed


def test_a_delta_leaves_at_once() -> None:
    stream = ResponseStream(REQUEST)
    stream.feed(chunk(content="Hel"))

    assert b'"delta":"lo"' in stream.feed(chunk(content="lo"))


@given(cuts=st.lists(st.integers(0, len(RICH) - 1)), line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_neither_reads_nor_line_ends_show(cuts: list[int], line_end: bytes) -> None:
    sent = RICH.replace(b"\n", line_end)
    cuts = sorted(cuts)

    reads = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]

    assert without_ids(read_events(streamed(*reads))) == without_ids(read_events(streamed(RICH)))


@given(st.lists(st.text(min_size=1), min_size=1))
def test_no_character_is_lost(pieces: list[str]) -> None:
    stream = streamed(*(chunk(content=piece) for piece in pieces), chunk("stop"), DONE)

    events = read_events(stream)
    assert [event["delta"] for event in events if "delta" in event] == pieces
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "".join(pieces)


def test_half_of_a_surrogate_pair_passes() -> None:
    stream = streamed(chunk(content="\ud83d"), chunk(content="\ude00"), chunk("stop"), DONE)

    deltas = [json.loads(line[6:]).get("delta") for line in stream.split(b"\n") if line.startswith(b"data: ")]
    assert [delta for delta in deltas if delta] == ["\ud83d", "\ude00"]


@pytest.mark.parametrize("whole", [PLAIN, RICH], ids=["plain", "rich"])
def test_a_stream_cut_at_any_byte_is_never_complete(whole: bytes) -> None:
    finish = whole.index(b'"finish_reason": "')
    unfinished = whole.index(b"\n\n", finish)  # with its last byte of JSON, the finish_reason is there

    for end in range(unfinished):
        stream = ResponseStream(REQUEST)
        *_, failed, error, _ = (stream.feed(whole[:end]) + stream.end()).split(b"\n\n")
        assert failed.startswith(b"event: response.failed\n")
        assert error.startswith(b"event: error\n")
        assert stream.was_cut
        assert stream.done


@pytest.mark.parametrize("failure", [None, "The engine closed the connection"])
def test_a_stream_cut_between_events_says_what_happened(failure: str | None) -> None:
    events = RICH.split(b"\n\n")[:-4]

    for count in range(len(events)):
        *_, failed, error = read_events(
            streamed(b"".join(event + b"\n\n" for event in events[:count]), failure=failure)
        )
        message = failure or "The engine ended the stream before the answer was finished"
        assert failed["response"]["status"] == "failed"
        assert failed["response"]["error"] == {"code": "server_error", "message": message}
        assert {item["status"] for item in failed["response"]["output"]} <= {"completed", "incomplete"}
        assert (error["code"], error["message"]) == ("stream_interrupted", message)
        assert error["error"]["message"] == message


def test_a_failed_response_shows_what_there_was() -> None:
    *_, failed, _ = read_events(streamed(chunk(content="Hel")))

    (message,) = failed["response"]["output"]
    assert (message["status"], message["content"][0]["text"]) == ("incomplete", "Hel")


def test_a_finished_answer_needs_no_done() -> None:
    assert kinds(streamed(PLAIN.removesuffix(DONE)))[-1] == "completed"
    assert kinds(streamed(PLAIN.removesuffix(USAGE + DONE), failure="reset"))[-1] == "completed"
    assert kinds(streamed(PLAIN.removesuffix(b"\n\n" + USAGE + DONE)))[-1] == "completed"


def test_done_alone_finishes_nothing() -> None:
    stream = ResponseStream(REQUEST)

    assert kinds(stream.feed(chunk(content="Hel") + DONE))[-2:] == FAILED
    assert stream.done
    assert stream.was_cut
    assert stream.end() == b""


def test_a_failure_before_content_is_kept_for_the_end() -> None:
    stream = ResponseStream(REQUEST)

    assert stream.feed(ROLE + DONE) == b""
    assert stream.was_cut
    assert not stream.committed
    assert not stream.done
    assert kinds(stream.end()) == [*OPENING, *FAILED]
    assert not stream.committed


@pytest.mark.parametrize("reason", ["abort", "error", "cancelled"])
def test_an_answer_that_the_engine_gave_up_has_failed(reason: str) -> None:
    stream = streamed(chunk(content="Hel"), chunk(reason), DONE)

    assert kinds(stream)[-2:] == FAILED


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter"), ("repetition", "repetition")],
)
def test_a_part_of_an_answer_is_incomplete(finish_reason: str, reason: str) -> None:
    stream = streamed(chunk(reasoning="Hm."), chunk(content="Hel"), chunk(finish_reason), DONE).decode()

    *_, last = (json.loads(line[6:]) for line in stream.split("\n") if line.startswith("data: "))
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert [item["status"] for item in last["response"]["output"]] == ["completed", "incomplete"]


def test_of_several_calls_only_the_last_is_incomplete() -> None:
    calls = [call(0, "{}", id="a", name="f"), call(1, '{"x', id="b", name="g")]

    events = read_events(streamed(chunk(tool_calls=calls), chunk("length"), DONE))

    assert [item["status"] for item in events[-1]["response"]["output"]] == ["completed", "incomplete"]


@pytest.mark.parametrize(
    ("event", "message", "code"),
    [
        (data({"error": {"message": "out of memory", "code": 500}}), "out of memory", "500"),
        (data({"error": "out of memory"}), "out of memory", "engine_reported_error"),
        (data({"object": "error", "message": "out of memory"}), "out of memory", "engine_reported_error"),
        (b'event: error\ndata: {"detail":"out of memory"}\n\n', "out of memory", "engine_reported_error"),
    ],
)
def test_an_error_of_the_engine_is_passed_on(event: bytes, message: str, code: str) -> None:
    stream = ResponseStream(REQUEST)

    events = read_events(stream.feed(chunk(content="Hel") + event + chunk("stop") + DONE))

    assert [event["type"] for event in events[-2:]] == ["response.failed", "error"]
    assert events[-2]["response"]["error"]["message"] == message
    assert (events[-1]["message"], events[-1]["code"]) == (message, code)
    assert stream.error == event.removesuffix(b"\n\n")
    assert not stream.was_cut


def test_an_error_before_content_lets_another_engine_answer() -> None:
    stream = ResponseStream(REQUEST)

    assert stream.feed(ROLE + data({"error": {"message": "busy"}}) + DONE) == b""
    assert stream.error
    assert not stream.committed


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: <html>\n\n",
        b'data: {"choices":\n\n',
        b"data: []\n\n",
        b"data: \xff\n\n",
        data({"choices": {}}),
        data({"choices": ["x"]}),
        data({"usage": 5}),
        chunk(content=5),
        chunk(content=["x"]),
        chunk(tool_calls=[{"index": "x"}]),
        chunk(tool_calls=[{"function": "x"}]),
        data({"choices": [{"index": 0, "delta": "x"}]}),
        data({"choices": [{"index": 0, "delta": {}, "finish_reason": 5}]}),
        chunk(content="x", logprobs=[1]),
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_garbage_fails_the_response(garbage: bytes) -> None:
    stream = ResponseStream(REQUEST)

    passed = stream.feed(chunk(content="Hel") + garbage + chunk("stop") + DONE)

    assert kinds(passed)[-2:] == FAILED
    assert stream.was_cut


def test_other_choices_are_not_mixed_in() -> None:
    events = read_events(
        streamed(chunk(content="a"), chunk(content="b", index=1), chunk("length", index=1), chunk("stop"), DONE)
    )

    assert events[-1]["type"] == "response.completed"
    assert [event["delta"] for event in events if "delta" in event] == ["a"]


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    stream = ResponseStream(REQUEST)

    events = read_events(stream.feed(ROLE + chunk("stop") + DONE))

    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == ""
    assert stream.done


def test_a_refusal_is_a_part_of_the_message() -> None:
    stream = streamed(chunk(content="Hm."), chunk(refusal="N"), chunk(refusal="o."), chunk("stop"), DONE)

    refusal = ["content_part.added", "refusal.delta", "refusal.delta", "refusal.done", "content_part.done"]
    text = [*TEXT_OPENING, "output_text.delta", "output_text.done", "content_part.done"]
    assert kinds(stream) == [*OPENING, *text, *refusal, "output_item.done", "completed"]
    message = read_events(stream)[-1]["response"]["output"][0]
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]


def test_calls_in_turn_keep_their_arguments() -> None:
    stream = streamed(
        chunk(tool_calls=[call(0, "[1,", id="a", name="f"), call(1, "[3,", id="b", name="f")]),
        chunk(tool_calls=[call(1, "4]")]),
        chunk(tool_calls=[call(0, "2]")]),
        chunk("tool_calls"),
        DONE,
    )

    output = read_events(stream)[-1]["response"]["output"]
    assert [item["arguments"] for item in output] == ["[1,2]", "[3,4]"]


def test_calls_that_share_an_index_are_told_apart_by_their_ids() -> None:
    stream = streamed(
        chunk(tool_calls=[call(0, "{}", id="a", name="f")]),
        chunk(tool_calls=[call(0, "[]", id="b", name="g")]),
        chunk("tool_calls"),
        DONE,
    )

    output = read_events(stream)[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in output] == [("a", "{}"), ("b", "[]")]


def test_words_after_a_call_are_a_message_of_their_own() -> None:
    stream = streamed(
        chunk(content="a"), chunk(tool_calls=[call(0, "{}", id="a", name="f")]), chunk(content="b"), chunk("stop"), DONE
    )

    output = read_events(stream)[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]


def test_log_probabilities_come_with_their_text() -> None:
    first, second = ({"token": "é", "logprob": -0.5, "bytes": [byte], "top_logprobs": []} for byte in (195, 169))

    events = read_events(
        streamed(
            chunk(content="", logprobs={"content": [first]}),
            chunk(content="é", logprobs={"content": [second]}),
            chunk("stop"),
            DONE,
        )
    )

    assert [event["logprobs"] for event in events if event["type"] == "response.output_text.delta"] == [[first, second]]
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == [first, second]


def test_usage_is_told_in_the_words_of_chat() -> None:
    stream = ResponseStream(REQUEST)

    stream.feed(PLAIN)

    assert stream.usage == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_nothing_follows_the_end() -> None:
    stream = ResponseStream(REQUEST)
    stream.feed(PLAIN)

    assert stream.feed(PLAIN) == b""
    assert stream.end() == b""
