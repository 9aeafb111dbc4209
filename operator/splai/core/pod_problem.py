"""Why a pod does not run, in words for whoever has to do something about it."""

from collections.abc import Iterable
from dataclasses import dataclass

from splai.core.observed import ObservedContainer, ObservedPod
from splai.engines import FETCH_CONTAINER

_IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONTAINER_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

_START_FAILURES = frozenset({"StartError", "ContainerCannotRun"})
"""Of a container that the runtime could not start: its message is the runtime's, as a rule about the command."""

_EXIT_HINTS = {
    126: "the command cannot be executed",
    127: "the command does not exist in the image",
    132: "an instruction that this CPU does not have",
    134: "aborted",
    137: "killed: by a failed probe, or for memory",
    139: "a segmentation fault",
    143: "ended by a failed probe",
}


@dataclass(frozen=True)
class PodProblem:
    """One cause; ``reason`` is a word for conditions and events."""

    reason: str
    message: str


# First what no waiting will cure, last what may pass when others make room.
SEVERITY = (
    "ImagePullFailed",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "FetchFailed",
    "OOMKilled",
    "CrashLoopBackOff",
    "Unschedulable",
    "ResourceClaimPending",
)


def pod_problem(pod: ObservedPod) -> PodProblem | None:
    """What keeps the pod from running; None while it is on its way, runs or has ended."""
    if pod.ended or pod.deletion is not None:
        return None
    if pod.scheduled is not None and pod.scheduled.status == "False":
        return PodProblem("Unschedulable", pod.scheduled.message or pod.scheduled.reason)
    if pod.resource_claims and pod.scheduled is None and not pod.node:
        return PodProblem("ResourceClaimPending", _held_back(pod))
    problems = (_container_problem(pod, container) for container in pod.containers)
    return next((problem for problem in problems if problem is not None), None)


def worst_problem(pods: Iterable[ObservedPod]) -> PodProblem | None:
    """The problem to show for several pods; of equals that of the first by name, so that the answer is stable."""
    found = [problem for pod in sorted(pods, key=lambda pod: pod.name) if (problem := pod_problem(pod)) is not None]
    return min(found, key=lambda problem: SEVERITY.index(problem.reason), default=None)


def _held_back(pod: ObservedPod) -> str:
    """The scheduler does not consider a pod before its claims exist, and says so nowhere (kube-scheduler's PreEnqueue).

    Claims of a template are made right after the pod, so this is short unless the template is missing.
    """
    return (
        f"the scheduler waits until the pod's claims exist, of {' and '.join(dict.fromkeys(pod.resource_claims))}: "
        f"see `kubectl get resourceclaimtemplates,resourceclaims -n {pod.namespace}`"
    )


def _container_problem(pod: ObservedPod, container: ObservedContainer) -> PodProblem | None:
    if container.waiting_reason in _IMAGE_REASONS:
        return PodProblem("ImagePullFailed", _words(container.waiting_reason, container.waiting_message))
    if container.waiting_reason in _CONTAINER_REASONS:
        return PodProblem(container.waiting_reason, container.waiting_message or container.waiting_reason)
    if container.ready or not _keeps_ending(container):
        return None
    if container.name.startswith(FETCH_CONTAINER) and container.exit_message:
        return PodProblem("FetchFailed", container.exit_message)
    if container.exit_reason in _START_FAILURES:
        return PodProblem("RunContainerError", _words(container.exit_reason, container.exit_message))
    restarts = f"{container.restarts} restart{'' if container.restarts == 1 else 's'}"
    if container.exit_reason == "OOMKilled":
        return PodProblem(
            "OOMKilled",
            f"{container.name} used more memory than its limit and was killed ({restarts}): raise the limit",
        )
    hint = _EXIT_HINTS.get(container.exit_code or 0)
    return PodProblem(
        "CrashLoopBackOff",
        f"{container.name} ended with exit code {container.exit_code}{f', {hint}' if hint else ''} ({restarts}): "
        f"see `kubectl logs -n {pod.namespace} {pod.name} -c {container.name} --previous`",
    )


def _keeps_ending(container: ObservedContainer) -> bool:
    """It failed and is down, or is up again after so many failures that one more is likely."""
    if container.waiting_reason == "CrashLoopBackOff":
        return True
    return bool(container.exit_code) and (container.terminated or container.restarts > 1)


def _words(reason: str, message: str) -> str:
    return f"{reason}: {message}" if message else reason
