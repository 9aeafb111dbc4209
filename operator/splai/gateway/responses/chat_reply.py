"""What whole chat completions and their chunks have in common, read for the Responses API.

Engines disagree on little: vLLM and llama.cpp say ``reasoning_content``, newer vLLM and Ollama ``reasoning``.
"""

from dataclasses import dataclass
from typing import Any, Literal


class NotAnAnswer(Exception):
    """An engine's reply with status 200 that is no finished chat completion; the text quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer ended: the ``status`` of its response and, if that is not completed, why."""

    status: Literal["completed", "incomplete"]
    reason: str | None = None


_COMPLETED = Outcome("completed")
_OUTCOMES = {
    "stop": _COMPLETED,
    "tool_calls": _COMPLETED,
    "function_call": _COMPLETED,
    "length": Outcome("incomplete", "max_output_tokens"),
    "content_filter": Outcome("incomplete", "content_filter"),
}
GIVEN_UP = frozenset({"abort", "error", "cancelled"})
"""What vLLM and SGLang put in the place of a reason when they gave up."""


def outcome(finish_reason: str) -> Outcome | None:
    """None if the engine gave up. A reason that chat does not know is no reason to call an answer complete."""
    if finish_reason in GIVEN_UP:
        return None
    return _OUTCOMES.get(finish_reason) or Outcome("incomplete", finish_reason)


def text_of(message: dict[str, Any], name: str) -> str:
    """A text of a message or delta, "" where it is absent or null; raises NotAnAnswer for any other type."""
    value = message.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotAnAnswer(f"`{name}` is not a string")
    return value


def reasoning_of(message: dict[str, Any]) -> str:
    """vLLM sends both names at once while it moves from one to the other."""
    return text_of(message, "reasoning_content") or text_of(message, "reasoning")


def object_of(value: Any, name: str) -> dict[str, Any]:
    """A member that must be an object, {} where it is null; raises NotAnAnswer."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NotAnAnswer(f"`{name}` is not an object")
    return value


def objects_of(value: Any, name: str) -> list[dict[str, Any]]:
    """A member that must be a list of objects, [] where it is null; raises NotAnAnswer."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise NotAnAnswer(f"`{name}` is not a list of objects")
    return value


def logprobs_of(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """The log probabilities of the tokens of the text, with the keys that the Responses API requires."""
    if choice.get("logprobs") is None:
        return []
    logprobs = object_of(choice["logprobs"], "logprobs")
    return [
        _logprob(entry)
        | {"top_logprobs": [_logprob(other) for other in objects_of(entry.get("top_logprobs"), "top_logprobs")]}
        for entry in objects_of(logprobs.get("content"), "logprobs.content")
    ]


def _logprob(entry: dict[str, Any]) -> dict[str, Any]:
    return {"token": entry.get("token"), "logprob": entry.get("logprob"), "bytes": entry.get("bytes") or []}


def response_usage(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    """Chat's usage in the words of the Responses API."""
    if not usage:
        return None
    of_input, of_output = _details(usage, "prompt_tokens_details"), _details(usage, "completion_tokens_details")
    input_tokens, output_tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": _count(of_input, "cached_tokens"),
            "cache_write_tokens": _count(of_input, "cache_write_tokens"),
        },
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": _count(of_output, "reasoning_tokens")},
        "total_tokens": _count(usage, "total_tokens") or input_tokens + output_tokens,
    }


def chat_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """A response's usage in chat's words, so that tokens are counted in one way."""
    of_input, of_output = _details(usage, "input_tokens_details"), _details(usage, "output_tokens_details")
    return {
        "prompt_tokens": _count(usage, "input_tokens"),
        "prompt_tokens_details": {"cached_tokens": _count(of_input, "cached_tokens")},
        "completion_tokens": _count(usage, "output_tokens"),
        "completion_tokens_details": {"reasoning_tokens": _count(of_output, "reasoning_tokens")},
        "total_tokens": _count(usage, "total_tokens"),
    }


def _details(usage: dict[str, Any], name: str) -> dict[str, Any]:
    details = usage.get(name)
    return details if isinstance(details, dict) else {}


def _count(usage: dict[str, Any], name: str) -> int:
    """Many engines leave out what they do not count, or say null."""
    count = usage.get(name)
    return count if isinstance(count, int) else 0
