"""Control planes of real programs for the integration tests, and a fresh namespace for each of them.

What a test needs and this machine lacks fails the test with the words of what is missing: a suite that skips proves
nothing. The programs come from `local-cluster/`, which builds them once and keeps them in a cache.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.running_control_plane import RunningControlPlane

from local_cluster import build
from local_cluster.control_plane import ControlPlane
from local_cluster.errors import ClusterError

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningControlPlane]:
    """The control plane that the tests of a session share; who stops a part of it starts it again."""
    with _running(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def own_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningControlPlane]:
    """A control plane for one test that leaves nothing usable behind, such as a restored etcd."""
    with _running(tmp_path_factory.mktemp("own-control-plane")) as running:
        yield running


@pytest.fixture
def namespace(control_plane: RunningControlPlane) -> Iterator[str]:
    """A fresh namespace that is deleted, with all it holds, after the test."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def _running(directory: Path) -> Iterator[RunningControlPlane]:
    if not any(CRDS.glob("*.yaml")):
        pytest.fail(f"{CRDS} holds no custom resource definitions: run `make generate`")
    try:
        control_plane = ControlPlane(directory)
        control_plane.start()
    except ClusterError as error:
        pytest.fail(f"no control plane to test on: {error}", pytrace=False)
    try:
        running = RunningControlPlane(control_plane, build.program("kubernetes", "kubectl"))
        running.kubectl("apply", "--server-side", "-f", str(CRDS))
        running.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
        yield running
    finally:
        control_plane.stop()
