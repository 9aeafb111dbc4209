"""A control plane with KWOK nodes for loads of our kinds: what its parts cost, and who wrote to it."""

import json
import os
import resource as process_limits
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.job_loads import AT_ONCE, NAMESPACE
from benchmarks.operator_process import cost, kubectl
from local_cluster.control_plane import Audit, ControlPlane
from local_cluster.kwok import Kwok, create_nodes
from splai.kube.client import Client
from splai.kube.connection import load_configuration

ROOT = Path(__file__).parent.parent
STAGES = Path(__file__).parent / "kwok"
PARTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")


@dataclass(frozen=True)
class MeasuredCluster:
    """A running control plane, its audit log and the processes whose CPU is shown."""

    control_plane: ControlPlane
    audit_log: Path
    processes: Mapping[str, int]

    @contextmanager
    def cpu_shown(self, objects: int, others: Mapping[str, int] | None = None) -> Iterator[None]:
        """Print what each part, each of ``others`` by name and process ID, and this program take for an object."""
        processes = {**self.processes, **(others or {})}
        before = {name: cost(pid).cpu_seconds for name, pid in processes.items()}
        own = time.process_time()
        yield
        spent = {name: cost(pid).cpu_seconds - before[name] for name, pid in processes.items()}
        for name, seconds in {**spent, "this program": time.process_time() - own}.items():
            print(f"  {name}: {1000 * seconds / objects:.1f} ms CPU each")

    def writes(self) -> Counter[str]:
        """The operator's changes so far by verb and resource."""
        return _count_writes(self.audit_log, "splai-operator/")


@contextmanager
def measured_cluster(directory: Path, *, nodes: int, stages: Sequence[Path] | None = None) -> Iterator[MeasuredCluster]:
    """Start one with SPLAI's CRDs and namespaces; KUBECONFIG names it from then on, also to child processes.

    ``directory`` is made where it is not there.
    """
    allow_many_files()
    directory.mkdir(exist_ok=True)
    audit = Audit(policy=STAGES / "audit-policy.yaml", log=directory / "audit.log")
    with (
        ControlPlane(directory / "control-plane", audit=audit, queries_per_second=1000) as control_plane,
        Kwok(control_plane, stages=stages) as kwok,
    ):
        create_nodes(control_plane, nodes)
        prepare(control_plane)
        os.environ["KUBECONFIG"] = str(control_plane.kubeconfig)
        found = {name: control_plane.component(name).identity for name in PARTS} | {"kwok": kwok.process.identity}
        processes = {name: identity.pid for name, identity in found.items() if identity}
        yield MeasuredCluster(control_plane, audit.log, processes)


def allow_many_files() -> None:
    """As many open files as this user may have: sockets to an apiserver, and an artifact store in files."""
    _soft, hard = process_limits.getrlimit(process_limits.RLIMIT_NOFILE)
    process_limits.setrlimit(process_limits.RLIMIT_NOFILE, (hard, hard))


async def make_client() -> Client:
    """A client of the cluster for the loads."""
    configuration = await load_configuration()
    configuration.connection_pool_maxsize = AT_ONCE
    return Client(configuration, component="benchmark")


def prepare(control_plane: ControlPlane) -> None:
    """CRDs, the namespaces, and the operator's identity towards the artifact server."""
    kubectl(control_plane, "apply", "--server-side", "-f", str(ROOT / "crds"))
    kubectl(control_plane, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(ROOT / "crds"))
    for namespace in (NAMESPACE, "splai-system"):
        kubectl(control_plane, "create", "namespace", namespace)
    kubectl(control_plane, "-n", "splai-system", "create", "serviceaccount", "splai-operator")


def _count_writes(log: Path, agent: str) -> Counter[str]:
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
