"""Everything a decision about one ModelBackend may look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from splai.api.model_backend import ModelBackend
from splai.core.modelbackend.demand import Demand
from splai.core.observed import (
    ObservedDeployment,
    ObservedEvent,
    ObservedLeaderWorkerSet,
    ObservedPod,
    ObservedService,
)
from splai.core.plan import Refusal
from splai.core.settings import OperatorSettings

NOT_INSTALLED = "LeaderWorkerSetNotInstalled"


@dataclass(frozen=True)
class LeaderWorkerSetsMissing:
    """The cluster does not know the kind."""


def needs_leader_worker_set(backend: ModelBackend, pods: Sequence[ObservedPod]) -> bool:
    """Whether there should be one, or may still be one of an earlier revision of the backend.

    It is not watched: a watch of a kind that is not installed can't begin. So it is asked for when it matters.
    """
    generation = backend.status.observed_generation
    changed = 0 <= generation < backend.metadata["generation"]
    return backend.spec.resources.nodes > 1 or changed or any(pod.is_other_node for pod in pods)


@dataclass(frozen=True, kw_only=True)
class BackendSnapshot:
    """What was observed at one moment; all but the LeaderWorkerSet from the cache."""

    backend: ModelBackend
    settings: OperatorSettings
    deployment: ObservedDeployment | None = None
    leader_worker_set: ObservedLeaderWorkerSet | LeaderWorkerSetsMissing | None = None
    service: ObservedService | None = None
    pods: Sequence[ObservedPod] = ()
    """The replicas: pods that carry the backend's name as a label."""
    other_defaults: Sequence[str] = ()
    """Names of further backends that are the namespace's default, if this one is."""
    taken_names: Mapping[str, str] = field(default_factory=dict)
    """Names of the model that mean another namespace's at the gateway, and which namespace's."""
    demand: Demand | None = None
    """What is asked of a backend with autoscaling; None also while nothing was heard of it."""
    pod_events: Mapping[str, Sequence[ObservedEvent]] = field(default_factory=dict)
    """The kubelet's complaints by the UID of the pod; listed only where `needs_pod_events` says so."""
    refusals: Sequence[Refusal] = ()

    @property
    def own_deployment(self) -> ObservedDeployment | None:
        """The Deployment if it is this very backend's; one of the same name may be left of a backend that was."""
        return self.deployment if self.deployment and self.deployment.owner_uid == self._uid else None

    @property
    def own_leader_worker_set(self) -> ObservedLeaderWorkerSet | None:
        """The LeaderWorkerSet if it is this very backend's."""
        found = self.leader_worker_set
        return found if isinstance(found, ObservedLeaderWorkerSet) and found.owner_uid == self._uid else None

    @property
    def own_workload(self) -> ObservedDeployment | ObservedLeaderWorkerSet | None:
        """What runs the replicas, as the spec wants it now."""
        return self.own_leader_worker_set if self.spans_nodes else self.own_deployment

    @property
    def workload_kind(self) -> str:
        return "LeaderWorkerSet" if self.spans_nodes else "Deployment"

    @property
    def spans_nodes(self) -> bool:
        """Whether one replica is to have several pods."""
        return self.backend.spec.resources.nodes > 1

    @property
    def own_service(self) -> ObservedService | None:
        """The Service if it is this very backend's."""
        return self.service if self.service and self.service.owner_uid == self._uid else None

    @property
    def _uid(self) -> str:
        uid: str = self.backend.metadata["uid"]
        return uid
