"""A whole response of the engine: passed on as it is, unless it is no answer."""

import json
from typing import Any

import pytest

from splai.gateway.responses.chat_reply import NotAnAnswer
from splai.gateway.responses.native_response import native_response


def response(status: str | None = "completed", **fields: Any) -> bytes:
    return json.dumps({"id": "resp_1", "model": "asked", "status": status, "output": [], **fields}).encode()


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_an_answer_passes_byte_by_byte(status: str) -> None:
    reply = response(status, temperature=0.7000000000000001)

    assert native_response("asked", reply).body == reply


def test_the_model_is_the_asked_one() -> None:
    found = native_response("asked", response(model="/models/x", tools=[{"model": "x"}]))

    assert json.loads(found.body) == json.loads(response(tools=[{"model": "x"}]))


def test_usage_is_told_in_the_words_of_chat() -> None:
    found = native_response("asked", response(usage={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}))

    assert found.usage
    assert (found.usage["prompt_tokens"], found.usage["completion_tokens"], found.usage["total_tokens"]) == (3, 2, 5)


@pytest.mark.parametrize(
    "reply",
    [*(response(status) for status in ("failed", "in_progress", "queued", "cancelled", None)), b"[]", b"{", b"<html>"],
)
def test_anything_but_a_finished_answer_is_refused(reply: bytes) -> None:
    with pytest.raises(NotAnAnswer):
        native_response("asked", reply)
