"""A job in virtual time: real workers over a simulated store, engine and Kubernetes, with everything going wrong.

Kubernetes is a loop: an index whose pod failed gets another pod, an index whose pod exited 0 is done, and a new child
Job begins when all are done without ``final``.
"""

import asyncio
import hashlib
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from splai.api.inference_job import Prompt, Retry
from splai.api.ledger import ERRORS, FINAL, OUTPUT, PLAN, Final, WorkOrder
from splai.worker.batch import Batch, Engine, Result
from splai.worker.ledger import encode
from splai.worker.outcome import Answer, NoAnswer, Reaction, Reset, Unreachable
from splai.worker.settings import Identity
from tests.unit.worker.simulated_store import SimulatedFolder, Store, Weather


def make_order(count: int = 6, **changes: Any) -> WorkOrder:
    fields: dict[str, Any] = {
        "namespace": "team",
        "job": "job",
        "uid": "0000-1111",
        "type": "chat",
        "model": "model",
        "endpoint": "http://engine",
        "prompt": Prompt(template="{{ text }}"),
        "format": "jsonl",
        "records": [{"text": f"question {number}"} for number in range(count)],
        "concurrency": 3,
        "retry": Retry(max_attempts=20, initial_backoff="100ms", max_backoff="2s"),
        "request_timeout_seconds": 10,
        "spec_hash": "hash",
    }
    return WorkOrder(**{**fields, **changes})


def answer(text: str, *, tokens: int = 1) -> Answer:
    usage = {"prompt_tokens": tokens, "completion_tokens": 2 * tokens, "total_tokens": 3 * tokens}
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}], "usage": usage}
    return Answer(200, json.dumps(body).encode())


@dataclass
class SimulatedEngine:
    """Answers each request differently, so that a line of another execution is seen for what it is."""

    chance: random.Random
    latency: float = 1.0
    failures: float = 0.0
    outages: float = 0.0  # probability that a request begins an outage of up to 90 s
    rejected: frozenset[str] = frozenset()
    executions: Counter[str] = field(default_factory=Counter)
    down_until: float = 0.0

    def engine(self) -> Engine:
        return Engine(new_client=lambda: self, probe=self._probe)

    async def post(self, body: bytes, traceparent: bytes | None = None) -> Reaction:
        prompt = json.loads(body)["messages"][-1]["content"]
        loop = asyncio.get_running_loop()
        if self.chance.random() < self.outages:
            self.down_until = loop.time() + self.chance.uniform(1, 90)
        await asyncio.sleep(self.chance.uniform(0, self.latency))
        if loop.time() < self.down_until:
            away = (Unreachable("connection refused"), Reset(), Answer(503, b""))
            return away[self.chance.randrange(len(away))]
        if prompt in self.rejected:
            return Answer(400, b'{"error":{"message":"no"}}')
        if self.chance.random() < self.failures:
            failures = (Answer(500, b"oops"), NoAnswer("request_timeout", "late"), Answer(200, b"{"))
            return failures[self.chance.randrange(len(failures))]
        self.executions[prompt] += 1
        return answer(f"{prompt} / {self.executions[prompt]}", tokens=self.executions[prompt])

    async def close(self) -> None:
        """Nothing is open."""

    async def _probe(self) -> str:
        await asyncio.sleep(0.01)
        return "connection refused" if asyncio.get_running_loop().time() < self.down_until else ""


class Pod:
    """A worker process that can be killed or frozen."""

    def __init__(self, order: WorkOrder, folder: SimulatedFolder, identity: Identity, engine: SimulatedEngine) -> None:
        self.folder = folder
        self.identity = identity
        self.stop = asyncio.Event()
        self.pulses: list[float] = []
        clock = asyncio.get_running_loop().time
        batch = Batch(
            order,
            folder,
            identity,
            engine.engine(),
            clock=clock,
            pulse=lambda: self.pulses.append(clock()),
        )
        self.task: asyncio.Task[Result] = asyncio.create_task(batch.run(self.stop))

    def kill(self) -> None:
        """SIGKILL: no call after this one has an effect."""
        self.folder.dead = True
        self.task.cancel()

    async def ended(self) -> Result | None:
        """The result, or None if it was killed."""
        await asyncio.wait([self.task])
        return None if self.task.cancelled() else self.task.result()


@dataclass
class Cluster:
    """The pods of a job's child Jobs."""

    order: WorkOrder
    engine: SimulatedEngine
    chance: random.Random
    weather: Weather = field(default_factory=Weather)
    store: Store = field(default_factory=Store)
    pods: list[Pod] = field(default_factory=list)
    uids: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.store.put(PLAN, encode(self.order))

    def start_pod(self, child: int = 1, index: int = 0) -> Pod:
        folder = SimulatedFolder(self.store, self.weather, self.chance)
        identity = Identity(f"job-{child}", index, f"uid{next(self.uids)}")
        pod = Pod(self.order, folder, identity, self.engine)
        self.pods.append(pod)
        return pod

    async def run_index(self, child: int, index: int) -> None:
        """Pods of an index, one after the other, until one exits 0."""
        while True:
            pod = self.start_pod(child, index)
            result = await pod.ended()
            if result is not None and not result.drained:
                return
            await asyncio.sleep(self.chance.uniform(0, 5))

    async def run_job(self, parallelism: int) -> None:
        """Child Jobs, one after the other, until the work is over."""
        for child in itertools.count(1):
            await asyncio.gather(*(self.run_index(child, index) for index in range(parallelism)))
            if FINAL in self.store.objects:
                return
            assert child < 50, "child Jobs end without an end of the work"

    @property
    def final(self) -> Final:
        return Final.model_validate_json(self.store.objects[FINAL])


def check_outputs(cluster: Cluster, *, rejected: frozenset[str] = frozenset()) -> None:
    """Every record exactly once, in order, and all that is said about the files is true of them."""
    final = cluster.final
    output, errors = (read_file(cluster.store, path) for path in (OUTPUT, ERRORS))
    names = [f"record-{number}" for number in range(1, len(cluster.order.records) + 1)]
    assert sorted(names, key=names.index) == sorted(ids(output) + ids(errors), key=names.index)
    for path, lines, summary in ((OUTPUT, output, final.output), (ERRORS, errors, final.errors)):
        data = cluster.store.objects[path]
        assert ids(lines) == sorted(ids(lines), key=names.index), f"{path} is not in the input's order"
        assert summary.sha256 == hashlib.sha256(data).hexdigest()
        assert (summary.bytes, summary.lines) == (len(data), len(lines))
    counts = final.counts
    assert (counts.completed, counts.failed, counts.total) == (len(output), len(errors), len(names))
    assert final.usage.total_tokens == sum(line["response"]["body"]["usage"]["total_tokens"] for line in output)
    for line in output:
        number = int(line["custom_id"].removeprefix("record-")) - 1
        content = line["response"]["body"]["choices"][0]["message"]["content"]
        assert content.startswith(f"question {number} / ")
    if final.complete:
        wrong = [
            line for line in errors if cluster.order.records[names.index(line["custom_id"])]["text"] not in rejected
        ]
        assert not wrong, "a record failed that the engine would have answered"


def read_file(store: Store, path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.objects[path].decode().splitlines()]


def ids(lines: list[dict[str, Any]]) -> list[str]:
    return [line["custom_id"] for line in lines]
