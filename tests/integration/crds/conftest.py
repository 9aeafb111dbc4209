"""A namespace that the tests of the custom resources share, and kubectl in it."""

from collections.abc import Iterator

import pytest

from tests.integration.crds.manifests import Cluster
from tests.integration.running_control_plane import RunningControlPlane


@pytest.fixture(scope="package")
def cluster(control_plane: RunningControlPlane) -> Iterator[Cluster]:
    control_plane.kubectl("create", "namespace", "crds")
    yield Cluster(control_plane, "crds")
    control_plane.kubectl("delete", "namespace", "crds", "--wait=false")
