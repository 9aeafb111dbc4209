"""A chat completion request, read for providers that have another API: messages, tools and what else it may hold.

Nothing is guessed and nothing left out in silence: a field without a translation is refused by its name, unless it
holds what is true anyway, or is a label that changes no answer.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from splai.providers.errors import invalid, unsupported
from splai.providers.protocol import Object

_LABELS = frozenset(
    {"metadata", "model", "prompt_cache_key", "safety_identifier", "store", "stream", "stream_options", "user"}
)
"""They change no answer."""
_NEUTRAL: Object = {
    "frequency_penalty": 0,
    "function_call": "none",
    "functions": [],
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "service_tier": "auto",
    "top_logprobs": 0,
}
"""What holds where the field is left out."""


@dataclass(frozen=True)
class Text:
    """A piece of text."""

    text: str


@dataclass(frozen=True)
class Image:
    """An image by its URL, which may be a ``data:`` one; ``path`` says where it stands in the request."""

    url: str
    path: str

    @property
    def data(self) -> tuple[str, str] | None:
        """Media type and Base64 of a ``data:`` URL; None for any other. Raises RequestError for a broken one."""
        if not self.url.startswith("data:"):
            return None
        head, separator, encoded = self.url.removeprefix("data:").partition(",")
        media_type, _, encoding = head.partition(";")
        if not separator or encoding != "base64" or not media_type:
            raise invalid(self.path, "must be data:<media type>;base64,<data>")
        return media_type, encoded


Part = Text | Image


@dataclass(frozen=True)
class Call:
    """A tool call of an earlier answer."""

    id: str
    name: str
    arguments: Object
    extra: Object = field(default_factory=dict)
    """What Gemini's own OpenAI API keeps here between two requests."""


@dataclass(frozen=True)
class System:
    """An instruction, of role system or developer."""

    text: str


@dataclass(frozen=True)
class User:
    """What the user says and shows."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Assistant:
    """An earlier answer."""

    text: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class ToolResult:
    """What a tool call gave; ``path`` says where it stands in the request."""

    call_id: str
    text: str
    path: str


Message = System | User | Assistant | ToolResult


@dataclass(frozen=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str | None
    parameters: Object | None
    strict: bool


def check_fields(document: Object, translated: frozenset[str], provider: str) -> None:
    """Raise RequestError for a field that would change the answer and cannot be said to the provider."""
    for name, value in document.items():
        if value is None or name in translated or name in _LABELS or (name in _NEUTRAL and value == _NEUTRAL[name]):
            continue
        raise unsupported(name, provider)


def read_messages(document: Object, provider: str) -> list[Message]:
    """Raises RequestError naming what is wrong, or cannot be shown to the provider."""
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "must be a list of at least one message")
    return [_message(message, f"messages[{index}]", provider) for index, message in enumerate(messages)]


def system_text(messages: list[Message]) -> str:
    """All instructions as one; the providers know a single one, for the whole conversation."""
    return "\n\n".join(message.text for message in messages if isinstance(message, System) and message.text)


def read_tools(document: Object, provider: str) -> list[Tool]:
    """Raises RequestError for tools that are no functions."""
    tools = document.get("tools") or []
    if not isinstance(tools, list):
        raise invalid("tools", "must be a list")
    return [_tool(tool, f"tools[{index}]", provider) for index, tool in enumerate(tools)]


def stop_sequences(document: Object) -> list[str]:
    """``stop`` as a list; it may be one text."""
    stop = document.get("stop")
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or not all(isinstance(text, str) for text in stops):
        raise invalid("stop", "must be a text or a list of texts")
    return stops


def chosen_tool(document: Object, provider: str) -> str | tuple[str] | None:
    """``auto``, ``none`` or ``required``, a tuple with the name of the one function, or None where nothing is said."""
    choice = document.get("tool_choice")
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    if isinstance(choice, dict) and choice.get("type") == "function":
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str):
            return (name,)
        raise invalid("tool_choice.function.name", "must be a text")
    raise unsupported("tool_choice", provider)


def response_schema(document: Object) -> tuple[str, Object | None]:
    """The type of ``response_format``, and its JSON Schema if it has one."""
    wanted = document.get("response_format") or {"type": "text"}
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise invalid("response_format.type", "must be text, json_object or json_schema")
    if kind != "json_schema":
        return kind, None
    named = wanted.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise invalid("response_format.json_schema.schema", "must be an object")
    return kind, schema


def _message(message: Any, path: str, provider: str) -> Message:
    if not isinstance(message, dict):
        raise invalid(path, "must be an object")
    role, content = message.get("role"), message.get("content")
    if role in ("system", "developer"):
        return System(_only_text(content, path, provider))
    if role == "user":
        return User(tuple(_parts(content, path, provider)))
    if role == "assistant":
        if message.get("function_call") is not None:
            raise unsupported(f"{path}.function_call", provider)
        text = "" if content is None else _only_text(content, path, provider)
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise invalid(f"{path}.tool_calls", "must be a list")
        return Assistant(text, tuple(_call(call, f"{path}.tool_calls[{i}]", provider) for i, call in enumerate(calls)))
    if role == "tool":
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str):
            raise invalid(f"{path}.tool_call_id", "must be a text")
        return ToolResult(call_id, _only_text(content, path, provider), path)
    raise invalid(f"{path}.role", "must be system, developer, user, assistant or tool")


def _only_text(content: Any, path: str, provider: str) -> str:
    texts = []
    for part in _parts(content, path, provider):
        if not isinstance(part, Text):
            raise invalid(f"{path}.content", "an image can stand in a message of the user alone")
        texts.append(part.text)
    return "".join(texts)


def _parts(content: Any, path: str, provider: str) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
        return
    if not isinstance(content, list):
        raise invalid(f"{path}.content", "must be a text or a list of parts")
    for index, part in enumerate(content):
        yield _part(part, f"{path}.content[{index}]", provider)


def _part(part: Any, path: str, provider: str) -> Part:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal"):
        if not isinstance(part.get(kind), str):
            raise invalid(f"{path}.{kind}", "must be a text")
        return Text(part[kind])
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else None
        if not isinstance(url, str):
            raise invalid(f"{path}.image_url.url", "must be a text")
        return Image(url, f"{path}.image_url.url")
    if isinstance(kind, str):
        raise unsupported(f"{path}.{kind}", provider)
    raise invalid(f"{path}.type", "must be a text")


def _call(call: Any, path: str, provider: str) -> Call:
    if not isinstance(call, dict):
        raise invalid(path, "must be an object")
    if call.get("type", "function") != "function":
        raise unsupported(f"{path}.type", provider)
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise invalid(f"{path}.function.name", "must be a text")
    if not isinstance(call.get("id"), str):
        raise invalid(f"{path}.id", "must be a text")
    extra = call.get("extra_content")
    return Call(call["id"], function["name"], _arguments(function, path), extra if isinstance(extra, dict) else {})


def _arguments(function: Object, path: str) -> Object:
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except (TypeError, ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise invalid(f"{path}.function.arguments", "must be the text of a JSON object")
    return arguments


def _tool(tool: Any, path: str, provider: str) -> Tool:
    if not isinstance(tool, dict):
        raise invalid(path, "must be an object")
    if tool.get("type") != "function":
        raise unsupported(f"{path}.type", provider)
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise invalid(f"{path}.function.name", "must be a text")
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise invalid(f"{path}.function.parameters", "must be a JSON Schema")
    return Tool(function["name"], function.get("description"), parameters, function.get("strict") is True)
