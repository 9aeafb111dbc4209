"""An IT support desk as a model: it asks back until a problem is clear, then says what to do, or opens a ticket."""

from collections.abc import AsyncGenerator

from . import model
from .clarification import clarify, is_clear, may_ask, understand
from .knowledge import article_of
from .state import SupportDeskState, create_initial_state

__all__ = ["create_initial_state", "workflow"]

_TICKET = "I pass this on to a colleague, who will call you. The ticket says:\n"


async def workflow(state: SupportDeskState) -> AsyncGenerator[str]:
    """One turn of the conversation."""
    understand(state)
    if is_clear(state):
        steps = "\n".join(f"{number}. {step}" for number, step in enumerate(article_of(state["topic"]).steps, 1))
        if model.is_configured():
            async for text in model.explain(state["problem"], steps):
                yield text
        else:
            yield f"This should help with your {state['topic']} problem:\n"
            yield steps
    elif may_ask(state):
        yield clarify(state)
    else:
        yield _TICKET + state["problem"]
