"""What only the kubelet's Events say about a pod: a volume that cannot be mounted, a probe and how it fails.

A pod's status tells neither. Nothing is told when such an Event comes, as Events are not watched: there are too many
of them. So they are listed again and again for as long as a pod is there, has a node, has no other problem and does not
answer.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from splai.core.modelbackend.replicas import has_started, runs
from splai.core.observed import ObservedEvent, ObservedPod
from splai.core.pod_problem import PodProblem, pod_problem

PATIENCE = timedelta(seconds=10)
"""Most pods run by then."""
LOOK_AGAIN = timedelta(seconds=20)
STALE_AFTER = timedelta(minutes=6)
"""The kubelet tries a mount again every two minutes at the latest, and tells of a failing probe every five."""

_BEFORE_START = frozenset({"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"})
_TOO_EARLY = "no relationship found between node"
"""A kubelet may look for a pod's claim before the apiserver knows that the pod is its own; it looks again at once."""
_UNHEALTHY = "Unhealthy"
_NEVER_RIGHT = re.compile(r"statuscode: 4(?!08|25|29)\d\d\b")
"""A client's mistake. An engine that is loading answers 503, or nothing; 408, 425 and 429 may pass as well."""


def unexplained(pods: Iterable[ObservedPod]) -> list[ObservedPod]:
    """Pods whose status doesn't say why they do not answer."""
    return [
        pod
        for pod in pods
        if pod.node and not pod.ready and not pod.ended and pod.deletion is None and pod_problem(pod) is None
    ]


def needs_pod_events(pods: Iterable[ObservedPod], now: datetime) -> bool:
    """Whether the Events about a backend's pods are looked at: when one has not answered for a while."""
    return any(_is_late(pod, now) for pod in unexplained(pods))


def next_listing(pods: Iterable[ObservedPod], now: datetime) -> float | None:
    """Seconds until Events are to be looked at, again or for the first time."""
    waits = [
        LOOK_AGAIN if _is_late(pod, now) or pod.created is None else pod.created + PATIENCE - now
        for pod in unexplained(pods)
    ]
    return min(waits).total_seconds() if waits else None


def kubelet_problem(pod: ObservedPod, events: Sequence[ObservedEvent], now: datetime) -> PodProblem | None:
    """What keeps the pod from starting, or its startup probe from ever passing."""
    if not runs(pod):
        failure = _newest(event for event in events if event.reason in _BEFORE_START and _tells(event, now))
        return PodProblem(failure.reason, failure.message) if failure else None
    failure = None if has_started(pod) else _newest(event for event in events if event.reason == _UNHEALTHY)
    if failure is None or not _NEVER_RIGHT.search(failure.message):
        return None
    return PodProblem("ProbeFailed", f"{failure.message}: the engine runs, but has nothing at its health path")


def probe_words(events: Sequence[ObservedEvent]) -> str:
    """The kubelet's newest words about a probe of the pod."""
    failure = _newest(event for event in events if event.reason == _UNHEALTHY)
    return failure.message if failure else ""


def _is_late(pod: ObservedPod, now: datetime) -> bool:
    return pod.created is None or now - pod.created >= PATIENCE


def _tells(event: ObservedEvent, now: datetime) -> bool:
    return event.at is not None and now - event.at < STALE_AFTER and _TOO_EARLY not in event.message


def _newest(events: Iterable[ObservedEvent]) -> ObservedEvent | None:
    return max(events, key=lambda event: event.at.timestamp() if event.at else 0.0, default=None)
