"""``splai worker finish`` as the process that a pod runs, into a real bucket."""

import asyncio
import hashlib
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import pyarrow.parquet as pq
import pytest

from splai.api.inference_job import Usage
from splai.api.job_output import Output
from splai.api.ledger import Final, TaskCounts, WorkOrder
from splai.artifacts.client import ArtifactClient
from splai.artifacts.folder import JobFolder
from splai.artifacts.part_lines import RecordLine
from splai.artifacts.part_lines import encode as encode_part
from splai.worker.batch_lines import answer_line, line_id
from splai.worker.ledger import Ledger, encode
from splai.worker.store import PatientFolder
from tests.integration.minio import REGION, Minio
from tests.integration.outputs.multipart_uploads import unfinished_uploads
from tests.unit.artifacts.conftest import Server, cluster, job_token, server
from tests.unit.worker.simulation import answer, make_order

__all__ = ["cluster", "server"]

BUCKET_FOLDER = "2026/job"


@dataclass
class Site:
    """A job whose tasks are all committed, and the bucket that its files are to go to."""

    folder: JobFolder
    server: Server
    minio: Minio
    bucket: str
    directory: Path

    async def commit(self, records: int, *, text: str = "yes", **output: Any) -> WorkOrder:
        place = {"uri": f"s3://{self.bucket}/2026", "endpoint": self.minio.endpoint, "region": REGION}
        order = make_order(
            records, namespace="team-a", uid="uid-1", output=Output.model_validate({"s3": place, **output})
        )
        await self.folder.create("plan.json", encode(order))
        ledger = Ledger(PatientFolder(self.folder, pulse=lambda: None), "w")
        for task in order.tasks:
            lines = encode_part(
                RecordLine(at, "output", 1, answer_line(line_id("uid-1", at), f"record-{at + 1}", answer(text)))
                for at in task.positions
            )
            part = await ledger.write_part(task.id, 1, 0, lines)
            await ledger.commit(task.id, [part], TaskCounts(completed=task.count), Usage(total_tokens=3 * task.count))
        return order

    async def start(self, **environment: str) -> asyncio.subprocess.Process:
        self.server.token_file.write_text(job_token())
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from splai.worker.main import finish; finish()",
            env={
                "PATH": os.environ["PATH"],
                "AWS_ACCESS_KEY_ID": self.minio.access_key,
                "AWS_SECRET_ACCESS_KEY": self.minio.secret_key,
                "SPLAI_ARTIFACTS_URL": self.server.url,
                "SPLAI_ARTIFACTS_TOKEN_FILE": str(self.server.token_file),
                "SPLAI_JOB_NAMESPACE": "team-a",
                "SPLAI_JOB_UID": "uid-1",
                "SPLAI_CHILD_JOB": "job-finish",
                "SPLAI_POD_UID": "pod-a",
                "SPLAI_TERMINATION_LOG": str(self.directory / "termination"),
                **environment,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    def last_words(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads((self.directory / "termination").read_text())
        return message

    def objects(self) -> dict[str, bytes]:
        store = self.minio.store(self.bucket)
        names = [entry["path"] for page in obstore.list(store) for entry in page]
        return {name: bytes(obstore.get(store, name).bytes()) for name in names}


@pytest.fixture
async def site(server: Server, minio: Minio, tmp_path: Path) -> AsyncIterator[Site]:
    server.token_file.write_text(job_token())
    async with ArtifactClient(server.url, server.token_file) as client:
        yield Site(client.job("team-a", "uid-1"), server, minio, minio.make_bucket(), tmp_path)


async def test_the_files_are_those_that_final_describes(site: Site) -> None:
    await site.commit(20)
    process = await site.start()
    logs, _ = await process.communicate()
    assert process.returncode == 0, logs.decode()
    data = await site.folder.get("final")
    assert data is not None
    final = Final.model_validate_json(data)
    objects = site.objects()
    assert list(objects) == [f"{BUCKET_FOLDER}/output.jsonl"]
    assert hashlib.sha256(objects[f"{BUCKET_FOLDER}/output.jsonl"]).hexdigest() == final.output.sha256
    assert final.uri == f"s3://{site.bucket}/{BUCKET_FOLDER}/"
    assert site.last_words()["uri"] == final.uri
    assert (final.complete, final.counts.completed, final.usage.total_tokens) == (True, 20, 60)
    assert site.minio.secret_key.encode() not in logs


async def test_columns_in_a_bucket(site: Site) -> None:
    await site.commit(20, format="parquet")
    process = await site.start()
    logs, _ = await process.communicate()
    assert process.returncode == 0, logs.decode()
    rows = pq.read_table(io.BytesIO(site.objects()[f"{BUCKET_FOLDER}/output.parquet"])).to_pylist()
    assert [(row["custom_id"], row["text"]) for row in rows] == [(f"record-{n}", "yes") for n in range(1, 21)]


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"bucket": "no-such"}, "OutputNotFound", "s3://no-such/2026/job/: there is no such bucket (NoSuchBucket)"),
        (
            {"secret": "wrong"},
            "OutputForbidden",
            "s3://{bucket}/2026/job/: the credentials do not allow to write here (SignatureDoesNotMatch)",
        ),
    ],
)
async def test_a_place_that_takes_nothing_is_named_and_the_results_stay(
    site: Site, changes: dict[str, str], reason: str, words: str
) -> None:
    site.bucket = changes.get("bucket", site.bucket)
    await site.commit(20)
    secret = {"AWS_SECRET_ACCESS_KEY": changes["secret"]} if "secret" in changes else {}
    process = await site.start(**secret)
    await process.communicate()
    assert process.returncode == 1
    assert site.last_words() == {"reason": reason, "message": words.format(bucket=site.bucket)}
    assert await site.folder.get("final") is None
    assert len(await site.folder.list("tasks/")) == 41  # 20 parts and commits, and what the files are to be made of


async def test_after_a_mistake_was_mended_the_next_pod_finishes(site: Site) -> None:
    await site.commit(20)
    wrong = await site.start(AWS_SECRET_ACCESS_KEY="wrong")
    await wrong.communicate()
    right = await site.start()
    await right.communicate()
    assert (wrong.returncode, right.returncode) == (1, 0)
    assert site.last_words()["counts"]["completed"] == 20


async def test_asked_to_stop_it_aborts_its_upload(site: Site) -> None:
    await site.commit(400, text="y" * 200_000)
    process = await site.start()
    async with asyncio.timeout(60):
        while not unfinished_uploads(site.minio, site.bucket):  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    logs, _ = await process.communicate()
    assert process.returncode == 143
    assert b"ERROR" not in logs
    assert site.last_words()["reason"] == "Drained"
    assert unfinished_uploads(site.minio, site.bucket) == []
    assert await site.folder.get("final") is None
