"""The store itself, on disk and in memory."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from obstore.exceptions import GenericError
from obstore.store import LocalStore, MemoryStore, ObjectStore

from splai.artifacts.folder import StoreUnavailable
from splai.artifacts.store_folder import StoreFolder, translated_errors


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path) if request.param == "disk" else MemoryStore()


@pytest.fixture
def folder(store: ObjectStore) -> StoreFolder:
    return StoreFolder(store, "team-a", "uid-1")


async def chunks(*parts: bytes, broken: bool = False) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if broken:
        raise ConnectionResetError


async def test_of_fifty_creators_exactly_one_wins(folder: StoreFolder) -> None:
    won = await asyncio.gather(*(folder.create("final", b"%d" % me) for me in range(50)))
    assert sum(won) == 1
    assert await folder.get("final") == b"%d" % won.index(True)


async def test_a_stream_is_written_whole_and_read_in_chunks(folder: StoreFolder) -> None:
    await folder.put_stream("output.jsonl", chunks(b"a" * 3_000_000, b"", b"b" * 3_000_000))
    read = [chunk async for chunk in (await folder.read("output.jsonl")).chunks()]
    assert b"".join(read) == b"a" * 3_000_000 + b"b" * 3_000_000
    assert await folder.stat("output.jsonl") == (await folder.list())[0]


async def test_an_empty_stream_is_an_empty_object(folder: StoreFolder) -> None:
    await folder.put_stream("errors.jsonl", chunks())
    assert await folder.get("errors.jsonl") == b""


async def test_a_stream_that_breaks_off_writes_nothing(folder: StoreFolder) -> None:
    await folder.put("output.jsonl", b"old")
    with pytest.raises(ConnectionResetError):
        await folder.put_stream("output.jsonl", chunks(b"x" * 11_000_000, broken=True))
    assert await folder.get("output.jsonl") == b"old"
    assert len(await folder.list()) == 1


async def test_what_is_missing(folder: StoreFolder) -> None:
    assert await folder.get("final") is None
    assert await folder.stat("final") is None
    assert await folder.list() == []
    await folder.delete("final")
    await folder.remove()
    with pytest.raises(FileNotFoundError):
        await folder.read("final")


async def test_a_list_is_of_this_folder_alone(store: ObjectStore, folder: StoreFolder) -> None:
    await folder.put("workers/a-1", b"")
    await folder.put("workers/b-1", b"")
    await StoreFolder(store, "team-a", "uid-10").put("workers/a-2", b"")
    assert [entry.path for entry in await folder.list("workers/a")] == ["workers/a-1"]
    await folder.remove()
    assert await folder.list() == []
    assert len(await StoreFolder(store, "team-a", "uid-10").list()) == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Unable to copy data to file: No space left on device (os error 28)", "insufficient_storage"),
        ("Unable to copy data to file: Disk quota exceeded (os error 122)", "insufficient_storage"),
        ("Unable to open file: Input/output error (os error 5)", "store_failed"),
    ],
)
def test_a_full_store_is_told_from_a_broken_one(message: str, code: str) -> None:
    with pytest.raises(StoreUnavailable) as unavailable, translated_errors():
        raise GenericError(message)
    assert unavailable.value.code == code


async def test_on_a_volume_all_but_reports_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronised: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synchronised.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.partition("#")[0])
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = StoreFolder(LocalStore(tmp_path), "team-a", "uid-1")
    await folder.put("workers/w", b"report")
    assert synchronised == []
    await folder.create("final", b"decides")
    await folder.put("history.json", b"replaces the resource")
    await folder.put_stream("output.jsonl", chunks(b"is described by final"))
    assert [name for name in synchronised if name != "uid-1"] == ["final", "history.json", "output.jsonl"]
