"""OpenAI, whatever server has its API, and Azure: what is sent and answered passes as it is.

- https://platform.openai.com/docs/api-reference/chat
- https://learn.microsoft.com/azure/ai-services/openai/reference: Azure's dated versions, the deployment in the path
- https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle: its v1 API, the deployment as model

Only the name of the model changes. The end of a stream is held back until it is known to be one, and events that hold
nothing, with which Azure begins, are left out: there are clients that read the first choice of every event.
"""

import json
from collections.abc import Mapping
from typing import Any

from splai.providers.chat_answer import wants_usage
from splai.providers.errors import RequestError, broken_answer, error_object, provider_failure
from splai.providers.protocol import CHAT, AnswerStream, Event, Exchange, Identity, Object, with_version

BASE_URL = "https://api.openai.com"
_MOST_CHOICES = 128


class OpenAI:
    """A server with OpenAI's API."""

    def __init__(self, name: str, model: str, base_url: str) -> None:
        self.name = name
        self.base_url = with_version(base_url, "/v1")
        self._model = model

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def exchange(self, api: str, document: Object, identity: Identity) -> Exchange:
        return PassedThrough(self.name, self.path(api), {**document, "model": self._model})

    def path(self, api: str) -> str:
        return api

    def failure(self, status: int, headers: Mapping[str, str], reply: Any) -> RequestError:
        error = error_object(reply)
        return provider_failure(
            self.name,
            status,
            error.get("message"),
            code=error.get("code"),
            param=error.get("param"),
            retry_after=headers.get("retry-after"),
        )


class OpenAIItself(OpenAI):
    """The provider of this name, whose newer models refuse ``max_tokens``, and all know its successor.

    https://platform.openai.com/docs/api-reference/chat/create#chat-create-max_completion_tokens
    """

    def __init__(self, model: str, base_url: str | None = None) -> None:
        super().__init__("OpenAI", model, base_url or BASE_URL)

    def exchange(self, api: str, document: Object, identity: Identity) -> Exchange:
        if api == CHAT and "max_tokens" in document:
            limit = {"max_completion_tokens": document["max_tokens"]}
            document = limit | {name: value for name, value in document.items() if name != "max_tokens"}
        return super().exchange(api, document, identity)


class AzureOpenAI(OpenAI):
    """OpenAI with another address and another header."""

    def __init__(self, deployment: str, base_url: str, api_version: str | None) -> None:
        super().__init__("Azure OpenAI", deployment, base_url)
        self.base_url = with_version(base_url, "/openai" if api_version else "/openai/v1")
        self._deployment = deployment
        self._api_version = api_version

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {"api-key": key} if key else {}

    def path(self, api: str) -> str:
        if self._api_version is None:
            return api
        return f"/deployments/{self._deployment}{api}?api-version={self._api_version}"


class PassedThrough:
    """One request."""

    def __init__(self, name: str, path: str, body: Object) -> None:
        self.path = path
        self.body: Mapping[str, Any] = body
        self._name = name
        choices = body.get("n")
        self._choices = choices if isinstance(choices, int) and 0 < choices <= _MOST_CHOICES else 1
        self._include_usage = wants_usage(body)

    def whole(self, reply: Any) -> Object:
        if not isinstance(reply, dict):
            raise broken_answer(self._name, "sent a reply that is no JSON object")
        if error := error_object(reply):
            raise _reported(self._name, error)
        return reply

    def stream(self) -> AnswerStream:
        return PassedStream(self._name, self._choices, include_usage=self._include_usage)


class PassedStream:
    """The chunks of one answer, those that end it last."""

    def __init__(self, name: str, choices: int, *, include_usage: bool) -> None:
        self.done = False
        self._name = name
        self._open = choices
        self._include_usage = include_usage
        self._held: list[Object] = []

    def feed(self, event: Event) -> list[Object]:
        if event.data.strip() == "[DONE]":
            self.done = True
            return []
        try:
            chunk = json.loads(event.data)
        except (ValueError, RecursionError):
            chunk = None
        if not isinstance(chunk, dict):
            raise broken_answer(self._name, "sent an event that is no JSON object")
        if error := error_object(chunk):
            raise _reported(self._name, error)
        choices = chunk.get("choices")
        finished = [it for it in choices or () if isinstance(it, dict) and it.get("finish_reason")]
        self._open -= len(finished)
        if not choices and "choices" in chunk and not (self._include_usage and chunk.get("usage")):
            return []
        if finished or not choices:
            self._held.append(chunk)
            return []
        return [chunk]

    def end(self) -> list[Object]:
        """There are servers that do not say [DONE], and others that do not know of ``n``."""
        finished = any(it.get("finish_reason") for chunk in self._held for it in chunk.get("choices") or ())
        if not finished or (self._open > 0 and not self.done):
            raise broken_answer(self._name, "ended the stream before the answer was finished")
        return self._held


def _reported(name: str, error: Mapping[str, Any]) -> RequestError:
    """An error in the place of an answer: it has a code of its own, and sometimes a status."""
    code = error.get("code")
    status = int(str(code)) if str(code).isdecimal() and 400 <= int(str(code)) < 600 else 500
    return provider_failure(name, status, error.get("message"), code=None if code is None else str(code))
