"""Time that passes only while somebody waits."""

from __future__ import annotations

import pytest

from local_cluster import waiting


class Clock:
    """Stands in for the module `time` where a condition is waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Waiting takes no time, and a deadline comes all the same."""
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock
