"""What the engines have in common: the container's shape, its probes, its resources and what fetches its weights.

The container meets Pod Security ``restricted`` with a read-only root; whatever an engine writes goes to an emptyDir.
It works the same as a Deployment's only container and as a native sidecar beside a worker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from splai.api.backend_resources import BackendResources
from splai.api.model_backend import Model, ModelBackendSpec
from splai.api.pod_contract import POD_USER
from splai.api.pod_template import PodTemplate
from splai.engines.gpu import gpu_placement, gpu_resource
from splai.engines.metrics import Metrics
from splai.engines.mount import SCRATCH, Mount
from splai.engines.weights import Fetch, Weights, cache_mount

Object = dict[str, Any]

ENGINE_CONTAINER = "engine"
HUB_TOKEN = "HF_TOKEN"  # noqa: S105 - the variable and the key of a Secret, not the token

LOAD_MINUTES = 30
"""That an engine has to load its model, unless its file says otherwise."""
_STARTUP_PERIOD_SECONDS = 3
_FETCH_REQUESTS = {"cpu": "100m", "memory": "256Mi"}


@dataclass(frozen=True)
class EnginePod:
    """A core/v1 Container and the core/v1 Volumes that it mounts."""

    container: Object
    volumes: tuple[Object, ...]
    port: int
    fetches: tuple[Object, ...] = ()
    """Containers that run `splai` before the engine starts; their image is for the installation to say."""
    security: Mapping[str, Any] = field(default_factory=dict)
    """What the pod's own securityContext needs beside what all of them have."""
    placement: PodTemplate | None = None
    """Where the GPUs are; the first of the templates that lie over the pod."""
    other_nodes: Object | None = None
    """The container of a replica's other nodes, where it has several: it serves nobody but the first one."""
    metrics: Metrics | None = None
    """What the engine tells Prometheus, if it does."""
    requests: Mapping[str, str] = field(default_factory=dict)
    """What the container asks for of each resource that nobody else speaks of: neither the backend nor a template."""


def build_pod(
    spec: ModelBackendSpec,
    *,
    image: str,
    port: int,
    health_path: str,
    weights: Sequence[Weights],
    mounts: Sequence[Mount] = (),
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    env: dict[str, str] | None = None,
    user: int | None = None,
    loaded: Sequence[str] = (),
    metrics: Metrics | None = None,
    requests: Mapping[str, str] | None = None,
    load_minutes: int = LOAD_MINUTES,
) -> EnginePod:
    """Assemble the pieces; the user's own ``engine.args`` come last, where engines let the last one win.

    ``loaded`` is a command that succeeds once the model is, for an engine whose health path does not tell.
    """
    on_hub = any(found.is_on_hub for found in weights)
    cache = cache_mount(spec.model) if on_hub else None
    wanted = (SCRATCH, *mounts, *(mount for found in weights for mount in found.mounts), *([cache] if cache else []))
    everywhere = tuple({mount.path: mount for mount in wanted}.values())
    fetches = tuple(fetch for found in weights for fetch in found.fetches)
    container: Object = {
        "name": ENGINE_CONTAINER,
        "image": image,
        "command": list(command),
        "args": [*args, *spec.engine.args],
        "env": [
            *({"name": name, "value": value} for name, value in (env or {}).items()),
            *(_hub_token(spec.model) if on_hub else ()),
        ],
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "resources": container_resources(spec.resources),
        "volumeMounts": [mount.to_wire() for mount in everywhere],
        "securityContext": _restricted(user),
        **_probes(health_path, loaded, load_minutes),
    }
    return EnginePod(
        container={name: value for name, value in container.items() if value not in ([], {})},
        volumes=tuple(mount.volume for mount in everywhere),
        port=port,
        fetches=tuple(_fetch_container(fetch, spec, everywhere) for fetch in fetches),
        placement=gpu_placement(spec.resources.gpu) if spec.resources.gpu is not None else None,
        # A claim's root belongs to root, and who writes there does not.
        security={"fsGroup": POD_USER, "fsGroupChangePolicy": "OnRootMismatch"} if spec.model.cache else {},
        metrics=metrics,
        requests=requests or {},
    )


def _restricted(user: int | None) -> Object:
    security: Object = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return security if user is None else {**security, "runAsUser": user}


def _hub_token(model: Model) -> list[Object]:
    """The one key of the Secret that an engine needs."""
    if model.credentials is None:
        return []
    # Optional, for the Secret may be an adapter's, on S3; a gated model is then refused to the engine, which says so.
    key = {"name": model.credentials.name, "key": HUB_TOKEN, "optional": True}
    return [{"name": HUB_TOKEN, "valueFrom": {"secretKeyRef": key}}]


def _fetch_container(fetch: Fetch, spec: ModelBackendSpec, mounts: Sequence[Mount]) -> Object:
    """It has the Secret's keys, and the template's variables and volumes: a proxy may be there, or a certificate."""
    template = spec.template
    # Said by the installation; a variable that is set cannot come from the Secret either.
    variables = [it.to_wire() for it in (template and template.env) or () if not it.name.startswith("SPLAI_")]
    own = [mount for mount in mounts if mount is SCRATCH or fetch.folder.startswith(f"{mount.path}/")]
    paths = {mount.path for mount in own}
    theirs = [it.to_wire() for it in (template and template.volume_mounts) or () if it.mount_path not in paths]
    container: Object = {
        "name": fetch.name,
        "args": fetch.arguments,
        "env": variables,
        "envFrom": [{"secretRef": {"name": spec.model.credentials.name}}] if spec.model.credentials else [],
        "resources": {"requests": dict(_FETCH_REQUESTS)},
        "volumeMounts": [*(mount.to_wire() for mount in own), *theirs],
        "securityContext": _restricted(POD_USER),
    }
    return {name: value for name, value in container.items() if value != []}


def container_resources(resources: BackendResources) -> Object:
    """GPUs and memory as limits only: the request of a pod then equals its limit, also after an overlay changed it.

    What the backend leaves out is asked for last of all, as `EnginePod.requests` says.
    """
    limits: Object = {}
    if resources.gpu is not None:
        limits[gpu_resource(resources.gpu)] = str(resources.gpu.count)
    if resources.memory is not None:
        limits["memory"] = str(resources.memory)
    requests = {"cpu": str(resources.cpu)} if resources.cpu is not None else {}
    return {name: value for name, value in (("limits", limits), ("requests", requests)) if value}


def _probes(path: str, loaded: Sequence[str], load_minutes: int) -> Object:
    """Loading a model takes its time; after that an engine answers soon, though a busy one not at once."""
    request = {"httpGet": {"path": path, "port": "http"}}
    return {
        "startupProbe": {
            **({"exec": {"command": list(loaded)}} if loaded else request),
            "periodSeconds": _STARTUP_PERIOD_SECONDS,
            "timeoutSeconds": 3,
            "failureThreshold": load_minutes * 60 // _STARTUP_PERIOD_SECONDS,
        },
        "readinessProbe": {**request, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**request, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
    }
