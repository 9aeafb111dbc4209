"""What a well-behaved caller notices when hundreds of others hold on to the gateway in every way that HTTP offers.

One caller asks our gateway for whole replies, one request at a time: for a while alone, then for a while beside 700
abusers, which are closed by the gateway's deadlines and come back at once. Sizes are limited as in production; the
deadlines are a fifth or so, which makes five times the abuse of the same number of callers.

    make benchmark NAME=gateway-abuse ARGS='--rounds 3 --seconds 20'
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.abused_gateway import FLOODING
from benchmarks.gateway_traffic import MODEL, Traffic
from benchmarks.operator_process import cost, resident_mb
from local_cluster.ports import LOOPBACK, free_ports

BATCH = 1000
START_SECONDS = 60.0

Figures = dict[str, float]
Abuse = dict[str, dict[str, float]]
"""What became of each kind of abuser."""


@dataclass(frozen=True)
class Gateway:
    """The gateway's process, and where it finds the engine whose answers do not end."""

    process: subprocess.Popen[bytes]
    port: int
    flood_port: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


@contextmanager
def running_gateway(traffic: Traffic, engine: str) -> Iterator[Gateway]:
    port, flood_port = free_ports(2)
    engines = (f"{MODEL}={engine.removeprefix('http://')}", f"{FLOODING}={LOOPBACK}:{flood_port}")
    command = (sys.executable, "-m", "benchmarks.abused_gateway", f"--port={port}", *engines)
    with subprocess.Popen(command) as process:
        gateway = Gateway(process, port, flood_port)
        try:
            deadline = time.monotonic() + START_SECONDS
            while traffic.load(gateway.url, requests=1).failures:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("the gateway does not answer")
                time.sleep(0.2)
            yield gateway
        finally:
            process.terminate()


def healthy(traffic: Traffic, gateway: Gateway, seconds: float) -> list[int]:
    """Latencies of the healthy caller, whose replies must all be right, in µs."""
    latencies: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        report = traffic.load(gateway.url, requests=BATCH)
        report.require_all_right("the gateway")
        latencies += report.latencies
    return latencies


def abused(traffic: Traffic, gateway: Gateway, seconds: float) -> tuple[list[int], Abuse]:
    """The healthy caller's latencies beside the abusers, and what became of these."""
    # Elsewhere they would be on other machines: here they get what CPU the others leave.
    command = ("nice", "-n", "19", sys.executable, "-m", "benchmarks.gateway_abusers")
    ports = (f"--port={gateway.port}", f"--engine-port={gateway.flood_port}")
    with subprocess.Popen((*command, *ports), stdout=subprocess.PIPE, text=True) as abusers:
        assert abusers.stdout is not None
        try:
            if not abusers.stdout.readline():
                sys.exit("the abusers did not come")
            latencies = healthy(traffic, gateway, seconds)
        finally:
            abusers.terminate()
        return latencies, json.loads(abusers.stdout.read())


def measure(directory: Path, *, rounds: int, seconds: float) -> Figures:
    traffic = Traffic.build(directory)
    alone: list[float] = []
    beside: list[float] = []
    abuse: list[Abuse] = []
    with ExitStack() as stack:
        engine = stack.enter_context(traffic.engine(LOOPBACK))
        gateway = stack.enter_context(running_gateway(traffic, engine))
        healthy(traffic, gateway, min(5.0, seconds))
        before_mb = resident_mb(gateway.process.pid)
        for number in range(rounds):
            quiet = healthy(traffic, gateway, seconds)
            noisy, became = abused(traffic, gateway, seconds)
            alone.append(p99_ms(quiet))
            beside.append(p99_ms(noisy))
            abuse.append(became)
            print(f"  {number + 1}: alone p50 {median(quiet) / 1000:.3f} p99 {alone[-1]:.3f} ms", end="")
            print(f"; abused p50 {median(noisy) / 1000:.3f} p99 {beside[-1]:.3f} ms")
            print("\n".join(f"     {kind}: {describe(figures)}" for kind, figures in became.items()), flush=True)
        after_mb = resident_mb(gateway.process.pid)
        peak_mb = cost(gateway.process.pid).peak_rss_mb
    late = total(abuse, "late")
    return {
        "healthy_p99_ms_alone": median(alone),
        "healthy_p99_ms_abused": median(beside),
        "ratio": median(noisy / quiet for noisy, quiet in zip(beside, alone, strict=True)),
        "closed_by_deadline": total(abuse, "closed") - late,
        "closed_late": late,
        "idle_connections": min(became["idle"]["open"] for became in abuse),
        "rss_mb_before": before_mb,
        "rss_mb_peak": peak_mb,
        "rss_mb_after": after_mb,
    }


def p99_ms(latencies: list[int]) -> float:
    return quantiles(latencies, n=100, method="inclusive")[98] / 1000


def total(abuse: list[Abuse], figure: str) -> float:
    return sum(kind[figure] for became in abuse for kind in became.values())


def describe(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="of the healthy caller, alone and abused each round"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        figures = measure(Path(directory), rounds=arguments.rounds, seconds=arguments.seconds)
    print("RESULT", json.dumps({name: float(f"{value:.4g}") for name, value in figures.items()}))


if __name__ == "__main__":
    main()
