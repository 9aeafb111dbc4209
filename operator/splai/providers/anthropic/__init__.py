"""Anthropic's Messages API. Imports the parts that providers share, as every provider does.

- https://platform.claude.com/docs/en/api/messages and /streaming
- https://platform.claude.com/docs/en/api/errors
- https://platform.claude.com/docs/en/build-with-claude/structured-outputs
"""

from collections.abc import Mapping
from typing import Any

from splai.providers.anthropic.answer import MessageStream, whole_answer
from splai.providers.anthropic.request import messages_request
from splai.providers.chat_answer import wants_usage
from splai.providers.errors import RequestError, error_object, no_such_api, provider_failure
from splai.providers.protocol import CHAT, AnswerStream, Exchange, Identity, Object, with_version

NAME = "Anthropic"
BASE_URL = "https://api.anthropic.com"
_VERSION = "2023-06-01"


class Anthropic:
    """Speaks with one model."""

    name = NAME

    def __init__(self, model: str, base_url: str | None = None) -> None:
        self.base_url = with_version(base_url or BASE_URL, "/v1")
        self._model = model

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {"anthropic-version": _VERSION, **({"x-api-key": key} if key else {})}

    def exchange(self, api: str, document: Object, identity: Identity) -> Exchange:
        if api != CHAT:
            raise no_such_api(f"/v1{api}", NAME)
        return _Messages(messages_request(document, self._model), identity, include_usage=wants_usage(document))

    def failure(self, status: int, headers: Mapping[str, str], reply: Any) -> RequestError:
        error = error_object(reply)
        return provider_failure(
            NAME, status, error.get("message"), code=error.get("type"), retry_after=headers.get("retry-after")
        )


class _Messages:
    """One message that is asked for."""

    path = "/messages"

    def __init__(self, body: Object, identity: Identity, *, include_usage: bool) -> None:
        self.body: Mapping[str, Any] = body
        self._identity = identity
        self._include_usage = include_usage

    def whole(self, reply: Any) -> Object:
        return whole_answer(reply, self._identity)

    def stream(self) -> AnswerStream:
        return MessageStream(self._identity, include_usage=self._include_usage)
