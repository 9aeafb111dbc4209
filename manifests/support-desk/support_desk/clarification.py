"""The loop that asks back until the problem is clear, or has been asked about often enough.

::

    understand ──▶ clear? ──yes──▶ answer
                     │no
                     ▼
                  clarify ──▶ (the user answers: next request) ──▶ understand

Each round is a request of its own. The desk knows a question of its own in the history by how it begins.
"""

import re

from .knowledge import article_for, article_of
from .state import SupportDeskState

QUESTION = "To help you I need to know one thing more. "
MOST_QUESTIONS = 2

_WORD = re.compile(r"[a-z]+")
_WHICH = "Is it about a password, the VPN, a printer, or something else? Please describe what you see."


def understand(state: SupportDeskState) -> None:
    """Gather what was said of the problem: the last message, and those before it as far as the desk asked for them."""
    said = [state["current_user_input"]]
    asked = 0
    earlier = [message for message in state["messages"] if message["role"] in ("user", "assistant")][:-1]
    while len(earlier) >= 2 and _is_question(earlier[-1]):
        said.insert(0, str(earlier[-2]["content"]))
        asked += 1
        earlier = earlier[:-2]
    state["problem"], state["questions_asked"] = "\n".join(said), asked
    article = article_for(_words(state["problem"]))
    state["topic"] = article.topic if article else ""


def is_clear(state: SupportDeskState) -> bool:
    """Whether the topic and its decisive detail are known."""
    return bool(state["topic"]) and not article_of(state["topic"]).detail.isdisjoint(_words(state["problem"]))


def may_ask(state: SupportDeskState) -> bool:
    """Nobody likes to be asked for ever."""
    return state["questions_asked"] < MOST_QUESTIONS


def clarify(state: SupportDeskState) -> str:
    """The question whose answer is missing."""
    return QUESTION + (article_of(state["topic"]).question if state["topic"] else _WHICH)


def _is_question(message: dict[str, object]) -> bool:
    return message["role"] == "assistant" and str(message["content"]).startswith(QUESTION)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
