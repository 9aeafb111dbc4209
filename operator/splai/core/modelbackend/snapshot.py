"""Everything a decision about one ModelBackend may look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from splai.api.model_backend import ModelBackend
from splai.core.observed import ObservedDeployment, ObservedEvent, ObservedPod, ObservedService
from splai.core.plan import Refusal
from splai.core.settings import OperatorSettings


@dataclass(frozen=True, kw_only=True)
class BackendSnapshot:
    """What was observed at one moment; all of it from the cache."""

    backend: ModelBackend
    settings: OperatorSettings
    deployment: ObservedDeployment | None = None
    service: ObservedService | None = None
    pods: Sequence[ObservedPod] = ()
    """The replicas: pods that carry the backend's name as a label."""
    other_defaults: Sequence[str] = ()
    """Names of further backends that are the namespace's default, if this one is."""
    pod_events: Mapping[str, Sequence[ObservedEvent]] = field(default_factory=dict)
    """The kubelet's complaints by the UID of the pod; listed only where `needs_pod_events` says so."""
    refusals: Sequence[Refusal] = ()

    @property
    def own_deployment(self) -> ObservedDeployment | None:
        """The Deployment if it is this very backend's; one of the same name may be left of a backend that was."""
        return self.deployment if self.deployment and self.deployment.owner_uid == self._uid else None

    @property
    def own_service(self) -> ObservedService | None:
        """The Service if it is this very backend's."""
        return self.service if self.service and self.service.owner_uid == self._uid else None

    @property
    def _uid(self) -> str:
        uid: str = self.backend.metadata["uid"]
        return uid
