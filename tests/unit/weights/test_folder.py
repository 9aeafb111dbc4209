"""A folder of weights is there when all of it is, whoever is killed on the way and whoever else fetches it."""

import errno
import fcntl
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from splai.inputs.errors import SourceUnavailable, SourceUnusable
from splai.inputs.source import SourceFile
from splai.weights.folder import fill
from splai.weights.progress import EVERY, Progress
from splai.weights.remote import RemoteFile


@dataclass(kw_only=True)
class Bytes(SourceFile):
    """A file that counts how often it was read, and may break off."""

    content: bytes
    breaks: bool = False
    reads: int = 0

    def read(self) -> Iterator[bytes]:
        self.reads += 1
        yield self.content[:3]
        if self.breaks:
            raise SourceUnavailable("broken off")
        yield self.content[3:]


def remote(path: str, content: bytes = b"content", *, breaks: bool = False, **facts: object) -> RemoteFile:
    file = Bytes(uri=f"test://{path}", name=path, content=content, breaks=breaks)
    return RemoteFile(**{"path": path, "file": file, "version": "1", "size": len(content), **facts})  # type: ignore[arg-type]


def fetch(folder: Path, listing: Callable[[], list[RemoteFile]], *, owner: str) -> int:
    return fill(folder, listing, Progress("test://"), owner=owner)


def reads(file: RemoteFile) -> int:
    assert isinstance(file.file, Bytes)
    return file.file.reads


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_has_the_files_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "abc"

    size = fetch(
        folder, lambda: [remote("config.json", b"config"), remote("sub/model.safetensors", b"weights")], owner="a"
    )

    assert files_of(folder) == {"config.json": b"config", "sub/model.safetensors": b"weights"}
    assert size == len(b"config") + len(b"weights")
    assert {path.name for path in folder.parent.iterdir()} == {"abc", "abc.lock"}


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    fetch(tmp_path / "abc", lambda: [remote("a")], owner="a")

    def nobody_asks() -> list[RemoteFile]:
        raise AssertionError("the source was asked")

    assert fetch(tmp_path / "abc", nobody_asks, owner="b") == 0


def test_a_fetch_that_breaks_off_leaves_no_folder_and_the_next_one_takes_only_what_is_missing(tmp_path: Path) -> None:
    whole, broken = remote("a"), remote("b", breaks=True)
    with pytest.raises(SourceUnavailable):
        fetch(tmp_path / "abc", lambda: [whole, broken], owner="a")
    assert not (tmp_path / "abc").exists()

    again, rest = remote("a"), remote("b")
    fetch(tmp_path / "abc", lambda: [again, rest], owner="b")

    assert (reads(again), reads(rest)) == (0, 1)
    assert files_of(tmp_path / "abc") == {"a": b"content", "b": b"content"}


def test_the_files_of_two_versions_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable):
        fetch(tmp_path / "abc", lambda: [remote("a"), remote("gone"), remote("b", breaks=True)], owner="a")

    newer = remote("a", b"changed", version="2")
    fetch(tmp_path / "abc", lambda: [newer, remote("b")], owner="a")

    assert files_of(tmp_path / "abc") == {"a": b"changed", "b": b"content"}


def test_a_file_without_a_version_is_read_again(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable):
        fetch(tmp_path / "abc", lambda: [remote("a", version=None), remote("b", breaks=True)], owner="a")

    again = remote("a", version=None)
    fetch(tmp_path / "abc", lambda: [again, remote("b")], owner="a")

    assert reads(again) == 1


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"size": 8}, "has 7 bytes and not 8"), ({"sha256": "0" * 64}, "and not 0000")],
    ids=["size", "sha256"],
)
def test_bytes_that_are_not_the_ones_promised_are_refused(tmp_path: Path, facts: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceUnusable, match=words):
        fetch(tmp_path / "abc", lambda: [remote("a", **facts)], owner="a")

    assert not (tmp_path / "abc").exists()


def test_the_right_checksum_is_taken(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"content").hexdigest()

    fetch(tmp_path / "abc", lambda: [remote("a", sha256=digest)], owner="a")

    assert files_of(tmp_path / "abc") == {"a": b"content"}


def test_of_several_at_once_one_fetches_and_the_others_find_the_folder(tmp_path: Path) -> None:
    files = [remote("a"), remote("b")]
    together = threading.Barrier(4)
    results: list[int] = []

    def pod(name: str) -> None:
        together.wait()
        results.append(fetch(tmp_path / "abc", lambda: files, owner=name))

    pods = [threading.Thread(target=pod, args=(str(number),)) for number in range(4)]
    for thread in pods:
        thread.start()
    for thread in pods:
        thread.join()

    assert sorted(results) == [0, 0, 0, 14]
    assert [reads(file) for file in files] == [1, 1]


def test_without_locks_the_first_to_finish_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)

    def slow() -> list[RemoteFile]:
        fetch(tmp_path / "abc", lambda: [remote("a", b"of the quicker one")], owner="quick")
        return [remote("a", b"of the slower one")]

    fetch(tmp_path / "abc", slow, owner="slow")

    assert files_of(tmp_path / "abc") == {"a": b"of the quicker one"}
    assert {path.name for path in tmp_path.iterdir()} == {"abc", "abc.lock"}


@pytest.mark.parametrize(
    ("size", "total"), [(7, {"of": 14}), (None, {})], ids=["the source says how much", "it does not"]
)
def test_the_log_says_now_and_then_how_far_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int | None, total: dict[str, int]
) -> None:
    clock = iter([0.0, 1.0, EVERY, EVERY + 1, 2 * EVERY])
    files = [remote("a"), remote("b", size=size)]

    with caplog.at_level("INFO", logger="splai.weights"):
        fill(tmp_path / "abc", lambda: files, Progress("test://", clock=lambda: next(clock)), owner="a")

    told = [{name: vars(record)[name] for name in ("bytes", "of") if name in vars(record)} for record in caplog.records]
    assert told == [{"bytes": 7, **total}, {"bytes": 14, **total}]


def test_what_an_earlier_try_has_left_counts_as_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SourceUnavailable):
        fetch(tmp_path / "abc", lambda: [remote("a"), remote("b", breaks=True)], owner="a")
    clock = iter([0.0, 1.0, 2.0, EVERY])

    with caplog.at_level("INFO", logger="splai.weights"):
        progress = Progress("test://", clock=lambda: next(clock))
        fill(tmp_path / "abc", lambda: [remote("a"), remote("b")], progress, owner="a")

    assert [(vars(record)["bytes"], vars(record)["of"]) for record in caplog.records] == [(14, 14)]
