"""A whole response of an engine that has the Responses API itself."""

from splai.gateway.responses.chat_reply import NotAnAnswer, chat_usage, object_of
from splai.gateway.responses.json_bytes import decode, encode
from splai.gateway.responses.response_object import WholeResponse


def native_response(model: str, reply: bytes) -> WholeResponse:
    """The engine's own bytes, written anew only if they name another model; raises NotAnAnswer.

    A response may come with status 200 and say that it failed.
    """
    try:
        response = object_of(decode(reply), "reply")
    except ValueError as error:
        raise NotAnAnswer("The reply is not JSON") from error
    if response.get("status") not in ("completed", "incomplete"):
        raise NotAnAnswer("The reply is not a finished response")
    usage = object_of(response.get("usage"), "usage")
    if response.get("model") != model:
        reply = encode({**response, "model": model})
    return WholeResponse(reply, chat_usage(usage) if usage else None)
