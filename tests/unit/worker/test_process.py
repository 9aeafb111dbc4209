"""The worker as a process of its own, with a real artifact server and a real HTTP engine, killed and drained."""

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from splai.api.ledger import Final, WorkerReport, WorkOrder
from splai.artifacts.client import ArtifactClient, HTTPJobFolder
from splai.artifacts.part_lines import decode
from splai.worker.ledger import encode, read_listing
from tests.fake_engine import FakeEngine, running
from tests.unit.artifacts.conftest import Cluster, Server, cluster, job_token, server
from tests.unit.worker.simulation import make_order

__all__ = ["cluster", "server"]  # fixtures

NAMESPACE, UID = "team-a", "uid-1"


@dataclass
class Site:
    """A job's surroundings, and the processes that were started in them."""

    server: Server
    engine: FakeEngine
    engine_url: str
    folder: HTTPJobFolder
    directory: Path
    processes: list[asyncio.subprocess.Process]

    async def plan(self, records: list[str], **changes: Any) -> WorkOrder:
        fields = {"namespace": NAMESPACE, "uid": UID, "endpoint": self.engine_url, "concurrency": 8}
        order = make_order(**{"records": [{"text": text} for text in records], **fields, **changes})
        await self.folder.create("plan.json", encode(order))
        return order

    async def start(
        self, command: str = "run", *, pod: str = "pod-a", **environment: str
    ) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"from splai.worker.main import {command}; {command}()",
            env={
                "PATH": os.environ["PATH"],
                "SPLAI_ARTIFACTS_URL": self.server.url,
                "SPLAI_ARTIFACTS_TOKEN_FILE": str(self.server.token_file),
                "SPLAI_JOB_NAMESPACE": NAMESPACE,
                "SPLAI_JOB_UID": UID,
                "SPLAI_CHILD_JOB": "job-1",
                "SPLAI_POD_NAME": "job-1-0-x",
                "SPLAI_POD_UID": pod,
                "JOB_COMPLETION_INDEX": "0",
                "SPLAI_TERMINATION_LOG": str(self.directory / f"termination-{pod}"),
                **environment,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.processes.append(process)
        return process

    def message(self, pod: str = "pod-a") -> dict[str, Any]:
        message: dict[str, Any] = json.loads((self.directory / f"termination-{pod}").read_text())
        return message

    async def lines(self, path: str) -> list[dict[str, Any]]:
        data = await self.folder.get(path)
        assert data is not None
        return [json.loads(line) for line in data.splitlines()]

    async def check(self, order: WorkOrder) -> Final:
        """Every record once, in order, and the files are those that ``final`` describes."""
        data = await self.folder.get("final")
        assert data is not None
        final = Final.model_validate_json(data)
        output = await self.folder.get("output.jsonl")
        assert output is not None
        assert hashlib.sha256(output).hexdigest() == final.output.sha256
        lines = await self.lines("output.jsonl")
        assert [line["custom_id"] for line in lines] == [f"record-{n}" for n in range(1, len(order.records) + 1)]
        for line, record in zip(lines, order.records, strict=True):
            assert line["response"]["body"]["choices"][0]["message"]["content"] == f"echo {record['text']}"
        return final


@pytest.fixture
async def site(server: Server, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Site]:
    engine = FakeEngine()
    server.token_file.write_text(job_token(UID, NAMESPACE))
    async with running(engine) as url, ArtifactClient(server.url, server.token_file) as client:
        site = Site(server, engine, url, client.job(NAMESPACE, UID), tmp_path, [])
        yield site
        for process in site.processes:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.01)


def questions(count: int) -> list[str]:
    return [f"question {number}" for number in range(count)]


async def test_a_job_from_plan_to_final(site: Site) -> None:
    order = await site.plan(questions(30))
    process = await site.start()
    logs, _ = await process.communicate()
    assert process.returncode == 0, logs.decode()
    final = await site.check(order)
    assert (final.counts.completed, final.counts.failed, final.complete) == (30, 0, True)
    assert site.message()["counts"]["completed"] == 30
    progress = await site.folder.progress()
    assert progress.final == final
    assert {task.state for task in progress.tasks} == {"committed"}
    assert b"question" not in logs
    assert b"echo" not in logs


