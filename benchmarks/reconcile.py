"""How fast the operator takes InferenceJobs to Completed, beside plain batch/v1 Jobs in the same run.

A real control plane with KWOK nodes: pods are scheduled and owned as ever, but end at once, a worker's with the
report of a finished one-record job. Both kinds are created over the same client, so the ratio says what SPLAI adds.
API writes are the mutating requests of the operator's user agent in the audit log, Events included.

    make benchmark NAME=reconcile ARGS='--jobs 1000'
"""

import argparse
import asyncio
import json
import os
import resource as process_limits
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local_cluster import build
from local_cluster.control_plane import ISSUER, Audit, ControlPlane
from local_cluster.kwok import Kwok, create_nodes, default_stages
from splai.kube.client import Client
from splai.kube.connection import load_configuration
from splai.kube.resource import INFERENCE_JOBS, JOBS, MODEL_BACKENDS, Resource

ROOT = Path(__file__).parent.parent
STAGES = Path(__file__).parent / "kwok"
NAMESPACE = "benchmark"
OPERATOR_PORTS = {"SPLAI_HEALTH_PORT": "18081", "SPLAI_METRICS_PORT": "19464"}
ARTIFACTS_PORT = "18080"
CREATORS = 32
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a process and its children used."""

    cpu_seconds: float
    peak_rss_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=20)
    arguments = parser.parse_args()
    _soft, hard = process_limits.getrlimit(process_limits.RLIMIT_NOFILE)
    process_limits.setrlimit(process_limits.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(measure(Path(directory), jobs=arguments.jobs, nodes=arguments.nodes))
    print("RESULT", json.dumps(result))


async def measure(directory: Path, *, jobs: int, nodes: int) -> dict[str, float]:
    """Run both loads on one control plane, the plain one first, and compare."""
    audit = Audit(policy=STAGES / "audit-policy.yaml", log=directory / "audit.log")
    stages = [stage for stage in default_stages() if stage.name != "pod-complete.yaml"]
    with ExitStack() as stack:
        control_plane = stack.enter_context(
            ControlPlane(directory / "control-plane", audit=audit, queries_per_second=1000)
        )
        stack.enter_context(Kwok(control_plane, stages=[*stages, STAGES / "pod-complete.yaml"]))
        create_nodes(control_plane, nodes)
        prepare(control_plane)
        os.environ["KUBECONFIG"] = str(control_plane.kubeconfig)
        client = Client(await load_configuration(), component="benchmark")
        with cluster_cost(control_plane, jobs):
            plain_seconds = await run_load(client, JOBS, [plain_job(number) for number in range(jobs)])
        print(f"plain batch/v1 Jobs: {jobs / plain_seconds:.1f} a second")

        stack.enter_context(artifact_server(control_plane, directory))
        operator = stack.enter_context(splai("operator", "run", operator_environment(control_plane, directory)))
        await ready_backend(client)
        before = cost(operator.pid)
        with cluster_cost(control_plane, jobs):
            seconds = await run_load(client, INFERENCE_JOBS, [inference_job(number) for number in range(jobs)])
        after = cost(operator.pid)
        print(f"InferenceJobs: {jobs / seconds:.1f} a second")
        await client.close()
    writes = count_writes(audit.log, "splai-operator/")
    for what, count in writes.most_common():
        print(f"  {what}: {count / jobs:.2f} a job")
    return {
        "jobs": jobs,
        "jobs_per_second": round(jobs / seconds, 2),
        "plain_jobs_per_second": round(jobs / plain_seconds, 2),
        "ratio": round(plain_seconds / seconds, 3),
        "writes_per_job": round(writes.total() / jobs, 2),
        "cpu_ms_per_job": round(1000 * (after.cpu_seconds - before.cpu_seconds) / jobs, 2),
        "peak_rss_mb": round(after.peak_rss_mb, 1),
    }


def prepare(control_plane: ControlPlane) -> None:
    """CRDs, the namespaces, and the operator's identity towards the artifact server."""
    kubectl(control_plane, "apply", "--server-side", "-f", str(ROOT / "crds"))
    kubectl(control_plane, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(ROOT / "crds"))
    for namespace in (NAMESPACE, "splai-system"):
        kubectl(control_plane, "create", "namespace", namespace)
    kubectl(control_plane, "-n", "splai-system", "create", "serviceaccount", "splai-operator")


async def run_load(client: Client, resource: Resource, bodies: list[dict[str, Any]]) -> float:
    """Create all objects, 32 at a time, and wait for all to be complete; seconds from the first create."""
    start_version = (await client.list(resource, NAMESPACE)).resource_version
    started = time.monotonic()
    pending = iter(bodies)

    async def create_some() -> None:
        for body in pending:
            await client.create(resource, NAMESPACE, body)

    async with asyncio.timeout(1800), asyncio.TaskGroup() as tasks:
        for _ in range(CREATORS):
            tasks.create_task(create_some())
        tasks.create_task(wait_until_complete(client, resource, len(bodies), start_version))
    return time.monotonic() - started


