"""What a run of the support desk works on."""

from typing import Any, TypedDict


class SupportDeskState(TypedDict):
    """``current_user_input`` and ``messages`` are set by the server before each run."""

    current_user_input: str
    messages: list[dict[str, Any]]
    problem: str
    """All that the user has said of it, since it was first told."""
    topic: str
    """The article that the problem belongs to; empty while that is not clear."""
    questions_asked: int
    """About this problem."""


def create_initial_state() -> SupportDeskState:
    """Nothing is kept between two requests: the conversation comes with each of them."""
    return {"current_user_input": "", "messages": [], "problem": "", "topic": "", "questions_asked": 0}
