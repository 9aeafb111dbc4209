"""Artifact servers on a real MinIO: what the ledger needs, through two servers at once."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from splai.api.base import APIModel
from splai.api.inference_job import Retry
from splai.api.ledger import WorkerReport, WorkOrder
from splai.artifacts.backends import open_store
from splai.artifacts.client import ArtifactClient
from splai.artifacts.folder import FolderName, JobFolder
from splai.artifacts.settings import Settings
from splai.worker.ledger import Ledger, encode
from splai.worker.store import PatientFolder
from tests.integration.minio import Minio
from tests.integration.outputs.multipart_uploads import unfinished_uploads
from tests.unit.artifacts.conftest import Cluster as Keys
from tests.unit.artifacts.conftest import Server, cluster, job_token, running_server, service_token

__all__ = ["cluster"]


def settings(minio: Minio, bucket: str, **changes: str) -> Settings:
    return Settings.from_environment(
        {
            "SPLAI_ARTIFACT_BACKEND": "minio",
            "SPLAI_MINIO_ENDPOINT": minio.endpoint.removeprefix("http://"),
            "SPLAI_MINIO_ACCESS_KEY": minio.access_key,
            "SPLAI_MINIO_SECRET_KEY": minio.secret_key,
            "SPLAI_MINIO_BUCKET": bucket,
            **changes,
        }
    )


@pytest.fixture
def bucket(minio: Minio) -> str:
    return minio.make_bucket()


@pytest.fixture
async def servers(cluster: Keys, tmp_path: Path, minio: Minio, bucket: str) -> AsyncIterator[list[Server]]:
    stores = [open_store(settings(minio, bucket))[0] for _ in range(2)]
    async with (
        running_server(cluster, tmp_path, tmp_path, stores[0]) as one,
        running_server(cluster, tmp_path, tmp_path, stores[1]) as other,
    ):
        yield [one, other]


@pytest.fixture
async def clients(servers: list[Server]) -> AsyncIterator[list[ArtifactClient]]:
    async with servers[0].client(service_token()) as one, servers[1].client(service_token()) as other:
        yield [one, other]


@pytest.fixture
def folders(clients: list[ArtifactClient]) -> list[JobFolder]:
    """One job's folder through either server."""
    return [client.job("team-a", "uid-1") for client in clients]


async def write(folder: JobFolder, path: str, value: APIModel) -> None:
    await folder.create(path, encode(value))


async def test_of_twenty_writers_through_two_servers_exactly_one_wins(folders: list[JobFolder]) -> None:
    for race in range(10):
        path = f"tasks/{race:04d}/commit"
        writers = [folders[number % 2] for number in range(20)]
        random.Random(race).shuffle(writers)
        won = await asyncio.gather(*(folder.create(path, b"%d" % me) for me, folder in enumerate(writers)))
        assert sum(won) == 1
        assert await folders[0].get(path) == await folders[1].get(path) == b"%d" % won.index(True)


async def test_a_workers_ledger_is_what_the_other_server_shows(folders: list[JobFolder]) -> None:
    order = WorkOrder(
        namespace="team-a", job="triage", uid="uid-1", type="chat", model="m", endpoint="http://b", format="jsonl",
        records=[{"text": "a"}, {"text": "b"}], concurrency=4, retry=Retry(), request_timeout_seconds=600,
        spec_hash="abc",
    )  # fmt: skip
    await write(folders[0], "plan.json", order)
    ledger = Ledger(PatientFolder(folders[0], pulse=lambda: None), "w")
    rival = Ledger(PatientFolder(folders[1], pulse=lambda: None), "rival")
    assert await ledger.claim("0000", 1)
    assert not await rival.claim("0000", 1)
    assert await rival.holder("0000", 1) == "w"
    part = await ledger.write_part("0000", 1, 0, b"line\n")
    report = WorkerReport(worker="w", child_job="j-0", index=0, pod_uid="p", in_flight=3)
    await folders[0].put("workers/w", encode(report))

    progress = await folders[1].progress()

    assert await rival.durable_parts("0000") == [part]
    assert await rival.read_part("0000", part) == b"line\n"
    assert [task.state for task in progress.tasks] == ["claimed", "pending"]
    assert progress.counts.in_flight == 3


