"""A volume of an engine's pod, and where its containers see it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mount:
    """A core/v1 Volume, and its path in the container."""

    volume: dict[str, Any]
    path: str
    read_only: bool = False

    def to_wire(self) -> dict[str, Any]:
        """A core/v1 VolumeMount."""
        mount = {"name": self.volume["name"], "mountPath": self.path}
        return {**mount, "readOnly": True} if self.read_only else mount


SCRATCH = Mount({"name": "tmp", "emptyDir": {}}, "/tmp")  # noqa: S108 - the pod's own, on a read-only root
