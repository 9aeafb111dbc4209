"""Control planes, MinIO and PostgreSQL for the integration tests: real programs, and a fresh namespace for each test.

What a test needs and this machine lacks fails the test with the words of what is missing: a suite that skips proves
nothing. The programs come from `local-cluster/`, which builds them once and keeps them in a cache.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster import build
from local_cluster.errors import ClusterError
from tests.integration.minio import Minio, running_minio
from tests.integration.postgres import Postgres, running_postgres
from tests.integration.running_control_plane import RunningControlPlane, running_control_plane


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningControlPlane]:
    """The control plane that the tests of a session share; who stops a part of it starts it again."""
    with running_control_plane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def own_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningControlPlane]:
    """A control plane for one test that leaves nothing usable behind, such as a restored etcd."""
    with running_control_plane(tmp_path_factory.mktemp("own-control-plane")) as running:
        yield running


@pytest.fixture
def namespace(control_plane: RunningControlPlane) -> Iterator[str]:
    """A fresh namespace that is deleted, with all it holds, after the test."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def helm() -> Path:
    """Helm 3, built from source like the rest."""
    try:
        return build.program("helm", "helm")
    except ClusterError as error:
        pytest.fail(f"no Helm to install the chart with: {error}", pytrace=False)


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    """The S3 that the tests of a session share: each makes buckets of its own."""
    with running_minio(tmp_path_factory.mktemp("minio")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The PostgreSQL that the tests of a session share: each makes a database of its own."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL for one test, which may kill it."""
    with running_postgres(tmp_path_factory.mktemp("own-postgres")) as running:
        yield running
