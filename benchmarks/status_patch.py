"""What a status patch costs the apiserver: with a status that has one owner, as it is, and with owners of each field.

CPU depends on what else the machine does; the memory that is allocated for a patch does not. Both variants of the
InferenceJob's CRD get the same patches, each on a control plane with nothing else on it.

    make benchmark NAME=status-patch ARGS='--patches 1000'
"""

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.operator_process import cost, kubectl
from local_cluster.control_plane import ControlPlane
from splai.kube.client import Client
from splai.kube.connection import load_configuration
from splai.kube.resource import INFERENCE_JOBS

CRD = Path(__file__).parent.parent / "crds" / "inferencejobs.splai.dev.yaml"
KEYS = {"conditions": "type", "tasks": "id"}
CONDITIONS = (
    *("Ready", "Reconciling", "Stalled", "Succeeded", "Failed"),
    *("Suspended", "Validated", "BackendReady", "QuotaReserved", "WorkersReady"),
)
JOBS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=1000, help="of jobs of one task; a tenth of it of large jobs")
    arguments = parser.parse_args()
    result: dict[str, float] = {}
    for variant in ("map", "atomic"):
        with tempfile.TemporaryDirectory() as directory:
            result |= asyncio.run(measure(Path(directory), variant, arguments.patches))
    for size in ("small", "large"):
        result[f"{size}_ratio"] = round(result[f"atomic_{size}_ms"] / result[f"map_{size}_ms"], 3)
    print("RESULT", json.dumps(result))


async def measure(directory: Path, variant: str, patches: int) -> dict[str, float]:
    """The apiserver's CPU in ms and allocations in kB a patch, and the object's bytes, for 1 and for 1,000 tasks."""
    result: dict[str, float] = {}
    with ControlPlane(directory / "control-plane", queries_per_second=1000) as control_plane:
        manifest = directory / "crd.yaml"
        manifest.write_text(yaml.safe_dump(definition(variant)))
        kubectl(control_plane, "apply", "--server-side", "-f", str(manifest))
        kubectl(control_plane, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(manifest))
        os.environ["KUBECONFIG"] = str(control_plane.kubeconfig)
        client = Client(await load_configuration(), component="benchmark")
        server = control_plane.component("kube-apiserver").identity
        assert server is not None
        for size, tasks, count in (("small", 1, patches), ("large", 1000, patches // 10)):
            names = [f"{size}-{number}" for number in range(JOBS)]
            for name in names:
                await client.create(INFERENCE_JOBS, "default", job(name))
            before, allocated_before = cost(server.pid).cpu_seconds, allocated_bytes(control_plane)
            for number in range(count):
                body = {"status": status(number, tasks)}
                await client.patch_status(INFERENCE_JOBS, "default", names[number % JOBS], body)
            milliseconds = 1000 * (cost(server.pid).cpu_seconds - before) / count
            kilobytes = (allocated_bytes(control_plane) - allocated_before) / count / 1000
            stored = await client.get(INFERENCE_JOBS, "default", names[0])
            result[f"{variant}_{size}_ms"] = round(milliseconds, 1)
            result[f"{variant}_{size}_allocated_kb"] = round(kilobytes)
            result[f"{variant}_{size}_bytes"] = len(json.dumps(stored, separators=(",", ":")))
        await client.close()
    print(f"{variant}: {result}", flush=True)
    return result


def allocated_bytes(control_plane: ControlPlane) -> float:
    """All that the apiserver has allocated since it started."""
    metrics = text_string_to_metric_families(kubectl(control_plane, "get", "--raw", "/metrics"))
    names = "go_memstats_alloc_bytes", "counter"
    return next(family.samples[0].value for family in metrics if (family.name, family.type) == names)


def definition(variant: str) -> dict[str, Any]:
    """The CRD as it is, or with a status of separate fields and lists that are maps."""
    body: dict[str, Any] = yaml.safe_load(CRD.read_text())
    (version,) = body["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert schema["x-kubernetes-map-type"] == "atomic"
    if variant == "map":
        del schema["x-kubernetes-map-type"]
    properties = schema["properties"]
    for name, key in KEYS.items():
        assert properties[name]["x-kubernetes-list-type"] == "atomic"
        if variant == "map":
            properties[name] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return body


def job(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "InferenceJob",
        "metadata": {"name": name},
        "spec": {"model": "benchmark", "input": {"text": "a record"}},
    }


def status(number: int, tasks: int) -> dict[str, Any]:
    """That of a running job; each number makes another one."""
    condition = {"status": "True", "reason": "Running", "message": "what is to be known of it", "observedGeneration": 1}
    task = {"phase": "Running", "records": 1, "completed": 0, "failed": 0, "attempts": 1, "worker": "worker-0"}
    return {
        "observedGeneration": 1,
        "conditions": [
            {"type": kind, **condition, "lastTransitionTime": "2026-01-01T00:00:00Z"} for kind in CONDITIONS
        ],
        "phase": "Running",
        "total": tasks,
        "succeeded": number,
        "requestCounts": {"total": tasks, "completed": number, "failed": 0, "inFlight": 0, "retried": 0},
        "tasks": [{"id": f"{position:04d}", **task} for position in range(tasks)],
        "startTime": "2026-01-01T00:00:00Z",
    }


if __name__ == "__main__":
    main()
