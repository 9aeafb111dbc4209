"""What an engine's reaction to a request means: the rules of retrying, as one pure function.

Only an answer about the record costs it an attempt. That the engine cannot be reached, or says that it is restarting
or overloaded, is the backend's state: a restart of a minute must not turn thousands of records into failed lines.

====================================  =================================================
reaction                              verdict
====================================  =================================================
2xx, JSON of the expected shape       Success
2xx, anything else                    Failure: one attempt
408, 500 and other 5xx                Failure: one attempt
no answer in time, a broken answer    Lost: an attempt if the backend works
reset                                 Lost: no attempt, wait for the backend
429, 503                              Away: no attempt, wait for the backend, send fewer at once
502, 504                              Away: no attempt, wait for the backend; see below
refused, not resolved                 Away: no attempt, wait for the backend
3xx, 4xx                              Rejection: final
====================================  =================================================

What is lost, or refused by a proxy, again and again may be the record's own doing: see ``dispatch.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from splai.api.inference_job import RequestType
from splai.api.json import decode_strict

_TOO_MANY_REQUESTS = 429
_OVERLOAD = frozenset({_TOO_MANY_REQUESTS, 503})
_CHAT_USAGE = ("prompt_tokens", "prompt_tokens_details", "completion_tokens", "completion_tokens_details")
_RESPONSE_USAGE = ("input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details")
_BY_PROXY = frozenset({502, 504})  # no engine says so of itself


@dataclass(frozen=True, slots=True)
class Answer:
    """The engine answered with a whole HTTP response."""

    status: int
    body: bytes
    request_id: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The engine took the request and then nothing whole came back: a timeout or a broken response."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Reset:
    """The request was sent, and the connection ended before an answer began."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The request did not get through."""

    message: str


Reaction = Answer | NoAnswer | Reset | Unreachable


class Tokens(NamedTuple):
    """What an answer says it took; a plain tuple, because there is one for every record."""

    prompt: int = 0
    completion: int = 0
    total: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Success:
    """The record is answered."""

    answer: Answer
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Rejection:
    """The engine will never answer this record."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt failed; ``reaction`` is what the error line will show if it was the last."""

    reaction: Answer | NoAnswer


@dataclass(frozen=True, slots=True)
class Lost:
    """The request was sent and nothing whole came back: by itself that says nothing about the record."""

    reaction: NoAnswer
    by_reset: bool = False


@dataclass(frozen=True, slots=True)
class Away:
    """The backend cannot work now."""

    message: str
    retry_after: float | None = None
    throttled: bool = False
    is_overload: bool = False
    by_proxy: Answer | None = None


Verdict = Success | Rejection | Failure | Lost | Away


def judge(reaction: Reaction, request_type: RequestType) -> Verdict:
    """Apply the table above."""
    match reaction:
        case Answer(status=status) if 200 <= status < 300:
            return _read(reaction, request_type)
        case Answer(status=status) if status in _OVERLOAD:
            throttled = status == _TOO_MANY_REQUESTS
            return Away(f"HTTP {status}", reaction.retry_after, throttled=throttled, is_overload=True)
        case Answer(status=status) if status in _BY_PROXY:
            return Away(f"HTTP {status}", reaction.retry_after, by_proxy=reaction)
        case Answer(status=status) if status == 408 or status >= 500:
            return Failure(reaction)
        case Answer():
            return Rejection(reaction)
        case Unreachable(message):
            return Away(message)
        case NoAnswer():
            return Lost(reaction)
        case Reset():
            return Lost(NoAnswer("connection_reset", "The connection ended before the answer."), by_reset=True)


def _read(answer: Answer, request_type: RequestType) -> Success | Failure:
    try:
        body = decode_strict(answer.body.decode())  # NaN in an answer would spoil the output file
    except (ValueError, RecursionError):
        return Failure(NoAnswer("invalid_response", "The answer is not JSON."))
    if not isinstance(body, dict) or not _SHAPES[request_type](body):
        return Failure(NoAnswer("invalid_response", f"The answer is not that of a {request_type} request."))
    return Success(answer, read_tokens(body))


def _is_chat(body: Mapping[str, Any]) -> bool:
    choice = _first(body.get("choices"))
    return isinstance(choice.get("message"), dict)


def _is_completion(body: Mapping[str, Any]) -> bool:
    return isinstance(_first(body.get("choices")).get("text"), str)


def _is_embedding(body: Mapping[str, Any]) -> bool:
    return isinstance(_first(body.get("data")).get("embedding"), list | str)


def _is_response(body: Mapping[str, Any]) -> bool:
    """A response whose generation failed comes with HTTP 200 too; one that was cut at its limit is an answer."""
    return isinstance(body.get("output"), list) and body.get("status") in (None, "completed", "incomplete")


_SHAPES: Mapping[RequestType, Callable[[Mapping[str, Any]], bool]] = {
    "chat": _is_chat,
    "completion": _is_completion,
    "embedding": _is_embedding,
    "response": _is_response,
}


def _first(items: object) -> Mapping[str, Any]:
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}


def read_tokens(body: Mapping[str, Any]) -> Tokens:
    """The tokens that an answer says it took, in either of the API's vocabularies; what is no number counts nothing."""
    reported = body.get("usage")
    if not isinstance(reported, dict):
        return Tokens()
    prompt, prompt_details, completion, completion_details = (
        _RESPONSE_USAGE if "input_tokens" in reported else _CHAT_USAGE
    )
    return Tokens(
        _count(reported.get(prompt)),
        _count(reported.get(completion)),
        _count(reported.get("total_tokens")),
        _detail(reported.get(prompt_details), "cached_tokens"),
        _detail(reported.get(completion_details), "reasoning_tokens"),
    )


def _detail(details: object, name: str) -> int:
    return _count(details.get(name)) if isinstance(details, dict) else 0


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0
