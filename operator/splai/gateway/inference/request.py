"""A request to a model: what the gateway reads of it. Everything that is not named here is the engine's business."""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from splai.gateway.errors import RequestError

_INTEGER, _NUMBER = (int, type(None)), (int, float, type(None))
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "stream": ((bool, type(None)), "a boolean"),
    "stream_options": ((dict, type(None)), "an object"),
    "messages": ((list, type(None)), "an array"),
    "tools": ((list, type(None)), "an array"),
    "n": (_INTEGER, "an integer"),
    "max_tokens": (_INTEGER, "an integer"),
    "max_completion_tokens": (_INTEGER, "an integer"),
    "max_output_tokens": (_INTEGER, "an integer"),
    "temperature": (_NUMBER, "a number"),
    "top_p": (_NUMBER, "a number"),
}
"""Members whose type is the same for every engine; null means that a member is left out."""


@dataclass(slots=True)  # not frozen: one is made for each request
class InferenceRequest:
    """A checked body."""

    body: bytes
    document: dict[str, Any]
    model: str
    stream: bool
    include_usage: bool
    choices: int
    """How many answers end with a finish_reason: what a whole stream must show."""


def parse_request(body: bytes, *, streams: bool = True) -> InferenceRequest:
    """Read a request whatever its content type says; raises RequestError with status 400.

    An API without streams leaves ``stream`` to the engine, which answers in one piece.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _not_json(body, error) from error
    if not isinstance(document, dict):
        raise RequestError(400, "The request body must be a JSON object", code="invalid_json")
    model = document.get("model")
    if type(model) is not str or not model:
        raise _no_model(model)
    for name, value in document.items():
        expected = _TYPES.get(name)
        if expected is not None and type(value) not in expected[0]:  # true and false are integers only to isinstance
            raise _wrong_type(name, expected[1])
    return InferenceRequest(
        body=body,
        document=document,
        model=model,
        stream=streams and document.get("stream") is True,
        include_usage=_includes_usage(document.get("stream_options")),
        choices=_choices(document),
    )


def _not_json(body: bytes, error: json.JSONDecodeError) -> RequestError:
    """Where it went wrong; orjson says neither that a text is not UTF-8 nor that NaN is no JSON."""
    place = f"line {error.lineno} column {error.colno}"
    try:
        body.decode()
    except UnicodeDecodeError as broken:
        return RequestError(400, f"The request body is not UTF-8 at byte {broken.start}", code="invalid_json")
    return RequestError(400, f"The request body is not JSON: {error.msg} at {place}", code="invalid_json")


def _no_model(said: Any) -> RequestError:
    if said is None or said == "":
        return RequestError(400, "The request names no model: set `model`", param="model", code="missing_model")
    return _wrong_type("model", "a string")


def _wrong_type(name: str, expected: str) -> RequestError:
    return RequestError(400, f"`{name}` must be {expected}", param=name, code="invalid_type")


def _includes_usage(stream_options: Any) -> bool:
    return isinstance(stream_options, dict) and stream_options.get("include_usage") is True


def _choices(document: dict[str, Any]) -> int:
    """`n` for each prompt; a list of integers is one prompt, in tokens."""
    if "n" not in document and "prompt" not in document:
        return 1
    count = document.get("n") or 1
    prompt = document.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * max(1, count)
