"""How fast a worker answers records, beside a bare asyncio loop on the same engine in the same run.

The bare loop is what one would write without SPLAI: the worker's own HTTP client with its connection settings, the same
rendering of requests and reading of answers, as many tasks, one local output file. The worker claims tasks, paces
itself, writes parts and commits to a real artifact server on a local folder, and finalizes; all of that is in its time.
Runs of both alternate, and the medians of the pairs' ratios count.

    make benchmark NAME=batch ARGS='--records 100000 --pairs 5'
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import llamacpp
from benchmarks.artifact_store import NAMESPACE, ArtifactStore, artifact_store
from benchmarks.batch_runs import Load, Measured
from splai.api.inference_job import Prompt, Retry
from splai.api.ledger import PLAN, InputManifest, WorkOrder, chunk_path
from splai.artifacts.client import ArtifactClient
from splai.artifacts.input_chunks import CHUNK_BYTES
from splai.artifacts.input_chunks import encode as encode_chunk
from splai.worker.ledger import encode

CONCURRENCY = 64
LLAMACPP_CONCURRENCY = 4  # its slots
TEMPLATE = "Which department does this ticket belong to, and can it wait?\n\n{{ text }}"


class Site:
    """An engine, an artifact server, and the records."""

    def __init__(self, directory: Path, store: ArtifactStore, engine: str, records: list[bytes], **order: Any) -> None:
        self._directory = directory
        self._store = store
        self._records = records
        self._file = directory / f"{uuid.uuid4()}.jsonl"
        self._file.write_bytes(b"".join(line + b"\n" for line in records))
        self._order = WorkOrder(
            namespace=NAMESPACE,
            job="benchmark",
            uid="none",
            type="chat",
            model="fast",
            endpoint=engine,
            prompt=Prompt(system="You sort tickets.", template=TEMPLATE),
            format="jsonl",
            retry=Retry(),
            request_timeout_seconds=600,
            spec_hash="none",
            **order,
        )

    def run(self, name: str) -> Measured:
        """All records once, in a process of its own."""
        order = self._order.model_copy(update={"uid": str(uuid.uuid4())})
        load = Load(order=order, records=self._file, output=self._directory / "output.jsonl")
        if name == "worker":
            asyncio.run(self._plan(order))
            load.artifacts_url, load.token_file = self._store.url, self._store.job_token(order.uid)
        command = [sys.executable, "-m", "benchmarks.batch_runs", name]
        done = subprocess.run(command, input=load.model_dump_json(), stdout=subprocess.PIPE, text=True, check=True)
        measured = Measured.model_validate_json(done.stdout)
        assert measured.records == len(self._records), measured
        return measured

    async def _plan(self, order: WorkOrder) -> None:
        """The input in chunks and the plan, as the planning pod and the operator leave them."""
        chunks = list(chunked(self._records))
        first = [0]
        for chunk in chunks[:-1]:
            first.append(first[-1] + len(chunk))
        manifest = InputManifest(
            attempt="1",
            first=first,
            records=len(self._records),
            bytes=sum(map(len, self._records)),
            format="jsonl",
            sources=[],
            spec_hash=order.spec_hash,
        )
        async with ArtifactClient(self._store.url, self._store.operator_token) as client:
            folder = client.job(NAMESPACE, order.uid)
            for number, chunk in enumerate(chunks):
                await folder.create(chunk_path(manifest.attempt, number), encode_chunk(chunk))
            await folder.create(PLAN, encode(order.model_copy(update={"chunks": manifest})))


def chunked(records: list[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record)
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def tickets(count: int) -> list[bytes]:
    text = "My invoice of last month shows the same item twice, and the amount does not match what I paid."
    return [json.dumps({"text": f"Ticket {number}: {text}"}).encode() for number in range(count)]


def compare(site: Site, *, pairs: int, others: tuple[str, ...] = ()) -> dict[str, float]:
    """Medians over pairs of runs; what ran first in one pair runs second in the next."""
    runs: dict[str, list[Measured]] = {}
    for number in range(pairs):
        names = ("bare", "worker") if number % 2 == 0 else ("worker", "bare")
        for name in (*names, *others):
            runs.setdefault(name, []).append(site.run(name))
        print("  " + ", ".join(f"{name} {describe(measured[-1])}" for name, measured in runs.items()), flush=True)
    worker = runs.pop("worker")
    result = {
        "records_per_second": median(run.records / run.seconds for run in worker),
        "cpu_us_per_record": median(1e6 * run.cpu_seconds / run.records for run in worker),
        "peak_rss_mb": max(run.peak_rss_mb for run in worker),
    }
    for name, other in runs.items():
        pairs_of_both = list(zip(worker, other, strict=True))
        result[f"{name}_records_per_second"] = median(run.records / run.seconds for run in other)
        result[f"{name}_cpu_us_per_record"] = median(1e6 * run.cpu_seconds / run.records for run in other)
        result[f"{name}_ratio"] = median(base.seconds / run.seconds for run, base in pairs_of_both)
        result[f"{name}_cpu_ratio"] = median(base.cpu_seconds / run.cpu_seconds for run, base in pairs_of_both)
    return result


def describe(run: Measured) -> str:
    return f"{run.records / run.seconds:.0f}/s {1e6 * run.cpu_seconds / run.records:.0f} µs"


@contextmanager
def fast_engine() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fast_engine", "--delay", "0.001"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--llamacpp-records", type=int, default=96, help="0: without llama.cpp")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(artifact_store(directory))
        engine = stack.enter_context(fast_engine())
        print(f"{arguments.records} records, 1 ms, {CONCURRENCY} in flight: rate and CPU a record", flush=True)
        site = Site(directory, store, engine, tickets(arguments.records), concurrency=CONCURRENCY)
        large = compare(site, pairs=arguments.pairs, others=("prepared",))
        report(large)
        print("a job of 1,000 records, each a task with a claim, a part and a commit of its own", flush=True)
        report(compare(Site(directory, store, engine, tickets(1000), concurrency=CONCURRENCY), pairs=arguments.pairs))
        llamacpp_ratio = None
        if arguments.llamacpp_records:
            print(f"llama.cpp, {arguments.llamacpp_records} records, {LLAMACPP_CONCURRENCY} in flight", flush=True)
            real = stack.enter_context(llamacpp.engine(directory, slots=LLAMACPP_CONCURRENCY))
            parameters = {"max_tokens": 16, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
            order = {"concurrency": LLAMACPP_CONCURRENCY, "parameters": parameters}
            slow = compare(
                Site(directory, store, real, tickets(arguments.llamacpp_records), **order), pairs=arguments.pairs
            )
            report(slow)
            llamacpp_ratio = round(slow["bare_ratio"], 3)
    result = {
        "ratio": round(large["bare_ratio"], 3),
        "records_per_second": round(large["records_per_second"]),
        "bare_records_per_second": round(large["bare_records_per_second"]),
        "cpu_us_per_record": round(large["cpu_us_per_record"], 1),
        "llamacpp_ratio": llamacpp_ratio,
    }
    print("RESULT", json.dumps(result))


def report(figures: dict[str, float]) -> None:
    for name, value in figures.items():
        print(f"    {name}: {value:.3g}" if value < 10 else f"    {name}: {value:.0f}", flush=True)


if __name__ == "__main__":
    main()
