"""A backend's pods, as its conditions ask about them: which are the newest, which answer, which wait for a node."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.observed import ObservedContainer, ObservedDeployment, ObservedLeaderWorkerSet, ObservedPod
from splai.core.pod_problem import PodProblem, worst_problem
from splai.engines import ENGINE_CONTAINER


@dataclass(frozen=True)
class Replicas:
    """Pods that live; ``current`` are of the revision that the spec asks for, ``previous`` of any other.

    Where a replica spans several nodes, the pod that answers stands for it; ``others`` are those of its other nodes.
    """

    wanted: int
    current: Sequence[ObservedPod]
    previous: Sequence[ObservedPod]
    others: Sequence[ObservedPod] = ()
    """Of the current revision."""
    failed: Sequence[ObservedPod] = ()
    """Pods of the current revision that ended, and that their node or the scheduler said something about."""
    nodes: int = 1
    """That each replica of the current revision spans."""

    @classmethod
    def of(cls, snapshot: BackendSnapshot, revision: str) -> "Replicas":
        there = [pod for pod in snapshot.pods if pod.deletion is None]
        alive = [pod for pod in there if not pod.ended]
        standing = [pod for pod in alive if not pod.is_other_node]
        return cls(
            wanted=snapshot.backend.spec.replicas,
            current=[pod for pod in standing if pod.revision == revision],
            previous=[pod for pod in standing if pod.revision != revision],
            others=[pod for pod in alive if pod.is_other_node and pod.revision == revision],
            failed=[pod for pod in there if pod.phase == "Failed" and pod.reason and pod.revision == revision],
            nodes=snapshot.backend.spec.resources.nodes,
        )

    @property
    def members(self) -> Sequence[ObservedPod]:
        """All pods of the current revision."""
        return (*self.current, *self.others)

    @property
    def complete(self) -> bool:
        """Whether there are replicas of the current revision, with a pod for each of their nodes."""
        return bool(self.current) and len(self.members) >= len(self.current) * self.nodes

    @property
    def total(self) -> int:
        return len(self.current) + len(self.previous)

    @property
    def answering(self) -> int:
        """Pods of the current revision whose engine answers: the kubelet asks it, by the readiness probe."""
        return sum(pod.ready for pod in self.current)

    @property
    def still_serving(self) -> int:
        """Pods of earlier revisions that answer meanwhile."""
        return sum(pod.ready for pod in self.previous)

    @property
    def loaded(self) -> int:
        """Pods of the current revision whose startup probe has passed."""
        return sum(pod.ready or has_started(pod) for pod in self.current)

    @property
    def unschedulable(self) -> PodProblem | None:
        """The scheduler's words about the pods of the current revision that found no node."""
        return worst_problem(pod for pod in self.members if _waits_for_a_node(pod))

    def without_node_since(self) -> datetime | None:
        """Since when a pod of the newest revision has waited for a node beside earlier ones; None when none does."""
        if not self.previous:
            return None
        waits = [pod.scheduled.since for pod in self.members if pod.scheduled and _waits_for_a_node(pod)]
        return min((since for since in waits if since is not None), default=None)

    def settled(self) -> bool:
        """As many as wanted answer, and no others are left."""
        return len(self.current) == self.answering == self.wanted and not self.previous


def is_observed(workload: ObservedDeployment | ObservedLeaderWorkerSet | None) -> bool:
    """Whether its controller has seen it as it is, as far as it says so."""
    if isinstance(workload, ObservedDeployment):
        return workload.observed_generation >= workload.generation
    return workload is not None


def has_started(pod: ObservedPod) -> bool:
    """Its engine's startup probe has passed."""
    engine = _engine(pod)
    return engine is not None and engine.started


def runs(pod: ObservedPod) -> bool:
    """Its engine is a process."""
    engine = _engine(pod)
    return engine is not None and not engine.waiting_reason and not engine.terminated


def _engine(pod: ObservedPod) -> ObservedContainer | None:
    return pod.container(ENGINE_CONTAINER)


def _waits_for_a_node(pod: ObservedPod) -> bool:
    return pod.scheduled is not None and pod.scheduled.status == "False"
