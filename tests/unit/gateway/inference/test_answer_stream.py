"""A streamed answer as the caller sees it: the asked model, no empty choices, and an end that tells the truth."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splai.gateway.inference.answer_stream import AnswerStream
from splai.gateway.inference.request import parse_request


def request(**fields: Any) -> bytes:
    return json.dumps({"model": "asked", "stream": True, **fields}).encode()


def event(model: str = "asked", **fields: Any) -> bytes:
    return b"data: " + json.dumps({"id": "c-1", "model": model, **fields}).encode() + b"\n\n"


def text(content: str, model: str = "asked") -> bytes:
    return event(model, choices=[{"index": 0, "delta": {"content": content}, "finish_reason": None}])


def finish(index: int = 0) -> bytes:
    return event(choices=[{"index": index, "delta": {}, "finish_reason": "stop"}])


USAGE = event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
DONE = b"data: [DONE]\n\n"


def relayed(*reads: bytes, failure: str | None = None, **fields: Any) -> bytes:
    stream = AnswerStream(parse_request(request(**fields)))
    passed = b"".join(stream.feed(data) for data in reads)
    return passed + stream.end(failure)


def is_error_then_done(tail: bytes) -> bool:
    *_, error, done, _ = tail.split(b"\n\n")
    return done + b"\n\n" == DONE and json.loads(error.removeprefix(b"data: "))["error"]["code"] == "stream_interrupted"


def test_a_whole_stream_passes_byte_by_byte() -> None:
    stream = text("Hel") + text("lo") + finish() + DONE

    assert relayed(stream) == stream


@given(cuts=st.lists(st.integers(0, 400)), line_end=st.sampled_from([b"\n", b"\r\n"]))
def test_neither_reads_nor_line_ends_show(cuts: list[int], line_end: bytes) -> None:
    stream = text("Hel") + text("lo \\r\\n") + finish() + DONE
    sent = stream.replace(b"\n", line_end)
    cuts = sorted(cut for cut in cuts if cut < len(sent))

    reads = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]

    assert relayed(*reads) == stream


def test_the_model_of_every_event_is_the_asked_one() -> None:
    assert relayed(text("a", "/models/x.gguf") + text("b", "x") + finish() + DONE) == (
        text("a") + text("b") + finish() + DONE
    )


def test_text_that_speaks_of_models_and_ends_stays_as_it_is() -> None:
    trap = text('{"model":"x","choices":[],"finish_reason":"stop","error":{}}', "other")

    passed = relayed(trap)

    assert passed.startswith(text('{"model":"x","choices":[],"finish_reason":"stop","error":{}}'))
    assert is_error_then_done(passed)


def test_an_event_without_choices_is_for_those_who_asked_for_usage() -> None:
    stream = text("a") + finish() + USAGE + DONE

    assert relayed(stream, stream_options={"include_usage": True}) == stream
    assert relayed(stream) == text("a") + finish() + DONE


def test_an_event_with_neither_choices_nor_usage_is_for_nobody() -> None:
    empty = event(choices=[], prompt_filter_results=[])

    assert relayed(empty + text("a") + finish() + DONE, stream_options={"include_usage": True}) == (
        text("a") + finish() + DONE
    )


def test_an_answer_that_finished_gets_the_done_that_its_engine_forgot() -> None:
    assert relayed(text("a") + finish()) == text("a") + finish() + DONE


def test_a_reset_after_the_finish_does_not_spoil_the_answer() -> None:
    assert relayed(text("a") + finish(), failure="reset") == text("a") + finish() + DONE


@pytest.mark.parametrize("failure", [None, "The engine closed the connection"])
def test_an_answer_that_was_cut_ends_with_an_error(failure: str | None) -> None:
    passed = relayed(text("a"), failure=failure)

    assert passed.startswith(text("a"))
    assert is_error_then_done(passed)
    assert b'"stop"' not in passed


def test_half_an_event_is_not_passed_on() -> None:
    passed = relayed(text("a") + text("lost")[:-20])

    assert b"lost" not in passed
    assert is_error_then_done(passed)


def test_all_choices_must_be_finished() -> None:
    assert is_error_then_done(relayed(text("a") + finish(0), n=2))
    assert relayed(text("a") + finish(0) + finish(1), n=2) == text("a") + finish(0) + finish(1) + DONE


def test_an_engine_that_reports_an_error_is_believed_and_not_repeated() -> None:
    error = event(error={"message": "out of memory", "code": 500})

    assert relayed(text("a") + error) == text("a") + error + DONE


def test_nothing_follows_done() -> None:
    whole = text("a") + finish() + DONE

    assert relayed(whole + text("b"), text("c")) == whole


def test_an_engine_that_does_not_know_of_n_is_believed_when_it_says_done() -> None:
    assert relayed(text("a") + finish() + DONE, n=2) == text("a") + finish() + DONE


def test_done_without_any_finish_reason_ends_a_cut_answer() -> None:
    passed = relayed(text("a") + DONE)

    assert passed.startswith(text("a"))
    assert is_error_then_done(passed)


@pytest.mark.parametrize("garbage", [b'data: {"choices":[{"del\n\n', b"data: oops\n\n", b'data: ["a"]\n\n'])
def test_an_event_that_is_no_object_cuts_the_answer(garbage: bytes) -> None:
    passed = relayed(text("a") + garbage + text("b") + finish() + DONE)

    assert passed.startswith(text("a"))
    assert text("b") not in passed
    assert is_error_then_done(passed)


@pytest.mark.parametrize("garbage", [b"data: {choices}\n\n", b"data: <html>\n\n"])
def test_garbage_before_the_first_content_is_not_given_out(garbage: bytes) -> None:
    stream = AnswerStream(parse_request(request()))

    assert stream.feed(role() + garbage + text("a")) == b""
    assert stream.was_cut
    assert not stream.committed


@pytest.mark.parametrize("line", [b": ping", b"event: message", b"id: 7\nretry: 10"])
def test_an_event_without_data_harms_nothing(line: bytes) -> None:
    stream = text("a") + line + b"\n\n" + text("b") + finish() + DONE

    assert relayed(stream) == stream


def test_done_is_known_by_its_data() -> None:
    assert relayed(text("a") + finish() + b"event: end\ndata: [DONE]\n\n") == text("a") + finish() + DONE


def test_an_error_beside_empty_choices_is_an_error() -> None:
    error = event(choices=[], error={"message": "out of memory"})

    assert relayed(text("a") + error + DONE) == text("a") + error + DONE


def test_an_empty_list_of_tool_calls_is_no_content() -> None:
    begun = event(choices=[{"index": 0, "delta": {"role": "assistant", "tool_calls": []}, "finish_reason": None}])

    assert AnswerStream(parse_request(request())).feed(begun) == b""


def test_a_last_event_without_its_empty_line_counts_if_it_is_whole() -> None:
    assert relayed(text("a") + finish() + b"data: [DONE]") == text("a") + finish() + DONE
    assert relayed(text("a") + finish()[:-1]) == text("a") + finish() + DONE


def test_an_engine_that_says_nothing_has_cut_the_answer() -> None:
    stream = AnswerStream(parse_request(request()))

    assert stream.end() == b""
    assert stream.was_cut
    assert not stream.committed


def role() -> bytes:
    return event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])


def test_nothing_is_given_out_before_the_first_content() -> None:
    stream = AnswerStream(parse_request(request()))

    assert stream.feed(role()) == b""
    assert not stream.committed
    assert stream.feed(text("a")) == role() + text("a")
    assert stream.committed


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"reasoning_content": "a"},
        {"reasoning": "a"},
        {"refusal": "a"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
        {"function_call": {"name": "f"}},
    ],
    ids=lambda delta: next(iter(delta)),
)
def test_whatever_is_said_is_content(delta: dict[str, Any]) -> None:
    said = event(choices=[{"index": 0, "delta": delta, "finish_reason": None}])

    assert AnswerStream(parse_request(request())).feed(said) == said


def test_the_text_of_a_completion_is_content() -> None:
    said = event(choices=[{"index": 0, "text": "a", "finish_reason": None}])

    assert AnswerStream(parse_request(request())).feed(said) == said


def test_an_empty_answer_is_given_out_with_its_end() -> None:
    assert relayed(role() + finish() + DONE) == role() + finish() + DONE


def test_a_stream_that_only_ever_begins_is_not_held_for_ever() -> None:
    stream = AnswerStream(parse_request(request()))

    passed = b"".join(stream.feed(role()) for _ in range(3000))

    assert passed.startswith(role())


@pytest.mark.parametrize("reason", ["abort", "error", "cancelled"])
def test_an_answer_that_its_engine_gave_up_is_not_finished(reason: str) -> None:
    given_up = event(choices=[{"index": 0, "delta": {}, "finish_reason": reason}])

    passed = relayed(text("a") + given_up + DONE)

    assert passed.startswith(text("a"))
    assert b'"finish_reason": "' not in passed
    assert is_error_then_done(passed)


def test_an_answer_that_is_given_up_before_it_began_can_be_asked_for_elsewhere() -> None:
    stream = AnswerStream(parse_request(request()))

    passed = stream.feed(role() + event(choices=[{"index": 0, "delta": {}, "finish_reason": "abort"}]))

    assert passed == b""
    assert stream.was_cut
    assert stream.done


def test_an_engines_error_before_any_content_is_told_apart() -> None:
    stream = AnswerStream(parse_request(request()))

    assert stream.feed(role() + event(error={"message": "out of memory"})) == b""
    assert stream.error is not None
    assert not stream.committed


def test_the_tokens_of_an_answer_are_learnt_whoever_asked_for_them() -> None:
    stream = AnswerStream(parse_request(request()))

    stream.feed(text("a") + finish() + USAGE + DONE)

    assert stream.usage == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
