"""The gateway as a process, found through the apiserver, before an engine that writes down what reaches it."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from local_cluster.ports import free_ports
from tests.integration.clients.client_programs import COMMANDS, ClientRun, run_program
from tests.integration.clients.recording_engine import WAYS, RecordingEngine, running_recording_engine
from tests.integration.gateway.conftest import endpoint_slice, model_backend
from tests.integration.gateway.gateway_process import own_address
from tests.integration.running_control_plane import RunningControlPlane

_PATIENCE_SECONDS = 60.0
MODELS = {
    "llama": ("llama3-8b-q4", "llama3.1:8b", "gpt-4-mini", "gpt-4o-mini"),
    "coder": ("qwen-coder",),
    # To each client its own: an engine that fails is left alone for a while, whoever asked.
    **{f"{way}-{client}": (f"{way}:{client}",) for client in COMMANDS for way in WAYS},
}
"""Model ids, the aliases behind the first, by the name of the ModelBackend."""


@pytest.fixture(scope="session")
def session_engine() -> Iterator[RecordingEngine]:
    with running_recording_engine(own_address()) as engine:
        yield engine


@pytest.fixture
def engine(session_engine: RecordingEngine) -> RecordingEngine:
    """The engine, with nothing written down yet."""
    session_engine.received.clear()
    return session_engine


@pytest.fixture(scope="session")
def gateway(
    control_plane: RunningControlPlane, session_engine: RecordingEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a gateway that knows all models of MODELS and their engine."""
    namespace = f"clients-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", namespace)
    host, port = session_engine.address
    # The slices come first: once the last backend is known and answers, all are.
    objects = [endpoint_slice(name, host, port=port) for name in MODELS]
    objects += [model_backend(name, *models) for name, models in MODELS.items()]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    control_plane.kubectl("apply", "--server-side", f"--namespace={namespace}", "-f", "-", input=document)
    listening, metrics = free_ports(2)
    settings = {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "SPLAI_WATCH_NAMESPACES": namespace,
        "SPLAI_GATEWAY_PORT": str(listening),
        "SPLAI_METRICS_PORT": str(metrics),
    }
    command = (sys.executable, "-c", "from splai.cli import main; main()", "gateway", "serve")
    log = tmp_path_factory.mktemp("gateway") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=output, stderr=output)
    try:
        _wait_until_ready(f"http://127.0.0.1:{listening}", process, log)
        yield f"http://127.0.0.1:{listening}"
    finally:
        process.kill()
        process.wait()
        control_plane.kubectl("delete", "namespace", namespace, "--wait=false")


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    wanted = {model for models in MODELS.values() for model in models}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with httpx.Client(base_url=url, trust_env=False, timeout=10) as http:
        while (missing := _missing(http, wanted)) is not None:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the gateway is not ready: {missing}\n{log.read_text()[-2000:]}", pytrace=False)
            time.sleep(0.1)


def _missing(http: httpx.Client, wanted: set[str]) -> str | None:
    chat = {"model": list(MODELS.values())[-1][0], "messages": [{"role": "user", "content": "ready?"}]}
    try:
        listed = {model["id"] for model in http.get("/v1/models").json()["data"]}
        if wanted - listed:
            return f"it does not list {sorted(wanted - listed)}"
        reply = http.post("/v1/chat/completions", json=chat)
    except httpx.TransportError as error:
        return f"{type(error).__name__}: {error}"
    return None if reply.status_code == 200 else reply.text


@pytest.fixture
def http(gateway: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway, trust_env=False, timeout=30) as http:
        yield http


@pytest.fixture(scope="session")
def run_of(
    gateway: str, session_engine: RecordingEngine, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], ClientRun]:
    """What a client's program saw; it runs once, at the first test that asks."""
    runs: dict[str, ClientRun] = {}

    def run_of(client: str) -> ClientRun:
        if client not in runs:
            session_engine.received.clear()
            lines = run_program(client, gateway, tmp_path_factory.mktemp(client))
            runs[client] = ClientRun(lines, list(session_engine.received))
        return runs[client]

    return run_of
