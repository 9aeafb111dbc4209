"""What a cluster has left on the machine when it is gone: nothing, or `down` has a fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from local_cluster import cgroups, cleanup, network, paths


def found(directory: Path) -> list[str]:
    """Each trace of the cluster whose data lie in `directory`, in words."""
    roots = (directory, paths.RUNTIME)
    return [
        *(f"process {pid}: {command}" for pid, command in _processes(roots)),
        *(f"mount {mount}" for root in roots for mount in cleanup.mounts_below(root)),
        *(f"cgroup {group}" for group in cgroups.existing()),
        *network.existing(),
        *(f"folder {root}" for root in roots if root.exists()),
    ]


def _processes(roots: tuple[Path, ...]) -> Iterator[tuple[int, str]]:
    """Those whose command line names something of the cluster's; what runs in its pods is in its cgroups."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it has just ended
            continue
        if any(f"{root}/" in command for root in roots):
            yield int(folder.name), command
