"""Objects as the operator would have observed them, with the fields a test is about as arguments."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from splai.api.model_backend import ModelBackend, ModelBackendStatus
from splai.core.modelbackend.plan import plan
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.modelbackend.workload import build_workload, revision
from splai.core.observed import ObservedCondition, ObservedContainer, ObservedDeployment, ObservedPod, ObservedService
from splai.core.plan import Apply, Plan
from splai.core.settings import OperatorSettings
from splai.engines.images import EngineImages

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
UID = "uid-of-the-backend"
OLD = "an-older-revision"
NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
SETTINGS = OperatorSettings(
    image="splai/splai:1", engine_images=EngineImages(llamacpp="splai/llamacpp:1", vllm="vllm/vllm-openai:v1")
)


def make_backend(
    *, status: ModelBackendStatus | None = None, metadata: dict[str, Any] | None = None, **spec: Any
) -> ModelBackend:
    return ModelBackend.model_validate(
        {
            "metadata": {"name": "smol", "namespace": "team", "uid": UID, "generation": 3, **(metadata or {})},
            "spec": {"model": {"id": "llama3-8b-q4", "aliases": ["gpt-4o-mini"]}, **spec},
            "status": status or ModelBackendStatus(),
        }
    )


def applied(backend: ModelBackend) -> dict[str, Any]:
    """The Deployment that a first plan applies."""
    actions = plan(BackendSnapshot(backend=backend, settings=SETTINGS), NOW).actions
    return next(it.body for it in actions if isinstance(it, Apply) and it.body["kind"] == "Deployment")


def managed_fields(body: Any) -> Any:
    """What the apiserver would write down as ours after an apply, for the kinds of lists that children have."""
    if isinstance(body, dict):
        return {f"f:{name}": managed_fields(value) for name, value in body.items()}
    if isinstance(body, list) and all(isinstance(item, dict) and _key(item) for item in body):
        return {f"k:{json.dumps(_key(item))}": {".": {}, **managed_fields(item)} for item in body}
    return {}


def _key(item: dict[str, Any]) -> dict[str, Any]:
    """Nothing for the items of a list that is owned as a whole, such as tolerations."""
    names = ({"uid"}, {"port", "protocol"}, {"containerPort", "protocol"}, {"mountPath"}, {"name"})
    chosen = next((it for it in names if it <= item.keys()), set())
    return {name: item[name] for name in sorted(chosen)}


def received(body: dict[str, Any], uid: str) -> dict[str, Any]:
    """An applied object as the apiserver shows it."""
    metadata = {name: body["metadata"][name] for name in ("labels", "annotations", "ownerReferences")}
    ours = managed_fields({"metadata": metadata, "spec": body["spec"]})
    entry = {"manager": "splai", "operation": "Apply", "fieldsV1": ours}
    return {**body, "metadata": {**body["metadata"], "uid": uid, "generation": 1, "managedFields": [entry]}}


def make_deployment(backend: ModelBackend, **fields: Any) -> ObservedDeployment:
    """The backend's Deployment as applied and as its controller has seen it."""
    body = received(applied(backend), "uid-of-the-deployment") | {"status": {"observedGeneration": 1}}
    return replace(ObservedDeployment.from_object(body), **fields)


def make_service(backend: ModelBackend, **fields: Any) -> ObservedService:
    actions = plan(BackendSnapshot(backend=backend, settings=SETTINGS), NOW).actions
    body = next(it.body for it in actions if isinstance(it, Apply) and it.body["kind"] == "Service")
    return replace(ObservedService.from_object(received(body, "uid-of-the-service")), **fields)


def make_pod(
    name: str = "smol-1",
    *,
    backend: ModelBackend | None = None,
    old: bool = False,
    node: str = "node-1",
    unschedulable_for: float | None = None,
    deletion: datetime | None = None,
    phase: str = "Running",
    **engine: Any,
) -> ObservedPod:
    """A pod of the current revision, or of an older one; ``engine`` describes its container."""
    state = ObservedContainer(name="engine", **engine) if unschedulable_for is None else None
    waits = None
    if unschedulable_for is not None:
        since = NOW - timedelta(seconds=unschedulable_for)
        waits = ObservedCondition(status="False", reason="Unschedulable", message=NO_GPU, since=since)
    return ObservedPod(
        namespace="team",
        name=name,
        uid=f"uid-of-{name}",
        owner_uid="uid-of-a-replicaset",
        labels={"splai.dev/revision": OLD if old else revision(build_workload(backend or make_backend(), SETTINGS))},
        created=NOW,
        deletion=deletion,
        phase=phase,
        node="" if waits else node,
        ready=bool(engine.get("ready")),
        scheduled=waits or ObservedCondition(status="True"),
        containers=(state,) if state else (),
    )


def ready_pod(name: str = "smol-1", **fields: Any) -> ObservedPod:
    return make_pod(name, ready=True, started=True, **fields)


def waiting_pod(reason: str, message: str = "", **fields: Any) -> ObservedPod:
    return make_pod(waiting_reason=reason, waiting_message=message, **fields)


def decide(
    *pods: ObservedPod,
    backend: ModelBackend | None = None,
    now: datetime = NOW,
    **snapshot: Any,
) -> Plan[ModelBackendStatus]:
    """The plan for a backend whose Deployment and Service are applied."""
    backend = backend or make_backend()
    observed = {"deployment": make_deployment(backend), "service": make_service(backend), **snapshot}
    return plan(BackendSnapshot(backend=backend, settings=SETTINGS, pods=pods, **observed), now)
