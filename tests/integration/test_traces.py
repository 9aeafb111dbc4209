"""Operator and gateway, as processes with one standard variable, send their spans to a collector.

The worker's are in ``tests/unit/worker/test_task_spans.py``: its process needs no apiserver.
"""

import signal
from pathlib import Path

import httpx
import pytest

from tests.integration.controller.objects import Namespace, backend
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.gateway.conftest import client_of, create_backend
from tests.integration.gateway.gateway_process import own_address, running_process
from tests.integration.running_control_plane import RunningControlPlane
from tests.unit.gateway.scripted_engine import answer, running_engine
from tests.unit.trace_collector import running_collector


def test_the_operators_reconciles_reach_the_collector(
    control_plane: RunningControlPlane, namespace: str, tmp_path: Path
) -> None:
    here = Namespace(control_plane, namespace)
    with running_collector() as collector:
        operator = OperatorProcess.start(
            tmp_path / "log",
            kubeconfig=control_plane.kubeconfig,
            namespace=namespace,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        )
        try:
            here.apply(backend())
            eventually(lambda: here.uid("service", "tiny") is not None, "the backend's Service is made")
            assert operator.stop() == 0
        finally:
            operator.stop(signal.SIGKILL)

    spans = [span for span in collector.spans if span.attributes["splai.name"] == "tiny"]
    assert {(span.service, span.name) for span in spans} == {("splai-operator", "reconcile ModelBackend")}
    assert {span.attributes["k8s.namespace.name"] for span in spans} == {namespace}
    assert sum(span.attributes["splai.api.writes"] for span in spans) >= 2


async def test_the_gateways_requests_reach_the_collector(
    control_plane: RunningControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        async with (
            running_engine(answer({"model": "tiny", "choices": []}), host=own_address()) as engine,
            running_process(control_plane, namespace, tmp_path / "gateway.log") as gateway,
            httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=60) as http,
            client_of(control_plane, monkeypatch) as client,
        ):
            await create_backend(client, namespace, "tiny", engine.address, "tiny")
            await gateway.answers(http, "tiny")
            await http.post("/v1/chat/completions", json={"model": "tiny", "messages": []})
            gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.exit_code() == 0

    (server,) = collector.of_kind("server")
    (call,) = collector.of_kind("client")
    assert (server.service, server.name) == ("splai-gateway", "chat tiny")
    assert (call.parent_id, call.attributes["splai.backend"]) == (server.span_id, f"{namespace}/tiny")
    assert engine.received[0].headers["traceparent"].startswith(f"00-{call.trace_id}-{call.span_id}-")
