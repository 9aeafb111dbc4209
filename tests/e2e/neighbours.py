"""Kueue, Argo Workflows and Ollama in the cluster under test."""

import pytest

from local_cluster import cluster
from local_cluster.errors import ClusterError


def install(name: str) -> None:
    """Install it unless it is there; a cluster that cannot have it fails the test, in its own words."""
    try:
        cluster.install(name)
    except ClusterError as error:
        pytest.fail(f"no {name} to test with: {error}", pytrace=False)


def load_image(name: str) -> None:
    """Bring an image that SPLAI's installation does not need; a cluster that cannot have it fails the test."""
    try:
        cluster.load_images([name], {})
    except ClusterError as error:
        pytest.fail(f"no image {name} to test with: {error}", pytrace=False)
