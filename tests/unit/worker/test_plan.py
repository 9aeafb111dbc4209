"""``splai worker plan`` as a process of its own, with a real artifact server: killed, doubled, stopped and refused."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from splai.api.inference_job import Prompt
from splai.api.job_input import Input
from splai.api.ledger import InputManifest, ReadingOrder, Validation, chunk_path
from splai.artifacts import input_chunks
from splai.artifacts.client import ArtifactClient, HTTPJobFolder
from splai.artifacts.folder import INSUFFICIENT_STORAGE, StoreUnavailable
from splai.serving import listening
from splai.worker.ledger import encode
from splai.worker.plan import LONGEST_SUMMARY, PUTS_AT_ONCE, FolderOfThread, in_thread, summarize
from splai.worker.store import PatientFolder
from tests.fake_engine import FakeEngine, running
from tests.unit.artifacts.conftest import Cluster, Server, cluster, job_token, server
from tests.unit.inputs.test_failed_records import EarlierJob
from tests.unit.worker.simulation import make_order

__all__ = ["cluster", "server"]  # fixtures

NAMESPACE, UID = "team-a", "uid-1"


@dataclass
class Site:
    """A job's folder, its volume, and the processes that were started."""

    server: Server
    folder: HTTPJobFolder
    directory: Path
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def volume(self) -> Path:
        return self.directory / "volume"

    async def order(self, **fields: Any) -> None:
        source = {"persistentVolumeClaim": {"claimName": "data", "path": "lines.jsonl"}, **fields.pop("input", {})}
        order = ReadingOrder(
            namespace=NAMESPACE,
            job="triage",
            uid=UID,
            type="chat",
            input=Input.model_validate(source),
            spec_hash="h",
            **fields,
        )
        await self.folder.create("reading.json", encode(order))

    async def start(
        self, command: str = "plan", *, pod: str = "pod-a", **environment: str
    ) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"from splai.worker import plan; plan.VOLUME = __import__('pathlib').Path({str(self.volume)!r})\n"
            "from splai.cli import main; main()",
            "worker",
            command,
            env={
                "PATH": os.environ["PATH"],
                "SPLAI_ARTIFACTS_URL": self.server.url,
                "SPLAI_ARTIFACTS_TOKEN_FILE": str(self.server.token_file),
                "SPLAI_JOB_NAMESPACE": NAMESPACE,
                "SPLAI_JOB_UID": UID,
                "SPLAI_CHILD_JOB": "triage-plan",
                "SPLAI_POD_UID": pod,
                "SPLAI_TERMINATION_LOG": str(self.directory / f"termination-{pod}"),
                **environment,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.processes.append(process)
        return process

    async def run(self, *, pod: str = "pod-a", **environment: str) -> tuple[int | None, str]:
        """The exit code and the logs."""
        process = await self.start(pod=pod, **environment)
        logs, _ = await process.communicate()
        return process.returncode, logs.decode()

    def message(self, pod: str = "pod-a") -> dict[str, Any]:
        content = (self.directory / f"termination-{pod}").read_bytes()
        assert len(content) <= 2048
        message: dict[str, Any] = json.loads(content)
        return message

    async def manifest(self) -> InputManifest:
        return InputManifest.model_validate_json(await self.folder.get("input.json") or b"")

    async def records(self) -> list[dict[str, Any]]:
        """All records of the chunks that the manifest names."""
        manifest = await self.manifest()
        chunks = [
            input_chunks.decode(await self.folder.get(chunk_path(manifest.attempt, number)) or b"")
            for number in range(len(manifest.first))
        ]
        firsts = [sum(map(len, chunks[:number])) for number in range(len(chunks))]
        assert manifest.first == firsts
        return [json.loads(line) for chunk in chunks for line in chunk]


@pytest.fixture
async def site(server: Server, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Site]:
    server.token_file.write_text(job_token(UID, NAMESPACE))
    (tmp_path / "volume").mkdir()
    async with ArtifactClient(server.url, server.token_file) as client:
        site = Site(server, client.job(NAMESPACE, UID), tmp_path)
        yield site
        for process in site.processes:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.01)


