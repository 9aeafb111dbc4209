"""Where things lie: what belongs to this checkout, what outlives it, and what must not survive a reboot."""

from __future__ import annotations

import os
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent
REPOSITORY = SOURCES.parent
CONFIGURATION = SOURCES / "configuration"

# The state of this checkout's cluster: `down` removes all of it except the programs in `bin`.
LOCAL = REPOSITORY / ".local"
KUBECONFIG = LOCAL / "kubeconfig"
PROGRAMS = LOCAL / "bin"
CLUSTER = LOCAL / "cluster"

# Sockets: a socket's path may have 108 characters at most, and /run is empty after a reboot.
RUNTIME = Path("/run/splai-local-cluster")
CONTAINERD_SOCKET = RUNTIME / "containerd.sock"


def cache() -> Path:
    """The folder for what is expensive to make again: programs and images, shared by all checkouts."""
    configured = os.environ.get("SPLAI_CACHE")
    return Path(configured).resolve() if configured else Path.home() / ".cache" / "splai"
