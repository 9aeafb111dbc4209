"""The artifact volume is full: nothing is lost, nothing half written is seen, and all goes on when there is room."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from splai.api.ledger import Final, Progress
from splai.artifacts.client import ArtifactClient
from splai.artifacts.folder import JobFolder, StoreUnavailable
from splai.worker.ledger import encode
from tests.fake_engine import FakeEngine, running
from tests.integration.artifacts.small_volume import SmallVolume, small_volume
from tests.unit.artifacts.conftest import Cluster, Server, cluster, job_token, running_server, service_token
from tests.unit.worker.simulation import make_order

__all__ = ["cluster"]

RECORDS = 600
IMPATIENCE = 3.0  # seconds


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[SmallVolume]:
    with small_volume(tmp_path, mebibytes=24) as volume:
        yield volume


@pytest.fixture
async def server(cluster: Cluster, tmp_path: Path, volume: SmallVolume) -> AsyncIterator[Server]:
    async with running_server(cluster, tmp_path, volume.root) as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[ArtifactClient]:
    async with server.client(job_token(), deadline=60) as client:
        yield client


@pytest.fixture
def folder(client: ArtifactClient) -> JobFolder:
    return client.job("team-a", "uid-1")


@pytest.fixture
def impatient(client: ArtifactClient) -> JobFolder:
    """The same folder for a call that fails, which would wait for room until its deadline."""
    return client.job("team-a", "uid-1", deadline=IMPATIENCE)


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(1024 * 1024)


async def test_a_write_that_does_not_fit_leaves_nothing_and_reads_go_on(
    server: Server, volume: SmallVolume, folder: JobFolder, impatient: JobFolder
) -> None:
    await folder.create("tasks/0000/1-0", b"a part")
    await folder.put("output.jsonl", b"old")
    before = volume.files()
    volume.fill(leave=64 * 1024)

    with pytest.raises(StoreUnavailable) as part:
        await impatient.create("tasks/0000/1-1", bytes(4 * 1024 * 1024))
    with pytest.raises(StoreUnavailable) as whole:
        await impatient.put("output.jsonl", bytes(200 * 1024))
    with pytest.raises(StoreUnavailable) as stream:
        await impatient.put_stream("output.jsonl", chunks(40))

    assert {part.value.code, whole.value.code, stream.value.code} == {"insufficient_storage"}
    assert volume.files() == before
    assert await folder.get("tasks/0000/1-0") == b"a part"
    assert await folder.get("output.jsonl") == b"old"
    assert [entry.path for entry in await folder.list()] == ["output.jsonl", "tasks/0000/1-0"]
    assert (await folder.progress()).store_full
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as http:
        assert (await http.get("/readyz")).status_code == 200


async def test_with_room_again_the_same_writes_succeed(
    volume: SmallVolume, folder: JobFolder, impatient: JobFolder
) -> None:
    volume.fill()
    with pytest.raises(StoreUnavailable):
        await impatient.create("tasks/0000/1-1", b"x" * 100_000)
    volume.empty()
    assert await folder.create("tasks/0000/1-1", b"x" * 100_000)
    await folder.put_stream("output.jsonl", chunks(3))
    assert [entry.size for entry in await folder.list()] == [3 * 1024 * 1024, 100_000]


async def test_a_folder_can_be_removed_to_make_room(server: Server, volume: SmallVolume, folder: JobFolder) -> None:
    await folder.put_stream("output.jsonl", chunks(20))
    volume.fill()
    async with server.client(job_token("uid-2"), deadline=60) as client:
        other = client.job("team-a", "uid-2")
        with pytest.raises(StoreUnavailable):
            await client.job("team-a", "uid-2", deadline=IMPATIENCE).create("tasks/0000/1-0", b"x" * 100_000)
        async with server.client(service_token()) as operator:
            await operator.job("team-a", "uid-1").remove()
        assert await other.create("tasks/0000/1-0", b"x" * 100_000)


async def progress_until(folder: JobFolder, condition: str) -> Progress:
    async with asyncio.timeout(90):
        while not getattr(progress := await folder.progress(), condition):  # noqa: ASYNC110 - in other processes
            await asyncio.sleep(0.1)
    return progress


async def test_a_job_pauses_loses_nothing_and_goes_on(
    server: Server, volume: SmallVolume, folder: JobFolder, tmp_path: Path
) -> None:
    engine = FakeEngine(delay=0.02)
    async with running(engine) as url:
        order = make_order(
            RECORDS, namespace="team-a", uid="uid-1", endpoint=url, concurrency=8, request_timeout_seconds=60
        )
        await folder.create("plan.json", encode(order))
        server.token_file.write_text(job_token())
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from splai.worker.main import run; run()",
            env={
                "PATH": os.environ["PATH"],
                "SPLAI_ARTIFACTS_URL": server.url,
                "SPLAI_ARTIFACTS_TOKEN_FILE": str(server.token_file),
                "SPLAI_JOB_NAMESPACE": "team-a",
                "SPLAI_JOB_UID": "uid-1",
                "SPLAI_CHILD_JOB": "job-1",
                "SPLAI_POD_UID": "pod-a",
                "SPLAI_TERMINATION_LOG": str(tmp_path / "termination"),
            },
        )
        try:
            async with asyncio.timeout(60):
                while engine.prompts.total() < RECORDS // 4:  # noqa: ASYNC110 - another process asks it
                    await asyncio.sleep(0.01)
            volume.fill()
            full = await progress_until(folder, "store_full")
            assert full.final is None
            assert worker.returncode is None, "it waits"
            volume.empty()
            assert await asyncio.wait_for(worker.wait(), 120) == 0
        finally:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
    data = await folder.get("final")
    assert data is not None
    final = Final.model_validate_json(data)
    assert (final.complete, final.counts.completed, final.counts.failed) == (True, RECORDS, 0)
    assert engine.prompts.total() == RECORDS, "no record was sent twice"
