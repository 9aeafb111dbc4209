"""What is refused before it costs an engine anything, and what the engine gets of the rest."""

import json

import pytest

from splai.gateway.errors import RequestError
from splai.gateway.inference.request import parse_request


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "not JSON: Expecting value at line 1 column 1", None),
        (b'{"model": "m",}', "not JSON: .* at line 1 column", None),
        (b'{"model": "m", "temperature": NaN}', "NaN is not a JSON number", None),
        (b'{"model": "m", "temperature": -Infinity}', "-Infinity is not a JSON number", None),
        (b'\xff\xfe{"model"', "not UTF-8 at byte 0", None),
        (b"[" * 200_000, "not JSON: .*recursion", None),
        (b'["model"]', "must be a JSON object", None),
        (b'{"messages": []}', "names no model", "model"),
        (b'{"model": ""}', "names no model", "model"),
        (b'{"model": null}', "names no model", "model"),
        (b'{"model": 7}', "`model` must be a string", "model"),
    ],
)
def test_a_bad_body_is_the_callers_fault(body: bytes, message: str, param: str | None) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        parse_request(body)

    assert caught.value.status == 400
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


def test_the_engine_gets_the_callers_own_bytes() -> None:
    body = b'{ "messages" : [],  "model":"m", "seed": 1.50 }'

    assert parse_request(body).body_for("m") is body


def test_an_alias_becomes_the_id_that_the_engine_serves() -> None:
    body = b'{"messages":[{"content":"\\"model\\":\\"gpt\\""}],"model":"gpt"}'

    changed = parse_request(body).body_for("llama3-8b-q4")

    assert changed == b'{"messages":[{"content":"\\"model\\":\\"gpt\\""}],"model":"llama3-8b-q4"}'


def test_a_key_in_escapes_is_replaced_too() -> None:
    changed = parse_request(b'{"mod\\u0065l":"gpt","n":1}').body_for("llama")

    assert json.loads(changed) == {"model": "llama", "n": 1}


@pytest.mark.parametrize(
    ("fields", "choices"),
    [
        ("", 1),
        (',"n":3', 3),
        (',"n":null', 1),
        (',"n":0', 1),
        (',"prompt":"text"', 1),
        (',"prompt":["a","b"]', 2),
        (',"prompt":["a","b"],"n":2', 4),
        (',"prompt":[1,2,3]', 1),
        (',"prompt":[[1,2],[3]]', 2),
        (',"prompt":[]', 1),
    ],
)
def test_how_many_answers_a_whole_stream_has(fields: str, choices: int) -> None:
    assert parse_request(f'{{"model":"m"{fields}}}'.encode()).choices == choices


@pytest.mark.parametrize(
    ("options", "asked"),
    [('{"include_usage":true}', True), ('{"include_usage":false}', False), ("null", False), ("[]", False)],
)
def test_usage_is_sent_to_those_who_asked(options: str, asked: bool) -> None:
    assert parse_request(f'{{"model":"m","stream_options":{options}}}'.encode()).include_usage is asked
