"""How one API of the gateway is spoken with an engine: the path and body it gets, what becomes of its answer."""

import re
from typing import Any, Protocol

import orjson

from splai.gateway.inference.answer_stream import UNFINISHED, AnswerStream, StreamedAnswer
from splai.gateway.inference.model_field import has_model, with_model
from splai.gateway.inference.request import InferenceRequest
from splai.gateway.inference.sse import DONE
from splai.gateway.paths import RESPONSES
from splai.gateway.responses.chat_reply import GIVEN_UP, NotAnAnswer
from splai.gateway.responses.event_writer import error_event
from splai.gateway.responses.json_bytes import decode
from splai.gateway.responses.native_response import native_response
from splai.gateway.responses.native_stream import NativeResponseStream
from splai.gateway.responses.response_object import whole_response
from splai.gateway.responses.response_stream import ResponseStream
from splai.gateway.responses.to_chat import chat_request
from splai.gateway.routing.routes import BackendRoute

STREAM_OPTIONS = b'{"stream_options":{"include_usage":true},'
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"([^"]*)"')
_MOST_PARSED_BYTES = 256 * 1024
_GIVEN_UP = tuple(GIVEN_UP)  # an engine may put there what has no hash


class BrokenAnswer(Exception):
    """A reply with status 200 that is no whole answer."""


WholeAnswer = tuple[bytes, dict[str, Any] | None]
"""A whole answer as the caller gets it; the tokens that it took, if the engine says so."""


class Dialect(Protocol):
    """One request in the words of an engine."""

    path: bytes
    """Of the engine's API."""

    def body_for(self, model: str) -> bytes:
        """The request's body for an engine that serves ``model``."""

    def stream(self) -> StreamedAnswer:
        """What becomes of a streamed answer."""

    def whole(self, reply: bytes) -> WholeAnswer:
        """What becomes of a whole answer; raises BrokenAnswer."""


class PassThrough:
    """An API that the engine speaks itself: the bytes stay, but for the model's name."""

    def __init__(self, path: bytes, request: InferenceRequest) -> None:
        self.path = path
        self._request = request

    def body_for(self, model: str) -> bytes:
        request = self._request
        body = request.body if model == request.model else _renamed(request, model)
        if request.stream and "stream_options" not in request.document:
            return STREAM_OPTIONS + body[body.index(b"{") + 1 :]  # so that tokens are counted; the caller sees no trace
        return body

    def stream(self) -> StreamedAnswer:
        return AnswerStream(self._request)

    def whole(self, reply: bytes) -> WholeAnswer:
        document, model = checked_document(reply), self._request.model
        if document is None:
            encoded = model.encode()
            return (reply if has_model(reply, encoded) else with_model(reply, encoded)), None
        return (reply if document.get("model") == model else with_model(reply, model.encode())), usage_of(document)


class TranslatedResponses:
    """The Responses API with an engine that speaks chat alone."""

    path = b"/v1/chat/completions"

    def __init__(self, request: InferenceRequest) -> None:
        """Raises RequestError for what chat has no words for."""
        self._document = request.document
        self._chat = chat_request(request.document)

    def body_for(self, model: str) -> bytes:
        return orjson.dumps({**self._chat, "model": model})

    def stream(self) -> StreamedAnswer:
        return ResponseStream(self._document)

    def whole(self, reply: bytes) -> WholeAnswer:
        try:
            response = whole_response(self._document, reply)
        except NotAnAnswer as error:
            raise BrokenAnswer from error
        return response.body, response.usage


class NativeResponses:
    """The Responses API with an engine that has it."""

    path = RESPONSES.encode()

    def __init__(self, request: InferenceRequest) -> None:
        self._request = request

    def body_for(self, model: str) -> bytes:
        return self._request.body if model == self._request.model else _renamed(self._request, model)

    def stream(self) -> StreamedAnswer:
        return NativeResponseStream(self._request.model)

    def whole(self, reply: bytes) -> WholeAnswer:
        try:
            response = native_response(self._request.model, reply)
        except NotAnAnswer as error:
            raise BrokenAnswer from error
        return response.body, response.usage


def dialect_for(api: str, request: InferenceRequest, backend: BackendRoute) -> Dialect:
    """How a backend is to be spoken to about a request to ``api``, one of ``paths.APIS``."""
    if api != RESPONSES:
        return PassThrough(api.encode(), request)
    return NativeResponses(request) if backend.native_responses else TranslatedResponses(request)


def failed_event(api: str, body: bytes) -> bytes:
    """The end of a stream that said nothing but pings; ``body`` is that of the error reply it would have been."""
    if api == RESPONSES:
        error = decode(body)["error"]
        return error_event(0, error["message"], error["code"] or error["type"])
    return b"data: " + body + b"\n\n" + DONE + b"\n\n"


def check_json(reply: bytes) -> Any:
    """The value of a whole reply; raises BrokenAnswer if it is no JSON."""
    try:
        return decode(reply)
    except ValueError as error:
        raise BrokenAnswer from error


def checked_document(reply: bytes) -> dict[str, Any] | None:
    """A whole reply, read.

    Raises BrokenAnswer if it is no JSON object, an error, or an answer that was given up. A large one, a batch of
    embeddings, is judged by its two ends, and None: reading millions of numbers would hold up everybody.
    """
    if len(reply) > _MOST_PARSED_BYTES:
        if not (reply.lstrip()[:1] == b"{" and reply.rstrip()[-1:] == b"}"):
            raise BrokenAnswer
        if not UNFINISHED.isdisjoint(_FINISH.findall(reply)):
            raise BrokenAnswer
        return None
    document = check_json(reply)
    if not isinstance(document, dict) or document.get("error") or _was_given_up(document.get("choices")):
        raise BrokenAnswer
    return document


def _was_given_up(choices: Any) -> bool:
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict) and choice.get("finish_reason") in _GIVEN_UP:
                return True
    return False


def usage_of(document: dict[str, Any]) -> dict[str, Any] | None:
    """The tokens of an answer, if it tells them."""
    usage = document.get("usage")
    return usage if isinstance(usage, dict) else None


def _renamed(request: InferenceRequest, model: str) -> bytes:
    body = with_model(request.body, model.encode())
    if body is not request.body:
        return body
    return orjson.dumps({**request.document, "model": model})  # the key was written in escapes
