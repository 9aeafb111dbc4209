"""How soon hundreds of ModelBackends made at once have their children, beside a loop that makes these itself.

A real control plane with KWOK nodes, on which a pod answers as soon as it has a node. The loop creates the same
Deployments and Services as the operator would, over the same client and as many at once, in a namespace of its own;
then the ModelBackends are created. Both count from the first create until the last Deployment and the last Service
are there, and until all of it answers. API writes are the mutating requests of the operator's user agent in the audit
log, Events included.

    make benchmark NAME=backends ARGS='--backends 200'
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from benchmarks.backend_loads import Arrivals, children_of, create_directly, create_through_operator, model_backend
from benchmarks.job_loads import NAMESPACE, ready_backend
from benchmarks.measured_cluster import make_client, measured_cluster
from benchmarks.operator_process import (
    cost,
    kubectl,
    operator_environment,
    require_free_ports,
    splai,
    until_steady,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=10)
    arguments = parser.parse_args()
    require_free_ports()
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(measure(Path(directory), backends=arguments.backends, nodes=arguments.nodes))
    print("RESULT", json.dumps(result))


async def measure(directory: Path, *, backends: int, nodes: int) -> dict[str, float]:
    """Run both loads on one control plane, the direct one first, and compare."""
    with measured_cluster(directory, nodes=nodes) as cluster:
        client = await make_client()
        bodies = [model_backend(number) for number in range(backends)]

        with cluster.cpu_shown(backends):
            direct = await create_directly(client, [children_of(body) for body in bodies])
        report("a loop of creates", direct)
        foreground = ("--all", "--cascade=foreground", "-n", NAMESPACE)
        await asyncio.to_thread(kubectl, cluster.control_plane, "delete", "deployments,services", *foreground)

        environment = operator_environment(cluster.control_plane, directory)
        with splai("operator", "run", environment) as operator:
            await ready_backend(client)  # it leads
            before, started_with = cost(operator.pid), cluster.writes()
            with cluster.cpu_shown(backends, {"operator": operator.pid}):
                through = await create_through_operator(client, bodies)
            report("the operator", through)
            await until_steady(environment["SPLAI_METRICS_PORT"], objects=backends + 1)
            after = cost(operator.pid)
        writes = cluster.writes() - started_with
        for what, count in writes.most_common():
            print(f"  {what}: {count / backends:.2f} a backend", flush=True)
        await client.close()
    return {
        "backends": backends,
        "children_seconds": round(through.last_child, 2),
        "direct_children_seconds": round(direct.last_child, 2),
        "children_p50_ms": round(1000 * through.delay(0.5)),
        "children_p99_ms": round(1000 * through.delay(0.99)),
        "answering_seconds": round(through.all_answer, 2),
        "direct_answering_seconds": round(direct.all_answer, 2),
        "ratio": round(direct.last_child / through.last_child, 3),
        "writes_per_backend": round(writes.total() / backends, 2),
        "cpu_ms_per_backend": round(1000 * (after.cpu_seconds - before.cpu_seconds) / backends, 2),
        "peak_rss_mb": round(after.peak_rss_mb, 1),
    }


def report(who: str, arrivals: Arrivals) -> None:
    print(
        f"{who}: all children after {arrivals.last_child:.2f} s, all answer after {arrivals.all_answer:.2f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
