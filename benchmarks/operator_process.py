"""SPLAI's own processes as their pods would run them, beside a local control plane, and what they use."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from local_cluster import build
from local_cluster.control_plane import ISSUER, ControlPlane

OPERATOR_PORTS = {"SPLAI_HEALTH_PORT": "18081", "SPLAI_METRICS_PORT": "19464"}
ARTIFACTS_PORT = "18080"
ARTIFACTS_METRICS_PORT = "19465"
QUIET_SECONDS = 3.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a process and its children used."""

    cpu_seconds: float
    peak_rss_mb: float


def operator_environment(control_plane: ControlPlane, directory: Path) -> dict[str, str]:
    token = directory / "operator-token"
    token.write_text(
        kubectl(
            control_plane, "-n", "splai-system", "create", "token", "splai-operator",
            "--audience=splai-artifacts", "--duration=4h",
        ).strip()
    )  # fmt: skip
    return {
        "SPLAI_NAMESPACE": "splai-system",
        "SPLAI_ARTIFACTS_URL": f"http://127.0.0.1:{ARTIFACTS_PORT}",
        "SPLAI_ARTIFACTS_TOKEN_FILE": str(token),
        **OPERATOR_PORTS,
    }


def require_free_ports() -> None:
    """Exit when a process that an earlier run left behind would answer in the place of this run's."""
    for port in (*OPERATOR_PORTS.values(), ARTIFACTS_PORT, ARTIFACTS_METRICS_PORT):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                sys.exit(f"port {port} is in use: stop the process that listens there")


@contextmanager
def artifact_server(control_plane: ControlPlane, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real server on a folder; it checks the operator's real token against this cluster's keys."""
    published = directory / "keys"
    published.mkdir()
    (published / "jwks").write_text(kubectl(control_plane, "get", "--raw", "/openid/v1/jwks"))
    keys = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(published)))
    threading.Thread(target=keys.serve_forever, daemon=True).start()
    environment = {
        "SPLAI_ARTIFACTS_ROOT": str(directory / "artifacts"),
        "SPLAI_ARTIFACTS_PORT": ARTIFACTS_PORT,
        "SPLAI_METRICS_PORT": ARTIFACTS_METRICS_PORT,
        "SPLAI_TRUSTED_SERVICE_ACCOUNTS": "splai-system/splai-operator",
        "SPLAI_OIDC_ISSUER": ISSUER,
        "SPLAI_OIDC_JWKS_URI": f"http://127.0.0.1:{keys.server_port}/jwks",
    }
    with keys, splai("artifacts", "serve", environment) as server:
        yield server
        keys.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and writes no log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        pass


@contextmanager
def splai(component: str, verb: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """One of SPLAI's own processes, as its pod would run it; its log goes to stderr when it fails."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [Path(sys.executable).parent / "splai", component, verb],
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process
        finally:
            failed = process.poll() is not None
            process.terminate()
            process.wait(timeout=60)
            if failed:
                log.seek(0)
                sys.stderr.buffer.write(log.read()[-20000:])


async def until_steady(metrics_port: str, *, objects: int) -> float:
    """Seconds until an operator that starts now has looked at so many objects and has nothing more to do."""
    started = time.monotonic()
    looked_at, since = 0.0, started
    async with asyncio.timeout(1800):
        while looked_at < objects or time.monotonic() - since < QUIET_SECONDS:
            await asyncio.sleep(0.2)
            found = await asyncio.to_thread(_reconciles, metrics_port)
            if found != looked_at:
                looked_at, since = found, time.monotonic()
    return since - started


def _reconciles(metrics_port: str) -> float:
    try:
        with urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5) as reply:
            families = text_string_to_metric_families(reply.read().decode())
    except OSError:  # not yet
        return 0
    name = "splai_operator_reconcile_seconds_count"
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def cost(pid: int) -> Cost:
    """CPU of the process tree so far, and the peak resident size of its root."""
    ticks = 0
    for member in _process_tree(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return Cost(ticks / CLOCK_TICKS, _memory_mb(pid, "VmHWM"))


def resident_mb(pid: int) -> float:
    return _memory_mb(pid, "VmRSS")


def _memory_mb(pid: int, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:")) / 1024


def _process_tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _process_tree(int(child)))]


def kubectl(control_plane: ControlPlane, *arguments: str) -> str:
    program = build.program("kubernetes", "kubectl")
    command = [str(program), f"--kubeconfig={control_plane.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
