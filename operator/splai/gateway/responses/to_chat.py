"""A Responses request as the chat request that asks an engine for the same.

What needs a server that remembers (earlier responses, conversations, background runs) is refused, not ignored: an
answer without the conversation it belongs to would be wrong and look right.
"""

from collections.abc import Callable
from typing import Any

from splai.gateway.responses import request_fields as fields
from splai.gateway.responses.input_items import chat_messages
from splai.gateway.responses.request_fields import invalid, unsupported

_STATELESS = "nothing is kept between requests; send the whole conversation in `input`"
_REFUSED = {
    "previous_response_id": _STATELESS,
    "conversation": _STATELESS,
    "prompt": "no prompt templates are kept here; send the text in `instructions` and `input`",
    "context_management": "no conversation is kept that could be compacted",
    "moderation": "no moderation model runs here",
}
_LOGPROBS = "message.output_text.logprobs"
_NOT_FORWARDED = frozenset(
    {
        *_REFUSED,
        *("input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "include", "store", "text"),
        *("tools", "tool_choice", "parallel_tool_calls", "reasoning", "top_logprobs", "truncation", "background"),
        *("background_options", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "access_programs", "image", "stream", "stream_options"),
        *("messages", "n", "max_tokens", "max_completion_tokens", "response_format"),
    }
)
"""Fields with a meaning of their own here. All others (``seed``, vLLM's ``top_k``…) are between caller and engine."""


def chat_request(document: dict[str, Any]) -> dict[str, Any]:
    """The chat request for the Responses request ``document``; raises RequestError with status 400."""
    for name, reason in _REFUSED.items():
        if document.get(name) is not None:
            raise unsupported(name, reason)
    if _optional(document, "background", fields.boolean):
        raise unsupported("background", "responses are given at once, not kept to be fetched later")
    _check_unused(document)
    chat = {name: value for name, value in document.items() if name not in _NOT_FORWARDED and value is not None}
    chat["messages"] = chat_messages(document)
    return chat | _sampling(document) | _logprobs(document) | _tools(document) | _text(document) | _stream(document)


def _optional(document: dict[str, Any], name: str, check: Callable[[Any, str], Any], path: str | None = None) -> Any:
    """The checked value, or None where it is absent or null."""
    value = document.get(name)
    return None if value is None else check(value, path or name)


def _check_unused(document: dict[str, Any]) -> None:
    """Fields that only the reply repeats: their types count all the same."""
    for name, value in (_optional(document, "metadata", fields.mapping) or {}).items():
        fields.text(value, f"metadata.{name}")
    _optional(document, "store", fields.boolean)
    _optional(document, "max_tool_calls", fields.integer)
    for name in ("user", "truncation", "service_tier", "safety_identifier", "prompt_cache_key"):
        _optional(document, name, fields.text)


def _sampling(document: dict[str, Any]) -> dict[str, Any]:
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        _optional(document, name, fields.number)
    chat: dict[str, Any] = {}
    limit = _optional(document, "max_output_tokens", fields.integer)
    if limit is not None:
        # vLLM, SGLang and llama.cpp know both names, Ollama only the older one.
        chat["max_tokens"] = limit
    reasoning = _optional(document, "reasoning", fields.mapping) or {}
    effort = _optional(reasoning, "effort", fields.text, "reasoning.effort")
    if effort is not None:
        chat["reasoning_effort"] = effort
    return chat


def _logprobs(document: dict[str, Any]) -> dict[str, Any]:
    include = _optional(document, "include", fields.sequence) or []
    for index, name in enumerate(include):
        fields.text(name, f"include[{index}]")
    count = _optional(document, "top_logprobs", fields.integer) or 0
    return {"logprobs": True, "top_logprobs": count} if count or _LOGPROBS in include else {}


def _tools(document: dict[str, Any]) -> dict[str, Any]:
    tools = [
        _tool(fields.mapping(tool, f"tools[{index}]"), f"tools[{index}]")
        for index, tool in enumerate(_optional(document, "tools", fields.sequence) or [])
    ]
    parallel = _optional(document, "parallel_tool_calls", fields.boolean)
    choice, tools = _tool_choice(document.get("tool_choice"), tools)
    if not tools:
        # vLLM refuses a choice or parallel calls where there are no tools.
        if choice not in (None, "auto", "none"):
            raise invalid("tool_choice", '"auto" or "none" where `tools` has nothing to choose')
        return {}
    chat: dict[str, Any] = {"tools": tools}
    if choice is not None:
        chat["tool_choice"] = choice
    if parallel is not None:
        chat["parallel_tool_calls"] = parallel
    return chat


def _tool(tool: dict[str, Any], path: str) -> dict[str, Any]:
    kind = fields.text(tool.get("type"), f"{path}.type")
    if kind != "function":
        raise unsupported(f"{path}.type", "only tools of type `function` run with this model's engine")
    function: dict[str, Any] = {"name": fields.text(tool.get("name"), f"{path}.name")}
    function |= _given(tool, path, description=fields.text, parameters=fields.mapping, strict=fields.boolean)
    return {"type": "function", "function": function}


def _tool_choice(choice: Any, tools: list[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """Chat's choice, and the tools that it leaves: engines know no lists of allowed tools, so others are not shown."""
    if choice is None or choice in ("auto", "none", "required"):
        return choice, tools
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "function":
        name = fields.text(choice.get("name"), "tool_choice.name")
        return {"type": "function", "function": {"name": name}}, tools
    if kind == "allowed_tools":
        if choice.get("mode") not in ("auto", "required"):
            raise invalid("tool_choice.mode", '"auto" or "required"')
        allowed = _allowed_names(choice)
        return choice["mode"], [tool for tool in tools if tool["function"]["name"] in allowed]
    if isinstance(kind, str):
        raise unsupported("tool_choice.type", "only `function` and `allowed_tools` can be chosen")
    raise invalid("tool_choice", '"auto", "none", "required" or an object with a `type`')


def _allowed_names(choice: dict[str, Any]) -> set[str]:
    names = set()
    for index, tool in enumerate(fields.sequence(choice.get("tools"), "tool_choice.tools")):
        path = f"tool_choice.tools[{index}]"
        names.add(fields.text(fields.mapping(tool, path).get("name"), f"{path}.name"))
    return names


def _text(document: dict[str, Any]) -> dict[str, Any]:
    options = _optional(document, "text", fields.mapping) or {}
    chat: dict[str, Any] = {}
    verbosity = _optional(options, "verbosity", fields.text, "text.verbosity")
    if verbosity is not None:
        chat["verbosity"] = verbosity
    form = _optional(options, "format", fields.mapping, "text.format") or {"type": "text"}
    kind = fields.text(form.get("type"), "text.format.type")
    if kind == "json_object":
        chat["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        chat["response_format"] = {"type": "json_schema", "json_schema": _json_schema(form)}
    elif kind != "text":
        raise unsupported("text.format.type", "known are text, json_object and json_schema")
    return chat


def _json_schema(form: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "name": fields.text(form.get("name"), "text.format.name"),
        "schema": fields.mapping(form.get("schema"), "text.format.schema"),
    }
    return schema | _given(form, "text.format", description=fields.text, strict=fields.boolean)


def _given(document: dict[str, Any], path: str, **checks: Callable[[Any, str], Any]) -> dict[str, Any]:
    """The checked members that are there and not null."""
    values = {name: _optional(document, name, check, f"{path}.{name}") for name, check in checks.items()}
    return {name: value for name, value in values.items() if value is not None}


def _stream(document: dict[str, Any]) -> dict[str, Any]:
    """A streamed response ends with its usage, which chat gives only to those who ask."""
    _optional(document, "stream_options", fields.mapping)
    if not _optional(document, "stream", fields.boolean):
        return {}
    return {"stream": True, "stream_options": {"include_usage": True}}
