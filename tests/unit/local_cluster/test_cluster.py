"""The cluster of this checkout, when it is somebody else's: images come from a registry, never by the way."""

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from local_cluster import cleanup, cluster, images, paths
from local_cluster.errors import ClusterError
from local_cluster.process import Identity
from local_cluster.ways import Way


@pytest.fixture(autouse=True)
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    way = tmp_path / "way"
    way.write_text(Way.CURRENT)
    monkeypatch.setattr(cluster, "_WAY", way)


def test_without_a_registry_the_commands_to_push_are_told() -> None:
    with pytest.raises(ClusterError, match="REGISTRY is not set") as refused:
        cluster.load_images([], {})

    told = str(refused.value)
    splai, llamacpp = images.pulled_names("$REGISTRY")
    assert f"docker build --tag {splai} --file operator/Dockerfile .\n" in told
    assert f"docker build --tag {llamacpp} --file images/llamacpp/Dockerfile images/llamacpp\n" in told
    assert told.endswith("make install REGISTRY=$REGISTRY")


def test_with_a_registry_nothing_is_built_and_the_names_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    cluster.load_images([], {"REGISTRY": "registry.example/team"})

    said = capsys.readouterr().err
    assert all(name in said for name in images.pulled_names("registry.example/team"))


def test_no_neighbour_is_installed_into_a_cluster_of_somebody_else() -> None:
    with pytest.raises(ClusterError, match="kueue cannot be installed into a cluster that was not started here"):
        cluster.install("kueue")


def test_kubectl_that_can_neither_be_found_nor_built_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _command: None)
    monkeypatch.setattr(paths, "LOCAL", tmp_path)
    monkeypatch.setattr(paths, "PROGRAMS", tmp_path / "bin")

    with pytest.raises(ClusterError, match="kubectl is missing: install it"):
        cluster.up({"CLUSTER": "current"})


def test_another_way_than_the_one_that_is_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_cluster.kind.possible", lambda: True)

    with pytest.raises(ClusterError, match="make cluster-down"):
        cluster.up({"CLUSTER": "kind"})


def test_what_is_left_of_a_cluster_is_not_removed_while_another_checkouts_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, own = tmp_path / "other", tmp_path / "own"
    own.mkdir()
    (tmp_path / "owner").write_text(str(other))
    (other / "run").mkdir(parents=True)
    identity = Identity.of(os.getpid())
    assert identity is not None
    (other / "run" / "kubelet.json").write_text(json.dumps({"identity": asdict(identity), "command": []}))
    monkeypatch.setattr(paths, "RUNTIME", tmp_path)
    monkeypatch.setattr(paths, "CLUSTER", own)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(cleanup, "remove_everything", lambda _: pytest.fail("it was removed"))

    with pytest.raises(ClusterError, match=f"the cluster of another checkout is running .{re.escape(str(other))}"):
        cluster.down()
