"""The events of an engine that has the Responses API: as it wrote them, under the asked model, with a true end."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splai.gateway.responses.native_stream import NativeResponseStream
from splai.gateway.responses.response_stream import ResponseStream
from tests.unit.gateway.responses.chat_engine import DONE, USAGE, chunk


def event(kind: str, **fields: Any) -> bytes:
    document = {"type": kind, **fields}
    return f"event: {kind}\ndata: {json.dumps(document)}\n\n".encode()


def lifecycle(kind: str, number: int, model: str = "asked", **fields: Any) -> bytes:
    response = {"id": "resp_1", "model": model, "temperature": 0.7000000000000001, **fields}
    return event(f"response.{kind}", response=response, sequence_number=number)


def delta(text: str, number: int) -> bytes:
    return event("response.output_text.delta", delta=text, item_id="m", logprobs=[], sequence_number=number)


OPENING = lifecycle("created", 0) + lifecycle("in_progress", 1)
ADDED = event("response.output_item.added", item={"id": "m", "type": "message"}, sequence_number=2)
TEXT = delta("Hel", 3) + delta("lo 🗼", 4)
NATIVE_USAGE = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 1},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 5,
}
COMPLETED = lifecycle("completed", 5, usage=NATIVE_USAGE)
WHOLE = OPENING + ADDED + TEXT + COMPLETED


def relayed(*reads: bytes, failure: str | None = None) -> bytes:
    stream = NativeResponseStream("asked")
    return b"".join(stream.feed(read) for read in reads) + stream.end(failure)


def last_event(stream: bytes) -> dict[str, Any]:
    name, _, data = stream.split(b"\n\n")[-2].partition(b"\n")
    document: dict[str, Any] = json.loads(data.removeprefix(b"data: "))
    assert name == b"event: " + document["type"].encode()
    return document


def test_a_whole_stream_passes_byte_by_byte() -> None:
    assert relayed(WHOLE) == WHOLE


def test_what_our_own_translation_writes_passes() -> None:
    translation = ResponseStream({"model": "asked", "input": "Hi"})
    written = translation.feed(chunk(content="a") + chunk("stop") + USAGE + DONE)

    assert relayed(written) == written


@given(cuts=st.lists(st.integers(0, len(WHOLE) - 1)), line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_neither_reads_nor_line_ends_show(cuts: list[int], line_end: bytes) -> None:
    sent = WHOLE.replace(b"\n", line_end)
    cuts = sorted(cuts)

    reads = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]

    assert relayed(*reads) == WHOLE


def test_events_before_content_are_held() -> None:
    stream = NativeResponseStream("asked")

    assert stream.feed(OPENING + ADDED) == b""
    assert not stream.committed
    assert stream.feed(delta("Hel", 3)) == OPENING + ADDED + delta("Hel", 3)
    assert stream.committed
    assert stream.feed(delta("lo", 4)) == delta("lo", 4)


def test_an_answer_without_deltas_commits_with_its_items() -> None:
    stream = NativeResponseStream("asked")
    done = event("response.output_item.done", item={"type": "function_call"}, sequence_number=2)

    assert stream.feed(OPENING + done) == OPENING + done


@pytest.mark.parametrize("kind", ["completed", "incomplete"])
def test_an_answer_of_nothing_commits_with_its_end(kind: str) -> None:
    stream = NativeResponseStream("asked")

    assert stream.feed(OPENING + lifecycle(kind, 2)) == OPENING + lifecycle(kind, 2)
    assert stream.done
    assert stream.committed
    assert not stream.was_cut


FAILED = lifecycle("failed", 5, error={"code": "oom", "message": "x"})


@pytest.mark.parametrize(
    ("ending", "kinds", "code"),
    [
        (FAILED, ["response.failed", "error"], "oom"),
        (lifecycle("failed", 5), ["response.failed", "error"], "engine_reported_error"),
        (event("error", message="x", code="oom", sequence_number=5), ["error"], "oom"),
        (event("error", error={"message": "x", "code": "oom"}, sequence_number=5), ["error"], "oom"),
    ],
    ids=["a response with its error", "a response", "an error", "an error in an error"],
)
def test_a_failure_of_the_engine_ends_the_stream_in_a_way_that_sdks_raise_for(
    ending: bytes, kinds: list[str], code: str
) -> None:
    stream = NativeResponseStream("asked")

    passed = stream.feed(OPENING + TEXT + ending + DONE)

    assert passed.startswith(OPENING + TEXT)
    blocks = passed.removeprefix(OPENING + TEXT).split(b"\n\n")[:-1]
    documents = [json.loads(block.partition(b"\ndata: ")[2]) for block in blocks]
    assert [document["type"] for document in documents] == kinds
    assert [document["sequence_number"] for document in documents] == list(range(5, 5 + len(kinds)))
    assert documents[-1]["error"]["code"] == code
    assert stream.done
    assert stream.error == ending.removesuffix(b"\n\n")
    assert not stream.was_cut


def test_a_failure_before_content_lets_another_engine_answer() -> None:
    stream = NativeResponseStream("asked")

    assert stream.feed(OPENING + lifecycle("failed", 2)) == b""
    assert stream.error
    assert not stream.committed
    assert stream.end().startswith(OPENING + lifecycle("failed", 2) + b"event: error\n")


def test_the_model_is_the_asked_one_at_both_ends() -> None:
    sent = lifecycle("created", 0, "/models/x") + TEXT + lifecycle("completed", 5, "/models/x", usage=NATIVE_USAGE)

    passed = relayed(sent)

    documents = [json.loads(block.partition(b"\ndata: ")[2]) for block in passed.split(b"\n\n")[:-1]]
    expected = lifecycle("created", 0) + TEXT + COMPLETED
    assert documents == [json.loads(block.partition(b"\ndata: ")[2]) for block in expected.split(b"\n\n")[:-1]]


def test_a_missing_event_line_is_added() -> None:
    bare = b"\n".join(line for line in WHOLE.split(b"\n") if not line.startswith(b"event:"))

    assert relayed(bare) == WHOLE


def test_lines_without_spaces_get_them() -> None:
    assert relayed(WHOLE.replace(b"event: ", b"event:").replace(b"data: ", b"data:")) == WHOLE


def test_comments_and_done_are_left_out() -> None:
    assert relayed(b": ping\n\n" + OPENING + TEXT + b": ping\n\n" + COMPLETED + DONE) == OPENING + TEXT + COMPLETED


def test_a_stream_cut_at_any_byte_ends_with_an_error() -> None:
    last_brace = len(WHOLE) - 2  # with it the event that completes the response is there, but for its empty line

    for end in range(last_brace):
        stream = NativeResponseStream("asked")
        passed = stream.feed(WHOLE[:end]) + stream.end()
        assert last_event(passed)["type"] == "error"
        assert b"response.completed" not in passed
        assert stream.was_cut
    assert relayed(WHOLE[:last_brace]) == WHOLE


@pytest.mark.parametrize("failure", [None, "The engine closed the connection"])
def test_a_cut_says_what_happened_and_keeps_the_count(failure: str | None) -> None:
    passed = relayed(OPENING + ADDED + TEXT, failure=failure)

    assert passed.startswith(OPENING + ADDED + TEXT)
    message = failure or "The engine ended the stream before the answer was finished"
    error = last_event(passed)
    assert (error["message"], error["code"], error["sequence_number"]) == (message, "stream_interrupted", 5)
    assert error["error"]["message"] == message


def test_done_finishes_nothing() -> None:
    assert last_event(relayed(OPENING + TEXT + DONE))["type"] == "error"


def test_a_bare_error_object_gets_its_name() -> None:
    error = b'data: {"error":{"message":"out of memory"}}\n\n'

    assert relayed(OPENING, TEXT, error) == OPENING + TEXT + b"event: error\n" + error


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: <html>\n\n",
        b"data: []\n\n",
        b"data: \xff\n\n",
        b'data: {"type":5}\n\n',
        b"data: {}\n\n",
        b'data: {"type":"\\ud83d"}\n\n',
        b'data: {"type":"a\\n"}\n\n',
    ],
)
def test_garbage_is_an_error(garbage: bytes) -> None:
    stream = NativeResponseStream("asked")

    passed = stream.feed(OPENING + TEXT + garbage + COMPLETED)

    assert last_event(passed)["type"] == "error"
    assert stream.done
    assert stream.was_cut


def test_usage_is_told_in_the_words_of_chat() -> None:
    stream = NativeResponseStream("asked")

    stream.feed(WHOLE)

    assert stream.usage == {
        "prompt_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 5,
    }


def test_nothing_follows_the_end() -> None:
    stream = NativeResponseStream("asked")
    stream.feed(WHOLE)

    assert stream.feed(WHOLE) == b""
    assert stream.end() == b""
