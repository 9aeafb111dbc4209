"""The one cgroup, in each hierarchy of the kernel, that holds all pods of the local cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

NAME = "splai-local-cluster"

_VERSIONS = ("cgroup", "cgroup2")


def make() -> None:
    """Make the cgroup; the kubelet refuses a root that does not exist."""
    for group in _groups():
        group.mkdir(exist_ok=True)


def kill() -> bool:
    """Kill every process in the cgroup; whether there was any."""
    processes = {
        int(pid)
        for group in _groups()
        for folder, _, _ in os.walk(group)  # which passes over what vanishes, as pods do that are just ending
        for pid in _lines(Path(folder, "cgroup.procs"))
    }
    processes.discard(0)  # a process of another pid namespace: none of ours, and to kill(2) it is this very group
    for pid in processes:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return bool(processes)


def remove() -> None:
    """Remove the cgroup, the innermost folders first."""
    for group in existing():
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()


def existing() -> list[Path]:
    """The cgroup in each hierarchy that has it."""
    return [group for group in _groups() if group.exists()]


def _groups() -> Iterator[Path]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount_point, kind, *_ = line.split()
        if kind in _VERSIONS:
            yield Path(mount_point) / NAME


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # a threaded or a vanished cgroup
        return []
