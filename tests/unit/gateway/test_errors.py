"""Every error has OpenAI's four keys, and `detail`."""

import json
from typing import Any

import pytest

from splai.gateway.errors import RequestError, completed_error_body, is_unknown_model


def test_an_error_of_ours() -> None:
    error = RequestError(404, "no such model", code="model_not_found", param="model")

    assert json.loads(error.body()) == {
        "error": {
            "message": "no such model",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        },
        "detail": "no such model",
    }


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(
            400,
            b'{"error":{"message":"too long","type":"BadRequestError","param":"messages","code":400}}',
            {"message": "too long", "type": "BadRequestError", "param": "messages", "code": "400"},
            id="vLLM",
        ),
        pytest.param(
            400,
            b'{"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_ctx":512}}',
            {"message": "too long", "type": "exceed_context_size_error", "param": None, "code": "400", "n_ctx": 512},
            id="llama.cpp keeps its own fields",
        ),
        pytest.param(
            422,
            b'{"detail":"bad"}',
            {"message": "bad", "type": "invalid_request_error", "param": None, "code": None},
            id="FastAPI",
        ),
        pytest.param(
            503,
            b'{"error":"loading"}',
            {"message": "loading", "type": "service_unavailable_error", "param": None, "code": None},
            id="a bare string",
        ),
        pytest.param(
            429,
            b"",
            {
                "message": "The engine answers with HTTP status 429",
                "type": "rate_limit_error",
                "param": None,
                "code": None,
            },
            id="nothing",
        ),
        pytest.param(
            500,
            b"<html>",
            {"message": "The engine answers with HTTP status 500", "type": "server_error", "param": None, "code": None},
            id="a page",
        ),
    ],
)
def test_an_engines_error_gets_the_keys_that_it_lacks(status: int, body: bytes, error: dict[str, Any]) -> None:
    assert json.loads(completed_error_body(status, body)) == {"error": error, "detail": error["message"]}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, b'{"error":{"code":"model_not_found"}}', True),
        (404, b'{"error":{"message":"The model `x` does not exist.","param":"model","code":404}}', True),
        (404, b'{"detail":"Not Found"}', False),
        (404, b"not JSON", False),
        (400, b'{"error":{"code":"model_not_found"}}', False),
    ],
)
def test_an_engine_that_does_not_know_its_model(status: int, body: bytes, expected: bool) -> None:
    assert is_unknown_model(status, body) is expected
