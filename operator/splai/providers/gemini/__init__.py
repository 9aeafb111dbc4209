"""Google's Gemini API. Imports the parts that providers share, as every provider does.

- https://ai.google.dev/api/generate-content
- https://ai.google.dev/api/embeddings
- https://ai.google.dev/gemini-api/docs/troubleshooting for its errors
"""

import re
from collections.abc import Mapping
from typing import Any

from splai.providers.chat_answer import wants_usage
from splai.providers.errors import RequestError, credentials_refused, error_object, no_such_api, provider_failure
from splai.providers.gemini.answer import ContentStream, whole_answer
from splai.providers.gemini.embeddings import Embeddings
from splai.providers.gemini.request import content_request
from splai.providers.protocol import CHAT, EMBEDDINGS, AnswerStream, Exchange, Identity, Object, with_version

NAME = "Gemini"
BASE_URL = "https://generativelanguage.googleapis.com"

_NO_KEY = frozenset({"API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED"})
_DELAY = re.compile(r"(\d+)(\.\d+)?s")


class Gemini:
    """Speaks with one model."""

    name = NAME

    def __init__(self, model: str, base_url: str | None = None) -> None:
        self.base_url = with_version(base_url or BASE_URL, "/v1beta")
        self._model = model if "/" in model else f"models/{model}"  # tuned ones have a collection of their own

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {"x-goog-api-key": key} if key else {}

    def exchange(self, api: str, document: Object, identity: Identity) -> Exchange:
        if api == CHAT:
            return _Content(content_request(document), self._model, document, identity)
        if api == EMBEDDINGS:
            return Embeddings(document, self._model, identity)
        raise no_such_api(f"/v1{api}", NAME)

    def failure(self, status: int, headers: Mapping[str, str], reply: Any) -> RequestError:
        """A wrong key is a 400 here, and a pause stands in the body."""
        error = error_object(reply)
        details = [detail for detail in error.get("details") or () if isinstance(detail, dict)]
        reasons = {detail.get("reason") for detail in details}
        if status == 400 and (reasons & _NO_KEY or error.get("status") == "FAILED_PRECONDITION"):
            return credentials_refused(NAME, str(error.get("status")))
        delays = [delay for detail in details if (delay := _DELAY.fullmatch(str(detail.get("retryDelay"))))]
        pause = str(int(delays[0][1]) + bool(delays[0][2])) if delays else headers.get("retry-after")
        return provider_failure(NAME, status, error.get("message"), code=error.get("status"), retry_after=pause)


class _Content:
    """One answer that is asked for."""

    def __init__(self, body: Object, model: str, document: Object, identity: Identity) -> None:
        method = "streamGenerateContent?alt=sse" if document.get("stream") else "generateContent"
        self.path = f"/{model}:{method}"
        self.body: Mapping[str, Any] = body
        self._identity = identity
        self._include_usage = wants_usage(document)

    def whole(self, reply: Any) -> Object:
        return whole_answer(reply, self._identity)

    def stream(self) -> AnswerStream:
        return ContentStream(self._identity, include_usage=self._include_usage)
