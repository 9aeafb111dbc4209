"""Spans of the OpenTelemetry SDK, sent as OTLP over HTTP by a thread of its own.

Importing this module takes some 70 ms and several megabytes, so it is done only where traces are asked for.
"""

import logging
import socket
import threading
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as SdkSpan
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from splai import __version__
from splai.tracing.span import CLOSE_SECONDS, Attributes, Kind, Span

_KINDS: Final[dict[Kind, SpanKind]] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}
_log = logging.getLogger(__name__)


class OtlpSpan:
    """A span of the SDK."""

    __slots__ = ("is_recording", "span", "traceparent")

    def __init__(self, span: SdkSpan) -> None:
        context = span.get_span_context()
        self.span = span
        self.is_recording = span.is_recording()
        self.traceparent = b"00-%032x-%016x-%02x" % (context.trace_id, context.span_id, context.trace_flags)

    def rename(self, name: str) -> None:
        self.span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        self.span.set_attributes(attributes)

    def end(self, error: str | None = None) -> None:
        if error is not None:
            self.span.set_attribute("error.type", error)
            self.span.set_status(StatusCode.ERROR)
        self.span.end()


class OtlpTracing:
    """The spans of one process."""

    def __init__(self, component: str) -> None:
        """Raises ValueError where the SDK finds nonsense in OTEL_*."""
        named = {
            "service.name": f"splai-{component}",
            "service.namespace": "splai",
            "service.version": __version__,
            "service.instance.id": socket.gethostname(),  # the pod's name
        }
        # What the environment says of the resource wins over what we say.
        resource = Resource.create({**named, **OTELResourceDetector().detect().attributes})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("splai", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def start(
        self, name: str, kind: Kind, *, parent: Span | bytes | None = None, attributes: Attributes | None = None
    ) -> OtlpSpan:
        context = Context()
        if isinstance(parent, OtlpSpan):
            context = set_span_in_context(parent.span, context)
        elif isinstance(parent, bytes):
            context = self._propagator.extract({"traceparent": parent.decode("latin-1")}, context)
        return OtlpSpan(self._tracer.start_span(name, context, _KINDS[kind], attributes))

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """The SDK itself would wait for half a minute when the collector is away."""
        closing = threading.Thread(target=self._provider.shutdown, name="close-traces", daemon=True)
        closing.start()
        closing.join(seconds)
        if closing.is_alive():
            _log.warning("the last spans could not be sent in time")
