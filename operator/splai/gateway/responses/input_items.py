"""The ``instructions`` and ``input`` of a Responses request as chat messages."""

from collections.abc import Callable
from typing import Any

from splai.gateway.errors import RequestError
from splai.gateway.responses.request_fields import invalid, mapping, text, unsupported

_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
"""Chat templates of open models know no ``developer``."""


def chat_messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The conversation in chat's form, the instructions first; raises RequestError with status 400.

    Reasoning of earlier turns is left out: chat has no field for it that engines agree on, and their templates drop
    it from all turns but the last.
    """
    messages: list[dict[str, Any]] = []
    if document.get("instructions") is not None:
        messages.append({"role": "system", "content": text(document["instructions"], "instructions")})
    given = document.get("input")
    if given is None:
        raise RequestError(400, "The request has no `input`", param="input", code="missing_input")
    if isinstance(given, str):
        messages.append({"role": "user", "content": given})
        return messages
    if not isinstance(given, list) or not given:
        raise invalid("input", "a string or a list of items that is not empty")
    for index, item in enumerate(given):
        _add_item(messages, mapping(item, f"input[{index}]"), f"input[{index}]")
    return messages


def _add_item(messages: list[dict[str, Any]], item: dict[str, Any], path: str) -> None:
    kind = item.get("type", "message")
    if kind == "message":
        _add_message(messages, item, path)
    elif kind == "function_call":
        _add_function_call(messages, item, path)
    elif kind == "function_call_output":
        call_id = text(item.get("call_id"), f"{path}.call_id")
        content = _content(item.get("output"), f"{path}.output")
        messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
    elif kind != "reasoning":
        text(kind, f"{path}.type")
        reason = "the engine of this model speaks chat, where only messages, function calls and their outputs exist"
        raise unsupported(f"{path}.type", reason)


def _add_message(messages: list[dict[str, Any]], item: dict[str, Any], path: str) -> None:
    role = _ROLES.get(text(item.get("role"), f"{path}.role"))
    if role is None:
        raise invalid(f"{path}.role", f"one of {', '.join(_ROLES)}")
    content = _content(item.get("content"), f"{path}.content")
    before: dict[str, Any] = messages[-1] if messages else {"role": None}
    if before["role"] == role == "system" and isinstance(content, str) and isinstance(before["content"], str):
        # Many templates accept one system message, and only as the first.
        before["content"] += "\n\n" + content
        return
    messages.append({"role": role, "content": content})


def _add_function_call(messages: list[dict[str, Any]], item: dict[str, Any], path: str) -> None:
    """Calls of one turn, and the words before them, are one message in chat."""
    call = {
        "id": text(item.get("call_id"), f"{path}.call_id"),
        "type": "function",
        "function": {
            "name": text(item.get("name"), f"{path}.name"),
            "arguments": text(item.get("arguments"), f"{path}.arguments"),
        },
    }
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(call)


def _content(value: Any, path: str) -> str | list[dict[str, Any]]:
    """A single text as a string, which every template understands; anything else as parts."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise invalid(path, "a string or a list of content parts")
    parts = [_part(mapping(part, f"{path}[{index}]"), f"{path}[{index}]") for index, part in enumerate(value)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(part: dict[str, Any], path: str) -> dict[str, Any]:
    kind = text(part.get("type"), f"{path}.type")
    translate = _PARTS.get(kind)
    if translate is None:
        raise unsupported(f"{path}.type", f"known are {', '.join(_PARTS)}")
    return translate(part, path)


def _text_part(part: dict[str, Any], path: str) -> dict[str, Any]:
    return {"type": "text", "text": text(part.get("text"), f"{path}.text")}


def _refusal_part(part: dict[str, Any], path: str) -> dict[str, Any]:
    """As text: engines know no refusals in what the assistant said before."""
    return {"type": "text", "text": text(part.get("refusal"), f"{path}.refusal")}


def _image_part(part: dict[str, Any], path: str) -> dict[str, Any]:
    if part.get("file_id") is not None:
        raise unsupported(f"{path}.file_id", "send the image as a URL or a data URL in `image_url`")
    image = {"url": text(part.get("image_url"), f"{path}.image_url")}
    if part.get("detail") is not None:
        image["detail"] = text(part["detail"], f"{path}.detail")
    return {"type": "image_url", "image_url": image}


def _file_part(part: dict[str, Any], path: str) -> dict[str, Any]:
    for name in ("file_id", "file_url"):
        if part.get(name) is not None:
            raise unsupported(f"{path}.{name}", "send the file itself in `file_data`")
    file = {"file_data": text(part.get("file_data"), f"{path}.file_data")}
    if part.get("filename") is not None:
        file["filename"] = text(part["filename"], f"{path}.filename")
    return {"type": "file", "file": file}


def _audio_part(part: dict[str, Any], path: str) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": mapping(part.get("input_audio"), f"{path}.input_audio")}


_PARTS: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "input_text": _text_part,
    "output_text": _text_part,
    "text": _text_part,
    "refusal": _refusal_part,
    "input_image": _image_part,
    "input_file": _file_part,
    "input_audio": _audio_part,
}
