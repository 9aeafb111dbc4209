"""What pods said about their end, in SPLAI's own words or else in the kubelet's."""

from collections.abc import Iterable, Sequence

from splai.api.pod_contract import EXIT_BAD_INPUT
from splai.core.inferencejob.snapshot import WORKER_CONTAINER
from splai.core.observed import ObservedPod
from splai.core.termination_message import own_words


def last_words(pods: Iterable[ObservedPod]) -> str:
    """What the newest failed pod said about its end, or else what the kubelet said about it."""
    failed = [pod for pod in pods if pod.phase == "Failed"]
    if not failed:
        return ""
    pod = max(failed, key=lambda pod: (pod.created.timestamp() if pod.created else 0.0, pod.name))
    worker = pod.container(WORKER_CONTAINER)
    if worker is None or worker.exit_code is None:
        return f"pod {pod.name}: {pod.reason or 'Failed'}: {pod.message}".rstrip(": ")
    reason, message = own_words(worker.exit_message)
    said = f"{reason or worker.exit_reason}: {message}".rstrip(": ")
    return f"pod {pod.name}: exit code {worker.exit_code}" + (f", {said}" if said else "")


def refused_input(pods: Sequence[ObservedPod]) -> tuple[str, str]:
    """Reason and message of the pod that ended because its input cannot be used; both empty if it is gone."""
    for pod in pods:
        worker = pod.container(WORKER_CONTAINER)
        if worker and worker.exit_code == EXIT_BAD_INPUT:
            return own_words(worker.exit_message)
    return "", ""
