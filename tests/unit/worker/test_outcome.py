"""What each reaction of an engine means for the record."""

import json
from typing import Any

import pytest

from splai.api.inference_job import RequestType
from splai.worker.outcome import (
    Answer,
    Away,
    Failure,
    Lost,
    NoAnswer,
    Rejection,
    Reset,
    Success,
    Tokens,
    Unreachable,
    judge,
    read_tokens,
)

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
CHAT = {"choices": [{"message": {"role": "assistant", "content": None}}], "usage": USAGE}
COMPLETION = {"choices": [{"text": ""}], "usage": USAGE}
EMBEDDING = {"data": [{"embedding": [0.5]}], "usage": USAGE}
RESPONSE = {
    "object": "response",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "yes"}]}],
    "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
}


def reply(body: Any, status: int = 200, **fields: Any) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), **fields)


@pytest.mark.parametrize(
    ("request_type", "body"),
    [("chat", CHAT), ("completion", COMPLETION), ("embedding", EMBEDDING), ("response", RESPONSE)],
)
def test_an_answer_of_the_expected_shape_is_a_success(request_type: RequestType, body: dict[str, Any]) -> None:
    verdict = judge(reply(body), request_type)
    assert isinstance(verdict, Success)
    assert verdict.tokens == Tokens(prompt=3, completion=4, total=7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b'{"choices": [{"message": ',
        b"\xff\xfe{}",
        b'{"choices":[{"message":{"content":NaN}}]}',
        b"[" * 100_000,
        [],
        {},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": "text"}]},
        {"error": {"message": "no"}},
        COMPLETION,
        EMBEDDING,
    ],
)
def test_a_200_that_is_no_chat_answer_is_a_failed_attempt(body: Any) -> None:
    verdict = judge(reply(body), "chat")
    assert isinstance(verdict, Failure)
    assert isinstance(verdict.reaction, NoAnswer)
    assert verdict.reaction.code == "invalid_response"


@pytest.mark.parametrize("changes", [{"output": None}, {"status": "failed"}, {"status": "cancelled"}])
def test_a_response_without_output_is_a_failed_attempt(changes: dict[str, Any]) -> None:
    assert isinstance(judge(reply({**RESPONSE, **changes}), "response"), Failure)


def test_a_response_that_was_cut_at_its_limit_is_an_answer() -> None:
    assert isinstance(judge(reply({**RESPONSE, "status": "incomplete"}), "response"), Success)


@pytest.mark.parametrize("status", [408, 500, 501, 520])
def test_errors_about_the_record_cost_an_attempt(status: int) -> None:
    assert judge(reply(b"oops", status), "chat") == Failure(reply(b"oops", status))


@pytest.mark.parametrize("status", [301, 400, 401, 404, 409, 413, 422])
def test_refusals_are_final(status: int) -> None:
    assert judge(reply(b"no", status), "chat") == Rejection(reply(b"no", status))


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxys_errors_are_the_backends_state_and_leave_the_answer_for_an_error_line(status: int) -> None:
    answer = reply(b"bad gateway", status)
    assert judge(answer, "chat") == Away(f"HTTP {status}", by_proxy=answer)


def test_unavailable_is_the_backends_state_and_a_sign_of_overload() -> None:
    assert judge(reply(b"secret", 503), "chat") == Away("HTTP 503", is_overload=True)


def test_too_many_requests_is_the_backends_state_and_says_when() -> None:
    verdict = judge(reply(b"", 429, retry_after=7.0), "chat")
    assert verdict == Away("HTTP 429", retry_after=7.0, throttled=True, is_overload=True)


def test_connections_that_fail_are_the_backends_state() -> None:
    assert judge(Unreachable("connection refused"), "chat") == Away("connection refused")


def test_what_was_sent_and_not_answered_is_lost() -> None:
    reaction = NoAnswer("request_timeout", "No answer within 600 seconds.")
    assert judge(reaction, "chat") == Lost(reaction)


def test_a_reset_is_lost_and_has_words_for_the_error_line() -> None:
    reaction = NoAnswer("connection_reset", "The connection ended before the answer.")
    assert judge(Reset(), "chat") == Lost(reaction, by_reset=True)


@pytest.mark.parametrize(
    "reported", [None, [], "many", {"total_tokens": "7"}, {"total_tokens": -7}, {"total_tokens": True}]
)
def test_usage_that_is_not_numbers_counts_nothing(reported: Any) -> None:
    assert read_tokens({"usage": reported}) == Tokens()


@pytest.mark.parametrize(("before", "after"), [("prompt", "completion"), ("input", "output")])
def test_cached_and_reasoning_tokens_are_read_in_both_vocabularies(before: str, after: str) -> None:
    usage = {
        f"{before}_tokens": 10,
        f"{after}_tokens": 20,
        "total_tokens": 30,
        f"{before}_tokens_details": {"cached_tokens": 8},
        f"{after}_tokens_details": {"reasoning_tokens": 15},
    }
    assert read_tokens({"usage": usage}) == Tokens(10, 20, 30, cached=8, reasoning=15)


@pytest.mark.parametrize("details", [None, [], 5, {"cached_tokens": None}])
def test_details_that_are_not_numbers_count_nothing(details: Any) -> None:
    assert read_tokens({"usage": {"prompt_tokens": 1, "prompt_tokens_details": details}}) == Tokens(1)
