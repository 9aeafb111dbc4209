"""The records of an earlier job without an answer, under the names that they had there."""

import json
from collections.abc import Sequence
from typing import Any, cast

import pytest

from splai.api.inference_job import RequestCounts, Retry, Usage
from splai.api.ledger import (
    ClosingTask,
    Commit,
    FileSummary,
    Final,
    InputManifest,
    TaskCounts,
    Validation,
    WorkOrder,
    chunk_path,
    commit_path,
    part_path,
)
from splai.artifacts import input_chunks, part_lines
from splai.artifacts.part_lines import Kind
from splai.inputs.errors import SourceUnavailable, SourceUnusable
from splai.inputs.failed_records import failed_records
from tests.unit.inputs.reading_site import MemoryChunks, read

SUMMARY = FileSummary(bytes=1, sha256="a" * 64, lines=1)


class EarlierJob:
    """A folder in memory of a job that is over."""

    def __init__(self, records: Sequence[dict[str, Any]], *, record_format: Any = "jsonl", chunk: int = 0) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads: list[str] = []
        fields: dict[str, Any] = {"records": records}
        if chunk:
            self._write_chunks(records, chunk)
            fields = {
                "chunks": InputManifest(
                    attempt="pod",
                    first=list(range(0, len(records), chunk)),
                    records=len(records),
                    bytes=1,
                    format=record_format,
                    sources=[],
                    spec_hash="h",
                )
            }
        self.order = WorkOrder(
            namespace="team",
            job="first",
            uid="uid-1",
            type="chat",
            model="m",
            endpoint="http://e",
            format=record_format,
            concurrency=1,
            retry=Retry(),
            request_timeout_seconds=1,
            spec_hash="h",
            **fields,
        )
        self.objects["plan.json"] = self.order.model_dump_json(by_alias=True).encode()

    def _write_chunks(self, records: Sequence[dict[str, Any]], size: int) -> None:
        for number, start in enumerate(range(0, len(records), size)):
            lines = [json.dumps(record).encode() for record in records[start : start + size]]
            self.objects[chunk_path("pod", number)] = input_chunks.encode(lines)

    def part(self, task: int, number: int, *lines: tuple[int, str]) -> str:
        """Write a part; its name."""
        path = part_path(f"{task:04d}", 1, number)
        records = [part_lines.RecordLine(position, cast("Kind", kind), 1, b'{"id":"x"}') for position, kind in lines]
        self.objects[path] = part_lines.encode(records)
        return f"1-{number}"

    def commit(self, task: int, *parts: str, failed: int) -> None:
        commit = Commit(worker="w", nonce="n", parts=list(parts), counts=TaskCounts(failed=failed), usage=Usage())
        self.objects[commit_path(f"{task:04d}")] = commit.model_dump_json(by_alias=True).encode()

    def end(self, *closed: ClosingTask) -> None:
        final = Final(
            nonce="n",
            complete=not closed,
            counts=RequestCounts(),
            usage=Usage(),
            output=SUMMARY,
            errors=SUMMARY,
            closed_tasks=list(closed),
        )
        self.objects["final"] = final.model_dump_json(by_alias=True).encode()

    def get(self, path: str) -> bytes | None:
        self.reads.append(path)
        return self.objects.get(path)

    def failed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in failed_records("first", self.get).read()]


def texts(count: int) -> list[dict[str, Any]]:
    return [{"text": f"question {number}"} for number in range(count)]


@pytest.mark.parametrize("chunk", [0, 1, 2, 5])
def test_records_with_an_error_are_read_in_order_and_keep_their_names(chunk: int) -> None:
    job = EarlierJob(
        [*texts(3), {"text": "named", "custom_id": "mine"}, {"text": "numbered", "custom_id": 7}], chunk=chunk
    )
    for position, kind in enumerate(("error", "output", "output", "error", "error")):
        job.commit(position, job.part(position, 0, (position, kind)), failed=int(kind == "error"))
    job.end()
    assert job.failed() == [
        {"text": "question 0", "custom_id": "record-1"},
        {"text": "named", "custom_id": "mine"},
        {"text": "numbered", "custom_id": "7"},
    ]


