"""Leaving nothing behind: the end of a node, from whatever state it is in.

Processes are found by what was written down *and* by what they hold: pods by their cgroup, containerd's shims by its
socket. So it also works after a crash in the middle of `up`, and needs none of the programs that `up` builds.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from local_cluster import cgroups, host, network, paths, waiting
from local_cluster.command import run, succeeds
from local_cluster.errors import ClusterError
from local_cluster.process import Process

# The kubelet first, or it would start again what is ended next.
_FIRST = ("kubelet", "kube-proxy", "coredns", "volume-keeper")


def remove_everything(directory: Path) -> None:
    """End the cluster whose data lies in `directory`, and remove every trace of it.

    What fails keeps nothing else from being removed but the folders: they say what still runs, and what is still
    mounted in them may be somebody's. So the same command goes on from there.
    """
    node = {process.name: process for process in Process.recorded(directory)}
    control_plane = sorted(Process.recorded(directory / "control-plane"), key=lambda process: process.name == "etcd")
    steps: tuple[Callable[[], None], ...] = (
        *(node[name].stop for name in _FIRST if name in node),
        _end_pods,
        *(process.stop for process in node.values()),
        _end_pods,  # containerd may have started one after the last look
        *(process.stop for process in control_plane),
        *(partial(unmount_below, root) for root in (directory, paths.RUNTIME)),
        partial(_unmount_idle, paths.cache() / "buildah"),
        network.down,
        _remove_cgroups,
    )
    failures = [failure for step in steps if (failure := _failure(step))]
    if failures:
        raise ClusterError("\n".join(failures))
    host.restore(directory / "host.json")
    for folder in (paths.RUNTIME, directory):
        waiting.until(f"the removal of {folder}", partial(_folder_left, folder), seconds=60)


def unmount_below(root: Path) -> None:
    """Unmount everything below a folder, whether it is in use or not."""
    waiting.until(f"the end of all mounts below {root}", lambda: _mounts_left(root), seconds=60)


def _failure(step: Callable[[], None]) -> str | None:
    try:
        step()
    except (ClusterError, OSError) as error:
        return str(error)
    return None


def _mounts_left(root: Path) -> str | None:
    reason = None
    for mount in mounts_below(root):
        try:
            run("umount", "--lazy", mount)
        except ClusterError as error:  # runc, which removes a container meanwhile, may have been faster
            reason = str(error)
    left = mounts_below(root)
    return (reason or f"{left[0]} is mounted") if left else None


def _unmount_idle(root: Path) -> None:
    """Unmount what a builder left mounted; what another build is using is busy, and stays."""
    for mount in mounts_below(root):
        succeeds("umount", mount)


def mounts_below(root: Path) -> list[Path]:
    """What is mounted below a folder, the newest first."""
    mounts = [_unescaped(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [mount for mount in reversed(mounts) if mount.is_relative_to(root)]


def _end_pods() -> None:
    waiting.until("the end of all pods", _pods_left, seconds=120)


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


def _remove_cgroups() -> None:
    waiting.until("the removal of the cgroups", _cgroups_left, seconds=120)


def _cgroups_left() -> str | None:
    try:
        cgroups.remove()
    except OSError as error:
        return str(error)
    return None


def _folder_left(folder: Path) -> str | None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:  # what is just ending may remove or write something too
        return str(error)
    return None


def _unescaped(field: str) -> Path:
    return Path(field.encode().decode("unicode_escape"))
