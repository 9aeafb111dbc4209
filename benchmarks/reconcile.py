"""How fast the operator takes InferenceJobs to Completed, beside plain batch/v1 Jobs in the same run.

A real control plane with KWOK nodes: pods are scheduled and owned as ever, but end at once, a worker's with the
report of a finished one-record job. Both kinds are created over the same client, and each finds an empty namespace, so
the ratio says what SPLAI adds. Then the operator is started again with all the jobs present, and at last they are
deleted. API writes are the mutating requests of the operator's user agent in the audit log, Events included.

    make benchmark NAME=reconcile ARGS='--jobs 1000'
"""

import argparse
import asyncio
import json
import os
import resource as process_limits
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.job_loads import (
    AT_ONCE,
    NAMESPACE,
    delete_all,
    inference_job,
    plain_job,
    ready_backend,
    run_load,
    wait_until_gone,
)
from benchmarks.operator_process import (
    OPERATOR_PORTS,
    artifact_server,
    cost,
    kubectl,
    operator_environment,
    require_free_ports,
    resident_mb,
    splai,
    until_steady,
)
from local_cluster.control_plane import Audit, ControlPlane
from local_cluster.kwok import Kwok, create_nodes, default_stages
from splai.kube.client import Client
from splai.kube.connection import load_configuration
from splai.kube.resource import INFERENCE_JOBS, JOBS

ROOT = Path(__file__).parent.parent
STAGES = Path(__file__).parent / "kwok"


@dataclass(frozen=True)
class Restart:
    """An operator that starts with all the jobs present."""

    seconds: float
    writes: int
    peak_rss_mb: float
    steady_rss_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=20)
    arguments = parser.parse_args()
    require_free_ports()
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
        configuration = await load_configuration()
        configuration.connection_pool_maxsize = AT_ONCE + 1  # a watch beside the creates
        client = Client(configuration, component="benchmark")
        with cluster_cost(control_plane, jobs):
            plain_seconds = await run_load(client, JOBS, [plain_job(number) for number in range(jobs)])
        print(f"plain batch/v1 Jobs: {jobs / plain_seconds:.1f} a second", flush=True)
        await delete_all(client, JOBS)

        stack.enter_context(artifact_server(control_plane, directory))
        environment = operator_environment(control_plane, directory)
        with splai("operator", "run", environment) as operator:
            await ready_backend(client)
            before, rss_before = cost(operator.pid), resident_mb(operator.pid)
            with cluster_cost(control_plane, jobs):
                seconds = await run_load(client, INFERENCE_JOBS, [inference_job(number) for number in range(jobs)])
            after = cost(operator.pid)
        writes = count_writes(audit.log, "splai-operator/")
        print(f"InferenceJobs: {jobs / seconds:.1f} a second")
        for what, count in writes.most_common():
            print(f"  {what}: {count / jobs:.2f} a job", flush=True)

        with splai("operator", "run", environment) as operator:
            started_with = writes.total()
            restart_seconds = await until_steady(OPERATOR_PORTS["SPLAI_METRICS_PORT"], objects=jobs + 1)
            restart = Restart(
                seconds=restart_seconds,
                writes=count_writes(audit.log, "splai-operator/").total() - started_with,
                peak_rss_mb=cost(operator.pid).peak_rss_mb,
                steady_rss_mb=resident_mb(operator.pid),
            )
            await delete_all(client, INFERENCE_JOBS)
            await wait_until_gone(client, JOBS)
            await until_steady(OPERATOR_PORTS["SPLAI_METRICS_PORT"], objects=0)
            emptied_rss_mb = resident_mb(operator.pid)
        await client.close()
    return {
        "jobs": jobs,
        "jobs_per_second": round(jobs / seconds, 2),
        "plain_jobs_per_second": round(jobs / plain_seconds, 2),
        "ratio": round(plain_seconds / seconds, 3),
        "writes_per_job": round(writes.total() / jobs, 2),
        "cpu_ms_per_job": round(1000 * (after.cpu_seconds - before.cpu_seconds) / jobs, 2),
        "peak_rss_mb": round(max(after.peak_rss_mb, restart.peak_rss_mb), 1),
        "memory_kb_per_job": round(1024 * (after.peak_rss_mb - rss_before) / jobs, 1),
        "restart_seconds": round(restart.seconds, 1),
        "restart_writes": restart.writes,
        "restart_rss_mb": round(restart.steady_rss_mb, 1),
        "deleted_rss_mb": round(emptied_rss_mb, 1),
    }


def prepare(control_plane: ControlPlane) -> None:
    """CRDs, the namespaces, and the operator's identity towards the artifact server."""
    kubectl(control_plane, "apply", "--server-side", "-f", str(ROOT / "crds"))
    kubectl(control_plane, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(ROOT / "crds"))
    for namespace in (NAMESPACE, "splai-system"):
        kubectl(control_plane, "create", "namespace", namespace)
    kubectl(control_plane, "-n", "splai-system", "create", "serviceaccount", "splai-operator")


@contextmanager
def cluster_cost(control_plane: ControlPlane, jobs: int) -> Iterator[None]:
    """Print what a load cost each part of the control plane."""
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
    parts = {name: identity.pid for name in names if (identity := control_plane.component(name).identity)}
    before = {name: cost(pid).cpu_seconds for name, pid in parts.items()}
    yield
    for name, pid in parts.items():
        print(f"  {name}: {1000 * (cost(pid).cpu_seconds - before[name]) / jobs:.1f} ms CPU a job")


def count_writes(log: Path, agent: str) -> Counter[str]:
    """The agent's changes by verb and resource."""
    writes: Counter[str] = Counter()
    with log.open() as lines:
        for line in lines:
            entry = json.loads(line) if line.endswith("\n") else {}
            if entry.get("userAgent", "").startswith(agent):
                about = entry["objectRef"]
                parts = (entry["verb"], about["resource"], about.get("subresource"))
                writes[" ".join(part for part in parts if part)] += 1
    return writes


if __name__ == "__main__":
    main()