async def test_a_killed_worker_is_replaced_and_only_what_was_not_durable_runs_again(site: Site) -> None:
    site.engine.delay = 0.02
    order = await site.plan(questions(200))
    first = await site.start(pod="pod-a")
    await until(lambda: site.engine.prompts.total() >= 100)
    first.kill()
    await first.communicate()
    durable = {
        line.position
        for entry in await site.folder.list("tasks/")
        if (parts := read_listing([entry]).parts)
        for task, names in parts.items()
        for line in decode(await site.folder.get(f"tasks/{task}/{names[0]}") or b"")
    }
    asked = Counter(site.engine.prompts)
    second = await site.start(pod="pod-b")
    logs, _ = await second.communicate()
    assert second.returncode == 0, logs.decode()
    await site.check(order)
    again = {int(text.split()[1]) for text, count in site.engine.prompts.items() if count > asked[text] and asked[text]}
    assert not again & durable
    assert len(again) <= order.concurrency + 16, "those in flight, and those answered and on their way to the store"


async def test_sigterm_finishes_what_is_in_flight_and_releases_the_claims(site: Site) -> None:
    site.engine.delay = 0.5
    await site.plan(questions(100))
    process = await site.start()
    await until(lambda: site.engine.in_flight == 8)
    process.send_signal(signal.SIGTERM)
    logs, _ = await process.communicate()
    assert process.returncode == 143, logs.decode()
    assert site.message()["reason"] == "Drained"
    report = WorkerReport.model_validate_json(await site.folder.get("workers/job-1-0-pod-a") or b"")
    assert report.state == "released"
    commits = read_listing(await site.folder.list("tasks/")).committed
    assert len(commits) == site.engine.prompts.total(), "every request that was sent is answered and committed"


async def test_faults_of_the_engine_end_up_where_they_belong(site: Site) -> None:
    faults = ["fine", "fault:400", "fault:500", "fault:garbage", "fault:truncated", "fault:hang", "fault:500*1"]
    faults += ["fault:reset*2", "fault:503*2", "fault:429*1", "fault:empty*1"]
    retry = {"max_attempts": 2, "initial_backoff": "10ms", "max_backoff": "50ms"}
    await site.plan(faults, retry=retry, request_timeout_seconds=1)
    process = await site.start()
    logs, _ = await process.communicate()
    assert process.returncode == 0, logs.decode()
    output = {line["custom_id"] for line in await site.lines("output.jsonl")}
    errors = {line["custom_id"]: line for line in await site.lines("errors.jsonl")}
    assert output == {f"record-{number}" for number in (1, 7, 8, 9, 10, 11)}
    assert errors["record-2"]["response"]["status_code"] == 400
    assert errors["record-3"]["response"]["status_code"] == 500
    codes = [errors[f"record-{number}"]["error"]["code"] for number in (4, 5, 6)]
    assert codes == ["invalid_response", "broken_response", "request_timeout"]
    assert site.engine.prompts["fault:400"] == 1
    assert site.engine.prompts["fault:500"] == 2


async def test_a_job_is_closed_by_the_finishing_pod(site: Site) -> None:
    await site.plan(questions(5))
    process = await site.start("finish", SPLAI_CLOSING_CODE="batch_cancelled", SPLAI_CLOSING_MESSAGE="Cancelled.")
    logs, _ = await process.communicate()
    assert process.returncode == 0, logs.decode()
    assert {line["error"]["code"] for line in await site.lines("errors.jsonl")} == {"batch_cancelled"}
    assert site.message()["complete"] is False
    assert "closedTasks" not in site.message()
    assert len(json.dumps(site.message())) <= 2048


async def test_finishing_a_job_with_open_tasks_and_no_code_is_refused(site: Site) -> None:
    await site.plan(questions(5))
    process = await site.start("finish")
    await process.communicate()
    assert process.returncode == 1
    assert site.message()["reason"] == "NotCommitted"


async def test_a_bad_plan_is_not_tried_again(site: Site) -> None:
    await site.folder.create("plan.json", b'{"version": 1}')
    process = await site.start()
    await process.communicate()
    assert process.returncode == 42
    assert site.message()["reason"] == "PlanInvalid"


async def test_missing_settings_are_named(site: Site) -> None:
    process = await site.start(SPLAI_CHILD_JOB="")
    logs, _ = await process.communicate()
    assert process.returncode == 42
    assert b"SPLAI_CHILD_JOB is not set" in logs
