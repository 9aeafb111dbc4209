"""A real Redis on loopback: the program of Debian's package, without anything on disk."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_cluster import command, waiting
from local_cluster.errors import ClusterError
from local_cluster.ports import free_ports
from local_cluster.process import Process

_READY_SECONDS = 60


@dataclass(frozen=True)
class Redis:
    """A Redis that runs."""

    port: int
    process: Process

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cli(self, *words: str) -> str:
        """Run one command and return its reply; raises ClusterError with redis-cli's words."""
        return command.run("redis-cli", "-e", "-p", str(self.port), *words, seconds=60).strip()

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        self.process.start()
        waiting.until("Redis's readiness", self._unready, seconds=_READY_SECONDS)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Meanwhile it takes no turn on the processor: what it is sent waits and is answered afterwards."""
        server = self.process.identity
        assert server
        os.kill(server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server.pid, signal.SIGCONT)

    def _unready(self) -> str | None:
        if not self.process.running:
            raise ClusterError(f"redis-server has ended: {self.process.last_words()}")
        ready = command.succeeds("redis-cli", "-e", "-p", str(self.port), "ping")
        return None if ready else "it accepts no connections"


@contextmanager
def running_redis(directory: Path) -> Iterator[Redis]:
    """A Redis whose log lies in the directory."""
    if shutil.which("redis-server") is None:
        pytest.fail("no Redis to test on: apt-get install --no-install-recommends redis-server", pytrace=False)
    (port,) = free_ports(1)
    settings = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no")
    process = Process("redis", ["redis-server", *settings, "--dir", directory], directory, outlive=False)
    server = Redis(port, process)
    try:
        server.start()
        yield server
    finally:
        process.stop()
