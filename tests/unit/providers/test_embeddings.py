"""Embeddings: passed through, or translated for Gemini."""

import base64
import struct
from typing import Any

import pytest

from splai.providers.errors import RequestError
from splai.providers.protocol import EMBEDDINGS
from splai.providers.selection import provider
from tests.unit.providers.translating import IDENTITY, translated


def test_gemini_is_sent_one_request_for_each_text() -> None:
    body = translated("Gemini", EMBEDDINGS, input=["a", "b"], dimensions=2, encoding_format="base64")

    assert body == {
        "requests": [
            {"model": "models/theirs", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2}
            for text in ("a", "b")
        ]
    }


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_geminis_vectors_come_in_the_encoding_that_was_asked_for(encoding: str) -> None:
    exchange = provider("Gemini", model="theirs").exchange(
        EMBEDDINGS, {"model": "asked-for", "input": "a", "encoding_format": encoding}, IDENTITY
    )
    (found,) = exchange.whole({"embeddings": [{"values": [0.5, -2.0]}]})["data"]

    vector: Any = found["embedding"]
    if encoding == "base64":
        vector = list(struct.unpack("<2f", base64.b64decode(vector)))
    assert (found["index"], vector) == (0, [0.5, -2.0])


@pytest.mark.parametrize("reply", [{}, {"embeddings": []}, {"embeddings": [{}]}, [], None])
def test_what_is_not_one_vector_for_each_text_is_an_error(reply: Any) -> None:
    exchange = provider("Gemini", model="theirs").exchange(EMBEDDINGS, {"model": "m", "input": "a"}, IDENTITY)

    with pytest.raises(RequestError) as caught:
        exchange.whole(reply)
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [1, 2]}, "input"),
        ({"input": []}, "input"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "a_field_of_tomorrow": 1}, "a_field_of_tomorrow"),
    ],
)
def test_what_gemini_cannot_be_told_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        translated("Gemini", EMBEDDINGS, **fields)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_openais_own_pass_as_they_are() -> None:
    assert translated("OpenAI", EMBEDDINGS, input=[[1, 2]]) == {"model": "theirs", "input": [[1, 2]]}
