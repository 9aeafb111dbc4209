"""A backend's pods, as its conditions ask about them: which are the newest, which answer, what is wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.observed import ObservedDeployment, ObservedLeaderWorkerSet, ObservedPod
from splai.core.pod_problem import PodProblem, worst_problem
from splai.engines import ENGINE_CONTAINER, FETCH_CONTAINER

# A scheduler that has just been asked often says no, and yes a moment later, when another pod has left.
BLOCKED_AFTER = timedelta(seconds=15)


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
    nodes: int = 1
    """That each replica of the current revision spans."""

    @classmethod
    def of(cls, snapshot: BackendSnapshot, revision: str) -> "Replicas":
        alive = [pod for pod in snapshot.pods if pod.deletion is None and not pod.ended]
        standing = [pod for pod in alive if not pod.is_other_node]
        return cls(
            wanted=snapshot.backend.spec.replicas,
            current=[pod for pod in standing if pod.revision == revision],
            previous=[pod for pod in standing if pod.revision != revision],
            others=[pod for pod in alive if pod.is_other_node and pod.revision == revision],
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
        return sum(pod.ready or _started(pod) for pod in self.current)

    @property
    def unschedulable(self) -> PodProblem | None:
        """The scheduler's words about the pods of the current revision that found no node."""
        return worst_problem(pod for pod in self.members if _waits_for_a_node(pod))

    def blocked_since(self) -> datetime | None:
        """Since when the newest revision has waited for a node while an earlier one serves; None when it does not."""
        if not self.still_serving:
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


def what_is_missing(replicas: Replicas, workload: ObservedDeployment | ObservedLeaderWorkerSet | None) -> PodProblem:
    """Why fewer pods of the current revision answer than are wanted; the first cause that applies."""
    waiting = [pod for pod in replicas.members if not pod.ready]
    problem = worst_problem(waiting)
    if problem is not None:
        return problem
    if not waiting:
        failure = workload.conditions.get("ReplicaFailure") if workload else None
        if failure is not None and failure.status == "True":
            reason = "QuotaExceeded" if "exceeded quota" in failure.message else "Forbidden"
            return PodProblem(reason, failure.message)
        if replicas.previous:
            return PodProblem("RollingOut", "the new revision's pods are being created")
        if isinstance(workload, ObservedLeaderWorkerSet) and not workload.conditions:
            return PodProblem("Creating", f"LeaderWorkerSet {workload.name} waits for its controller")
        return PodProblem("Creating", "the pods are being created")
    if any(_started(pod) for pod in waiting):
        return PodProblem("NotAnswering", "the model was loaded, but the engine fails its readiness probe")
    if any(_runs(pod) for pod in waiting):
        return PodProblem("Loading", "the engine is loading the model")
    if any(_fetches(pod) for pod in waiting):
        return PodProblem("Fetching", "the weights are being fetched")
    return PodProblem("Starting", "the pods are starting: images are pulled and volumes mounted")


def _started(pod: ObservedPod) -> bool:
    engine = pod.container(ENGINE_CONTAINER)
    return engine is not None and engine.started


def _runs(pod: ObservedPod) -> bool:
    engine = pod.container(ENGINE_CONTAINER)
    return engine is not None and not engine.waiting_reason and not engine.terminated


def _fetches(pod: ObservedPod) -> bool:
    """Whether the container of one of the engine's fetches runs."""
    running = [it for it in pod.containers if not it.waiting_reason and not it.terminated]
    return any(container.name.startswith(FETCH_CONTAINER) for container in running)


def _waits_for_a_node(pod: ObservedPod) -> bool:
    return pod.scheduled is not None and pod.scheduled.status == "False"
