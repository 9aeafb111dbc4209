"""Providers of ours that follow the public API references: what they refuse, what they answer, how they stream.

Each of them holds the same conversation about the weather: it calls ``get_weather``, streamed in fragments where its
format has them, and after the tool's result it tells what it learnt. A request that the reference does not allow is
answered with the provider's own error, so that a translation that is wrong fails the conversation.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from splai.api.backend_remote import Provider as ProviderName
from tests.unit.gateway.scripted_engine import STREAM_HEAD, Connection, Received, Script, answer

KEY = "sk-of-the-backend"
TEXT = "Let me look it up. "
CITY = {"city": "Lima", "unit": "°C"}
RESULT = {"temperature": 21}
FINAL = ("It is 21 °C", " in Lima.")
FIRST_USAGE = (31, 12)
SECOND_USAGE = (58, 9)


class NotAllowed(Exception):
    """The reference does not allow the request; the words are for whoever reads the test's output."""

    status = 400


class KeyRefused(NotAllowed):
    """The words quote the key, as those of some providers do."""

    status = 401


def require(condition: object, what: str) -> None:
    if not condition:
        raise NotAllowed(what)


def require_key(request: Received, header: str, value: str = KEY) -> None:
    given = request.headers.get(header)
    if given != value:
        raise KeyRefused(f"incorrect API key provided: {given}")


def sse(data: Any, name: str | None = None) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


@dataclass(frozen=True)
class Fake:
    """One provider's side of the conversation."""

    provider: ProviderName
    options: Mapping[str, Any]
    """What the adapter is told beside the base URL."""
    check: Callable[[Received], bool]
    """Raises NotAllowed; whether the tool has answered already."""
    events: Callable[[bool], list[bytes]]
    whole: Callable[[bool], Any]
    error: Callable[[int, str], Any]

    def script(self, cut_after: int | None = None, pause_after: int | None = None) -> Script:
        """Answers every request.

        After ``cut_after`` events of a stream the connection is reset, after ``pause_after`` nothing more comes.
        """

        async def answered(request: Received, connection: Connection) -> None:
            try:
                second = self.check(request)
            except NotAllowed as error:
                await answer(self.error(error.status, str(error)), status=error.status)(request, connection)
                return
            if not (request.json.get("stream") or ":streamGenerateContent" in request.path):
                await answer(self.whole(second))(request, connection)
                return
            await connection.send(STREAM_HEAD)
            for number, event in enumerate(self.events(second)):
                if number == cut_after:
                    connection.reset()
                    return
                if number == pause_after:
                    await connection.peer_left()
                    return
                await connection.chunk(event)
            await connection.chunk(b"")

        return answered


# Anthropic: https://platform.claude.com/docs/en/api/messages and /build-with-claude/streaming


def _anthropic_check(request: Received) -> bool:
    body = request.json
    require(request.path == "/v1/messages", f"path {request.path}")
    require_key(request, "x-api-key")
    require(request.headers.get("anthropic-version") == "2023-06-01", "anthropic-version")
    require(body.keys() <= {"model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream"}, "fields")
    require(isinstance(body["max_tokens"], int), "max_tokens: Field required")
    require(body["system"] == "Be brief.", "system")
    roles = [message["role"] for message in body["messages"]]
    require(roles == ["user", "assistant", "user"][: len(roles)], "roles must take turns")
    (tool,) = body["tools"]
    require(tool["input_schema"]["type"] == "object", "tools.0.input_schema")
    if len(roles) == 1:
        return False
    *_, use = body["messages"][1]["content"]
    require(use["type"] == "tool_use" and use["input"] == CITY, "tool_use")
    require(
        body["messages"][2]["content"]
        == [{"type": "tool_result", "tool_use_id": use["id"], "content": json.dumps(RESULT)}],
        "tool_result must follow its tool_use",
    )
    return True


def _anthropic_event(data: dict[str, Any]) -> bytes:
    return sse(data, data["type"])


