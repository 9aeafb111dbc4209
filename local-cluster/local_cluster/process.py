"""Long-running programs, remembered across invocations by process id *and* start time.

A process id alone may belong to somebody else after a reboot or a wrap-around; together with the start time and the
boot it names one process for ever. Nothing that is not in a state file of ours is ever signalled.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from local_cluster.errors import ClusterError

# The kernel sends a parent's death signal when the *thread* that forked ends, so all children of a test process are
# forked by this one thread, which lives as long as the process does.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-cluster-forker")

_STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Identity:
    """What names one process for ever on one machine."""

    pid: int
    started: int
    """Clock ticks since boot, field 22 of /proc/PID/stat."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of a process that runs now; None when there is none (a zombie is none)."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, started = fields[0], int(fields[19])
        return None if state in "ZX" else cls(pid, started, boot_id())

    def alive(self) -> bool:
        """Whether exactly this process still runs."""
        return Identity.of(self.pid) == self


def boot_id() -> str:
    """What names the time since the machine was switched on."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Process:
    """One program with its log and its state file; other invocations find it again by the file."""

    def __init__(self, name: str, command: Sequence[str | Path], directory: Path, *, outlive: bool) -> None:
        """With `outlive` the program goes on when this Python ends, else the kernel ends it then."""
        self.name = name
        self.command = [str(word) for word in command]
        self.log = directory / "logs" / f"{name}.log"
        self._state = directory / "run" / f"{name}.json"
        self._outlive = outlive
        self._child: subprocess.Popen[bytes] | None = None

    @classmethod
    def recorded(cls, directory: Path) -> list[Process]:
        """All programs that were started in a folder and not stopped, whether they run or not."""
        found = []
        for state in sorted((directory / "run").glob("*.json")):
            process = cls(state.stem, (), directory, outlive=True)
            process.command = process._read().get("command", [])
            found.append(process)
        return found

    @property
    def identity(self) -> Identity | None:
        """The running process; None when it was not started or has ended."""
        try:
            identity = Identity(**self._read()["identity"])
        except (KeyError, TypeError):
            return None
        return identity if identity.alive() else None

    @property
    def running(self) -> bool:
        """Whether the program runs."""
        return self.identity is not None

    def start(self) -> None:
        """Start the program unless it runs; when it runs with other arguments, it is started anew."""
        if self.running:
            if self._read()["command"] == self.command:
                return
            self.stop()
        self._reap()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._state.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._child = _forker.submit(self._fork).result()
        except OSError as error:
            raise ClusterError(f"{self.name} cannot be started: {error}") from None
        if not self.running:
            raise ClusterError(f"{self.name} ended at once: {self.last_words()}")

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """End the program and wait until it is gone; harder after a while."""
        identity = self.identity
        if identity is not None:
            with suppress(ProcessLookupError):  # it ended by itself since it was looked at
                os.kill(identity.pid, sign)
                if not self._gone(identity, _STOP_SECONDS):
                    os.kill(identity.pid, signal.SIGKILL)
                    self._gone(identity, _STOP_SECONDS)
        self._reap()
        self._state.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the program as a crash would."""
        self.stop(signal.SIGKILL)

    def last_words(self) -> str:
        """The end of the log, for an error message."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join([*lines[-12:], f"(the log is {self.log})"])

    def _read(self) -> dict[str, Any]:
        try:
            recorded: dict[str, Any] = json.loads(self._state.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return recorded

    def _fork(self) -> subprocess.Popen[bytes]:
        command = self.command
        if not self._outlive and shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # Here, because a Ctrl-C interrupts the main thread only: no program is started and then not written down.
        if identity := Identity.of(child.pid):
            self._state.write_text(json.dumps({"identity": asdict(identity), "command": self.command}))
        return child

    def _gone(self, identity: Identity, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not identity.alive():
                return True
            time.sleep(0.02)
        return False

    def _reap(self) -> None:
        if self._child is not None:
            self._child.wait()
            self._child = None