async def test_what_decides_something_is_never_overwritten(folders: list[JobFolder]) -> None:
    assert await folders[0].create("final", b"first")
    assert not await folders[1].create("final", b"second")
    assert await folders[1].get("final") == b"first"


async def test_overwriting_changes_the_etag_in_the_others_list(folders: list[JobFolder]) -> None:
    await folders[0].put("workers/w", b"1")
    (before,) = await folders[1].list("workers/")
    await folders[0].put("workers/w", b"2")
    (after,) = await folders[1].list("workers/")
    assert before.etag not in ("", after.etag)


async def test_a_large_stream_is_whole_and_read_by_ranges(servers: list[Server], folders: list[JobFolder]) -> None:
    content = random.Random(0).randbytes(40 * 1024 * 1024)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 700_000):
            yield content[start : start + 700_000]

    await folders[0].put_stream("output.jsonl", chunks())
    assert await folders[1].get("output.jsonl") == content
    async with servers[1].http(job_token()) as http:
        url = "/team-a/uid-1/output.jsonl"
        part = await http.get(url, headers={"Range": "bytes=17000000-17000009"})
        tail = await http.get(url, headers={"Range": "bytes=-3"})
        beyond = await http.get(url, headers={"Range": f"bytes={len(content)}-"})
    assert (part.status_code, part.content) == (206, content[17_000_000:17_000_010])
    assert part.headers["Content-Range"] == f"bytes 17000000-17000009/{len(content)}"
    assert (tail.status_code, tail.content, beyond.status_code) == (206, content[-3:], 416)


async def test_a_stream_that_breaks_off_leaves_the_old_object_and_no_upload(
    minio: Minio, bucket: str, folders: list[JobFolder]
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(1024 * 1024)
        raise RuntimeError("the source broke off")

    await folders[0].put("output.jsonl", b"old")
    with pytest.raises(RuntimeError, match="broke off"):
        await folders[0].put_stream("output.jsonl", broken())
    async with asyncio.timeout(30):
        while unfinished_uploads(minio, bucket):  # noqa: ASYNC110 - what is waited for happens in the server
            await asyncio.sleep(0.05)
    assert await folders[0].get("output.jsonl") == b"old"


async def test_a_list_of_more_than_a_page(folders: list[JobFolder]) -> None:
    names = [f"tasks/{number:04d}/claim-1" for number in range(1100)]
    for start in range(0, len(names), 100):
        await asyncio.gather(*(folders[0].create(name, b"x") for name in names[start : start + 100]))
    assert [entry.path for entry in await folders[1].list("tasks/")] == names


async def test_folders_are_listed_and_removed_for_everybody(clients: list[ArtifactClient]) -> None:
    for uid in ("uid-1", "uid-2"):
        await clients[0].job("team-a", uid).create("tasks/0000/commit", b"x")
    assert [name async for name in clients[1].folders()] == [
        FolderName("team-a", "uid-1"),
        FolderName("team-a", "uid-2"),
    ]
    idle = await clients[1].job("team-a", "uid-1").idle_seconds()
    assert idle is not None
    assert idle < 60
    await clients[0].job("team-a", "uid-1").remove()
    assert [name async for name in clients[1].folders()] == [FolderName("team-a", "uid-2")]
    assert await clients[1].job("team-a", "uid-1").list() == []


@pytest.mark.parametrize("changes", [{"SPLAI_MINIO_BUCKET": "no-such-bucket"}, {"SPLAI_MINIO_SECRET_KEY": "wrong"}])
async def test_a_bucket_that_cannot_be_used_is_unavailable_and_never_empty(
    cluster: Keys, tmp_path: Path, minio: Minio, bucket: str, changes: dict[str, str]
) -> None:
    store, _ = open_store(settings(minio, bucket, **changes))
    requests = [
        ("PUT", "plan.json", {"If-None-Match": "*"}),
        ("PUT", "workers/w", {}),
        ("GET", "plan.json", {}),
        ("GET", "", {}),
        ("GET", "progress", {}),
    ]
    async with running_server(cluster, tmp_path, tmp_path, store) as server, server.http(service_token()) as http:
        for method, path, headers in requests:
            reply = await http.request(method, f"/team-a/uid-1/{path}", headers=headers)
            assert (reply.status_code, reply.json()["error"]["code"]) == (503, "store_failed")
        assert (await http.get("/readyz")).status_code == 503
