"""Finished files on a real volume that is full, or read-only."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from local_cluster import command
from splai.outputs.destination import OutputProblem
from splai.outputs.volume import VolumeFolder
from tests.integration.artifacts.small_volume import SmallVolume, small_volume


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[SmallVolume]:
    with small_volume(tmp_path, mebibytes=8) as volume:
        yield volume


@pytest.fixture
def folder(volume: SmallVolume) -> VolumeFolder:
    return VolumeFolder(volume.root, volume.root / "2026/triage", "pvc://results/2026/triage/")


async def mebibytes(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(1024 * 1024)


def files(volume: SmallVolume) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in volume.root.rglob("*") if path.is_file()}


async def test_a_file_that_does_not_fit_leaves_the_old_one_and_no_remains(
    volume: SmallVolume, folder: VolumeFolder
) -> None:
    await folder.write("output.jsonl", lambda: mebibytes(2))
    with pytest.raises(OutputProblem, match="pvc://results/2026/triage/: the volume is full") as problem:
        await folder.write("output.jsonl", lambda: mebibytes(9))
    assert problem.value.reason == "OutputFull"
    assert files(volume) == {"output.jsonl": 2 * 1024 * 1024}
    await folder.write("output.jsonl", lambda: mebibytes(4))
    assert files(volume) == {"output.jsonl": 4 * 1024 * 1024}


async def test_a_volume_that_is_read_only_is_forbidden(volume: SmallVolume, folder: VolumeFolder) -> None:
    command.run("mount", "-o", "remount,ro", volume.root)
    with pytest.raises(OutputProblem, match="the volume is read-only") as problem:
        await folder.write("output.jsonl", lambda: mebibytes(1))
    assert problem.value.reason == "OutputForbidden"
