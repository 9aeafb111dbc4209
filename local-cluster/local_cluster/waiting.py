"""Waiting for a condition, with a deadline and the last reason why it does not hold yet."""

from __future__ import annotations

import time
from collections.abc import Callable

from local_cluster.errors import ClusterError


def until(what: str, reason: Callable[[], str | None], *, seconds: float, interval: float = 0.1) -> None:
    """Wait until `reason` returns None; what it returned last is the message of the error at the deadline."""
    deadline = time.monotonic() + seconds
    while (missing := reason()) is not None:
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} did not happen within {seconds:g} s: {missing}")
        time.sleep(interval)
