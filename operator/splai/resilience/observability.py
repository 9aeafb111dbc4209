"""Prometheus metrics of an application that is built from steps; needs the extra ``gateway``.

Everything is in prometheus_client's default registry, where the application's own metrics are too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import Counter, Histogram, Info, start_http_server

from .core import Function, Step, WorkflowContext, as_primitive

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

DEFAULT_PORT: Final = 9464
_running: Final[dict[int, Observability]] = {}


class Observability:
    """A metrics endpoint that runs."""

    def __init__(self, server: WSGIServer, thread: Thread) -> None:
        self._server = server
        self._thread = thread
        self.port: int = server.server_port
        """Where it listens, on all addresses."""

    def close(self) -> None:
        """Stop it."""
        _running.pop(self.port, None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def initialize_observability(
    *, service_name: str, enable_prometheus: bool = True, prometheus_port: int = DEFAULT_PORT
) -> Observability | None:
    """Serve ``/metrics``, with ``target_info{service_name=…}``; None when Prometheus is not enabled.

    A second call for the same port finds the endpoint that runs. Raises OSError when the port is taken.
    """
    if not enable_prometheus:
        return None
    _target_info().info({"service_name": service_name})
    if prometheus_port not in _running:
        observability = Observability(*start_http_server(prometheus_port))
        _running[observability.port] = observability
        return observability
    return _running[prometheus_port]


def tracked(endpoint: str) -> Callable[[Step], Function]:
    """Decorates a step: its executions are counted and timed under the name of an endpoint, and fail as before.

    ``app_requests_total{endpoint,status}``, the status being success or error, and
    ``app_request_duration_seconds{endpoint}``.
    """

    def decorator(step: Step) -> Function:
        primitive = as_primitive(step)
        requests, duration = _request_metrics()

        async def execute(data: Any, context: WorkflowContext) -> Any:
            with duration.labels(endpoint=endpoint).time():
                try:
                    result = await primitive.execute(data, context)
                except Exception:
                    requests.labels(endpoint=endpoint, status="error").inc()
                    raise
            requests.labels(endpoint=endpoint, status="success").inc()
            return result

        return wraps(step)(execute) if callable(step) else execute

    return decorator


# Made when they are needed first: an application may define metrics of these names itself.


@cache
def _target_info() -> Info:
    return Info("target", "The application that these metrics are of")


@cache
def _request_metrics() -> tuple[Counter, Histogram]:
    return (
        Counter("app_requests_total", "Executions, by how they ended", ["endpoint", "status"]),
        Histogram("app_request_duration_seconds", "How long executions took", ["endpoint"]),
    )