async def wait_until_complete(client: Client, resource: Resource, expected: int, version: str) -> None:
    """Watch the collection until so many objects are complete; an apiserver may end a watch at any time."""
    complete: set[str] = set()
    while len(complete) < expected:
        async for event in client.watch(resource, NAMESPACE, resource_version=version, timeout_seconds=1800):
            version = event.object["metadata"]["resourceVersion"]
            if event.type != "BOOKMARK" and is_complete(event.object):
                complete.add(event.object["metadata"]["uid"])
            if len(complete) == expected:
                return


def is_complete(body: dict[str, Any]) -> bool:
    conditions = body.get("status", {}).get("conditions", [])
    return any(c["type"] in {"Complete", "Succeeded"} and c["status"] == "True" for c in conditions)


def plain_job(number: int) -> dict[str, Any]:
    """A Job with one pod of the same size as a worker."""
    container = {"name": "worker", "image": "example.com/none", "resources": {"requests": {"cpu": "10m"}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"plain-{number}"},
        "spec": {
            "completionMode": "Indexed",
            "completions": 1,
            "parallelism": 1,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }


def inference_job(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "InferenceJob",
        "metadata": {"name": f"job-{number}"},
        "spec": {"model": "benchmark", "input": {"text": f"Record {number}"}},
    }


async def ready_backend(client: Client) -> None:
    """A ModelBackend that KWOK keeps Ready; returns when the operator has said so."""
    await client.create(
        MODEL_BACKENDS,
        NAMESPACE,
        {
            "apiVersion": "splai.dev/v1alpha1",
            "kind": "ModelBackend",
            "metadata": {"name": "benchmark"},
            "spec": {"model": {"id": "benchmark"}},
        },
    )
    async with asyncio.timeout(120):
        while True:
            backend = await client.get(MODEL_BACKENDS, NAMESPACE, "benchmark")
            conditions = backend.get("status", {}).get("conditions", [])
            if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
                return
            await asyncio.sleep(0.2)


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


@contextmanager
def artifact_server(control_plane: ControlPlane, directory: Path) -> Iterator[None]:
    """The real server on a folder; it checks the operator's real token against this cluster's keys."""
    published = directory / "keys"
    published.mkdir()
    (published / "jwks").write_text(kubectl(control_plane, "get", "--raw", "/openid/v1/jwks"))
    keys = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(published)))
    threading.Thread(target=keys.serve_forever, daemon=True).start()
    environment = {
        "SPLAI_ARTIFACTS_ROOT": str(directory / "artifacts"),
        "SPLAI_ARTIFACTS_PORT": ARTIFACTS_PORT,
        "SPLAI_METRICS_PORT": "19465",
        "SPLAI_TRUSTED_SERVICE_ACCOUNTS": "splai-system/splai-operator",
        "SPLAI_OIDC_ISSUER": ISSUER,
        "SPLAI_OIDC_JWKS_URI": f"http://127.0.0.1:{keys.server_port}/jwks",
    }
    with keys, splai("artifacts", "serve", environment):
        yield
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


@contextmanager
def cluster_cost(control_plane: ControlPlane, jobs: int) -> Iterator[None]:
    """Print what a load cost each part of the control plane."""
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
    parts = {name: identity.pid for name in names if (identity := control_plane.component(name).identity)}
    before = {name: cost(pid).cpu_seconds for name, pid in parts.items()}
    yield
    for name, pid in parts.items():
        print(f"  {name}: {1000 * (cost(pid).cpu_seconds - before[name]) / jobs:.1f} ms CPU a job")


def cost(pid: int) -> Cost:
    """CPU of the process tree so far, and the peak resident size of its root."""
    ticks = 0
    for member in process_tree(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return Cost(ticks / CLOCK_TICKS, peak / 1024)


def process_tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in process_tree(int(child)))]


def count_writes(log: Path, agent: str) -> Counter[str]:
    """The agent's changes by verb and resource."""
    writes: Counter[str] = Counter()
    with log.open() as lines:
        for line in lines:
            entry = json.loads(line)
            if entry.get("userAgent", "").startswith(agent):
                about = entry["objectRef"]
                parts = (entry["verb"], about["resource"], about.get("subresource"))
                writes[" ".join(part for part in parts if part)] += 1
    return writes


def kubectl(control_plane: ControlPlane, *arguments: str) -> str:
    program = build.program("kubernetes", "kubectl")
    command = [str(program), f"--kubeconfig={control_plane.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
