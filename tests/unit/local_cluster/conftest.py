"""Time that passes only while somebody waits, and a machine with nothing but the test's own cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_cluster import cgroups, network, paths, waiting


class Clock:
    """Stands in for the module `time` where a condition is waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Waiting takes no time, and a deadline comes all the same."""
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Only this folder's cluster is found, whatever runs on the machine meanwhile; returns the cluster's folder."""
    directory = tmp_path / "cluster"
    directory.mkdir()
    monkeypatch.setenv("SPLAI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "RUNTIME", tmp_path / "runtime")
    monkeypatch.setattr(paths, "CONTAINERD_SOCKET", tmp_path / "runtime" / "containerd.sock")
    monkeypatch.setattr(cgroups, "_groups", lambda: iter([tmp_path / "cgroup"]))
    monkeypatch.setattr(network, "down", lambda: None)
    monkeypatch.setattr(network, "existing", list)
    return directory
