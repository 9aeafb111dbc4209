"""What the gateway costs a request and a streamed chunk, beside LiteLLM and SGLang's router in the same run.

All three stand between the same callers and the same engine, both of them a compiled program in processes of its own.
Ours runs as its pod does: its watches are connected to a real kube-apiserver, one bearer token is required, the
backend's limits, breakers, metrics and the counting of usage are on. The peers run without a database, one process
each. All are measured in turn, round by round, at 1 and 32 requests in flight, and once more without any gateway; the
medians over the rounds count.

- CPU is user and system time of the gateway's processes (`/proc/<pid>/stat`), by requests, at 32 in flight.
- A chunk's CPU is that of a whole streamed request by its 65 chunks, nothing subtracted, of 8 streams at a time. Where
  a gateway lags behind, chunks come joined, which is cheaper: `reads_per_chunk` says how much. One stream at a time
  (`cpu_us_per_chunk_1`) wakes the gateway for each chunk anew, and is what no joining flatters.
- Added latency is the percentile through the gateway less the one without it, of the same round.
- RSS is that of our process with its watches connected (`idle`), after a warm-up (`before`), and `after` the requests.

    make benchmark NAME=gateway ARGS='--skip-peers'
"""

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.gateway_peers import LITELLM, SGLANG_ROUTER
from benchmarks.gateway_site import (
    Server,
    apply,
    control_plane,
    endpoint_slice,
    model_backend,
    our_gateway,
    own_address,
    routing,
)
from benchmarks.gateway_traffic import MODEL, Report, Traffic
from benchmarks.operator_process import cost, resident_mb

IN_FLIGHT = 32
STREAMS_IN_FLIGHT = 8
OURS, DIRECT = "ours", "direct"

Figures = dict[str, float]


@dataclass(frozen=True)
class Target:
    """What callers talk to, and how many requests a round are enough to tell what it costs."""

    name: str
    url: str
    requests: int
    token: str = ""
    pid: int | None = None
    """None: the engine itself."""

    @classmethod
    def of(cls, name: str, server: Server, requests: int) -> "Target":
        return cls(name, server.url, requests, server.token, server.pid)

    def cpu_seconds(self) -> float:
        return cost(self.pid).cpu_seconds if self.pid is not None else 0.0


