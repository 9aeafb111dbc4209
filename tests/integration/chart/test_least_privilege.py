"""Operator and gateway run with what their ServiceAccounts may do, in both ways to install, and with nothing more."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from charts import render
from local_cluster import waiting
from local_cluster.ports import free_ports
from tests.integration.running_control_plane import RunningControlPlane, running_control_plane

TEAMS = ["team-a", "team-b"]
INSTALLATIONS = {"splai-system": [], "ai": TEAMS}
"""The namespaces that each installation watches, by its own; none: all."""


@pytest.fixture(scope="module")
def cluster(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningControlPlane]:
    """Both installations' objects in one control plane; nothing runs there, the tests start the programs."""
    with running_control_plane(tmp_path_factory.mktemp("least-privilege")) as control_plane:
        for namespace in [*INSTALLATIONS, *TEAMS]:
            control_plane.kubectl("create", "namespace", namespace)
        for namespace, watched in INSTALLATIONS.items():
            manifest = render.template(helm, f"--set-json=watchNamespaces={json.dumps(watched)}", namespace=namespace)
            control_plane.kubectl("apply", "-f", "-", input=manifest)
        yield control_plane


def login(cluster: RunningControlPlane, namespace: str, account: str, path: Path) -> Path:
    """A kubeconfig with the account's token, as its pod would log in."""
    configuration = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
    token = cluster.kubectl("-n", namespace, "create", "token", account).strip()
    for user in configuration["users"]:
        user["user"] = {"token": token}
    path.write_text(json.dumps(configuration))
    return path


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of SPLAI with these variables alone, stopped by SIGTERM."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPLAI_", "KUBE"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", "from splai.cli import main; main()", *command],
            env=kept | environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def unready(process: subprocess.Popen[bytes], url: str, word: str, log: Path) -> str | None:
    """None when the URL answers 200 with the word; raises when the process has ended."""
    if process.poll() is not None:
        raise AssertionError(f"it ended with {process.returncode}: {log.read_text()[-2000:]}")
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  (a port on loopback)
            body = answer.read().decode()
    except (OSError, urllib.error.HTTPError) as error:
        return str(error)
    return None if word in body else body


@pytest.mark.parametrize("namespace", INSTALLATIONS)
def test_operator_leads_with_its_own_rights(cluster: RunningControlPlane, tmp_path: Path, namespace: str) -> None:
    health, metrics = map(str, free_ports(2))
    log = tmp_path / "operator.log"
    environment = {
        "KUBECONFIG": str(login(cluster, namespace, "splai-operator", tmp_path / "kubeconfig")),
        "SPLAI_NAMESPACE": namespace,
        "SPLAI_WATCH_NAMESPACES": ",".join(INSTALLATIONS[namespace]),
        "SPLAI_HEALTH_PORT": health,
        "SPLAI_METRICS_PORT": metrics,
    }

    with running(["operator", "run"], environment, log) as operator:
        url = f"http://127.0.0.1:{health}/healthz"
        waiting.until("leading", lambda: unready(operator, url, '"leader": true', log), seconds=60)

    assert "forbidden" not in log.read_text().lower()


@pytest.mark.parametrize("namespace", INSTALLATIONS)
def test_gateway_knows_its_routes_with_its_own_rights(
    cluster: RunningControlPlane, tmp_path: Path, namespace: str
) -> None:
    port, metrics = map(str, free_ports(2))
    log = tmp_path / "gateway.log"
    environment = {
        "KUBECONFIG": str(login(cluster, namespace, "splai-gateway", tmp_path / "kubeconfig")),
        "SPLAI_WATCH_NAMESPACES": ",".join(INSTALLATIONS[namespace]),
        "SPLAI_GATEWAY_PORT": port,
        "SPLAI_METRICS_PORT": metrics,
    }

    with running(["gateway", "serve"], environment, log) as gateway:
        waiting.until("readiness", lambda: unready(gateway, f"http://127.0.0.1:{port}/readyz", "", log), seconds=60)

    assert "forbidden" not in log.read_text().lower()


def test_operator_that_lacks_a_rule_names_it_and_ends(cluster: RunningControlPlane, tmp_path: Path) -> None:
    health, metrics = map(str, free_ports(2))
    log = tmp_path / "operator.log"
    environment = {
        "KUBECONFIG": str(login(cluster, "ai", "splai-operator", tmp_path / "kubeconfig")),
        "SPLAI_NAMESPACE": "ai",
        "SPLAI_WATCH_NAMESPACES": "default",
        "SPLAI_HEALTH_PORT": health,
        "SPLAI_METRICS_PORT": metrics,
    }

    with running(["operator", "run"], environment, log) as operator:
        code = operator.wait(timeout=60)

    assert code != 0
    assert 'create jobs (apiGroup "batch") in namespace default' in log.read_text().replace('\\"', '"')
