"""What a program that makes spans needs to know of them; what they are made of is in ``otlp``."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

Kind = Literal["server", "client", "internal"]
Attributes = Mapping[str, str | bool | int | float | Sequence[str]]
"""Facts, never contents: what people ask and what models answer has no place in a trace."""

CLOSE_SECONDS = 5.0


class Span(Protocol):
    """A piece of work with a beginning and an end."""

    @property
    def traceparent(self) -> bytes:
        """The header by which the next service makes its spans children of this one (W3C Trace Context §3.2)."""

    @property
    def is_recording(self) -> bool:
        """Whether the sampler chose it: else nobody will see it, and spans below it would be made in vain."""

    def rename(self, name: str) -> None:
        """Take a name that was not known at the start."""

    def set(self, attributes: Attributes) -> None:
        """Add facts that were not known at the start."""

    def end(self, error: str | None = None) -> None:
        """The work is over; ``error`` is its ``error.type``, a word from a small set, where it failed."""


class Tracing(Protocol):
    """Makes spans, and sends them away in the background."""

    def start(
        self, name: str, kind: Kind, *, parent: Span | bytes | None = None, attributes: Attributes | None = None
    ) -> Span:
        """Begin a span below another one, or below the one that a ``traceparent`` names, unless that is malformed."""

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what has ended, and wait for that so long at most."""
