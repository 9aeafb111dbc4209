"""A real PostgreSQL on loopback: the programs of Debian's package, with data of their own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from local_cluster import command, host, waiting
from local_cluster.errors import ClusterError
from local_cluster.ports import free_ports
from local_cluster.process import Identity, Process

NAME = "splai"
"""The superuser, its password and the database."""
_SYSTEM_USER = "postgres"
_READY_SECONDS = 60


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL that runs, with an empty database."""

    dsn: str
    psql_program: Path
    process: Process

    def psql(self, statement: str) -> str:
        """Run one statement and return its rows, columns separated by `|`; raises ClusterError with psql's words."""
        arguments = ("--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        return command.run(self.psql_program, *arguments, f"--command={statement}", self.dsn, seconds=60).strip()

    def make_database(self) -> Postgres:
        """The same server with a fresh database, for one test."""
        name = f"test_{secrets.token_hex(4)}"
        self.psql(f"CREATE DATABASE {name}")
        return replace(self, dsn=urlsplit(self.dsn)._replace(path=f"/{name}").geturl())

    def kill(self) -> None:
        """End it as a crash would; `start` brings it back with its data."""
        children = self._children()
        self.process.kill()
        # They end by themselves when they miss their parent; until then they hold the memory that `start` needs.
        waiting.until("the end of its processes", lambda: _alive(children), seconds=_READY_SECONDS)

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        self.process.start()
        waiting.until("PostgreSQL's readiness", self._unready, seconds=_READY_SECONDS)

    def _children(self) -> list[Identity]:
        server = self.process.identity
        if server is None:
            return []
        pids = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        return [identity for pid in pids if (identity := Identity.of(int(pid)))]

    def _unready(self) -> str | None:
        if not self.process.running:
            raise ClusterError(f"postgres has ended: {self.process.last_words()}")
        ready = command.succeeds(self.psql_program.with_name("pg_isready"), "--dbname", self.dsn)
        return None if ready else "it accepts no connections"


def _alive(processes: Sequence[Identity]) -> str | None:
    alive = [process.pid for process in processes if process.alive()]
    return f"still alive: {alive}" if alive else None


@contextmanager
def running_postgres(directory: Path) -> Iterator[Postgres]:
    """A PostgreSQL whose log lies in the directory; its data are a folder that ends with it."""
    programs = host.postgres_programs()
    if programs is None:
        pytest.fail("no PostgreSQL to test on: apt-get install --no-install-recommends postgresql", pytrace=False)
    # Not in the directory: pytest's belong to root, who may not run PostgreSQL.
    with TemporaryDirectory(prefix="splai-postgres-", ignore_cleanup_errors=True) as data:
        _initialize(programs, Path(data))
        (port,) = free_ports(1)
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", f"port={port}", "fsync=off")
        options = [f"--{setting}" for setting in settings]
        process = Process(
            "postgres", _unprivileged(programs / "postgres", "-D", data, *options), directory, outlive=False
        )
        dsn = f"postgres://{NAME}:{NAME}@127.0.0.1:{port}/{{}}?sslmode=disable"
        server = Postgres(dsn.format("postgres"), programs / "psql", process)
        try:
            server.start()
            server.psql(f"CREATE DATABASE {NAME}")
            yield replace(server, dsn=dsn.format(NAME))
        finally:
            process.stop(signal.SIGINT)  # which asks for a fast shutdown: SIGTERM waits for the clients to leave


def _initialize(programs: Path, data: Path) -> None:
    password = data.with_suffix(".password")
    password.write_text(NAME)
    try:
        if os.geteuid() == 0:
            for path in (data, password):
                shutil.chown(path, _SYSTEM_USER, _SYSTEM_USER)
        access = (f"--username={NAME}", f"--pwfile={password}", "--auth=scram-sha-256")
        content = ("--encoding=UTF8", "--locale=C", "--no-sync")
        command.run(*_unprivileged(programs / "initdb", "-D", data, *access, *content), seconds=120)
    finally:
        password.unlink()


def _unprivileged(*words: str | Path) -> list[str | Path]:
    """The command as the user whom Debian's package makes, when this process is root's."""
    if os.geteuid() != 0:
        return list(words)
    # Said again here: the kernel forgets the death signal when the user changes.
    user = (f"--reuid={_SYSTEM_USER}", f"--regid={_SYSTEM_USER}", "--clear-groups", "--pdeathsig=KILL")
    return ["setpriv", *user, *words]