def write_lines(site: Site, count: int, *, size: int = 20) -> list[dict[str, Any]]:
    records = [{"text": f"question {number} " + "x" * size} for number in range(count)]
    (site.volume / "lines.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return records


async def test_an_input_becomes_chunks_and_a_manifest(site: Site) -> None:
    records = write_lines(site, 10_000, size=1000)
    await site.order()
    code, logs = await site.run()
    assert code == 0, logs
    assert await site.records() == records
    manifest = await site.manifest()
    assert (manifest.records, manifest.format, manifest.spec_hash) == (10_000, "jsonl", "h")
    assert manifest.bytes == manifest.sources[0].bytes == (site.volume / "lines.jsonl").stat().st_size
    assert manifest.sources[0].uri == "pvc://data/lines.jsonl"
    assert len(manifest.first) > 1
    assert (await site.folder.progress()).input == manifest
    assert site.message() == {"reason": "InputRead", "message": "10000 records"}
    assert "question" not in logs


async def test_workers_answer_what_was_read(site: Site) -> None:
    (site.volume / "lines.jsonl").write_text('question,custom_id\nwhy?,a\n\n"how,\nthen?",b\n')
    prompt = Prompt(template="Q: {{ question }}")
    await site.order(input={"format": "csv"}, prompt=prompt)
    assert (await site.run())[0] == 0
    async with running(FakeEngine()) as url:
        fields: dict[str, Any] = {"namespace": NAMESPACE, "uid": UID, "endpoint": url, "prompt": prompt}
        order = make_order(records=[], chunks=await site.manifest(), **fields)
        await site.folder.create("plan.json", encode(order))
        process = await site.start("run")
        await process.communicate()
    assert process.returncode == 0
    lines = [json.loads(line) for line in (await site.folder.get("output.jsonl") or b"").splitlines()]
    answers = {line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"] for line in lines}
    assert answers == {"a": "echo Q: why?", "b": "echo Q: how,\nthen?"}


async def test_a_bad_input_ends_with_what_is_wrong(site: Site) -> None:
    (site.volume / "lines.jsonl").write_text('{"text": "secret"}\nsecret\n{"texts": "secret"}\n')
    await site.order()
    code, logs = await site.run()
    assert code == 42, logs
    validation = Validation.model_validate_json(await site.folder.get("validation.json") or b"")
    assert validation == Validation(
        reason="ValidationFailed",
        problems=[
            "record 2 (line 2, column 1): not valid JSON: Expecting value",
            "record 3 (line 3): there is no prompt.template, and the record has no messages or text or prompt",
        ],
        total=2,
    )
    assert site.message() == {"reason": "ValidationFailed", "message": "2 problems:\n" + "\n".join(validation.problems)}
    assert await site.folder.get("input.json") is None
    assert (await site.folder.progress()).invalid == validation
    assert "secret" not in logs


async def test_a_source_that_is_not_there_is_named(site: Site) -> None:
    await site.order()
    assert (await site.run())[0] == 42
    assert site.message() == {"reason": "InputNotFound", "message": "pvc://data/lines.jsonl does not exist"}


async def test_what_another_try_may_not_meet_is_left_to_the_next_pod(site: Site) -> None:
    await site.order(input={"persistentVolumeClaim": None, "failedOf": {"name": "first"}}, failed_of_uid="uid-0")
    code, _ = await site.run(SPLAI_EARLIER_TOKEN_FILE=str(site.directory / "absent"))
    assert (code, site.message()["reason"]) == (1, "ArtifactStoreRefused")


@pytest.mark.parametrize(
    ("ordered", "environment"),
    [("uid-0", {}), ("uid-of-a-job-that-had-the-name-before", {"SPLAI_EARLIER_UID": "uid-0"})],
)
async def test_the_failed_records_of_an_earlier_job_are_read_with_the_token_of_its_folder(
    site: Site, ordered: str, environment: dict[str, str]
) -> None:
    earlier = EarlierJob([{"text": "a"}, {"text": "b"}, {"text": "c"}])
    for position, kind in enumerate(("error", "output", "error")):
        earlier.commit(position, earlier.part(position, 0, (position, kind)), failed=int(kind == "error"))
    earlier.end()
    token_file = site.directory / "earlier-token"
    token_file.write_text(job_token("uid-0", NAMESPACE))
    async with ArtifactClient(site.server.url, token_file) as client:
        for path, content in earlier.objects.items():
            await client.job(NAMESPACE, "uid-0").create(path, content)
    await site.order(input={"persistentVolumeClaim": None, "failedOf": {"name": "first"}}, failed_of_uid=ordered)
    code, logs = await site.run(SPLAI_EARLIER_TOKEN_FILE=str(token_file), **environment)
    assert code == 0, logs
    assert await site.records() == [{"text": "a", "custom_id": "record-1"}, {"text": "c", "custom_id": "record-3"}]


async def test_whoever_comes_later_reads_nothing(site: Site) -> None:
    records = write_lines(site, 10)
    await site.order()
    assert (await site.run())[0] == 0
    (site.volume / "lines.jsonl").unlink()
    assert (await site.run(pod="pod-b"))[0] == 0
    assert await site.records() == records


@asynccontextmanager
async def stalling(content: bytes, *, at: int) -> AsyncIterator[str]:
    """The URL of a file of which the first reader gets a part and then nothing any more."""
    readers = 0
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal readers
        readers += 1
        reply = web.StreamResponse()
        reply.content_length = len(content)
        await reply.prepare(request)
        with suppress(ConnectionError):
            await reply.write(content[:at])
            if readers == 1:
                await over.wait()
            await reply.write(content[at:])
        return reply

    application = web.Application()
    application.router.add_get("/lines.jsonl", answer)
    async with listening(application, 0, "127.0.0.1", shutdown_seconds=5) as port:
        try:
            yield f"http://127.0.0.1:{port}/lines.jsonl"
        finally:
            over.set()


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
async def test_a_pod_that_ends_in_mid_reading_is_followed_by_one_that_begins_anew(
    site: Site, how: signal.Signals, code: int
) -> None:
    records = write_lines(site, 10_000, size=1000)
    content = (site.volume / "lines.jsonl").read_bytes()
    async with stalling(content, at=9_000_000) as url:
        await site.order(input={"persistentVolumeClaim": None, "http": {"url": url}})
        first = await site.start(SPLAI_ALLOW_PRIVATE_URLS="true")

        async def has_chunks() -> bool:
            return bool(await site.folder.list("input/"))

        await until(has_chunks)
        first.send_signal(how)
        await first.communicate()
        assert first.returncode == code
        assert await site.folder.get("input.json") is None
        second, logs = await site.run(pod="pod-b", SPLAI_ALLOW_PRIVATE_URLS="true")
    assert second == 0, logs
    assert await site.records() == records
    assert (await site.manifest()).attempt.startswith("pod-b-")


async def test_of_two_pods_at_once_one_decides(site: Site) -> None:
    records = write_lines(site, 2000, size=1000)
    await site.order()
    (one, _), (other, _) = await asyncio.gather(site.run(pod="pod-a"), site.run(pod="pod-b"))
    assert (one, other) == (0, 0)
    assert await site.records() == records
    assert len({entry.path.split("/")[1] for entry in await site.folder.list("input/")}) <= 2


async def test_an_order_that_comes_late_is_awaited(site: Site) -> None:
    records = write_lines(site, 10)
    process = await site.start()
    assert process.stdout is not None
    async for line in process.stdout:
        if b"reading.json is not there yet" in line:
            break
    await site.order()
    await process.communicate()
    assert process.returncode == 0
    assert await site.records() == records


async def test_a_bad_order_is_not_tried_again(site: Site) -> None:
    await site.folder.create("reading.json", b'{"version": 1}')
    assert (await site.run())[0] == 42
    assert site.message()["reason"] == "PlanInvalid"


class ChunkFolder:
    """A store that takes its time, and is full at first."""

    def __init__(self) -> None:
        self.under_way = self.most = 0
        self.created: list[str] = []
        self.refusals = 1

    async def create(self, path: str, data: bytes) -> bool:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("it is full", code=INSUFFICIENT_STORAGE)
        self.created.append(path)
        return True


async def test_chunks_are_stored_a_few_at_once_and_wait_for_a_full_store() -> None:
    store = ChunkFolder()
    folder = FolderOfThread(PatientFolder(cast("Any", store), pulse=lambda: None), asyncio.get_running_loop())

    def write() -> int:
        for number in range(50):
            folder.begin_create(str(number), b"")
        folder.finish()
        return len(store.created)

    assert await in_thread(write) == 50
    assert set(store.created) == {str(number) for number in range(50)}
    assert 1 < store.most <= PUTS_AT_ONCE


async def test_what_fails_in_the_thread_fails_here() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)


@pytest.mark.parametrize("character", ["x", "é", '"', "\n"])
def test_a_summary_has_as_many_problems_as_there_is_room_for(character: str) -> None:
    problems = [f"record {number}: " + character * 150 for number in range(1, 21)]
    text = summarize(Validation(reason="ValidationFailed", problems=problems, total=1234))
    assert text.startswith("1234 problems:\nrecord 1: ")
    assert text.endswith("\n…")
    assert len(json.dumps(text, ensure_ascii=False).encode()) <= LONGEST_SUMMARY + 8


def test_a_single_problem_is_told_as_it_is() -> None:
    assert summarize(Validation(reason="InputNotFound", problems=["it is gone"], total=1)) == "it is gone"
