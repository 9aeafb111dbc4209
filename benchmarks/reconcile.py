"""How fast the operator takes InferenceJobs to Completed, beside plain batch/v1 Jobs in the same run.

A real control plane with KWOK nodes: pods are scheduled and owned as ever, but end at once, a worker's with the
report of a finished one-record job. Both kinds are created over the same client, and each load has a fresh control
plane, because what one leaves behind (Events, grown heaps) slows the next down: so the ratio says what SPLAI adds. Then
the operator is started again with all the jobs present, and at last they are deleted. API writes are the mutating
requests of the operator's user agent in the audit log, Events included.

    make benchmark NAME=reconcile ARGS='--jobs 1000'
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.job_loads import (
    Load,
    delete_all,
    inference_job,
    plain_job,
    ready_backend,
    run_load,
    wait_until_gone,
)
from benchmarks.measured_cluster import STAGES, make_client, measured_cluster
from benchmarks.operator_process import (
    OPERATOR_PORTS,
    artifact_server,
    cost,
    operator_environment,
    require_free_ports,
    resident_mb,
    splai,
    until_steady,
)
from local_cluster.kwok import default_stages
from splai.kube.resource import INFERENCE_JOBS, JOBS


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
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(measure(Path(directory), jobs=arguments.jobs, nodes=arguments.nodes))
    print("RESULT", json.dumps(result))


async def measure(directory: Path, *, jobs: int, nodes: int) -> dict[str, float]:
    """Run both loads, the plain one first, and compare."""
    stages = [stage for stage in default_stages() if stage.name != "pod-complete.yaml"]
    stages.append(STAGES / "pod-complete.yaml")
    plain = await run_plain_jobs(directory / "plain", jobs=jobs, nodes=nodes, stages=stages)
    directory = directory / "ours"
    with measured_cluster(directory, nodes=nodes, stages=stages) as cluster, ExitStack() as stack:
        client = await make_client()
        artifacts = stack.enter_context(artifact_server(cluster.control_plane, directory))
        environment = operator_environment(cluster.control_plane, directory)
        with splai("operator", "run", environment) as operator:
            await ready_backend(client)
            before, rss_before = cost(operator.pid), resident_mb(operator.pid)
            with cluster.cpu_shown(jobs, {"operator": operator.pid, "artifact server": artifacts.pid}):
                load = await run_load(client, INFERENCE_JOBS, [inference_job(number) for number in range(jobs)])
            after = cost(operator.pid)
        writes = cluster.writes()
        print(f"InferenceJobs: {jobs / load.seconds:.1f} a second, {jobs / load.seconds_with_jobs:.1f} with their Jobs")
        for what, count in writes.most_common():
            print(f"  {what}: {count / jobs:.2f} a job", flush=True)

        with splai("operator", "run", environment) as operator:
            started_with = writes.total()
            restart_seconds = await until_steady(OPERATOR_PORTS["SPLAI_METRICS_PORT"], objects=jobs + 1)
            restart = Restart(
                seconds=restart_seconds,
                writes=cluster.writes().total() - started_with,
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
        "jobs_per_second": round(jobs / load.seconds, 2),
        "plain_jobs_per_second": round(jobs / plain.seconds, 2),
        "ratio": round(plain.seconds / load.seconds, 3),
        "ratio_with_jobs": round(plain.seconds / load.seconds_with_jobs, 3),
        "writes_per_job": round(writes.total() / jobs, 2),
        "cpu_ms_per_job": round(1000 * (after.cpu_seconds - before.cpu_seconds) / jobs, 2),
        "peak_rss_mb": round(max(after.peak_rss_mb, restart.peak_rss_mb), 1),
        "memory_kb_per_job": round(1024 * (after.peak_rss_mb - rss_before) / jobs, 1),
        "restart_seconds": round(restart.seconds, 1),
        "restart_writes": restart.writes,
        "restart_rss_mb": round(restart.steady_rss_mb, 1),
        "deleted_rss_mb": round(emptied_rss_mb, 1),
    }


async def run_plain_jobs(directory: Path, *, jobs: int, nodes: int, stages: Sequence[Path]) -> Load:
    """The reference."""
    with measured_cluster(directory, nodes=nodes, stages=stages) as cluster:
        client = await make_client()
        with cluster.cpu_shown(jobs):
            load = await run_load(client, JOBS, [plain_job(number) for number in range(jobs)])
        await client.close()
    print(f"plain batch/v1 Jobs: {jobs / load.seconds:.1f} a second", flush=True)
    return load


if __name__ == "__main__":
    main()
