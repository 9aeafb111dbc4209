"""What a trace shows of a worker: a trace for each task, from its claim to its commit, and in it each request.

A request's span takes some 40 µs, so it is made only within tasks that the sampler chose. The backend is told of it, or
that the task was left out, and goes by that. Records and answers are not in it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final as Constant
from urllib.parse import urlsplit

from splai.api.inference_job import RequestType
from splai.api.ledger import TaskRange, WorkOrder
from splai.tracing.span import Attributes, Span, Tracing
from splai.worker.outcome import Answer, NoAnswer, Reaction, Unreachable
from splai.worker.tally import Tally

_OPERATIONS: Constant[dict[RequestType, str]] = {
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "response": "chat",
}
Post = Callable[[bytes, bytes], Awaitable[Reaction]]
"""Sends a body, with a traceparent."""


class TaskSpan:
    """The span of a task that this worker has claimed."""

    __slots__ = ("_request", "_request_name", "_span", "_tracing")

    def __init__(self, tracing: Tracing, span: Span, request_name: str, request: Attributes) -> None:
        """``request``: what all requests of the job have in common."""
        self._tracing = tracing
        self._span = span
        self._request_name = request_name
        self._request = request

    async def follow(self, post: Post, body: bytes, *, position: int, attempt: int) -> Reaction:
        """Send a request under a span of its own."""
        if not self._span.is_recording:
            return await post(body, self._span.traceparent)
        span = self._tracing.start(
            self._request_name,
            "client",
            parent=self._span,
            attributes={**self._request, "splai.record.position": position, "splai.record.attempt": attempt},
        )
        error: str | None = "internal_error"
        try:
            reaction = await post(body, span.traceparent)
            error = _error_of(reaction)
            if isinstance(reaction, Answer):
                span.set({"http.response.status_code": reaction.status})
        except asyncio.CancelledError:
            error = "cancelled"
            raise
        finally:
            span.end(error)
        return reaction

    def committed(self, durable: Tally) -> None:
        """The task is done, with these lines."""
        self._span.set(
            {
                "splai.task.completed": durable.completed,
                "splai.task.failed": durable.failed,
                "splai.task.retried": durable.retried,
                "splai.task.input_tokens": durable.prompt_tokens,
                "splai.task.output_tokens": durable.completion_tokens,
            }
        )
        self._span.end()

    def given_up(self) -> None:
        """The worker leaves before the task is done; another one goes on with it."""
        self._span.end("released")


class TaskSpans:
    """The spans of one worker's tasks."""

    def __init__(self, tracing: Tracing, order: WorkOrder, worker: str) -> None:
        self._tracing = tracing
        self._order = order
        self._worker = worker
        operation = _OPERATIONS[order.type]
        endpoint = urlsplit(order.endpoint)
        self._request_name = f"{operation} {order.model}"
        self._request: Attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "splai",
            "gen_ai.request.model": order.model,
            "server.address": endpoint.hostname or "",
            "server.port": endpoint.port or (443 if endpoint.scheme == "https" else 80),
        }

    def claimed(self, task: TaskRange, epoch: int, missing: int) -> TaskSpan:
        """Begin with a task of which so many records are to be sent."""
        order = self._order
        span = self._tracing.start(
            "run task",
            "internal",
            attributes={
                "splai.job.namespace": order.namespace,
                "splai.job.name": order.job,
                "splai.job.uid": order.uid,
                "splai.worker": self._worker,
                "splai.task.id": task.id,
                "splai.task.epoch": epoch,
                "splai.task.records": task.count,
                "splai.task.missing": missing,
                "gen_ai.request.model": order.model,
            },
        )
        return TaskSpan(self._tracing, span, self._request_name, self._request)


def _error_of(reaction: Reaction) -> str | None:
    match reaction:
        case Answer(status):
            return str(status) if status >= 300 else None
        case NoAnswer(code):
            return code
        case Unreachable():
            return "unreachable"
    return "reset"
