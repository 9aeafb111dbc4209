"""The fast engine and the callers of the gateway benchmarks: ``gateway_mock``, a Go program without dependencies."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_cluster import build, command

SOURCE = Path(__file__).parent / "gateway_mock"
MODEL = "benchmark"


@dataclass(frozen=True)
class Report:
    """What callers saw."""

    requests: int
    seconds: float
    failures: dict[str, int]
    """Why, and how often."""
    latencies: list[int]
    """Microseconds to the last byte, of the replies that were right."""
    chunks: int
    """Chunks of all streams, the ones with the finish reason included."""
    reads: int
    """How often the callers' sockets had something to read: fewer than chunks where they came joined."""

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.latencies) / 1000

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.latencies, n=100, method="inclusive")[98] / 1000

    def require_all_right(self, of: str) -> None:
        """Exit when a reply was not what the engine had said: figures of broken replies say nothing."""
        if self.failures:
            sys.exit(f"{of}: of {self.requests} replies some were wrong: {self.failures}")


class Traffic:
    """Callers, made by one program that is built at the start of a benchmark."""

    def __init__(self, program: Path) -> None:
        self.program = program

    @classmethod
    def build(cls, directory: Path) -> "Traffic":
        """Compile the program; Go keeps what it compiled before."""
        program = directory / "gateway-mock"
        command.run("go", "build", "-o", program, ".", directory=SOURCE, environment=build.go_environment())
        return cls(program)

    def load(
        self, url: str, *, requests: int, in_flight: int = 1, stream: bool = False, token: str = "", model: str = MODEL
    ) -> Report:
        """Send requests of 1 KB in a closed loop over kept connections, and check each reply."""
        words = [str(self.program), "load", f"-url={url}", f"-model={model}", f"-token={token}"]
        words += [f"-requests={requests}", f"-in-flight={in_flight}", f"-stream={str(stream).lower()}"]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
        return Report(**json.loads(done.stdout))

    @contextmanager
    def engine(self, address: str) -> Iterator[str]:
        """The engine on a free port of the address; gives its URL."""
        words = [str(self.program), "engine", f"-listen={address}:0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield process.stdout.readline().strip()
            finally:
                process.terminate()
