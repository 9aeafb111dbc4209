"""What the engine gets of a request, and what the caller gets of a whole answer."""

import json

import pytest

from splai.gateway.inference.dialect import BrokenAnswer, PassThrough
from splai.gateway.inference.request import parse_request


def chat(body: bytes) -> PassThrough:
    return PassThrough(b"/v1/chat/completions", parse_request(body))


def test_the_engine_gets_the_callers_own_bytes() -> None:
    body = b'{ "messages" : [],  "model":"m", "seed": 1.50 }'

    assert chat(body).body_for("m") is body


def test_an_alias_becomes_the_id_that_the_engine_serves() -> None:
    body = b'{"messages":[{"content":"\\"model\\":\\"gpt\\""}],"model":"gpt"}'

    changed = chat(body).body_for("llama3-8b-q4")

    assert changed == b'{"messages":[{"content":"\\"model\\":\\"gpt\\""}],"model":"llama3-8b-q4"}'


def test_a_key_in_escapes_is_replaced_too() -> None:
    changed = chat(b'{"mod\\u0065l":"gpt","n":1}').body_for("llama")

    assert json.loads(changed) == {"model": "llama", "n": 1}


def test_an_engine_is_asked_for_the_usage_of_every_stream() -> None:
    changed = chat(b' {"model":"m","stream":true}').body_for("m")

    assert json.loads(changed) == {"stream_options": {"include_usage": True}, "model": "m", "stream": True}


@pytest.mark.parametrize("options", [{}, {"include_usage": False}, {"include_usage": True}])
def test_stream_options_of_the_caller_stay(options: dict[str, bool]) -> None:
    body = json.dumps({"model": "m", "stream": True, "stream_options": options}).encode()

    assert chat(body).body_for("m") is body


def test_a_whole_answer_keeps_its_bytes_and_tells_its_tokens() -> None:
    reply = b'{ "model": "m", "usage": {"total_tokens": 5}, "x": 1.0e-7 }\n'

    body, usage = chat(b'{"model":"m"}').whole(reply)

    assert body is reply
    assert usage == {"total_tokens": 5}


def test_the_model_of_a_whole_answer_is_the_asked_one() -> None:
    body, _ = chat(b'{"model":"asked"}').whole(b'{"model":"/models/x.gguf","choices":[]}')

    assert body == b'{"model":"asked","choices":[]}'


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"choices":[{"message":{"content":"half',
        b'{"choices":[{"finish_reason":"abort"}]}',
        b'{"choices":[{"finish_reason":"stop"},{"finish_reason": "abort"}]}',
        b'{"data":[' + b"0," * 200_000,
        b'{"choices":[{"finish_reason":"abort","message":{"content":"' + b"x" * 300_000 + b'"}}]}',
        b'{"error":{"message":"out of memory"}}',
    ],
    ids=lambda reply: reply[:40].decode(),
)
def test_what_is_no_whole_answer_is_not_taken_for_one(reply: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        chat(b'{"model":"m"}').whole(reply)


def test_a_large_batch_of_embeddings_is_taken_by_its_two_ends() -> None:
    reply = b'{"data":[' + b"0," * 200_000 + b'0],"model":"m"}'

    body, _ = chat(b'{"model":"m"}').whole(reply)

    assert body is reply
