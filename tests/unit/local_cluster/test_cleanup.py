"""Removing a cluster while what it is made of changes by itself."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_cluster import cgroups, cleanup, network
from local_cluster.errors import ClusterError
from local_cluster.process import Process
from tests.unit.local_cluster.conftest import Clock

ROOT = Path("/cluster")
SLEEP = ("sleep", "600")


class Mounts:
    """What is mounted, and a umount that says what Debian's says."""

    def __init__(self, *names: str) -> None:
        self.mounted = [ROOT / name for name in names]
        self.before: Callable[[Path], None] = lambda _: None
        """What happens between a look at the mounts and the umount of one."""

    def below(self, root: Path) -> list[Path]:
        return [mount for mount in reversed(self.mounted) if mount.is_relative_to(root)]

    def umount(self, *command: str | Path) -> str:
        mount = Path(command[-1])
        self.before(mount)
        if mount not in self.mounted:
            raise ClusterError(f"umount failed with 32:\numount: {mount}: not mounted.")
        self.mounted.remove(mount)
        return ""


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Mounts:
    mounts = Mounts("a", "a/b", "c")
    monkeypatch.setattr(cleanup, "mounts_below", mounts.below)
    monkeypatch.setattr(cleanup, "run", mounts.umount)
    return mounts


def test_everything_below_a_folder_is_unmounted_and_nothing_else(mounts: Mounts) -> None:
    cleanup.unmount_below(ROOT / "a")

    assert mounts.mounted == [ROOT / "c"]


def test_a_mount_that_somebody_else_unmounts_in_the_same_moment_is_no_error(mounts: Mounts) -> None:
    def runc_is_faster(mount: Path) -> None:
        if mount == ROOT / "a" / "b":
            mounts.mounted.remove(mount)

    mounts.before = runc_is_faster

    cleanup.unmount_below(ROOT)

    assert mounts.mounted == []


def test_a_mount_that_appears_meanwhile_is_unmounted_too(mounts: Mounts) -> None:
    late = ROOT / "late"

    def another_appears(mount: Path) -> None:
        if mount == ROOT / "c":
            mounts.mounted.append(late)

    mounts.before = another_appears

    cleanup.unmount_below(ROOT)

    assert mounts.mounted == []


def test_a_mount_that_stays_is_told_in_the_words_of_umount(mounts: Mounts, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise ClusterError("umount: /cluster/c: must be superuser to unmount.")

    monkeypatch.setattr(cleanup, "run", refuse)

    with pytest.raises(ClusterError, match="did not happen within 60 s: umount: /cluster/c: must be superuser"):
        cleanup.unmount_below(ROOT)


@pytest.fixture
def containerd(machine: Path) -> Iterator[Process]:
    process = Process("containerd", SLEEP, machine, outlive=False)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def shim() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


def test_a_pod_that_containerd_starts_as_its_last_deed_is_ended_too(
    machine: Path, containerd: Process, shim: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shims() -> Iterator[int]:
        """The one is there from the moment in which containerd has ended."""
        if not containerd.running and shim.poll() is None:
            yield shim.pid

    monkeypatch.setattr(cleanup, "_shims", shims)

    cleanup.remove_everything(machine)

    assert shim.poll() == -signal.SIGKILL
    assert not machine.exists()


def test_a_part_that_cannot_be_removed_is_told_and_keeps_nothing_but_the_folders(
    machine: Path, containerd: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ClusterError("nft: operation not permitted")

    cgroup = next(cgroups._groups())
    cgroup.mkdir()
    monkeypatch.setattr(network, "down", refuse)

    with pytest.raises(ClusterError, match="nft: operation not permitted"):
        cleanup.remove_everything(machine)

    assert not containerd.running
    assert not cgroup.exists()
    assert machine.exists()


def test_a_folder_that_is_being_emptied_by_somebody_else_is_removed(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "bundle").mkdir()
    rmdir = os.rmdir

    def already_gone(path: str, *, dir_fd: int | None = None) -> None:
        rmdir(path, dir_fd=dir_fd)
        if path == "bundle":
            raise FileNotFoundError(2, "No such file or directory", path)

    monkeypatch.setattr(os, "rmdir", already_gone)

    cleanup.remove_everything(machine)

    assert not machine.exists()
