"""Leaving nothing behind: the end of a node, from whatever state it is in.

Processes are found by what was written down *and* by what they hold: pods by their cgroup, containerd's shims by its
socket. So it also works after a crash in the middle of `up`, and needs none of the programs that `up` builds.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from local_cluster import cgroups, host, network, paths, waiting
from local_cluster.command import run, succeeds
from local_cluster.process import Process

# The kubelet first, or it would start again what is ended next.
_FIRST = ("kubelet", "kube-proxy", "coredns", "volume-keeper")


def remove_everything(directory: Path) -> None:
    """End the cluster whose data lies in `directory`, and remove every trace of it."""
    processes = {process.name: process for process in Process.recorded(directory)}
    for name in _FIRST:
        if name in processes:
            processes[name].stop()
    waiting.until("the end of all pods", _pods_left, seconds=30)
    for process in processes.values():
        process.stop()
    stop_order = sorted(Process.recorded(directory / "control-plane"), key=lambda process: process.name == "etcd")
    for process in stop_order:
        process.stop()
    for root in (directory, paths.RUNTIME):
        unmount_below(root)
    _unmount_idle(paths.cache() / "buildah")
    network.down()
    waiting.until("the removal of the cgroups", _cgroups_left, seconds=30)
    shutil.rmtree(paths.RUNTIME, ignore_errors=True)
    host.restore(directory / "host.json")
    if directory.exists():
        shutil.rmtree(directory)


def unmount_below(root: Path) -> None:
    """Unmount everything below a folder, whether it is in use or not."""
    for mount in _mounts_below(root):
        run("umount", "--lazy", mount)


def _unmount_idle(root: Path) -> None:
    """Unmount what a builder left mounted; what another build is using is busy, and stays."""
    for mount in _mounts_below(root):
        succeeds("umount", mount)


def _mounts_below(root: Path) -> list[Path]:
    """The newest mounts first."""
    mounts = [_unescaped(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [mount for mount in reversed(mounts) if mount.is_relative_to(root)]


def _pods_left() -> str | None:
    shims = list(_shims())
    for pid in shims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if cgroups.kill() or shims:
        return "some processes are still ending"
    return None


def _shims() -> Iterator[int]:
    """containerd's helpers, one a pod; each names the socket of the containerd it belongs to."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"containerd-shim" in words[0] and str(paths.CONTAINERD_SOCKET).encode() in words:
            yield int(folder.name)


def _cgroups_left() -> str | None:
    try:
        cgroups.remove()
    except OSError as error:
        return str(error)
    return None


def _unescaped(field: str) -> Path:
    return Path(field.encode().decode("unicode_escape"))
