"""What pods said about their end, in SPLAI's own words or else in the kubelet's."""

import json
import re
from collections.abc import Iterable, Sequence

from splai.api.pod_contract import EXIT_BAD_INPUT
from splai.core.inferencejob.snapshot import WORKER_CONTAINER
from splai.core.observed import ObservedPod

_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")


def last_words(pods: Iterable[ObservedPod]) -> str:
    """What the newest failed pod said about its end, or else what the kubelet said about it."""
    failed = [pod for pod in pods if pod.phase == "Failed"]
    if not failed:
        return ""
    pod = max(failed, key=lambda pod: (pod.created.timestamp() if pod.created else 0.0, pod.name))
    worker = pod.container(WORKER_CONTAINER)
    if worker is None or worker.exit_code is None:
        return f"pod {pod.name}: {pod.reason or 'Failed'}: {pod.message}".rstrip(": ")
    reason, message = _report(worker.exit_message)
    said = f"{reason or worker.exit_reason}: {message}".rstrip(": ")
    return f"pod {pod.name}: exit code {worker.exit_code}" + (f", {said}" if said else "")


def refused_input(pods: Sequence[ObservedPod]) -> tuple[str, str]:
    """Reason and message of the pod that ended because its input cannot be used; both empty if it is gone."""
    for pod in pods:
        worker = pod.container(WORKER_CONTAINER)
        if worker and worker.exit_code == EXIT_BAD_INPUT:
            return _report(worker.exit_message)
    return "", ""


def reason_or(text: str, default: str) -> str:
    """The text if it can be the reason of a condition."""
    return text if _REASON.fullmatch(text) else default


def _report(text: str) -> tuple[str, str]:
    """The reason and message that a worker left as its termination message; SPLAI's own words, or nothing."""
    try:
        report = json.loads(text)
    except ValueError:
        return "", ""
    if not isinstance(report, dict):
        return "", ""
    return reason_or(str(report.get("reason") or ""), ""), str(report.get("message") or "")[:1024]
