"""Files of a claim: one or all of a directory, none that is not the user's, none that changes meanwhile."""

import os
from pathlib import Path

import pytest

from splai.api.storage import VolumePath
from splai.inputs.errors import SourceUnavailable, SourceUnusable
from splai.inputs.source import Account
from splai.inputs.volume import VolumeFile, volume_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    (root / "days" / "sub").mkdir(parents=True)
    for name in ("b.jsonl", "a.jsonl", "_SUCCESS", ".a.crc", "sub/c.jsonl"):
        (root / "days" / name).write_text(name)
    return root


def files(root: Path, path: str) -> list[VolumeFile]:
    return volume_files(VolumePath(claim_name="data", path=path), root)


def failure(root: Path, path: str) -> tuple[str, str]:
    with pytest.raises(SourceUnusable) as caught:
        _ = [b"".join(file.read()) for file in files(root, path)]
    return caught.value.reason, str(caught.value)


def test_a_file_is_read(root: Path) -> None:
    (file,) = files(root, "days/b.jsonl")
    account = Account(file)
    assert b"".join(account.blocks) == b"b.jsonl"
    identity = account.close()
    assert (identity.uri, identity.bytes) == ("pvc://data/days/b.jsonl", 7)
    assert identity.etag
    assert identity.sha256


@pytest.mark.parametrize("path", ["days", "days/"])
def test_all_files_of_a_directory_are_read_in_the_order_of_their_names(root: Path, path: str) -> None:
    found = files(root, path)
    assert [file.uri for file in found] == ["pvc://data/days/a.jsonl", "pvc://data/days/b.jsonl"]
    assert [file.name for file in found] == ["a.jsonl", "b.jsonl"]


def test_what_does_not_exist_is_not_found(root: Path) -> None:
    assert failure(root, "absent") == ("InputNotFound", "pvc://data/absent does not exist")
    assert failure(root, "days/a.jsonl/b") == ("InputNotFound", "pvc://data/days/a.jsonl/b does not exist")


def test_a_directory_without_files_is_not_found(root: Path) -> None:
    (root / "empty").mkdir()
    assert failure(root, "empty") == ("InputNotFound", "pvc://data/empty is a directory without files")


@pytest.mark.parametrize("path", ["out", "links", "links/file", "../secret"])
def test_no_link_leads_out_of_the_volume(root: Path, path: str) -> None:
    (root.parent / "secret").write_text("token")
    (root / "out").symlink_to("../secret")
    (root / "links").mkdir()
    (root / "links" / "file").symlink_to(root.parent / "secret")
    reason, message = failure(root, path)
    assert reason == "InputForbidden"
    assert "leaves the volume" in message


def test_a_link_within_the_volume_is_followed(root: Path) -> None:
    (root / "latest").symlink_to("days")
    assert [b"".join(file.read()) for file in files(root, "latest")] == [b"a.jsonl", b"b.jsonl"]


def test_what_is_no_file_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert failure(root, "pipe") == ("InputForbidden", "pvc://data/pipe is not a regular file")


@pytest.mark.parametrize("change", ["grow", "replace", "remove"])
def test_a_file_that_changes_while_it_is_read_is_told(root: Path, change: str) -> None:
    (file,) = files(root, "days/a.jsonl")
    account = Account(file)
    next(account.blocks)
    path = root / "days" / "a.jsonl"
    if change == "grow":
        with path.open("a") as writer:
            writer.write("more")
    else:
        path.unlink()
    if change == "replace":
        path.write_text("A.jsonl")
    with pytest.raises(SourceUnusable) as caught:
        account.close()
    assert (caught.value.reason, str(caught.value)) == (
        "InputChanged",
        "pvc://data/days/a.jsonl changed while it was read",
    )


def test_a_device_that_fails_may_work_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    (file,) = files(root, "days/a.jsonl")
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(SourceUnavailable, match="Input/output error"):
        list(file.read())


def test_a_file_that_may_not_be_read_is_forbidden(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    reason, message = failure(root, "days/a.jsonl")
    assert (reason, f"{os.getuid()}" in message) == ("InputForbidden", True)
