"""JSON of a stream: all that is JSON passes, and nothing else."""

import json
from typing import Any

import pytest

from splai.gateway.responses.json_bytes import decode, encode


@pytest.mark.parametrize("value", ["東京 🗼", "\ud83d", 2**70, -(2**70), 0.1, 1e-7, True, None, [{"a": "\udc00"}]])
def test_a_value_is_read_again_as_it_was(value: Any) -> None:
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize("text", [b'"\\ud83d"', b'"\\ud83d\\ude00"', b'{"a":[1.5,-2]}', '"é"'.encode()])
def test_json_is_read(text: bytes) -> None:
    assert decode(text) == json.loads(text)


@pytest.mark.parametrize("text", [b"", b"NaN", b"{", b"\xff", b"[" * 100_000, b"{} {}"])
def test_anything_else_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode(text)
