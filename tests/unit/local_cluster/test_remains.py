"""After `down`: whatever is left of a cluster is named, and nothing else."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster import cgroups, cleanup, cluster, network, paths, remains
from local_cluster.errors import ClusterError
from local_cluster.process import Process


@pytest.fixture
def kubelet(machine: Path) -> Iterator[Process]:
    """A process that outlived its state file."""
    command = (sys.executable, "-c", "import time; time.sleep(60)", f"--config={machine}/kubelet.yaml")
    process = Process("kubelet", command, machine, outlive=False)
    process.start()
    yield process
    process.kill()


def test_nothing_is_found_of_a_cluster_that_was_removed(machine: Path) -> None:
    cleanup.remove_everything(machine)

    assert remains.found(machine) == []


def test_a_process_is_found_by_what_it_was_told(machine: Path, kubelet: Process) -> None:
    identity = kubelet.identity
    assert identity is not None

    assert any(it.startswith(f"process {identity.pid}: ") for it in remains.found(machine))


def test_mounts_cgroups_and_folders_are_found(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount, cgroup = machine / "volume", next(cgroups._groups())
    cgroup.mkdir()
    paths.RUNTIME.mkdir()
    monkeypatch.setattr(cleanup, "mounts_below", lambda root: [mount] if root == machine else [])

    assert remains.found(machine) == [
        f"mount {mount}",
        f"cgroup {cgroup}",
        f"folder {machine}",
        f"folder {paths.RUNTIME}",
    ]


@pytest.mark.usefixtures("clock")
def test_what_is_left_is_an_error_that_names_it(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "CLUSTER", machine)

    with pytest.raises(ClusterError, match=f"these are left:\n  folder {re.escape(str(machine))}$"):
        cluster.require_no_remains()


@pytest.mark.usefixtures("clock")
def test_what_the_kernel_is_still_removing_is_no_error(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.rmdir()
    looks = iter([["interface veth1"], ["interface veth1"], []])
    monkeypatch.setattr(paths, "CLUSTER", machine)
    monkeypatch.setattr(network, "existing", lambda: next(looks))

    cluster.require_no_remains()

    assert list(looks) == []


def test_the_nodes_bridge_the_pods_interfaces_and_the_tables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"lo": ["127.0.0.1"], "eth0": ["192.0.2.2"], "docker0": [], "splai-local": [], "veth1": ["10.244.0.1"]}
    shown = [
        {"ifname": name, "addr_info": [{"family": "inet", "local": it} for it in found]}
        for name, found in addresses.items()
    ]
    answers = {"ip": json.dumps(shown), "nft": "table ip filter\ntable ip kube-proxy\n"}
    monkeypatch.setattr("shutil.which", lambda command: command)
    monkeypatch.setattr(network, "run", lambda *words: answers[words[0]])

    assert network.existing() == ["interface splai-local", "interface veth1", "table ip kube-proxy"]
