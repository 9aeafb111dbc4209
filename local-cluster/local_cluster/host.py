"""The machine below the cluster: what it must have, and what of it has to be put back afterwards."""

from __future__ import annotations

import getpass
import json
import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from local_cluster.command import run
from local_cluster.errors import ClusterError
from local_cluster.progress import step

# Command or file → the Debian package that has it. The files are in folders that are on nobody's PATH.
_NODE_NEEDS = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "socat": "socat",
    "ip": "iproute2",
    "openssl": "openssl",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "ptp": "containernetworking-plugins",
}
_TESTS_NEED = {"initdb": "postgresql", "openssl": "openssl", "redis-server": "redis-server", "g++": "g++"}
_NETWORK_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_POSTGRES = Path("/usr/lib/postgresql")
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

# What kubelet and containerd change without being asked, wherever their own folders are.
_SYSCTLS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_FOLDERS = (
    "/run/containerd",
    "/run/netns",
    "/run/calico",
    "/opt/cni",
    "/etc/cni",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/usr/libexec/kubernetes",
)


def require_root() -> None:
    """Say what to do when this user cannot run a cluster."""
    if platform.system() != "Linux":
        raise ClusterError(
            "The local cluster needs Linux. Start Docker (then kind is used), or use an existing cluster with "
            "CLUSTER=current."
        )
    if os.geteuid() != 0:
        raise ClusterError(
            f"No Docker daemon answers, and a cluster without Docker needs root (it makes cgroups, mounts and network "
            f"interfaces); you are {getpass.getuser()}. Do one of these:\n"
            "  - start Docker and install kind, then type the command again;\n"
            "  - run it as root: sudo make cluster;\n"
            "  - use a cluster that you have: make cluster CLUSTER=current."
        )


def install_packages() -> None:
    """Install the Debian packages that a node needs and whose commands are missing."""
    _find_system_commands()
    _install(_NODE_NEEDS, "Debian packages a node needs")


def install_test_packages() -> None:
    """Install the Debian packages that the tests need and whose programs are missing."""
    _install(_TESTS_NEED, "Debian packages the tests need")


def postgres_programs() -> Path | None:
    """The folder with the programs of the newest PostgreSQL that is installed."""
    versions = sorted(_POSTGRES.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _install(needed: Mapping[str, str], why: str) -> None:
    missing = sorted({package for command, package in needed.items() if not _present(command)})
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ClusterError(f"missing: {', '.join(missing)} (Debian's package names); install them and try again")
    with step(f"installing {' '.join(missing)}", why):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        # A machine that has just been started may still be installing something by itself.
        apt = ("apt-get", "-o", "DPkg::Lock::Timeout=300")
        run(*apt, "update", environment=environment)
        run(*apt, "install", "--yes", "--no-install-recommends", *missing, environment=environment)


def network_plugins() -> Path:
    """The folder with the CNI plugins."""
    return next(folder for folder in _NETWORK_PLUGINS if (folder / "ptp").exists())


def remember(record: Path) -> None:
    """Write down what has to be put back, unless an earlier start has."""
    if record.exists():
        return
    state = {
        "sysctls": {name: _sysctl(name).read_text().strip() for name in _SYSCTLS if _sysctl(name).exists()},
        "absent": [folder for folder in _FOLDERS if not Path(folder).exists()],
    }
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(state, indent=1))


def restore(record: Path) -> None:
    """Put back what `remember` wrote down."""
    if not record.exists():
        return
    state = json.loads(record.read_text())
    for name, value in state["sysctls"].items():
        if _sysctl(name).read_text().strip() != value:
            _sysctl(name).write_text(value)
    for folder in state["absent"]:
        shutil.rmtree(folder, ignore_errors=True)
    record.unlink()


def forward_packets() -> None:
    """Let the kernel route between the pods."""
    _sysctl("net/ipv4/ip_forward").write_text("1")


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name


def _present(command: str) -> bool:
    if command == "ptp":
        return any((folder / "ptp").exists() for folder in _NETWORK_PLUGINS)
    if command == "initdb":
        return postgres_programs() is not None
    return shutil.which(command) is not None


def _find_system_commands() -> None:
    """Root's commands are in folders that `su` and `sudo` do not always put on PATH."""
    present = os.environ.get("PATH", "").split(":")
    os.environ["PATH"] = ":".join([*present, *(p for p in _SYSTEM_PATH.split(":") if p not in present)])
