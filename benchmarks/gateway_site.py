"""Our gateway as a process beside a real kube-apiserver and etcd, and the objects that it watches."""

import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.gateway_traffic import MODEL, Traffic
from benchmarks.operator_process import kubectl, splai
from local_cluster.control_plane import ControlPlane
from local_cluster.ports import LOOPBACK, free_ports
from splai.api.model_backend import ModelBackendSpec

ROOT = Path(__file__).parent.parent
NAMESPACE = "benchmark"
ROUTING: dict[str, Any] = {"maxInFlight": 256, "maxQueued": 256}
"""Limits that are on and never reached: what is measured is the counting."""
START_SECONDS = 180.0


@dataclass(frozen=True)
class Server:
    """A gateway that listens, ours or another."""

    url: str
    process: subprocess.Popen[bytes]
    token: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, traffic: Traffic, *, model: str = MODEL) -> None:
        """Return when a whole reply and a stream come through; raises RuntimeError when it ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            both = [traffic.load(self.url, requests=1, token=self.token, model=model, stream=s) for s in (False, True)]
            if not any(report.failures for report in both):
                return
            time.sleep(0.3)
        raise RuntimeError(f"no answer of {self.url}: {self.process.args!r} with {self.process.returncode}")


@contextmanager
def control_plane(directory: Path) -> Iterator[ControlPlane]:
    """Our CRDs and a namespace; controllers and scheduler are stopped, for they have nothing to do here but use CPU."""
    with ControlPlane(directory / "control-plane") as running:
        kubectl(running, "apply", "--server-side", "-f", str(ROOT / "crds"))
        kubectl(running, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(ROOT / "crds"))
        kubectl(running, "create", "namespace", NAMESPACE)
        for name in ("kube-scheduler", "kube-controller-manager"):
            running.stop_component(name)
        yield running


@contextmanager
def our_gateway(running: ControlPlane, directory: Path) -> Iterator[Server]:
    """``splai gateway serve``, which watches all namespaces and knows one bearer token."""
    port, metrics_port = free_ports(2)
    token = secrets.token_urlsafe(32)
    token_file = directory / "gateway-token"
    token_file.write_text(token)
    environment = {
        "KUBECONFIG": str(running.kubeconfig),
        "SPLAI_GATEWAY_PORT": str(port),
        "SPLAI_METRICS_PORT": str(metrics_port),
        "SPLAI_GATEWAY_TOKEN_FILE": str(token_file),
    }
    with splai("gateway", "serve", environment) as process:
        yield Server(f"http://{LOOPBACK}:{port}", process, token)


def apply(running: ControlPlane, directory: Path, *bodies: Mapping[str, Any]) -> None:
    file = directory / "objects.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}))
    kubectl(running, "apply", "--namespace", NAMESPACE, "-f", str(file))


def own_address() -> str:
    """Of this machine, because an EndpointSlice may not hold a loopback address. No packet is sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            sys.exit(f"the engine needs an address of this machine that is not loopback: {error}")
        return str(probe.getsockname()[0])


def routing() -> dict[str, Any]:
    """The limits, as far as this version's ModelBackend has them."""
    spec = ModelBackendSpec.model_fields.get("routing")
    properties = spec.annotation.model_json_schema()["properties"] if spec and spec.annotation else {}
    return {name: value for name, value in ROUTING.items() if name in properties}


def model_backend(name: str, model: str = MODEL) -> dict[str, Any]:
    spec: dict[str, Any] = {"model": {"id": model}}
    if limits := routing():
        spec["routing"] = limits
    return {"apiVersion": "splai.dev/v1alpha1", "kind": "ModelBackend", "metadata": {"name": name}, "spec": spec}


def endpoint_slice(service: str, engine: str, *, ready: bool = True) -> dict[str, Any]:
    """One ready pod, labelled as the endpoint slice controller does it."""
    where = urlsplit(engine)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-1",
            "labels": {"kubernetes.io/service-name": service, "splai.dev/modelbackend": service},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": where.port}],
        "endpoints": [{"addresses": [where.hostname], "conditions": {"ready": ready}}],
    }
