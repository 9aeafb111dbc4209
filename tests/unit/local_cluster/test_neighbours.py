"""The neighbours: what their kustomizations ask for is what is built and loaded."""

import re

import pytest

from local_cluster import build, neighbours, paths
from local_cluster.errors import ClusterError
from local_cluster.neighbours import Neighbour


@pytest.mark.parametrize("neighbour", neighbours.NEIGHBOURS.values(), ids=lambda neighbour: neighbour.name)
def test_the_images_in_the_manifests_are_those_of_the_programs(neighbour: Neighbour) -> None:
    kustomization = (paths.SOURCES / neighbour.name / "kustomization.yaml").read_text()
    renamed = re.findall(r"newName: (\S+)\n\s+newTag: (\S+)", kustomization)
    named = [f"{name}:{tag}" for name, tag in renamed] + re.findall(r"-image=([^,\]\s]+)", kustomization)

    assert sorted(named) == sorted(f"docker.io/splai/{program}:local" for program in neighbour.programs)


@pytest.mark.parametrize("neighbour", neighbours.NEIGHBOURS.values(), ids=lambda neighbour: neighbour.name)
def test_the_manifests_are_kept_beside_the_programs(neighbour: Neighbour) -> None:
    extra = build.MODULES[neighbour.name].extra

    assert re.search(
        rf"^  - {extra}/", (paths.SOURCES / neighbour.name / "kustomization.yaml").read_text(), re.MULTILINE
    )


def test_an_unknown_neighbour_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match="unknown neighbour keda; there are: kueue, argo-workflows"):
        neighbours.find("keda")
