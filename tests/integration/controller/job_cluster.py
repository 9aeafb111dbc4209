"""A cluster on which InferenceJobs finish: nodes whose pods end at once, with the report of a worker that is done.

KWOK plays the kubelets, with the stage that the benchmark uses. The artifact server is the real one, and checks the
operator's real token against this cluster's keys. What anybody changes is in the audit log.
"""

import json
import os
import secrets
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local_cluster import build
from local_cluster.control_plane import ISSUER, Audit, ControlPlane
from local_cluster.errors import ClusterError
from local_cluster.kwok import Kwok, create_nodes, default_stages
from local_cluster.ports import free_ports
from tests.integration.controller.objects import Namespace
from tests.integration.controller.operator_process import SPLAI, OperatorProcess
from tests.integration.running_control_plane import CRDS, RunningControlPlane

STAGES = Path(__file__).parents[3] / "benchmarks" / "kwok"
SYSTEM = "splai-system"


@dataclass(frozen=True)
class JobCluster:
    """The cluster, and the settings of an operator that uses its artifact server."""

    control_plane: RunningControlPlane
    audit: Path
    settings: dict[str, str]

    @contextmanager
    def namespace(self) -> Iterator[Namespace]:
        """A fresh namespace."""
        name = f"test-{secrets.token_hex(4)}"
        self.control_plane.kubectl("create", "namespace", name)
        yield Namespace(self.control_plane, name)
        self.control_plane.kubectl("delete", "namespace", name, "--wait=false")

    def start_operator(self, namespace: Namespace, log: Path, **settings: str) -> OperatorProcess:
        return OperatorProcess.start(
            log, kubeconfig=self.control_plane.kubeconfig, namespace=namespace.name, **self.settings, **settings
        )

    def writes(self, namespace: Namespace) -> list[dict[str, Any]]:
        """The operator's requests that were to change something there, but for its Lease; refused ones too."""
        with self.audit.open() as lines:
            requests = [json.loads(line) for line in lines if line.endswith("\n")]
        return [
            request
            for request in requests
            if request.get("userAgent", "").startswith("splai-operator/")
            and request["objectRef"].get("namespace") == namespace.name
            and request["objectRef"]["resource"] != "leases"
        ]

    def created_children(self, namespace: Namespace) -> list[str]:
        """The names of the child Jobs that the apiserver took."""
        return [
            request["objectRef"]["name"]
            for request in self.writes(namespace)
            if (request["verb"], request["objectRef"]["resource"]) == ("create", "jobs")
            and request["responseStatus"]["code"] == 201
        ]


def describe(request: dict[str, Any]) -> str:
    reference = request["objectRef"]
    resource = "/".join(filter(None, [reference["resource"], reference.get("subresource")]))
    return f"{request['verb']} {resource} {reference.get('name', '')} → {request['responseStatus']['code']}"


@contextmanager
def running_job_cluster(directory: Path) -> Iterator[JobCluster]:
    audit = Audit(policy=STAGES / "audit-policy.yaml", log=directory / "audit.log")
    stages = [stage for stage in default_stages() if stage.name != "pod-complete.yaml"]
    with ExitStack() as stack:
        try:
            processes = stack.enter_context(ControlPlane(directory / "control-plane", audit=audit))
            stack.enter_context(Kwok(processes, stages=[*stages, STAGES / "pod-complete.yaml"]))
            create_nodes(processes, 3)
        except ClusterError as error:
            pytest.fail(f"no cluster to test on: {error}", pytrace=False)
        control_plane = RunningControlPlane(processes, build.program("kubernetes", "kubectl"))
        control_plane.kubectl("apply", "--server-side", "-f", str(CRDS))
        control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
        url = stack.enter_context(_artifact_server(control_plane, directory))
        settings = {
            "SPLAI_ARTIFACTS_CLIENT_URL": url,
            "SPLAI_ARTIFACTS_TOKEN_FILE": str(_operator_token(control_plane, directory)),
        }
        yield JobCluster(control_plane, audit.log, settings)


def _operator_token(control_plane: RunningControlPlane, directory: Path) -> Path:
    control_plane.kubectl("create", "namespace", SYSTEM)
    control_plane.kubectl("-n", SYSTEM, "create", "serviceaccount", "splai-operator")
    token = directory / "operator-token"
    create = ("create", "token", "splai-operator", "--audience=splai-artifacts", "--duration=4h")
    token.write_text(control_plane.kubectl("-n", SYSTEM, *create).strip())
    return token


@contextmanager
def _artifact_server(control_plane: RunningControlPlane, directory: Path) -> Iterator[str]:
    """The real server on a folder; yields its URL."""
    port, metrics_port = free_ports(2)
    with _published_keys(control_plane, directory) as keys, (directory / "artifacts.log").open("wb") as log:
        settings = {
            "SPLAI_ARTIFACTS_ROOT": str(directory / "artifacts"),
            "SPLAI_ARTIFACTS_PORT": str(port),
            "SPLAI_METRICS_PORT": str(metrics_port),
            "SPLAI_TRUSTED_SERVICE_ACCOUNTS": f"{SYSTEM}/splai-operator",
            "SPLAI_OIDC_ISSUER": ISSUER,
            "SPLAI_OIDC_JWKS_URI": keys,
        }
        process = subprocess.Popen(
            [SPLAI, "artifacts", "serve"], env={**os.environ, **settings}, stdout=log, stderr=log
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


@contextmanager
def _published_keys(control_plane: RunningControlPlane, directory: Path) -> Iterator[str]:
    """The keys that the cluster signs tokens with, where the artifact server can read them."""
    folder = directory / "keys"
    folder.mkdir()
    (folder / "jwks").write_text(control_plane.kubectl("get", "--raw", "/openid/v1/jwks"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/jwks"
        server.shutdown()


class _QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and writes no log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        pass
