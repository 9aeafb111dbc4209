"""What the adapter asks of a provider's translation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from splai.providers.errors import RequestError

Object = dict[str, Any]

CHAT = "/chat/completions"
COMPLETIONS = "/completions"
EMBEDDINGS = "/embeddings"


@dataclass(frozen=True)
class Event:
    """A server-sent event; without a name it is a ``message``."""

    name: str
    data: str


@dataclass(frozen=True)
class Identity:
    """What an answer is called where the provider has no word for it."""

    id: str
    created: int
    """Unix seconds."""
    model: str
    """The id that was asked for."""


class AnswerStream(Protocol):
    """A streamed answer on its way; its end, ``finish_reason`` and usage, waits until it is known to be whole."""

    done: bool
    """The provider said that it was the end: nothing more is to be read."""

    def feed(self, event: Event) -> Sequence[Object]:
        """OpenAI chunks for the caller; raises RequestError for an error in the stream."""

    def end(self) -> Sequence[Object]:
        """The last chunks; raises RequestError if the answer is not whole."""


class Exchange(Protocol):
    """One request in the words of the provider, and what becomes of the answer."""

    path: str
    """Below the base URL, with its query."""
    body: Mapping[str, Any]

    def whole(self, reply: Any) -> Object:
        """OpenAI's reply; raises RequestError for what is none."""

    def stream(self) -> AnswerStream: ...


class Provider(Protocol):
    """One provider's API."""

    name: str
    """For messages."""
    base_url: str
    """With the path of the API's version."""

    def headers(self, key: str | None) -> Mapping[str, str]:
        """Those of every request; ``key`` is what the Secret holds."""

    def exchange(self, api: str, document: Object, identity: Identity) -> Exchange:
        """Translate a request for CHAT, COMPLETIONS or EMBEDDINGS; raises RequestError naming the field."""

    def failure(self, status: int, headers: Mapping[str, str], reply: Any) -> RequestError:
        """What a reply with another status than 200 means; None stands for a reply that is no JSON."""


def with_version(base_url: str, path: str) -> str:
    """A base URL without a path gets the one of the API's usual version."""
    url = base_url.rstrip("/")
    return url if "/" in url.partition("://")[2] else url + path
