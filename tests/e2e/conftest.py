"""Fixtures: SPLAI installed on the cluster of $KUBECONFIG, and a fresh namespace for each test."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.e2e.cluster import KubectlError, Namespace, forwarded, run_kubectl
from tests.e2e.neighbours import install
from tests.e2e.objects import backend


@pytest.fixture(scope="session", autouse=True)
def installation() -> None:
    """Fail with what to do when there is no cluster or SPLAI is not installed in it."""
    if "KUBECONFIG" not in os.environ:
        pytest.exit("KUBECONFIG is not set: run `make test-e2e`, which starts a cluster and installs SPLAI", 2)
    try:
        for deployment in ("splai-operator", "splai-artifacts", "splai-gateway"):
            run_kubectl("-n", "splai-system", "rollout", "status", f"deployment/{deployment}", "--timeout=120s")
    except (KubectlError, FileNotFoundError) as error:
        pytest.exit(f"SPLAI does not run in the cluster of $KUBECONFIG: {error}; run `make test-e2e`", 2)


@contextmanager
def fresh_namespace() -> Iterator[Namespace]:
    """A namespace under Pod Security `restricted`; its jobs, models and pods are gone at the end."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    run_kubectl("create", "namespace", name)
    run_kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield Namespace(name)
    # First what holds GPUs: the namespace's own deletion waits for the longest grace period of its pods.
    run_kubectl("-n", name, "delete", "ij,mb", "--all", "--cascade=foreground", "--timeout=300s")
    run_kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace of the test's own."""
    with fresh_namespace() as namespace:
        yield namespace


@pytest.fixture
def ready_backend(namespace: Namespace) -> Namespace:
    """The namespace, with the real model Ready in it."""
    namespace.apply(backend())
    namespace.wait("condition=Ready", "modelbackend/smollm2")
    return namespace


@pytest.fixture(scope="session")
def argo_workflows() -> None:
    """Argo Workflows runs in the cluster, until the cluster goes."""
    install("argo-workflows")


@pytest.fixture(scope="session")
def kueue() -> None:
    """Kueue runs in the cluster with its webhooks, until the cluster goes."""
    install("kueue")


@pytest.fixture
def gateway() -> Iterator[str]:
    """Base URL of the gateway's Service; each test forwards anew, as what is forwarded to may be gone since."""
    with forwarded("splai-system", "svc/splai-splai-api-gateway", 8080) as url:
        yield url


@pytest.fixture
def artifacts() -> Iterator[httpx.Client]:
    """The artifact server, as the operator sees it."""
    token = run_kubectl("-n", "splai-system", "create", "token", "splai-operator", "--audience=splai-artifacts")
    with (
        forwarded("splai-system", "svc/splai-artifacts", 8080) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token.strip()}"}, timeout=60) as client,
    ):
        yield client
