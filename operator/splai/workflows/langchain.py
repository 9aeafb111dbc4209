"""A conversation as LangChain's message objects, where the image has LangChain; SPLAI itself does not need it."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from splai.api.openai_chat import ChatMessage

_MESSAGES = "langchain_core.messages"
_KNOWN = frozenset(("system", "developer", "user", "assistant", "tool", "function"))


@cache
def is_installed() -> bool:
    """Whether messages can be converted."""
    return find_spec("langchain_core") is not None


def langchain_messages(messages: Sequence[ChatMessage]) -> list[Any]:
    """Each as the class that belongs to its role; raises ValueError for one that LangChain finds incomplete."""
    return [_to_lc(message) for message in messages]


def _to_lc(message: ChatMessage) -> Any:
    """SystemMessage, HumanMessage, AIMessage, ToolMessage; for a role that LangChain does not know its ChatMessage."""
    library = import_module(_MESSAGES)
    if message.role not in _KNOWN:
        return library.ChatMessage(role=message.role, content=message.content or "")
    (converted,) = library.convert_to_messages([{"content": "", **message.model_dump(exclude_none=True)}])
    return converted
