"""A collector of traces: takes OTLP over HTTP on a real connection and keeps what comes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from splai.tracing.environment import tracing_from_environment
from splai.tracing.span import Tracing


@dataclass(frozen=True)
class ExportedSpan:
    """A span as it arrived."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    is_error: bool
    service: str


@dataclass
class Collector:
    """What has arrived so far."""

    url: str = ""
    spans: list[ExportedSpan] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)
    received: bytes = b""
    """All bodies, one after the other."""
    silent: threading.Event = field(default_factory=threading.Event)
    """While it is set nothing is answered."""
    ended: threading.Event = field(default_factory=threading.Event)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.paths.add(path)
        self.headers.append(headers)
        self.received += body
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(of_resource.resource.attributes)["service.name"]
            for of_scope in of_resource.scope_spans:
                self.spans += [_exported(span, service) for span in of_scope.spans]

    def of_kind(self, kind: str) -> list[ExportedSpan]:
        """In the order in which they ended."""
        return [span for span in self.spans if span.kind == kind]


@contextmanager
def running_collector() -> Iterator[Collector]:
    """In a thread: those who send to it wait for it, and the test's loop with them."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            if collector.silent.is_set():
                collector.ended.wait()
                return
            reply = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def traced(component: str, **variables: str) -> Iterator[tuple[Tracing, Collector]]:
    """Spans of a component that reach a collector when they are closed; further OTEL_* as they are named."""
    with running_collector() as collector, pytest.MonkeyPatch.context() as patch:
        for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "NO_PROXY": "127.0.0.1", **variables}.items():
            patch.setenv(name, value)
        tracing = tracing_from_environment(component)
        assert tracing is not None
        try:
            yield tracing, collector
        finally:
            tracing.close()


def _exported(span: Span, service: str) -> ExportedSpan:
    return ExportedSpan(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_values(span.attributes),
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        service=service,
    )


def _values(attributes: Any) -> dict[str, Any]:
    def value(of: AnyValue) -> Any:
        return getattr(of, of.WhichOneof("value") or "string_value")

    pairs: list[KeyValue] = list(attributes)
    return {pair.key: value(pair.value) for pair in pairs}
