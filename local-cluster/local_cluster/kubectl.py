"""kubectl against one kubeconfig."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from local_cluster.command import run


@dataclass(frozen=True)
class Kubectl:
    """A kubectl and the kubeconfig that it uses."""

    program: Path
    kubeconfig: Path

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        """The standard output of one kubectl command; `text` is its standard input."""
        return run(self.program, f"--kubeconfig={self.kubeconfig}", *arguments, text=text, seconds=120)

    def apply(self, manifests: str) -> None:
        """Create or change everything in some manifests."""
        self("apply", "--server-side", "--force-conflicts", "--field-manager=local-cluster", "-f", "-", text=manifests)
