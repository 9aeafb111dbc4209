"""The finishing pod: what it writes where, what it reports, and how it stops."""

import asyncio
import io
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from splai.api.inference_job import Usage
from splai.api.job_output import Output
from splai.api.ledger import Final, InputManifest, SourceIdentity, TaskCounts, WorkerReport, WorkOrder
from splai.artifacts.input_chunks import encode as encode_chunk
from splai.outputs import opening
from splai.outputs.volume import VolumeFolder
from splai.worker.finish import Stopped, finish_job
from splai.worker.ledger import Ledger
from splai.worker.settings import WorkerSettings
from splai.worker.store import PatientFolder
from tests.unit.worker.simulated_store import SimulatedFolder, Store
from tests.unit.worker.simulation import ids, make_order, read_file
from tests.unit.worker.test_finalize import error, output
from tests.unit.worker.test_settings import ENVIRONMENT
from tests.unit.worker.virtual_time import run

REPORT = "workers/job-2-3-7777"


@pytest.fixture(autouse=True)
def two_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six records: 0, 1, 2 and 3, 4, 5."""
    monkeypatch.setattr("splai.api.ledger.MAX_TASKS", 2)


def settings(*, code: str = "") -> WorkerSettings:
    return WorkerSettings.from_environment(ENVIRONMENT | {"SPLAI_CLOSING_CODE": code, "SPLAI_CLOSING_MESSAGE": "over"})


async def filled(store: Store, *, failed: bool = True) -> None:
    """Two committed tasks."""
    store.put("tasks/0000/1-0", output(2, "c") + output(0, "a", attempts=2))
    store.put("tasks/0000/1-1", error(1) if failed else output(1, "b"))
    store.put("tasks/0001/1-0", output(5, "f") + output(3, "d") + output(4, "e"))
    ledger = Ledger(PatientFolder(SimulatedFolder(store), pulse=lambda: None), "w")
    await ledger.commit("0000", ["1-0", "1-1"], TaskCounts(), Usage(total_tokens=6))
    await ledger.commit("0001", ["1-0"], TaskCounts(), Usage(total_tokens=9))


async def finish(store: Store, order: WorkOrder, *, code: str = "", folder: SimulatedFolder | None = None) -> Final:
    place = folder or SimulatedFolder(store)
    return await finish_job(place, order, settings(code=code), pulse=lambda: None, stop=asyncio.Event())


def on_volume(monkeypatch: pytest.MonkeyPatch, mount: Path, **fields: Any) -> Output:
    real = opening.open_destination
    monkeypatch.setattr(
        "splai.worker.finish.open_destination", lambda *given, **named: real(*given, **named, mount=mount)
    )
    return Output.model_validate({"persistentVolumeClaim": {"claimName": "results", "path": "2026"}, **fields})


async def test_files_go_to_the_users_volume_and_only_final_to_the_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = Store()
    await filled(store)
    final = await finish(store, make_order(6, output=on_volume(monkeypatch, tmp_path)))
    folder = tmp_path / "2026/job"
    assert {path.name for path in folder.iterdir()} == {"output.jsonl", "errors.jsonl"}
    assert (folder / "output.jsonl").stat().st_size == final.output.bytes
    assert "output.jsonl" not in store.objects
    assert final.uri == "pvc://results/2026/job/"
    assert (final.output.lines, final.errors.lines, final.usage.total_tokens) == (5, 1, 15)


async def test_a_bucket_is_told_how_large_a_file_may_get(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[int] = []

    def open_folder(output: Output, job: str, *, expected_bytes: int) -> VolumeFolder:
        told.append(expected_bytes)
        return VolumeFolder(tmp_path, tmp_path / job, output.folder_uri(job))

    monkeypatch.setattr("splai.worker.finish.open_destination", open_folder)
    store = Store()
    await filled(store)
    parts = sum(len(data) for path, data in store.objects.items() if "/1-" in path)
    await finish(store, make_order(6, output=Output.model_validate({"s3": {"uri": "s3://bucket/2026"}})))
    (expected_bytes,) = told
    assert expected_bytes > parts > 0


async def test_without_a_failed_record_there_is_no_errors_file_not_even_an_earlier_jobs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "2026/job").mkdir(parents=True)
    (tmp_path / "2026/job/errors.jsonl").write_bytes(b"{}\n")
    store = Store()
    await filled(store, failed=False)
    final = await finish(store, make_order(6, output=on_volume(monkeypatch, tmp_path)))
    assert [path.name for path in (tmp_path / "2026/job").iterdir()] == ["output.jsonl"]
    assert (final.errors.lines, final.errors.bytes) == (0, 0)


async def test_parquet_in_the_artifact_store() -> None:
    store = Store()
    await filled(store)
    final = await finish(store, make_order(6, output=Output(format="parquet")))
    answers = pq.read_table(io.BytesIO(store.objects["output.parquet"])).to_pylist()
    assert [(row["custom_id"], row["text"]) for row in answers] == [
        ("record-1", "a"), ("record-3", "c"), ("record-4", "d"), ("record-5", "e"), ("record-6", "f"),
    ]  # fmt: skip
    (failure,) = pq.read_table(io.BytesIO(store.objects["errors.parquet"])).to_pylist()
    assert (failure["custom_id"], failure["error_code"]) == ("record-2", "bad")
    assert (final.output.lines, final.output.bytes) == (5, len(store.objects["output.parquet"]))


def test_in_completion_order_lines_come_as_they_were_answered() -> None:
    async def scenario() -> None:
        store = Store()
        await filled(store)
        store.put("tasks/0000/1-1", output(0, "again") + error(1))
        await finish(store, make_order(6, output=Output(order="completion")))
        assert ids(read_file(store, "output.jsonl")) == [f"record-{n}" for n in (3, 1, 6, 4, 5)]
        assert ids(read_file(store, "errors.jsonl")) == ["record-2"]

    run(scenario())


@pytest.mark.parametrize("order", ["input", "completion"])
def test_records_that_were_never_answered_are_named_from_the_chunks(order: str) -> None:
    async def scenario() -> None:
        store = Store()
        store.put("input/pod/000000", encode_chunk([b'{"custom_id":"a"}', b'{"custom_id":"b"}']))
        store.put("input/pod/000001", encode_chunk([b'{"text":"x"}', b'{"custom_id":4}', b"{}", b"{}"]))
        manifest = InputManifest(
            attempt="pod", first=[0, 2], records=6, bytes=1, format="jsonl", spec_hash="hash",
            sources=[SourceIdentity(uri="s3://b/x", bytes=1)],
        )  # fmt: skip
        store.put("tasks/0001/1-0", output(4, "e"))
        chunked = make_order(0, chunks=manifest, output=Output.model_validate({"order": order}))
        final = await finish(store, chunked, code="deadline_exceeded")
        assert ids(read_file(store, "errors.jsonl")) == ["a", "b", "record-3", "4", "record-6"]
        assert (final.complete, final.closing_code) == (False, "deadline_exceeded")
        assert (final.counts.total, final.counts.completed, final.counts.failed) == (6, 1, 5)

    run(scenario())


def test_tokens_are_counted_once_whether_a_commit_says_them_or_the_lines() -> None:
    async def scenario() -> None:
        store = Store()
        await filled(store)
        del store.objects["tasks/0001/commit"]
        final = await finish(store, make_order(6), code="batch_cancelled")
        assert final.usage.total_tokens == 6 + 3 * 3

    run(scenario())


class SlowFolder(SimulatedFolder):
    """A minute passes between two chunks of a file."""

    async def put_stream(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        async def slow() -> AsyncIterable[bytes]:
            async for chunk in chunks:
                await asyncio.sleep(60)
                yield chunk

        await super().put_stream(path, slow())


def test_its_report_shows_how_much_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("splai.outputs.json_lines.CHUNK_BYTES", 1)
        store = Store()
        await filled(store)
        folder = SlowFolder(store)
        finishing = asyncio.create_task(finish(store, make_order(6), folder=folder))
        seen: list[int] = []
        while not finishing.done():
            await asyncio.sleep(30)
            if REPORT in store.objects:
                seen.append(WorkerReport.model_validate_json(store.objects[REPORT]).finalized_bytes)
        final = finishing.result()
        assert seen == sorted(seen)
        assert 0 < seen[0] < seen[-1] == final.output.bytes + final.errors.bytes
        assert WorkerReport.model_validate_json(store.objects[REPORT]).state == "released"

    run(scenario())


def test_asked_to_stop_it_leaves_no_final() -> None:
    async def scenario() -> None:
        store, stop = Store(), asyncio.Event()
        await filled(store)
        working = asyncio.create_task(
            finish_job(SlowFolder(store), make_order(6), settings(), pulse=lambda: None, stop=stop)
        )
        await asyncio.sleep(30)
        stop.set()
        with pytest.raises(Stopped):
            await working
        assert not {"final", "output.jsonl"} & store.objects.keys()

    run(scenario())
