"""What a workflow is: something that streams chunks for a state.

A LangGraph graph is one as it is: its nodes write ``{"custom_llm_chunk": text}`` to ``get_stream_writer()``, and
``astream(state, stream_mode="custom")`` gives that back. An async generator function becomes one.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol

State = dict[str, Any]
TEXT: Final = "custom_llm_chunk"
"""The key of a chunk's text; chunks without it are the workflow's own affair."""


class Workflow(Protocol):
    """The part of a LangGraph graph that is used."""

    def astream(self, state: State, *, stream_mode: str) -> AsyncGenerator[Any]:
        """The chunks of one run."""


@dataclass(frozen=True)
class GeneratorWorkflow:
    """An async generator function, which yields texts, or chunks as a graph does."""

    generate: Callable[[State], AsyncGenerator[Any]]

    async def astream(self, state: State, *, stream_mode: str = "custom") -> AsyncGenerator[Any]:
        """A text becomes a chunk; there is one stream mode."""
        async with aclosing(self.generate(state)) as pieces:
            async for piece in pieces:
                yield {TEXT: piece} if isinstance(piece, str) else piece


async def texts(workflow: Workflow, state: State) -> AsyncGenerator[str]:
    """The pieces of the answer as the workflow says them, empty ones left out.

    When it is closed, or its task is cancelled, the workflow ends too. Raises whatever the workflow raises, and
    TypeError for a text that is none.
    """
    async with aclosing(workflow.astream(state, stream_mode="custom")) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, Mapping) and (text := chunk.get(TEXT)):
                if not isinstance(text, str):
                    raise TypeError(f"{TEXT} must hold a text, not {type(text).__name__}")
                yield text
