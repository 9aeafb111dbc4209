"""Configuration files: templates filled in, and a new name for each new content."""

from pathlib import Path

import pytest

from local_cluster import configuration, paths
from local_cluster.errors import ClusterError


@pytest.fixture(autouse=True)
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CONFIGURATION", tmp_path)
    path = tmp_path / "server.yaml"
    path.write_text("address: $address\n")
    return path


def test_names_are_filled_in() -> None:
    assert configuration.render("server.yaml", {"address": "10.0.0.1"}) == "address: 10.0.0.1\n"


def test_a_name_that_nobody_gives_is_an_error_that_says_which() -> None:
    with pytest.raises(ClusterError, match=r"server\.yaml asks for 'address'"):
        configuration.render("server.yaml", {})


def test_the_same_content_keeps_its_file_untouched(tmp_path: Path) -> None:
    first = configuration.write("server.yaml", {"address": "10.0.0.1"}, tmp_path / "out")
    written = first.stat().st_mtime_ns

    second = configuration.write("server.yaml", {"address": "10.0.0.1"}, tmp_path / "out")

    assert second == first
    assert second.stat().st_mtime_ns == written


def test_other_content_has_another_name_and_replaces_the_older_file(tmp_path: Path) -> None:
    first = configuration.write("server.yaml", {"address": "10.0.0.1"}, tmp_path / "out")

    second = configuration.write("server.yaml", {"address": "10.0.0.2"}, tmp_path / "out")

    assert second.read_text() == "address: 10.0.0.2\n"
    assert not first.exists()
