"""Why fewer pods of the current revision answer than are wanted: one reason, in the words of whoever knows.

In this order: what the pods' own status says; what the kubelet says in Events about pods that have no such problem; why
there are no pods; how far they have got.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from splai.core.modelbackend.kubelet_words import kubelet_problem
from splai.core.modelbackend.last_words import last_words
from splai.core.modelbackend.progress import progress
from splai.core.modelbackend.replicas import Replicas, runs
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.observed import ObservedDeployment, ObservedLeaderWorkerSet, ObservedPod
from splai.core.pod_problem import PodProblem, pod_problem, worst_problem
from splai.engines import ENGINE_CONTAINER

FAILURE_IS_NEWS = timedelta(minutes=5)
"""After that, and once it runs, the pod in the place of a failed one has its own story; unless that one fails too."""

# The words of Kubernetes' admission plugins: resourcequota, priority, runtimeclass, serviceaccount.
_REFUSALS = (
    (re.compile(r"exceeded quota"), "QuotaExceeded"),
    (re.compile(r"no PriorityClass with name"), "PriorityClassNotFound"),
    (re.compile(r"RuntimeClass \S+ not found"), "RuntimeClassNotFound"),
    (re.compile(r"error looking up service account .* not found"), "ServiceAccountNotFound"),
)


def shortfall(snapshot: BackendSnapshot, replicas: Replicas, now: datetime, *, patience: timedelta) -> PodProblem:
    """The first cause that applies; ``patience`` is for how long an engine may load its model."""
    waiting = sorted((pod for pod in replicas.members if not pod.ready), key=lambda pod: pod.name)
    problem = worst_problem(waiting)
    if problem is not None:
        return _in_the_engines_words(problem, waiting)
    told = [found for pod in waiting if (found := kubelet_problem(pod, snapshot.pod_events.get(pod.uid, ()), now))]
    if told:
        return told[0]
    recent = [pod for pod in replicas.failed if pod.failed_at is not None and now - pod.failed_at < FAILURE_IS_NEWS]
    again = len(recent) > replicas.wanted * replicas.nodes
    if recent and (again or not any(runs(pod) for pod in waiting)):
        return _failure(recent)
    if not waiting:
        return _no_pods(replicas, snapshot.own_workload)
    return progress(snapshot.backend.spec.model, waiting, snapshot.pod_events, patience)


def refusal_reason(message: str) -> str:
    """Why the apiserver takes no pods, as a word."""
    return next((reason for pattern, reason in _REFUSALS if pattern.search(message)), "Forbidden")


def _no_pods(replicas: Replicas, workload: ObservedDeployment | ObservedLeaderWorkerSet | None) -> PodProblem:
    failure = workload.conditions.get("ReplicaFailure") if workload else None
    if failure is not None and failure.status == "True":
        return PodProblem(refusal_reason(failure.message), failure.message)
    if replicas.previous:
        return PodProblem("RollingOut", "the new revision's pods are being created")
    if isinstance(workload, ObservedLeaderWorkerSet) and not workload.conditions:
        return PodProblem("Creating", f"LeaderWorkerSet {workload.name} waits for its controller")
    return PodProblem("Creating", "the pods are being created")


def _in_the_engines_words(problem: PodProblem, waiting: Sequence[ObservedPod]) -> PodProblem:
    """An engine that ends before it ever answered has not loaded its model, and its last words say why.

    What it says later may be about requests, and is left alone.
    """
    if problem.reason != "CrashLoopBackOff":
        return problem
    pod = next(pod for pod in waiting if pod_problem(pod) == problem)
    engine = pod.container(ENGINE_CONTAINER)
    if engine is None or not pod.never_ready:
        return problem
    words = last_words(engine.exit_message)
    return PodProblem("ModelLoadFailed", f"{problem.message}; it said: {words}" if words else problem.message)


def _failure(failed: Sequence[ObservedPod]) -> PodProblem:
    """Such as Evicted, or UnexpectedAdmissionError of a device plugin that had no device after all."""
    newest = max(failed, key=lambda pod: (pod.failed_at, pod.name))
    return PodProblem("PodFailed", f"{newest.name}: {newest.reason}: {newest.message}")