def test_of_a_position_that_is_held_twice_the_first_line_counts() -> None:
    job = EarlierJob(texts(2))
    job.commit(0, job.part(0, 0, (0, "error")), job.part(0, 1, (0, "output")), failed=1)
    job.commit(1, job.part(1, 0, (1, "output")), job.part(1, 1, (1, "error")), failed=1)
    job.end()
    assert [record["text"] for record in job.failed()] == ["question 0"]


def test_what_was_never_answered_before_the_end_has_failed_too() -> None:
    job = EarlierJob(texts(4))
    closed = [
        ClosingTask(task="0000", parts=[job.part(0, 0, (0, "output"))]),
        ClosingTask(task="0001", parts=[job.part(1, 0, (1, "error"))]),
        ClosingTask(task="0002", parts=[]),
    ]
    job.part(2, 0, (2, "output"))  # named by nobody
    job.end(*closed)
    assert [record["text"] for record in job.failed()] == ["question 1", "question 2", "question 3"]


def test_of_tasks_without_a_failure_no_answer_is_read() -> None:
    job = EarlierJob(texts(3))
    for position in range(3):
        job.commit(position, job.part(position, 0, (position, "output")), failed=0)
    job.end()
    assert job.failed() == []
    assert not [path for path in job.reads if path.endswith("1-0")]


def test_they_are_the_input_of_a_job() -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user"}]}}
    job = EarlierJob([line], record_format="openai-batch")
    job.commit(0, job.part(0, 0, (0, "error")), failed=1)
    job.end()
    source = {"persistentVolumeClaim": None, "failedOf": {"name": "first"}}
    store = MemoryChunks()
    manifest = read(failed_records("first", job.get), store=store, source=source)
    assert isinstance(manifest, InputManifest)
    assert manifest.format == "openai-batch"
    assert [json.loads(it) for it in store.lines(manifest)] == [line]
    assert manifest.sources[0].uri == "inferencejob://team/first/uid-1"


def test_records_that_look_like_requests_stay_what_they_were() -> None:
    job = EarlierJob([{"body": "x", "text": "a"}])
    job.commit(0, job.part(0, 0, (0, "error")), failed=1)
    job.end()
    source = {"persistentVolumeClaim": None, "failedOf": {"name": "first"}}
    manifest = read(failed_records("first", job.get), source=source)
    assert isinstance(manifest, InputManifest)
    assert manifest.format == "jsonl"


def test_a_job_whose_records_all_have_an_answer_gives_no_input() -> None:
    job = EarlierJob(texts(1))
    job.commit(0, job.part(0, 0, (0, "output")), failed=0)
    job.end()
    source = {"persistentVolumeClaim": None, "failedOf": {"name": "first"}}
    result = read(failed_records("first", job.get), source=source)
    assert isinstance(result, Validation)
    assert result.problems == ["spec.input: every record of that job has an answer"]


@pytest.mark.parametrize("missing", ["plan.json", "final"])
def test_a_job_whose_artifacts_are_gone_is_not_found(missing: str) -> None:
    job = EarlierJob(texts(1))
    job.end()
    del job.objects[missing]
    with pytest.raises(SourceUnusable, match="are gone") as caught:
        failed_records("first", job.get)
    assert caught.value.reason == "InputNotFound"


def test_a_folder_that_lacks_something_is_told_by_what_is_missing() -> None:
    job = EarlierJob(texts(4), chunk=2)
    job.end(ClosingTask(task="0000", parts=[]))
    del job.objects[chunk_path("pod", 1)]
    with pytest.raises(SourceUnavailable, match="input/pod/000001 is gone"):
        job.failed()
    job.objects[chunk_path("pod", 1)] = b"junk"
    with pytest.raises(SourceUnavailable, match="input/pod/000001 is damaged"):
        job.failed()
