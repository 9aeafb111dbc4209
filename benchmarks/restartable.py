"""SPLAI's own processes, as their pods would run them, to be killed and started again."""

import os
import subprocess
import sys
from pathlib import Path

SPLAI = Path(sys.executable).parent / "splai"


class Restartable:
    """A command of ``splai`` with its settings; all its lives write one log."""

    def __init__(self, component: str, verb: str, settings: dict[str, str], log: Path) -> None:
        self._command = [str(SPLAI), component, verb]
        self._environment = {**os.environ, **settings}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()
