"""What the engines have in common: the container's shape, its probes, its resources and where its model comes from.

The container meets Pod Security ``restricted`` with a read-only root; whatever an engine writes goes to an emptyDir.
It works the same as a Deployment's only container and as a native sidecar beside a worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from splai.api.model_backend import BackendResources, ModelBackendSpec

Object = dict[str, Any]

ENGINE_CONTAINER = "engine"
MODELS_PATH = "/models"

_GPU_RESOURCES = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "intel": "gpu.intel.com/i915"}
_LOAD_SECONDS = 30 * 60
_STARTUP_PERIOD_SECONDS = 3


@dataclass(frozen=True)
class EnginePod:
    """A core/v1 Container and the core/v1 Volumes that it mounts."""

    container: Object
    volumes: tuple[Object, ...]
    port: int


@dataclass(frozen=True)
class Mount:
    """A volume, and where the engine sees it."""

    volume: Object
    path: str
    read_only: bool = False

    def to_wire(self) -> Object:
        mount = {"name": self.volume["name"], "mountPath": self.path}
        return {**mount, "readOnly": True} if self.read_only else mount


SCRATCH = Mount({"name": "tmp", "emptyDir": {}}, "/tmp")  # noqa: S108 - the pod's own, on a read-only root


@dataclass(frozen=True)
class Weights:
    """A model source as the engine takes it: a path or a name (or nothing), and the volume it lies on, if any."""

    location: str
    mounts: tuple[Mount, ...] = ()


def weights(source: str | None) -> Weights:
    """Read ``scheme://name``, ``file:///path`` or ``pvc://claim/path``; nothing stands for the image's own model."""
    if source is None:
        return Weights("")
    scheme, _, rest = source.partition("://")
    if scheme != "pvc":
        return Weights(rest)
    claim, _, path = rest.partition("/")
    volume = {"name": "models", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    return Weights(f"{MODELS_PATH}/{path}".rstrip("/"), (Mount(volume, MODELS_PATH, read_only=True),))


def build_pod(
    spec: ModelBackendSpec,
    *,
    image: str,
    port: int,
    health_path: str,
    mounts: Sequence[Mount],
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    env: dict[str, str] | None = None,
    user: int | None = None,
    loaded: Sequence[str] = (),
) -> EnginePod:
    """Assemble the pieces; the user's own ``engine.args`` come last, where engines let the last one win.

    ``loaded`` is a command that succeeds once the model is, for an engine whose health path does not tell.
    """
    security: Object = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if user is not None:
        security["runAsUser"] = user
    container: Object = {
        "name": ENGINE_CONTAINER,
        "image": image,
        "command": list(command),
        "args": [*args, *spec.engine.args],
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "resources": container_resources(spec.resources),
        "volumeMounts": [mount.to_wire() for mount in mounts],
        "securityContext": security,
        **_probes(health_path, loaded),
    }
    return EnginePod(
        container={name: value for name, value in container.items() if value not in ([], {})},
        volumes=tuple(mount.volume for mount in mounts),
        port=port,
    )


def container_resources(resources: BackendResources) -> Object:
    """GPUs and memory as limits only: the request of a pod then equals its limit, also after an overlay changed it."""
    limits: Object = {}
    if resources.gpu is not None:
        profile = resources.gpu.profile
        name = f"nvidia.com/{profile}" if profile else _GPU_RESOURCES[resources.gpu.vendor]
        limits[name] = str(resources.gpu.count)
    if resources.memory is not None:
        limits["memory"] = str(resources.memory)
    requests = {"cpu": str(resources.cpu)} if resources.cpu is not None else {}
    return {name: value for name, value in (("limits", limits), ("requests", requests)) if value}


def _probes(path: str, loaded: Sequence[str]) -> Object:
    """Loading a model may take half an hour; after that an engine answers soon, though a busy one not at once."""
    request = {"httpGet": {"path": path, "port": "http"}}
    return {
        "startupProbe": {
            **({"exec": {"command": list(loaded)}} if loaded else request),
            "periodSeconds": _STARTUP_PERIOD_SECONDS,
            "timeoutSeconds": 3,
            "failureThreshold": _LOAD_SECONDS // _STARTUP_PERIOD_SECONDS,
        },
        "readinessProbe": {**request, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**request, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
    }