def _anthropic_block(index: int, block: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    return [
        _anthropic_event({"type": "content_block_start", "index": index, "content_block": block}),
        *(_anthropic_event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas),
        _anthropic_event({"type": "content_block_stop", "index": index}),
    ]


def _anthropic_message(**fields: Any) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-3-5-sonnet"}
    return {**message, "stop_reason": None, "stop_sequence": None, **fields}


def _anthropic_texts(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": text} for text in texts]


def _anthropic_events(second: bool) -> list[bytes]:
    prompt, answered = SECOND_USAGE if second else FIRST_USAGE
    usage = {"input_tokens": prompt - 10, "cache_read_input_tokens": 10, "output_tokens": 1}
    start = _anthropic_event({"type": "message_start", "message": _anthropic_message(usage=usage)})
    if second:
        blocks = _anthropic_block(0, {"type": "text", "text": ""}, *_anthropic_texts(*FINAL))
    else:
        arguments = json.dumps(CITY)
        fragments = ["", arguments[:7], arguments[7:15], arguments[15:]]
        deltas = [{"type": "input_json_delta", "partial_json": fragment} for fragment in fragments]
        use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
        blocks = _anthropic_block(0, {"type": "text", "text": ""}, *_anthropic_texts(TEXT))
        blocks += _anthropic_block(1, use, *deltas)
    reason = "end_turn" if second else "tool_use"
    end = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": answered}}
    return [
        start,
        _anthropic_event({"type": "ping"}),
        *blocks,
        _anthropic_event(end),
        _anthropic_event({"type": "message_stop"}),
    ]


def _anthropic_whole(second: bool) -> Any:
    prompt, answered = SECOND_USAGE if second else FIRST_USAGE
    usage = {"input_tokens": prompt, "output_tokens": answered}
    if second:
        content = [{"type": "text", "text": "".join(FINAL)}]
        return _anthropic_message(content=content, stop_reason="end_turn", usage=usage)
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": CITY}
    said: list[Any] = [{"type": "text", "text": TEXT}, use]
    return _anthropic_message(content=said, stop_reason="tool_use", usage=usage)


_ANTHROPIC_TYPES = {400: "invalid_request_error", 401: "authentication_error", 529: "overloaded_error"}


def _anthropic_error(status: int, message: str) -> Any:
    error = {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error, "request_id": "req_1"}


ANTHROPIC = Fake(
    "Anthropic",
    {"model": "claude-3-5-sonnet-20241022"},
    _anthropic_check,
    _anthropic_events,
    _anthropic_whole,
    _anthropic_error,
)


# Gemini: https://ai.google.dev/api/generate-content


def _gemini_check(request: Received) -> bool:
    body = request.json
    method = ":streamGenerateContent?alt=sse" if "stream" in request.path else ":generateContent"
    require(request.path == f"/v1beta/models/gemini-1.5-flash{method}", f"path {request.path}")
    require_key(request, "x-goog-api-key")
    require(body.keys() <= {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}, "fields")
    require(body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}, "systemInstruction")
    roles = [content["role"] for content in body["contents"]]
    require(roles == ["user", "model", "user"][: len(roles)], "roles must take turns")
    ((declaration,),) = (tool["functionDeclarations"] for tool in body["tools"])
    require(declaration["parametersJsonSchema"]["type"] == "object", "parametersJsonSchema")
    if len(roles) == 1:
        return False
    *_, called = body["contents"][1]["parts"]
    require(called["functionCall"]["name"] == "get_weather" and called["functionCall"]["args"] == CITY, "functionCall")
    require(called["thoughtSignature"] == "c2lnbmVk", "Function call is missing a thought_signature")
    (given,) = body["contents"][2]["parts"]
    response = {"id": called["functionCall"]["id"], "name": "get_weather", "response": RESULT}
    require(given == {"functionResponse": response}, "functionResponse")
    return True


def _gemini_response(parts: list[Any], usage: tuple[int, int], finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    counts = {"promptTokenCount": usage[0], "candidatesTokenCount": usage[1] - 2, "thoughtsTokenCount": 2}
    return {
        "candidates": [candidate],
        "usageMetadata": {**counts, "totalTokenCount": sum(usage)},
        "modelVersion": "gemini-1.5-flash",
        "responseId": "r1",
    }


_GEMINI_CALL = {"functionCall": {"name": "get_weather", "args": CITY}, "thoughtSignature": "c2lnbmVk"}


def _gemini_events(second: bool) -> list[bytes]:
    thought = sse(_gemini_response([{"text": "Hm.", "thought": True}], (31, 3)))
    if second:
        first, last = FINAL
        texts = [_gemini_response([{"text": first}], (58, 5)), _gemini_response([{"text": last}], (58, 7))]
        return [thought, *map(sse, texts), sse(_gemini_response([{"text": ""}], SECOND_USAGE, "STOP"))]
    called = _gemini_response([_GEMINI_CALL], FIRST_USAGE, "STOP")
    return [thought, sse(_gemini_response([{"text": TEXT}], (31, 5))), sse(called)]


def _gemini_whole(second: bool) -> Any:
    if second:
        return _gemini_response([{"text": text} for text in FINAL], SECOND_USAGE, "STOP")
    return _gemini_response([{"text": TEXT}, _GEMINI_CALL], FIRST_USAGE, "STOP")


_GEMINI_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def _gemini_error(status: int, message: str) -> Any:
    return {"error": {"code": status, "message": message, "status": _GEMINI_STATUS.get(status, "INTERNAL")}}


GEMINI = Fake("Gemini", {"model": "gemini-1.5-flash"}, _gemini_check, _gemini_events, _gemini_whole, _gemini_error)


# OpenAI: https://platform.openai.com/docs/api-reference/chat; Azure: https://learn.microsoft.com/azure/ai-services/openai/reference


def _openai_check(path: str, header: tuple[str, str], model: str) -> Callable[[Received], bool]:
    def check(request: Received) -> bool:
        body = request.json
        require(request.path == path, f"path {request.path}")
        require_key(request, *header)
        require(body["model"] == model, "model")
        require(body["tools"][0]["function"]["name"] == "get_weather", "tools")
        system, user, *more = body["messages"]
        require((system["role"], user["role"]) == ("system", "user"), "roles")
        if not more:
            return False
        called, given = more
        require(json.loads(called["tool_calls"][0]["function"]["arguments"]) == CITY, "arguments")
        require(given["tool_call_id"] == called["tool_calls"][0]["id"], "tool_call_id")
        return True

    return check


def _chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    return _openai_chunk(choices=choices, **more)


def _openai_chunk(**fields: Any) -> bytes:
    envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
    return sse({**envelope, **fields})


def _usage(numbers: tuple[int, int]) -> dict[str, int]:
    prompt, answered = numbers
    return {"prompt_tokens": prompt, "completion_tokens": answered, "total_tokens": prompt + answered}


def _openai_events(second: bool) -> list[bytes]:
    begin = _chunk({"role": "assistant", "content": "", "refusal": None})
    if second:
        said = [_chunk({"content": text}) for text in FINAL]
    else:
        arguments = json.dumps(CITY)
        function = {"name": "get_weather", "arguments": ""}
        call = {"index": 0, "id": "call_1", "type": "function", "function": function}
        fragments = (arguments[:9], arguments[9:14], arguments[14:])
        pieces = [{"index": 0, "function": {"arguments": fragment}} for fragment in fragments]
        said = [_chunk({"content": TEXT}), *(_chunk({"tool_calls": [piece]}) for piece in (call, *pieces))]
    end = _chunk({}, "stop" if second else "tool_calls")
    usage = _openai_chunk(choices=[], usage=_usage(SECOND_USAGE if second else FIRST_USAGE))
    return [begin, *said, end, usage, sse("[DONE]")]


def _azure_events(second: bool) -> list[bytes]:
    """Azure tells first what its filter found in the prompt, in an event without choices."""
    return [_openai_chunk(choices=[], prompt_filter_results=[{"prompt_index": 0}], id=""), *_openai_events(second)]


def _openai_whole(second: bool) -> Any:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(FINAL) if second else TEXT}
    if not second:
        function = {"name": "get_weather", "arguments": json.dumps(CITY)}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": "stop" if second else "tool_calls"}
    envelope = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06"}
    return {**envelope, "choices": [choice], "usage": _usage(SECOND_USAGE if second else FIRST_USAGE)}


def _openai_error(status: int, message: str) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


_BEARER = ("authorization", f"Bearer {KEY}")

OPENAI = Fake(
    "OpenAI",
    {"model": "gpt-4o"},
    _openai_check("/v1/chat/completions", _BEARER, "gpt-4o"),
    _openai_events,
    _openai_whole,
    _openai_error,
)
COMPATIBLE = Fake(
    "OpenAICompatible",
    {},
    _openai_check("/v1/chat/completions", _BEARER, "weather"),
    _openai_events,
    _openai_whole,
    _openai_error,
)
AZURE = Fake(
    "AzureOpenAI",
    {"deployment": "gpt4", "api_version": "2024-10-21"},
    _openai_check("/openai/deployments/gpt4/chat/completions?api-version=2024-10-21", ("api-key", KEY), "gpt4"),
    _azure_events,
    _openai_whole,
    _openai_error,
)
AZURE_V1 = Fake(
    "AzureOpenAI",
    {"deployment": "gpt4"},
    _openai_check("/openai/v1/chat/completions", ("api-key", KEY), "gpt4"),
    _azure_events,
    _openai_whole,
    _openai_error,
)

FAKES: dict[str, Fake] = {
    "OpenAI": OPENAI,
    "OpenAICompatible": COMPATIBLE,
    "Azure": AZURE,
    "Azure v1": AZURE_V1,
    "Anthropic": ANTHROPIC,
    "Gemini": GEMINI,
}
