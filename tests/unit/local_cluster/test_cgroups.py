"""Ending the processes of a cgroup while the kernel, the kubelet and containerd change it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster import cgroups


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands where the kernel's cgroup would."""
    folder = tmp_path / cgroups.NAME
    (folder / "pod" / "container").mkdir(parents=True)
    monkeypatch.setattr(cgroups, "_groups", lambda: iter([folder]))
    return folder


@pytest.fixture
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_processes_of_inner_groups_are_killed(group: Path, sleeping: subprocess.Popen[bytes]) -> None:
    (group / "pod" / "container" / "cgroup.procs").write_text(f"{sleeping.pid}\n")

    assert cgroups.kill()

    assert sleeping.wait(timeout=60) < 0


def test_a_group_that_vanishes_while_it_is_read_has_no_processes(group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    container = group / "pod" / "container"
    scandir = os.scandir

    def vanishing(path: str | os.PathLike[str]) -> object:
        if Path(path) == container:
            container.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)

    assert not cgroups.kill()


def test_no_group_has_no_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_groups", lambda: iter([tmp_path / "none"]))

    assert not cgroups.kill()
