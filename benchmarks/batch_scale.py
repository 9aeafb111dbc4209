"""Ten million records through one worker: what must stay small does, and every record comes out once.

Generated one-line records on a volume go through the real planning, the ledger on a real artifact server, a worker
whose engine is a function in its own process, and finalize. Meanwhile the operator's decision is made again and again
on the progress that the server reports, for the largest status that would be written. At last output and errors are
read and compared with the input. What planning costs is measured apart, on 50,000 records of 4 KB.

    make benchmark NAME=batch-scale ARGS='--records 10000000'
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.artifact_store import NAMESPACE, ArtifactStore, artifact_store
from benchmarks.operator_process import cost
from benchmarks.scale_runs import Measured, is_refused
from splai.api.base import format_time
from splai.api.inference_job import InferenceJob
from splai.api.ledger import ERRORS, OUTPUT, PLAN, READING, Progress
from splai.api.model_backend import ModelBackend
from splai.artifacts.client import ArtifactClient
from splai.core.inferencejob.plan import plan
from splai.core.inferencejob.snapshot import JobSnapshot
from splai.core.inferencejob.work_order import make_reading_order, make_work_order
from splai.core.observed import CHILD_LABEL, ObservedJob
from splai.core.settings import OperatorSettings
from splai.engines import EngineImages
from splai.worker.ledger import encode

VALIDATED_RECORDS, VALIDATED_BYTES = 50_000, 200_000_000
LOOK_SECONDS = 5.0
SETTINGS = OperatorSettings(image="splai", engine_images=EngineImages(llamacpp="llamacpp", vllm="vllm"))
_LINE = re.compile(rb'"custom_id":"record-(\d+)".*?(?:answer to record|"record) (\d+)')


class ScaleJob:
    """An InferenceJob over one file, and what the operator knows of it."""

    def __init__(self, store: ArtifactStore, volume: Path, file: str) -> None:
        self._store = store
        self._volume = volume
        self._uid = str(uuid.uuid4())
        self._token = store.job_token(self._uid)
        self._backend = ModelBackend.model_validate(
            {
                "metadata": {"name": "model", "namespace": NAMESPACE, "uid": "backend", "creationTimestamp": _now()},
                "spec": {"model": {"id": "model"}},
                "status": {"conditions": [_condition("Ready")]},
            }
        )
        self._job = InferenceJob.model_validate(
            {
                "metadata": {
                    "name": "scale",
                    "namespace": NAMESPACE,
                    "uid": self._uid,
                    "generation": 1,
                    "creationTimestamp": _now(),
                },
                "spec": {
                    "model": "model",
                    "input": {"persistentVolumeClaim": {"claimName": "data", "path": file}},
                    "workers": {"concurrency": 64},
                },
            }
        )
        self.status_bytes = 0

    @property
    def folder(self) -> Path:
        return self._store.root / NAMESPACE / self._uid

    async def read_input(self) -> Measured:
        """The planning pod, started as the operator would."""
        order = make_reading_order(self._job, {}, earlier_uid=None)
        async with ArtifactClient(self._store.url, self._store.operator_token) as client:
            await client.job(NAMESPACE, self._uid).create(READING, encode(order))
        return await self._run("plan")

    async def work(self) -> Measured:
        """The worker, and the operator that looks on."""
        async with ArtifactClient(self._store.url, self._store.operator_token) as client:
            folder = client.job(NAMESPACE, self._uid)
            manifest = (await folder.progress()).input
            assert manifest is not None
            order = make_work_order(self._job, self._backend, manifest, "http://in-process")
            await folder.create(PLAN, encode(order))
            looking = asyncio.create_task(self._keep_looking(client))
            try:
                return await self._run("worker")
            finally:
                looking.cancel()
                self._decide(await folder.progress())

    async def _keep_looking(self, client: ArtifactClient) -> None:
        while True:
            progress = await client.job(NAMESPACE, self._uid).progress()
            self._decide(progress)
            counts = progress.counts
            print(f"  {counts.completed + counts.failed:,} of {counts.total:,} durable", flush=True)
            await asyncio.sleep(LOOK_SECONDS)

    def _decide(self, progress: Progress) -> None:
        """What the operator would write into the status now."""
        child = ObservedJob(
            namespace=NAMESPACE,
            name="scale-0",
            uid="child",
            owner_uid=self._uid,
            labels={CHILD_LABEL: "0"},
            created=datetime.now(UTC),
            active=1,
            ready=1,
        )
        snapshot = JobSnapshot(
            job=self._job, settings=SETTINGS, backends=(self._backend,), child_jobs=(child,), progress=progress
        )
        status = plan(snapshot, datetime.now(UTC)).status
        assert status is not None
        self._job = self._job.model_copy(update={"status": status})
        self.status_bytes = max(self.status_bytes, len(status.model_dump_json(by_alias=True, exclude_none=True)))

    async def _run(self, name: str) -> Measured:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.scale_runs",
            name,
            env={
                **os.environ,
                "SPLAI_ARTIFACTS_URL": self._store.url,
                "SPLAI_ARTIFACTS_TOKEN_FILE": str(self._token),
                "SPLAI_JOB_NAMESPACE": NAMESPACE,
                "SPLAI_JOB_UID": self._uid,
                "SPLAI_CHILD_JOB": "scale-0",
                "SPLAI_POD_UID": f"pod-{name}",
                "VOLUME": str(self._volume),
            },
            stdout=subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, f"{name} ended with {process.returncode}"
        return Measured.model_validate_json(output)


def check(folder: Path, records: int) -> tuple[int, int]:
    """How many records are lost, and how many lines are too many; each in its file, and in order."""
    seen = bytearray(records)
    for name, refused in ((OUTPUT, False), (ERRORS, True)):
        last = 0
        for number, answered in numbers(folder / name):
            assert answered == number - 1, f"record {number} has the answer of another"
            assert is_refused(answered) == refused, f"record {number} is in the wrong file"
            assert number > last, f"record {number} is not in its place"
            last = number
            seen[number - 1] += 1
    return seen.count(0), sum(count * (times - 1) for times in range(2, 256) if (count := seen.count(times)))


def numbers(file: Path) -> Iterator[tuple[int, int]]:
    """Of each line the number in its custom_id, counted from 1, and that of its answer, counted from 0."""
    with file.open("rb") as lines:
        for line in lines:
            match = _LINE.search(line)
            assert match is not None, "a line is none of ours"
            yield int(match[1]), int(match[2])


def write_records(file: Path, count: int, size: int = 0) -> None:
    """One JSON object a line, padded to ``size`` bytes."""
    with file.open("wb", buffering=1 << 20) as output:
        for number in range(count):
            line = b'{"text":"record %d"}\n' % number
            if size > len(line):
                line = line[:-3] + b" " + b"lorem ipsum " * ((size - len(line)) // 12) + b'"}\n'
            output.write(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--directory", type=Path, help="with room for 1 KB a record; default: the temporary one")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.directory)))
        store = stack.enter_context(artifact_store(directory))
        result = asyncio.run(measure(directory, store, arguments.records))
    print("RESULT", json.dumps(result))


async def measure(directory: Path, store: ArtifactStore, records: int) -> dict[str, Any]:
    volume = directory / "volume"
    volume.mkdir()
    write_records(volume / "large.jsonl", VALIDATED_RECORDS, VALIDATED_BYTES // VALIDATED_RECORDS)
    size = (volume / "large.jsonl").stat().st_size
    validated = await ScaleJob(store, volume, "large.jsonl").read_input()
    report(f"read and validated {VALIDATED_RECORDS:,} records, {size / 1e6:.0f} MB", validated)

    write_records(volume / "records.jsonl", records)
    job = ScaleJob(store, volume, "records.jsonl")
    report(f"read and validated {records:,} records", await job.read_input())
    before, started = cost(store.pid), time.monotonic()
    worked = await job.work()
    served = cost(store.pid)
    report("worker, from its plan to the finished output", worked)
    server = Measured(
        seconds=time.monotonic() - started,
        cpu_seconds=served.cpu_seconds - before.cpu_seconds,
        peak_rss_mb=served.peak_rss_mb,
    )
    report("artifact server meanwhile", server)
    lost, duplicated = check(job.folder, records)
    return {
        "records": records,
        "worker_rss_mb": round(worked.peak_rss_mb, 1),
        "status_bytes": job.status_bytes,
        "lost": lost,
        "duplicated": duplicated,
        "validate_mb_per_s": round(size / 1e6 / validated.cpu_seconds, 1),
    }


def report(what: str, took: Measured) -> None:
    times = f"{took.seconds:.1f} s, {took.cpu_seconds:.1f} s of CPU"
    print(f"{what}: {times}, at most {took.peak_rss_mb:.0f} MB", flush=True)


def _condition(kind: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": _now(), "reason": kind, "message": ""}


def _now() -> str:
    return format_time(datetime.now(UTC))


if __name__ == "__main__":
    main()