class Bench:
    """One kind of load after the other, on one target."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def round(self, target: Target) -> Figures:
        """All figures of a target, once."""
        one, _ = self._run(target, requests=target.requests // 4, in_flight=1)
        many, many_cpu = self._run(target, requests=target.requests, in_flight=IN_FLIGHT)
        stream, stream_cpu = self._run(target, requests=max(4, target.requests // 50), in_flight=1, stream=True)
        streams, streams_cpu = self._run(
            target, requests=max(8, target.requests // 25), in_flight=STREAMS_IN_FLIGHT, stream=True
        )
        return {
            "cpu_us_per_request": 1e6 * many_cpu / many.requests,
            "cpu_us_per_chunk": 1e6 * streams_cpu / streams.chunks,
            "cpu_us_per_chunk_1": 1e6 * stream_cpu / stream.chunks,
            "reads_per_chunk": streams.reads / streams.chunks,
            "requests_per_second_32": many.requests / many.seconds,
            "p50_ms": one.p50_ms,
            "p99_ms": one.p99_ms,
            "p50_ms_32": many.p50_ms,
            "p99_ms_32": many.p99_ms,
        }

    def warm_up(self, target: Target, requests: int) -> None:
        self._run(target, requests=requests, in_flight=IN_FLIGHT)
        self._run(target, requests=max(8, requests // 50), in_flight=STREAMS_IN_FLIGHT, stream=True)

    def memory(self, target: Target, requests: int) -> Figures:
        """Resident size of our own gateway: without a request so far, after a warm-up, and after the requests."""
        assert target.pid is not None
        idle = resident_mb(target.pid)
        self.warm_up(target, 2000)
        before = resident_mb(target.pid)
        self._run(target, requests=requests, in_flight=IN_FLIGHT)
        return {"rss_mb_idle": idle, "rss_mb_before": before, "rss_mb_after": resident_mb(target.pid)}

    def refuses_strangers(self, target: Target) -> bool:
        """Whether a request without the token is refused."""
        return self._traffic.load(target.url, requests=1).failures == {"status 401": 1}

    def _run(self, target: Target, *, requests: int, in_flight: int, stream: bool = False) -> tuple[Report, float]:
        before = target.cpu_seconds()
        report = self._traffic.load(
            target.url, requests=requests, in_flight=in_flight, stream=stream, token=target.token
        )
        cpu_seconds = target.cpu_seconds() - before
        report.require_all_right(target.name)
        return report, cpu_seconds


def measure(directory: Path, *, requests: int, rounds: int, memory_requests: int, peers: bool) -> Figures:
    """Start everything, and measure round by round; what was first in one round is last in the next."""
    others = ((SGLANG_ROUTER, 1), (LITELLM, 10)) if peers else ()
    for peer, _ in others:
        peer.install()
    traffic = Traffic.build(directory)
    bench = Bench(traffic)
    with ExitStack() as stack:
        engine = stack.enter_context(traffic.engine(own_address()))
        ours = Target.of(OURS, stack.enter_context(serving_gateway(directory, traffic, engine)), requests)
        token_required = bench.refuses_strangers(ours)
        print(f"token required: {token_required}; spec.routing: {routing() or 'this version has none'}", flush=True)
        memory = bench.memory(ours, memory_requests)
        print(f"memory: {describe(memory)}", flush=True)
        targets = [Target(DIRECT, engine, requests), ours]
        for peer, share in others:
            server = stack.enter_context(peer.running(directory, engine))
            server.wait(traffic)
            targets.append(Target.of(peer.name, server, max(100, requests // share)))
        for target in targets:
            bench.warm_up(target, max(100, target.requests // 4))
        figures: dict[str, list[Figures]] = defaultdict(list)
        for number in range(rounds):
            for target in (*targets[number % len(targets) :], *targets[: number % len(targets)]):
                figures[target.name].append(bench.round(target))
                print(f"  {number + 1} {target.name}: {describe(figures[target.name][-1])}", flush=True)
    direct = figures.pop(DIRECT)
    print(f"direct: {describe(medians(direct))}")
    return result({name: summary(runs, direct) for name, runs in figures.items()}) | memory


@contextmanager
def serving_gateway(directory: Path, traffic: Traffic, engine: str) -> Iterator[Server]:
    """Our gateway, with a control plane that tells it of one backend whose pod is the engine."""
    with control_plane(directory) as running:
        apply(running, directory, model_backend(MODEL), endpoint_slice(MODEL, engine))
        with our_gateway(running, directory) as server:
            server.wait(traffic)
            yield server


def summary(runs: list[Figures], direct: list[Figures]) -> Figures:
    """Medians over the rounds; latencies as what a gateway adds to those of the same round without one."""
    added = [
        {f"added_{name}": run[name] - base[name] for name in ("p50_ms", "p99_ms", "p50_ms_32", "p99_ms_32")}
        for run, base in zip(runs, direct, strict=True)
    ]
    return medians(runs) | medians(added)


def medians(runs: list[Figures]) -> Figures:
    return {name: median(run[name] for run in runs) for name in runs[0]}


def result(targets: dict[str, Figures]) -> Figures:
    """Ours under plain names, the peers' under their own, and the ratios that the aims are about."""
    found = {
        name if target == OURS else f"{target}_{name}": value
        for target, figures in targets.items()
        for name, value in figures.items()
    }
    ours = found["cpu_us_per_request"]
    if SGLANG_ROUTER.name in targets:
        found["cpu_of_router"] = ours / found["router_cpu_us_per_request"]
    if LITELLM.name in targets:
        found["litellm_cpu_of_ours"] = found["litellm_cpu_us_per_request"] / ours
    return found


def describe(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=4000, help="at 32 in flight, each round; LiteLLM a tenth")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-requests", type=int, default=100_000, help="between both looks at our memory")
    parser.add_argument("--skip-peers", action="store_true", help="ours alone: nothing to install")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        figures = measure(
            Path(directory),
            requests=arguments.requests,
            rounds=arguments.rounds,
            memory_requests=arguments.memory_requests,
            peers=not arguments.skip_peers,
        )
    print("RESULT", json.dumps({name: float(f"{value:.4g}") for name, value in figures.items()}))


if __name__ == "__main__":
    main()
