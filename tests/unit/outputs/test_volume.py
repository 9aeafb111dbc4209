"""Files on a volume: whole under their name, or not there."""

import errno
import os
from collections.abc import AsyncIterator, Callable
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any

import pytest

from splai.outputs.destination import OutputProblem
from splai.outputs.volume import VolumeFolder

PLACE = "pvc://results/2026/triage/"


@pytest.fixture
def folder(tmp_path: Path) -> VolumeFolder:
    return VolumeFolder(tmp_path, tmp_path / "2026/triage", PLACE)


def source(*chunks: bytes, failure: Exception | None = None) -> Callable[[], AsyncIterator[bytes]]:
    async def produce() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if failure:
            raise failure

    return produce


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def test_a_file_is_written_into_a_folder_that_is_made(folder: VolumeFolder, tmp_path: Path) -> None:
    await folder.write("output.jsonl", source(b"a\n", b"b\n"))
    assert files(tmp_path) == {"2026/triage/output.jsonl": b"a\nb\n"}


async def test_a_file_is_overwritten(folder: VolumeFolder, tmp_path: Path) -> None:
    for text in (b"a long file of an earlier job\n", b"new\n"):
        await folder.write("output.jsonl", source(text))
    assert files(tmp_path) == {"2026/triage/output.jsonl": b"new\n"}


async def test_until_it_is_whole_the_old_file_stays(folder: VolumeFolder, tmp_path: Path) -> None:
    await folder.write("output.jsonl", source(b"old\n"))
    with pytest.raises(RuntimeError, match="the source broke off"):
        await folder.write("output.jsonl", source(b"new\n", failure=RuntimeError("the source broke off")))
    assert files(tmp_path) == {"2026/triage/output.jsonl": b"old\n"}


async def test_what_a_pod_left_that_was_killed_is_removed(folder: VolumeFolder, tmp_path: Path) -> None:
    (tmp_path / "2026/triage").mkdir(parents=True)
    for name in (".output.jsonl.0123", ".errors.jsonl.0123", "output.jsonl.mine"):
        (tmp_path / "2026/triage" / name).write_bytes(b"half")
    await folder.write("output.jsonl", source(b"a\n"))
    assert sorted(files(tmp_path / "2026/triage")) == [".errors.jsonl.0123", "output.jsonl", "output.jsonl.mine"]


async def test_removing_a_file_that_is_not_there_is_success(folder: VolumeFolder, tmp_path: Path) -> None:
    await folder.write("errors.jsonl", source(b"a\n"))
    for _ in range(2):
        await folder.remove("errors.jsonl")
    assert files(tmp_path) == {}


async def test_a_volume_that_is_not_mounted_is_not_found(tmp_path: Path) -> None:
    folder = VolumeFolder(tmp_path / "output", tmp_path / "output/triage", PLACE)
    with pytest.raises(OutputProblem, match="pvc://results/2026/triage/: the volume is not mounted") as problem:
        await folder.write("output.jsonl", source(b"a\n"))
    assert (problem.value.reason, problem.value.may_pass) == ("OutputNotFound", True)


async def test_a_file_in_the_folders_place_can_never_work(folder: VolumeFolder, tmp_path: Path) -> None:
    (tmp_path / "2026").write_bytes(b"")
    with pytest.raises(OutputProblem, match="a file stands where a folder is to be") as problem:
        await folder.write("output.jsonl", source(b"a\n"))
    assert (problem.value.reason, problem.value.may_pass) == ("OutputInvalid", False)


@pytest.mark.parametrize("size", [2, 1024 * 1024])
async def test_a_disk_that_is_full_is_told_and_no_half_of_a_file_stays(
    folder: VolumeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    opened: list[FileIO] = []

    class Full(FileIO):
        """What /dev/full is, with a name that can be removed."""

        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_full(path: Path, mode: str, buffering: int = -1) -> Any:
        opened.append(Full(path, mode))
        return opened[0] if buffering == 0 else BufferedWriter(opened[0])

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(OutputProblem, match="the volume is full"):
        await folder.write("output.jsonl", source(bytes(size)))
    monkeypatch.undo()
    assert opened[0].closed
    assert files(tmp_path) == {}


async def test_a_file_that_the_disk_takes_piece_by_piece_is_whole(
    folder: VolumeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sparing(FileIO):
        def write(self, data: Any) -> int:
            return super().write(data[:3])

    monkeypatch.setattr(Path, "open", lambda path, mode, **_: Sparing(path, mode))
    await folder.write("output.jsonl", source(b"a line\n", b"", b"another line\n"))
    monkeypatch.undo()
    assert files(tmp_path) == {"2026/triage/output.jsonl": b"a line\nanother line\n"}


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "OutputFull"),
        (errno.EDQUOT, "OutputFull"),
        (errno.EROFS, "OutputForbidden"),
        (errno.EACCES, "OutputForbidden"),
        (errno.EIO, "OutputUnavailable"),
    ],
)
async def test_what_the_disk_says_is_a_reason_and_nothing_is_left(
    folder: VolumeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputProblem) as problem:
        await folder.write("output.jsonl", source(b"a\n"))
    assert problem.value.reason == reason
    assert files(tmp_path) == {}
