"""What a trace shows of a request: one span for the caller's request, and below it one for each call of an engine.

::

    caller's span ─▶ SERVER `chat llama3-8b` ─┬▶ CLIENT `POST` engine 1, failed
                                              └▶ CLIENT `POST` engine 2 ─▶ the engine's own spans

Names are those of OpenTelemetry's conventions for HTTP and for generative AI. Where the sampler leaves a request out
nothing is made below it, and its engines are told that it was left out.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

from splai.gateway.http.exchange import Exchange
from splai.gateway.inference.failure import AttemptFailed, Reply
from splai.gateway.inference.request import InferenceRequest
from splai.gateway.metrics import CALLER_LEFT
from splai.gateway.routing.routes import Target
from splai.tracing.span import Span, Tracing

if TYPE_CHECKING:
    from splai.gateway.inference.call import Call

_OPERATIONS: Final = {
    "/v1/chat/completions": {"gen_ai.operation.name": "chat", "openai.api.type": "chat_completions"},
    "/v1/completions": {"gen_ai.operation.name": "text_completion"},
    "/v1/embeddings": {"gen_ai.operation.name": "embeddings"},
    "/v1/responses": {"gen_ai.operation.name": "chat", "openai.api.type": "responses"},
}
_INTERRUPTED: Final = "stream_interrupted"


class RequestSpan:
    """The span of a caller's request."""

    __slots__ = ("_operation", "_span", "_tracing", "traceparent")

    def __init__(self, tracing: Tracing, exchange: Exchange, api: str) -> None:
        operation = _OPERATIONS[api]
        self._tracing = tracing
        self._operation = operation["gen_ai.operation.name"]
        self._span = tracing.start(
            self._operation,
            "server",
            parent=exchange.header(b"traceparent"),
            attributes={
                "http.request.method": exchange.method,
                "http.route": exchange.path,
                "gen_ai.provider.name": "splai",
                "splai.request.id": exchange.request_id,
                **operation,
            },
        )
        self.traceparent = self._span.traceparent
        """What the next call of an engine is told."""

    def routed(self, request: InferenceRequest) -> None:
        """The model exists. Until then its name is any text that a caller sent, and so is not shown."""
        self._span.rename(f"{self._operation} {request.model}")
        self._span.set({"gen_ai.request.model": request.model, "gen_ai.request.stream": request.stream})

    async def follow(self, attempt: Awaitable[Reply | None], call: "Call", target: Target) -> Reply | None:
        """Have a span of its own for an attempt."""
        if not self._span.is_recording:
            return await attempt
        span = self._started(call, target)
        self.traceparent = span.traceparent
        error: str | None = "internal_error"
        try:
            reply = await attempt
            error = _INTERRUPTED if call.interrupted else None
            if reply is not None:
                span.set({"http.response.status_code": reply.status})
                error = str(reply.status) if reply.status >= 400 else None
        except AttemptFailed as failed:
            error = failed.failure.reason
            if failed.reply is not None:
                span.set({"http.response.status_code": failed.reply.status})
            raise
        except asyncio.CancelledError:
            error = "cancelled"
            raise
        finally:
            span.end(error)
        return reply

    def _started(self, call: "Call", target: Target) -> Span:
        host, _, port = target.address.rpartition(":")
        return self._tracing.start(
            "POST",
            "client",
            parent=self._span,
            attributes={
                "http.request.method": "POST",
                "http.request.resend_count": call.attempts - 1,
                "server.address": host.strip("[]"),
                "server.port": int(port),
                "splai.backend": target.backend.key,
                "gen_ai.request.model": target.model,
            },
        )

    def end(self, code: int, call: "Call | None") -> None:
        """The caller has its answer, or left; ``call`` is None where there was nothing to ask an engine."""
        error = str(code) if code >= 500 else None
        if code == CALLER_LEFT:
            error = "caller_left"
        else:
            self._span.set({"http.response.status_code": code})
        if call is not None:
            self._tell(call)
            if call.interrupted:
                error = _INTERRUPTED
        self._span.end(error)

    def _tell(self, call: "Call") -> None:
        if call.usage is not None:
            spent, made = call.tokens()
            self._span.set({"gen_ai.usage.input_tokens": spent, "gen_ai.usage.output_tokens": made})
        if call.first_byte is not None:
            self._span.set({"gen_ai.response.time_to_first_chunk": call.first_byte})
