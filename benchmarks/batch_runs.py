"""One run of the batch benchmark in a process of its own, so that its CPU time is its own too.

``python -m benchmarks.batch_runs worker|bare|prepared`` with a ``Load`` as JSON on stdin; prints a ``Measured``.
"""

import asyncio
import json
import resource as process_limits
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from pydantic import BaseModel

from benchmarks.artifact_store import NAMESPACE
from splai.api.json import encode_compact
from splai.api.ledger import WorkOrder
from splai.artifacts.client import ArtifactClient
from splai.core.inferencejob.prompt import PATHS, RequestBuilder
from splai.garbage import collect_garbage_seldom
from splai.worker.batch import Batch, Engine
from splai.worker.batch_lines import answer_line
from splai.worker.engine import EngineClient, EngineProbe
from splai.worker.ledger import Ledger
from splai.worker.main import STORE_DEADLINE, read_plan
from splai.worker.outcome import Success, judge
from splai.worker.settings import Identity
from splai.worker.store import PatientFolder


class Load(BaseModel):
    """What is to be done."""

    order: WorkOrder  # without records
    records: Path  # JSON lines
    output: Path  # of the bare loops
    artifacts_url: str = ""
    token_file: Path = Path()


class Measured(BaseModel):
    """What it took."""

    records: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


async def worker(load: Load) -> int:
    """A worker of SPLAI, from its plan to the finished output."""
    collect_garbage_seldom()
    order = load.order
    identity = Identity("job-1", 0, "pod")
    async with ArtifactClient(load.artifacts_url, load.token_file, deadline=STORE_DEADLINE) as client:
        folder = client.job(NAMESPACE, order.uid)
        plan = await read_plan(Ledger(PatientFolder(folder, pulse=_nothing), identity.worker))
        engine = Engine(new_client=lambda: _client(plan), probe=EngineProbe(plan.endpoint))
        batch = Batch(plan, folder, identity, engine, clock=time.monotonic, pulse=_nothing)
        final = (await batch.run(asyncio.Event())).final
    assert final is not None
    assert final.counts.failed == 0
    return final.output.lines


async def bare(load: Load) -> int:
    """The loop that one would write instead: the same client, requests and lines, and none of the rest."""
    order = load.order
    requests = RequestBuilder.for_order(order)
    with load.records.open("rb") as source, load.output.open("wb") as output:
        lines = enumerate(source)

        async def loop() -> int:
            client, answered = _client(order), 0
            for position, line in lines:
                record = json.loads(line)
                body = encode_compact(requests.build(record))
                verdict = judge(await client.post(body), order.type)
                assert isinstance(verdict, Success), verdict
                custom_id = requests.custom_id(record, position)
                output.write(answer_line(f"batch_req_{position}", custom_id, verdict.answer) + b"\n")
                answered += 1
            await client.close()
            return answered

        return sum(await asyncio.gather(*(loop() for _ in range(order.concurrency))))


async def prepared(load: Load) -> int:
    """Bodies that were made before, and answers that nobody reads: the client and nothing else."""
    order = load.order
    requests = RequestBuilder.for_order(order)
    with load.records.open("rb") as source:
        bodies = iter([encode_compact(requests.build(json.loads(line))) for line in source])
    _start_clock()

    async def loop() -> int:
        client, answered = _client(order), 0
        for body in bodies:
            await client.post(body)
            answered += 1
        await client.close()
        return answered

    return sum(await asyncio.gather(*(loop() for _ in range(order.concurrency))))


RUNS: dict[str, Callable[[Load], Awaitable[int]]] = {"worker": worker, "bare": bare, "prepared": prepared}
_started: list[float] = [0.0, 0.0]


def _start_clock() -> None:
    _started[:] = [time.monotonic(), time.process_time()]


def _client(order: WorkOrder) -> EngineClient:
    url = order.endpoint + PATHS[order.type]
    return EngineClient(url, timeout=order.request_timeout_seconds, clock=time.monotonic)


def _nothing() -> None:
    """Nobody watches."""


async def _measure(name: str) -> Measured:
    load = Load.model_validate_json(sys.stdin.read())
    _start_clock()
    records = await RUNS[name](load)
    seconds, cpu_seconds = time.monotonic() - _started[0], time.process_time() - _started[1]
    peak = process_limits.getrusage(process_limits.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(records=records, seconds=seconds, cpu_seconds=cpu_seconds, peak_rss_mb=peak)


if __name__ == "__main__":
    print(uvloop.run(_measure(sys.argv[1])).model_dump_json())
