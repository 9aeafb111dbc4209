"""A request to a model: what the gateway reads of it, and the bytes that go on to the engine."""

import json
from dataclasses import dataclass
from typing import Any

from splai.api.json import decode_strict
from splai.gateway.errors import RequestError
from splai.gateway.inference.model_field import with_model


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A checked body; everything that is not named here is the engine's business."""

    body: bytes
    model: str
    include_usage: bool
    choices: int
    """How many answers end with a finish_reason: what a whole stream must show."""

    def body_for(self, served_model: str) -> bytes:
        """The caller's own bytes, with ``model`` replaced where the engine knows it by another id."""
        if served_model == self.model:
            return self.body
        body = with_model(self.body, served_model.encode())
        if body is not self.body:
            return body
        return json.dumps({**json.loads(self.body), "model": served_model}).encode()  # the key was written in escapes


def parse_request(body: bytes) -> InferenceRequest:
    """Read a request whatever its content type says; raises RequestError with status 400."""
    try:
        document = decode_strict(body.decode())
    except UnicodeDecodeError as error:
        raise RequestError(400, f"The request body is not UTF-8 at byte {error.start}", code="invalid_json") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise RequestError(400, f"The request body is not JSON: {error.msg} at {place}", code="invalid_json") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"The request body is not JSON: {error}", code="invalid_json") from error
    if not isinstance(document, dict):
        raise RequestError(400, "The request body must be a JSON object", code="invalid_json")
    return InferenceRequest(
        body=body,
        model=_model(document),
        include_usage=_includes_usage(document.get("stream_options")),
        choices=_choices(document),
    )


def _model(document: dict[str, Any]) -> str:
    model = document.get("model")
    if model is None or model == "":
        raise RequestError(400, "The request names no model: set `model`", param="model", code="missing_model")
    if not isinstance(model, str):
        raise RequestError(400, "`model` must be a string", param="model", code="invalid_type")
    return model


def _includes_usage(stream_options: Any) -> bool:
    return isinstance(stream_options, dict) and stream_options.get("include_usage") is True


def _choices(document: dict[str, Any]) -> int:
    """`n` for each prompt; a list of integers is one prompt, in tokens."""
    count = document.get("n")
    prompt = document.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * (count if isinstance(count, int) and count > 0 else 1)
