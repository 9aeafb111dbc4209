"""What is refused before it costs an engine anything, and what is read of the rest."""

import pytest

from splai.gateway.errors import RequestError
from splai.gateway.inference.request import parse_request


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "not JSON: .* at line 1 column 1", None),
        (b'{"model": "m",}', "not JSON: .* at line 1 column", None),
        (b'{"model": "m", "temperature": NaN}', "not JSON: .* at line 1 column 31", None),
        (b'{"model": "m", "temperature": -Infinity}', "not JSON: .* at line 1 column", None),
        (b'\xff\xfe{"model"', "not UTF-8 at byte 0", None),
        (b'{"model": "m", "user": "\\ud800"}', "not JSON: .* at line 1 column", None),
        (b"[" * 200_000, "not JSON: depth limit", None),
        (b'{"model": "m", "stream": 1}', "`stream` must be a boolean", "stream"),
        (b'{"model": "m", "stream": "true"}', "`stream` must be a boolean", "stream"),
        (b'{"model": "m", "messages": "hi"}', "`messages` must be an array", "messages"),
        (b'{"model": "m", "n": true}', "`n` must be an integer", "n"),
        (b'{"model": "m", "n": 1.5}', "`n` must be an integer", "n"),
        (b'{"model": "m", "max_tokens": "9"}', "`max_tokens` must be an integer", "max_tokens"),
        (b'{"model": "m", "temperature": "0"}', "`temperature` must be a number", "temperature"),
        (b'{"model": "m", "stream_options": []}', "`stream_options` must be an object", "stream_options"),
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
    [('{"include_usage":true}', True), ('{"include_usage":false}', False), ("null", False)],
)
def test_usage_is_sent_to_those_who_asked(options: str, asked: bool) -> None:
    assert parse_request(f'{{"model":"m","stream_options":{options}}}'.encode()).include_usage is asked
