"""Files that are on the disk when they are seen: in which order the system is asked."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from splai.artifacts.durable_files import create, keep, replace


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the system, by call and kind of file."""
    asked: list[str] = []

    def recorded(name: str, describe: Callable[..., str]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            asked.append(f"{name} {describe(*arguments)}")
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, call)

    recorded("fsync", lambda descriptor: "directory" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
    recorded("link", lambda source, target: Path(target).name)
    recorded("replace", lambda source, target: Path(target).name)
    return asked


def test_a_name_appears_when_its_content_is_on_the_disk(tmp_path: Path, calls: list[str]) -> None:
    assert create(tmp_path / "a/b/commit", b"content")
    assert calls == ["fsync file", "link commit", "fsync directory"]
    assert (tmp_path / "a/b/commit").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["commit"]


def test_what_exists_stays_and_costs_no_write(tmp_path: Path, calls: list[str]) -> None:
    create(tmp_path / "commit", b"first")
    calls.clear()
    assert not create(tmp_path / "commit", b"second")
    assert calls == []
    assert (tmp_path / "commit").read_bytes() == b"first"


def test_of_two_who_both_saw_nothing_one_creates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path / "commit", b"first")
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert not create(tmp_path / "commit", b"second")
    assert (tmp_path / "commit").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["commit"]


def test_an_overwritten_file_is_on_the_disk_before_it_takes_the_name(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "history.json").write_bytes(b"old")
    replace(tmp_path / "history.json", b"new")
    assert calls == ["fsync file", "replace history.json", "fsync directory"]
    assert (tmp_path / "history.json").read_bytes() == b"new"


def test_a_file_that_somebody_else_wrote_is_kept(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "output.jsonl").write_bytes(b"lines")
    keep(tmp_path / "output.jsonl")
    assert calls == ["fsync file", "fsync directory"]


@pytest.mark.parametrize("write", [create, replace])
def test_a_disk_that_fails_leaves_no_name_and_no_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], object]
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write(tmp_path / "commit", b"content")
    assert list(tmp_path.iterdir()) == []
