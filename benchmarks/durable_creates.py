"""What it costs that a ledger's objects are on the disk before they are seen.

The artifact server's own create, which synchronises the file and its directory, beside obstore's, which leaves both to
the kernel; on one volume, in turns, with as many at once as a worker has. The objects have the size of commits.

    make benchmark NAME=durable-creates ARGS='--objects 2000 --directory /var/lib/splai'
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import LocalStore

from splai.artifacts.store_folder import StoreFolder
from splai.worker.store import CALLS_AT_ONCE

COMMIT = b"x" * 300
OBJECTS_A_TASK = 3  # claim, part, commit
ROUNDS = 5
Create = Callable[[str, bytes], Awaitable[object]]


@dataclass(frozen=True)
class Cost:
    """Of creating objects, some at once."""

    per_second: float
    median_ms: float
    cpu_us: float


async def measure(create: Create, objects: int) -> Cost:
    names = iter([f"tasks/{number // OBJECTS_A_TASK:04d}/{number}" for number in range(objects)])
    seconds: list[float] = []

    async def writer() -> None:
        for name in names:
            began = time.perf_counter()
            await create(name, COMMIT)
            seconds.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(writer() for _ in range(CALLS_AT_ONCE)))
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Cost(objects / elapsed, 1000 * statistics.median(seconds), 1e6 * cpu / objects)


async def compare(root: Path, objects: int) -> tuple[list[Cost], list[Cost]]:
    """The two by turns."""
    store = LocalStore(root)
    durable, plain = [], []
    for number in range(ROUNDS):
        durable.append(await measure(StoreFolder(store, "durable", f"uid-{number}").create, objects))
        plain.append(await measure(plain_create(store, f"plain/uid-{number}"), objects))
    return durable, plain


def plain_create(store: LocalStore, base: str) -> Create:
    async def create(name: str, data: bytes) -> None:
        await obstore.put_async(store, f"{base}/{name}", data, mode="create")

    return create


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--directory", type=Path, help="On the volume to be measured; default: the temporary one.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as root:
        durable, plain = asyncio.run(compare(Path(root), arguments.objects))

    def median(costs: list[Cost], field: str) -> float:
        return round(statistics.median(float(getattr(cost, field)) for cost in costs), 2)

    result = {
        f"{name}_{field}": median(costs, field)
        for name, costs in (("durable", durable), ("plain", plain))
        for field in ("per_second", "median_ms", "cpu_us")
    }
    thousand = 1000 * OBJECTS_A_TASK
    extra = thousand / result["durable_per_second"] - thousand / result["plain_per_second"]
    print(f"a job of 1,000 tasks waits {extra:.1f} s longer for its ledger")
    print("RESULT", json.dumps(result | {"extra_seconds_of_1000_tasks": round(extra, 1)}))


if __name__ == "__main__":
    main()
