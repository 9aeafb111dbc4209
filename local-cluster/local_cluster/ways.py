"""The three ways to a cluster, and which one is taken: CLUSTER=current, kind or local; unset: what the machine can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from local_cluster.errors import ClusterError


class Way(StrEnum):
    """Where the cluster comes from."""

    CURRENT = "current"
    KIND = "kind"
    LOCAL = "local"


def choose(environment: Mapping[str, str], kind_possible: Callable[[], bool]) -> Way:
    """What the environment asks for, else kind where it can run, else the local cluster."""
    asked = environment.get("CLUSTER", "")
    if not asked:
        return Way.KIND if kind_possible() else Way.LOCAL
    try:
        way = Way(asked)
    except ValueError:
        raise ClusterError(f"CLUSTER={asked} is not known; it may be: {', '.join(Way)}, or unset") from None
    if way is Way.KIND and not kind_possible():
        raise ClusterError("CLUSTER=kind needs the command `kind` and a Docker daemon that answers `docker info`")
    return way
