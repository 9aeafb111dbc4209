"""One request on its way: what is known of it, and what it has cost so far."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from splai.gateway.http.exchange import Exchange
from splai.gateway.inference.deadline import Deadline
from splai.gateway.inference.request import InferenceRequest
from splai.gateway.inference.spans import RequestSpan
from splai.gateway.metrics import RouteMetrics

_STREAM_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx before us would hold events back
)
STREAM_OWN = frozenset(name for name, _ in _STREAM_HEADERS)
"""What an engine says of these is not for the caller."""


@dataclass(slots=True)
class Call:
    """A parsed request, its caller and its deadline."""

    exchange: Exchange
    api: str
    """One of ``paths.APIS``."""
    request: InferenceRequest
    metrics: RouteMetrics
    deadline: float
    """Until when something must have been given out, on the event loop's clock."""
    silence: float
    """Seconds that a stream may stay silent."""
    prefix: bytes | None = None
    """What requests that share it find the same engine by; None where nobody asked for that."""
    span: RequestSpan | None = None
    """What a trace shows of it; None where there are no traces."""
    clock: Deadline = field(init=False)
    """Ends the call at the deadline."""
    waited: float = 0.0
    """Seconds in which the gateway waited: for the caller's body, a pod, a turn, engines and the caller's reading."""
    attempts: int = 0
    first_byte: float | None = None
    """Seconds from the request to the first byte of an answer."""
    usage: dict[str, Any] | None = None
    """The tokens of the answer, where the engine told them."""
    is_final: bool = False
    """Nobody may try it again: a workflow may have run."""
    interrupted: bool = False
    """The engine failed in the middle of a stream, and the caller was told there."""

    def ping(self, comment: bytes) -> None:
        """Show the caller of a stream that its request is still waited for."""
        self._start(())
        self.exchange.write(comment)

    def begin_stream(self, headers: Collection[tuple[bytes, bytes]] = ()) -> None:
        """The first byte of a streamed answer is about to leave."""
        if self.first_byte is None:
            self.first_byte = time.perf_counter() - self.exchange.started
            self.metrics.first_token(self.first_byte)
            self.clock.lift()
            self._start(headers)

    def _start(self, headers: Collection[tuple[bytes, bytes]]) -> None:
        if not self.exchange.reply_started:
            self.exchange.start(200, (*headers, *_STREAM_HEADERS))

    @property
    def advice(self) -> dict[str, str]:
        """Headers of a failure's reply: SDKs that retry by themselves would multiply the tries that were made here."""
        return {"x-should-retry": "false"} if self.attempts > 1 or self.is_final else {}

    def tokens(self) -> tuple[int, int]:
        """Of the prompt and of the answer, whichever of OpenAI's two spellings the engine uses."""
        usage = self.usage or {}
        spent, made = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if spent is None and made is None:
            spent, made = usage.get("input_tokens"), usage.get("output_tokens")
        return (spent if isinstance(spent, int) else 0, made if isinstance(made, int) else 0)
