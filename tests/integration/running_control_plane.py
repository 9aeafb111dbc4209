"""A real control plane as an integration test sees it: a kubeconfig, kubectl, and the power to break it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_cluster import build
from local_cluster.control_plane import ControlPlane
from local_cluster.errors import ClusterError

CRDS = Path(__file__).parents[2] / "crds"


class KubectlError(Exception):
    """kubectl ended with an error; the message is what it wrote to stderr."""


@dataclass(frozen=True)
class RunningControlPlane:
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler on loopback."""

    processes: ControlPlane
    kubectl_program: Path

    @property
    def kubeconfig(self) -> Path:
        """Logs in as the administrator."""
        return self.processes.kubeconfig

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002  (as subprocess names it)
        """Run kubectl and return its stdout; raises KubectlError with its stderr."""
        command = [str(self.kubectl_program), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=input, timeout=120)
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def kill(self, component: str) -> None:
        """End a component as a crash would; `start` brings it back."""
        self.processes.kill(component)

    def start(self) -> None:
        """Start what does not run and wait until all of it is ready."""
        self.processes.start()

    def restart(self, component: str) -> None:
        """End a component in order and start it again; returns when the control plane is ready."""
        self.processes.restart(component)


@contextmanager
def empty_control_plane(directory: Path) -> Iterator[RunningControlPlane]:
    """A control plane that has never heard of SPLAI; its data lie in the directory."""
    with ExitStack() as stack:
        try:
            processes = stack.enter_context(ControlPlane(directory))  # which stops what was not ready in time
        except ClusterError as error:
            pytest.fail(f"no control plane to test on: {error}", pytrace=False)
        yield RunningControlPlane(processes, build.program("kubernetes", "kubectl"))


@contextmanager
def running_control_plane(directory: Path) -> Iterator[RunningControlPlane]:
    """A control plane that knows SPLAI's resources."""
    if not any(CRDS.glob("*.yaml")):
        pytest.fail(f"{CRDS} holds no custom resource definitions: run `make generate`")
    with empty_control_plane(directory) as running:
        running.kubectl("apply", "--server-side", "-f", str(CRDS))
        running.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
        yield running
