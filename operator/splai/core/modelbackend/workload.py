"""What runs the replicas: a Deployment, or a LeaderWorkerSet where a replica spans several nodes.

A backend that goes from one to several nodes, or back, gets the other of the two. What ran it until then serves until
as many replicas answer as are wanted; where ``rollout.maxSurge`` is 0, it goes first.
"""

from typing import Any

from splai.api.model_backend import ModelBackend, Rollout
from splai.core.modelbackend.deployment import build_deployment
from splai.core.modelbackend.leader_worker_set import API_VERSION, KIND, build_leader_worker_set, set_name
from splai.core.modelbackend.replicas import Replicas
from splai.core.modelbackend.snapshot import NOT_INSTALLED, BackendSnapshot, LeaderWorkerSetsMissing
from splai.core.observed import REVISION_LABEL, ObservedLeaderWorkerSet
from splai.core.plan import Delete, ObjectReference, Refusal
from splai.core.settings import OperatorSettings

Object = dict[str, Any]

LOOK_SECONDS = 10.0
"""Between two looks at what is not watched: whether LeaderWorkerSet was installed, or a set was changed by hand."""


def build_workload(backend: ModelBackend, settings: OperatorSettings) -> Object:
    """The Deployment or LeaderWorkerSet as it should be."""
    build = build_leader_worker_set if backend.spec.resources.nodes > 1 else build_deployment
    return build(backend, settings)


def pods_of(workload: Object) -> Object:
    """The template of the pods that answer."""
    spec = workload["spec"]
    template: Object = spec["template"] if "template" in spec else spec["leaderWorkerTemplate"]["leaderTemplate"]
    return template


def revision(workload: Object) -> str:
    """The revision of what ``build_workload`` made."""
    label: str = pods_of(workload)["metadata"]["labels"][REVISION_LABEL]
    return label


def not_installed(snapshot: BackendSnapshot) -> Refusal | None:
    """Why the LeaderWorkerSet that the backend needs cannot be made."""
    if not snapshot.spans_nodes or not isinstance(snapshot.leader_worker_set, LeaderWorkerSetsMissing):
        return None
    return Refusal(
        _set_reference(snapshot.backend),
        NOT_INSTALLED,
        f"resources.nodes is {snapshot.backend.spec.resources.nodes}, and the cluster has no {KIND} ({API_VERSION}): "
        "install it, see https://lws.sigs.k8s.io/docs/installation, or leave resources.nodes at 1",
    )


def former_workload(snapshot: BackendSnapshot, replicas: Replicas) -> tuple[Delete, ...]:
    """What ran the backend before its number of nodes was changed, once it may go."""
    former = snapshot.own_deployment if snapshot.spans_nodes else snapshot.own_leader_worker_set
    if former is None or former.deletion is not None:
        return ()
    still_needed = replicas.previous and replicas.answering < replicas.wanted
    if still_needed and not _makes_room_first(snapshot.backend.spec.rollout):
        return ()
    if isinstance(former, ObservedLeaderWorkerSet):
        return (Delete(_set_reference(snapshot.backend, former.uid)),)
    namespace = snapshot.backend.metadata["namespace"]
    reference = ObjectReference(
        api_version="apps/v1", kind="Deployment", namespace=namespace, name=former.name, uid=former.uid
    )
    return (Delete(reference),)


def _makes_room_first(rollout: Rollout) -> bool:
    return rollout.max_surge in (0, "0%")


def _set_reference(backend: ModelBackend, uid: str | None = None) -> ObjectReference:
    metadata = backend.metadata
    name = set_name(metadata["name"])
    return ObjectReference(api_version=API_VERSION, kind=KIND, namespace=metadata["namespace"], name=name, uid=uid)
