"""A chat completion request as one for generateContent: https://ai.google.dev/api/generate-content

The API has one system instruction; a tool's result names the function, and is an object. Models that think sign their
tool calls, and want the signature back (https://ai.google.dev/gemini-api/docs/thought-signatures): it travels where
Google's own OpenAI API has it, in ``extra_content.google.thought_signature`` of the tool call. A client that does not
send it back, or a call of another model, gets the word that the page has for such histories.
"""

import json

from splai.providers.chat_request import (
    Assistant,
    Image,
    Message,
    Part,
    System,
    Tool,
    ToolResult,
    User,
    check_fields,
    chosen_tool,
    read_messages,
    read_tools,
    response_schema,
    stop_sequences,
    system_text,
)
from splai.providers.errors import invalid
from splai.providers.protocol import Object

NAME = "Gemini"
UNSIGNED = "skip_thought_signature_validator"

_SETTINGS = {
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_TRANSLATED = frozenset({*_SETTINGS, "messages", "stop", "tools", "tool_choice", "response_format"})


def content_request(document: Object) -> Object:
    """The body; raises RequestError naming the field that has no translation."""
    check_fields(document, _TRANSLATED, NAME)
    messages = read_messages(document, NAME)
    tools = read_tools(document, NAME)
    body: Object = {"contents": _contents(messages)}
    if system := system_text(messages):
        body["systemInstruction"] = {"parts": [{"text": system}]}
    if tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in tools]}]
        if (choice := chosen_tool(document, NAME)) is not None:
            body["toolConfig"] = {"functionCallingConfig": _calling(choice)}
    if settings := _settings(document):
        body["generationConfig"] = settings
    return body


def _contents(messages: list[Message]) -> list[Object]:
    """Neighbours of one role are one turn, so that all results of parallel calls stand in one."""
    names = {call.id: call.name for message in messages if isinstance(message, Assistant) for call in message.calls}
    contents: list[Object] = []
    for message in messages:
        if isinstance(message, System):
            continue
        role = "model" if isinstance(message, Assistant) else "user"
        parts = _turn(message, names)
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    return contents


def _turn(message: Message, names: dict[str, str]) -> list[Object]:
    match message:
        case Assistant():
            return _answered(message)
        case ToolResult(call_id, text, path):
            if call_id not in names:
                raise invalid(f"{path}.tool_call_id", "no earlier message has a tool call of this id")
            return [{"functionResponse": {"id": call_id, "name": names[call_id], "response": _result(text)}}]
        case User(parts):
            return [_part(part) for part in parts]
        case System():
            return []


def _answered(message: Assistant) -> list[Object]:
    """Of parallel calls only the first one is signed."""
    parts: list[Object] = [{"text": message.text}] if message.text else []
    for index, call in enumerate(message.calls):
        google = call.extra.get("google")
        signature = google.get("thought_signature") if isinstance(google, dict) else None
        if signature is None and index == 0:
            signature = UNSIGNED
        signed = {"thoughtSignature": signature} if signature else {}
        parts.append({"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}, **signed})
    return parts


def _result(text: str) -> Object:
    """What a tool gave as an object; anything else becomes one, under the key that the reference names."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return value if isinstance(value, dict) else {"output": value}


def _part(part: Part) -> Object:
    if not isinstance(part, Image):
        return {"text": part.text}
    if (data := part.data) is None:
        raise invalid(part.path, f"{NAME} is shown images as data: URLs, for it fetches none")
    return {"inlineData": {"mimeType": data[0], "data": data[1]}}


def _declaration(tool: Tool) -> Object:
    declaration: Object = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters:
        declaration["parametersJsonSchema"] = tool.parameters
    return declaration


def _calling(choice: str | tuple[str]) -> Object:
    if isinstance(choice, tuple):
        return {"mode": "ANY", "allowedFunctionNames": list(choice)}
    return {"mode": {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice]}


def _settings(document: Object) -> Object:
    settings = {ours: document[name] for name, ours in _SETTINGS.items() if document.get(name) is not None}
    if stops := stop_sequences(document):
        settings["stopSequences"] = stops
    kind, schema = response_schema(document)
    if kind != "text":
        settings["responseMimeType"] = "application/json"
    if schema is not None:
        settings["responseJsonSchema"] = schema
    return settings
