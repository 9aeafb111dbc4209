"""Operator and gateway, as processes with one standard variable, send their spans to a collector.

The worker's are in ``tests/unit/worker/test_task_spans.py``: its process needs no apiserver.
"""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from local_cluster.ports import free_ports
from splai.kube.client import Client
from splai.kube.connection import load_configuration
from splai.kube.resource import ENDPOINT_SLICES, MODEL_BACKENDS
from tests.integration.controller.objects import Namespace, backend
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.gateway.conftest import endpoint_slice, model_backend
from tests.integration.gateway.test_process import own_address, ready, running_process
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
    control_plane: RunningControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    port, metrics_port = free_ports(2)
    with running_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        async with (
            running_engine(answer({"model": "tiny", "choices": []}), host=own_address()) as engine,
            running_process(control_plane, namespace, port, metrics_port) as process,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http,
        ):
            client = Client(await load_configuration(), component="test")
            host, _, engine_port = engine.address.rpartition(":")
            await client.create(ENDPOINT_SLICES, namespace, endpoint_slice("tiny", host, port=int(engine_port)))
            await client.create(MODEL_BACKENDS, namespace, model_backend("tiny", "tiny"))
            await client.close()
            await ready(http, "tiny")
            await http.post("/v1/chat/completions", json={"model": "tiny", "messages": []})
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                assert await process.wait() == 0

    (server,) = collector.of_kind("server")
    (call,) = collector.of_kind("client")
    assert (server.service, server.name) == ("splai-gateway", "chat tiny")
    assert (call.parent_id, call.attributes["splai.backend"]) == (server.span_id, f"{namespace}/tiny")
    assert engine.received[0].headers["traceparent"].startswith(f"00-{call.trace_id}-{call.span_id}-")
