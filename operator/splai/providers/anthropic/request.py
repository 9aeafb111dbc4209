"""A chat completion request as one for the Messages API: https://platform.claude.com/docs/en/api/messages

The API has one system prompt, wants user and assistant to take turns, and has tool results as part of the user's turn.
It demands ``max_tokens``; callers of OpenAI's API often name none, and get what every model of Anthropic's can do.
"""

from splai.providers.chat_request import (
    Assistant,
    Image,
    Message,
    Part,
    System,
    Tool,
    ToolResult,
    check_fields,
    chosen_tool,
    read_messages,
    read_tools,
    response_schema,
    stop_sequences,
    system_text,
)
from splai.providers.errors import unsupported
from splai.providers.protocol import Object

NAME = "Anthropic"
DEFAULT_MAX_TOKENS = 4096
"""The smallest limit among the models of the Messages API; a larger default would be refused by some."""

_COPIED = ("temperature", "top_p", "top_k", "stream")
_TRANSLATED = frozenset(
    {
        *_COPIED,
        *("messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls"),
        "response_format",
    }
)


def messages_request(document: Object, model: str) -> Object:
    """The body; raises RequestError naming the field that has no translation."""
    check_fields(document, _TRANSLATED, NAME)
    messages = read_messages(document, NAME)
    tools = read_tools(document, NAME)
    body: Object = {
        "model": model,
        "max_tokens": document.get("max_completion_tokens") or document.get("max_tokens") or DEFAULT_MAX_TOKENS,
        "messages": _turns(messages),
        **{name: document[name] for name in _COPIED if document.get(name) is not None},
    }
    if system := system_text(messages):
        body["system"] = system
    if stops := stop_sequences(document):
        body["stop_sequences"] = stops
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
        if choice := _tool_choice(document):
            body["tool_choice"] = choice
    if (schema := _schema(document)) is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    if user := document.get("user"):
        body["metadata"] = {"user_id": user}
    return body


def _turns(messages: list[Message]) -> list[Object]:
    """Neighbours of one role are one turn; in a user's turn the results of tools come first, as the API demands."""
    turns: list[Object] = []
    for message in messages:
        if isinstance(message, System):
            continue
        role = "assistant" if isinstance(message, Assistant) else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    for turn in turns:
        turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    return turns


def _blocks(message: Message) -> list[Object]:
    match message:
        case Assistant(text, calls):
            # The API refuses empty texts, which OpenAI's clients send beside tool calls.
            said: list[Object] = [{"type": "text", "text": text}] if text else []
            return said + [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in calls
            ]
        case ToolResult(call_id, text, _):
            return [{"type": "tool_result", "tool_use_id": call_id, "content": text}]
        case System():
            return []
        case _:
            return [_block(part) for part in message.parts]


def _block(part: Part) -> Object:
    if not isinstance(part, Image):
        return {"type": "text", "text": part.text}
    if (data := part.data) is not None:
        source = {"type": "base64", "media_type": data[0], "data": data[1]}
    else:
        source = {"type": "url", "url": part.url}
    return {"type": "image", "source": source}


def _tool(tool: Tool) -> Object:
    described = {"description": tool.description} if tool.description else {}
    strict = {"strict": True} if tool.strict else {}
    schema = tool.parameters or {"type": "object", "properties": {}}
    return {"name": tool.name, **described, "input_schema": schema, **strict}


def _tool_choice(document: Object) -> Object | None:
    """OpenAI's ``parallel_tool_calls`` is a part of the choice here."""
    choice = chosen_tool(document, NAME)
    alone = document.get("parallel_tool_calls") is False
    if choice == "none":
        return {"type": "none"}
    one = {"disable_parallel_tool_use": True} if alone else {}
    if isinstance(choice, tuple):
        return {"type": "tool", "name": choice[0], **one}
    if choice == "required":
        return {"type": "any", **one}
    return {"type": "auto", **one} if choice == "auto" or alone else None


def _schema(document: Object) -> Object | None:
    kind, schema = response_schema(document)
    if kind == "json_object":
        raise unsupported("response_format", NAME)
    return schema
