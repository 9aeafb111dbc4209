"""The pool that a request's model name means, with ``auto`` chosen by what the request asks for.

A backend that really serves an id such as ``auto`` keeps it: rules come after names.
"""

import re
from typing import Any, NamedTuple

from splai.gateway.errors import RequestError
from splai.gateway.routing.routes import AUTO, Pool, RouteTable

NAMED_IN_ERRORS = 20
CHAT = "chat"
CODE = "code"
CAPABILITY_HEADER = b"x-splai-capability"
_PREFIX = f"{AUTO}:"
_CHOICE = re.compile(rf"{AUTO}(:[a-z0-9]([-a-z0-9_.]{{0,61}}[a-z0-9])?)?")
"""Nothing else, for this name stands in replies as it was asked for."""
_ABOUT_CODE = re.compile("function|class|implement|code|programming")
_MOST_TEXT = 65536
"""Characters of a text that are looked at; a whole file may be pasted into a message."""


class Choice(NamedTuple):
    """Whom a request goes to."""

    pool: Pool
    capability: str | None = None
    """The one that decided; None when the request named a model, or the default answers."""


def asks_for_choice(table: RouteTable, model: str) -> bool:
    """Whether the model is to be chosen by capability: only then is the request's text worth looking for."""
    return model.startswith(AUTO) and _CHOICE.fullmatch(model) is not None and table.find(model) is None


def resolve(table: RouteTable, model: str, *, asked: str | None = None, text: str = "") -> Choice:
    """The pool for ``model``; raises RequestError that says which names or capabilities there are.

    For ``auto``, the capability after the colon of ``auto:code`` decides, then the one that was ``asked`` for (header
    `X-SPLAI-Capability`), then the last user ``text``. One that nobody has goes to the default.
    """
    if not asks_for_choice(table, model):
        return Choice(find_pool(table, model))
    capability = model.removeprefix(_PREFIX) if model != AUTO else asked or capability_of(text)
    pool = table.capabilities.get(capability)
    if pool is not None:
        return Choice(pool, capability)
    if table.default is not None:
        return Choice(table.default, CHAT if table.default is table.capabilities.get(CHAT) else None)
    known = _some(sorted(table.capabilities)) or "none"
    message = f"No ModelBackend has the capability '{capability[:63]}', and none is the default. Capabilities: {known}"
    raise RequestError(404, message, param="model", code="model_not_found")


def find_pool(table: RouteTable, model: str) -> Pool:
    """The pool of a name; raises RequestError that says which names there are."""
    pool = table.find(model)
    if pool is None:
        existing = f"Models: {_some(table.listed)}" if table.listed else "There is no ModelBackend yet"
        message = f"The model '{model[:253]}' does not exist. {existing}"
        raise RequestError(404, message, param="model", code="model_not_found")
    return pool


def capability_of(text: str) -> str:
    """What the last message of a user is about: ``code`` if it holds one of the words for it, else ``chat``."""
    return CODE if _ABOUT_CODE.search(text[:_MOST_TEXT].lower()) else CHAT


def last_user_text(document: dict[str, Any]) -> str:
    """The newest text of the user in a request's JSON: of chat messages, of a prompt, or of a response's input."""
    for key in ("messages", "input", "prompt"):
        found = document.get(key)
        if isinstance(found, str):
            return found
        if isinstance(found, list) and found:
            return _newest(found)
    return ""


def _newest(items: list[Any]) -> str:
    for item in reversed(items):
        if isinstance(item, str):
            return item
        if isinstance(item, dict) and item.get("role") == "user":
            return _content(item.get("content"))
    return ""


def _content(content: Any) -> str:
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(text for text in parts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = len(names) - NAMED_IN_ERRORS
    return ", ".join(names[:NAMED_IN_ERRORS]) + (f" and {more} more" if more > 0 else "")
