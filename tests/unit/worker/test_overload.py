"""A backend with a capacity that no worker knows."""

import asyncio
import random
from dataclasses import dataclass, field

from splai.worker.outcome import Answer, Reaction
from tests.unit.worker.simulation import Cluster, SimulatedEngine, check_outputs, make_order
from tests.unit.worker.virtual_time import run

CAPACITY = 6


@dataclass
class NarrowEngine(SimulatedEngine):
    """Refuses what is more than it can take at once."""

    capacity: int = CAPACITY
    retry_after: float | None = None
    in_flight: int = 0
    refused: list[float] = field(default_factory=list)  # when
    loads: list[tuple[float, int]] = field(default_factory=list)  # when an answer left, and how many were in flight

    async def post(self, body: bytes, traceparent: bytes | None = None) -> Reaction:
        now = asyncio.get_running_loop().time
        if self.in_flight >= self.capacity:
            self.refused.append(now())
            return Answer(429, b"", retry_after=self.retry_after)
        self.in_flight += 1
        try:
            reaction = await super().post(body)
        finally:
            self.loads.append((now(), self.in_flight))
            self.in_flight -= 1
        return reaction


def finish(engine: NarrowEngine, *, records: int, workers: int, concurrency: int) -> tuple[Cluster, float]:
    """A whole job; and how long it took."""

    async def main() -> tuple[Cluster, float]:
        cluster = Cluster(make_order(records, concurrency=concurrency), engine, engine.chance)
        await cluster.run_job(workers)
        return cluster, asyncio.get_running_loop().time()

    return run(main())


def test_a_worker_finds_the_capacity_and_keeps_it_used() -> None:
    engine = NarrowEngine(random.Random(1), latency=2.0)
    cluster, seconds = finish(engine, records=900, workers=1, concurrency=64)
    check_outputs(cluster)
    assert (cluster.final.counts.failed, cluster.final.counts.retried) == (0, 0)
    ideal = 900 / CAPACITY  # at one second each, as the mean is
    assert seconds < 1.6 * ideal
    later = [load for at, load in engine.loads if at > 30]
    assert sum(later) / len(later) > 0.6 * CAPACITY
    assert len(engine.refused) < 900 / 4


def test_two_workers_share_a_backend() -> None:
    engine = NarrowEngine(random.Random(2), latency=2.0)
    cluster, seconds = finish(engine, records=600, workers=2, concurrency=32)
    check_outputs(cluster)
    assert cluster.final.counts.failed == 0
    assert seconds < 1.8 * 600 / CAPACITY


def test_nothing_is_sent_before_retry_after() -> None:
    engine = NarrowEngine(random.Random(3), latency=2.0, retry_after=20.0)
    cluster, _ = finish(engine, records=60, workers=1, concurrency=16)
    check_outputs(cluster)
    first = engine.refused[0]
    together = [at for at in engine.refused if at < first + 20]
    assert max(together) - first < 1, "those that were on their way, and no more"


def test_a_healthy_backend_gets_all_that_is_allowed_from_the_start() -> None:
    engine = NarrowEngine(random.Random(4), latency=2.0, capacity=100)
    cluster, _ = finish(engine, records=200, workers=1, concurrency=64)
    check_outputs(cluster)
    assert not engine.refused
    assert max(load for _, load in engine.loads[:20]) > 50
