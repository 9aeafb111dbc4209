"""How far the pods have got that have no problem and do not answer yet: images, weights, the model, an answer.

It is what the furthest of them does, since when, and until when it may: moments, not durations, so that a status is
written when a stage begins and not again while it lasts. How much of the weights is there no status of a pod tells; the
container that fetches them does, in its log.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from splai.api.base import format_time
from splai.api.model_backend import Model
from splai.core.modelbackend.kubelet_words import probe_words
from splai.core.modelbackend.replicas import has_started, runs
from splai.core.observed import ObservedContainer, ObservedEvent, ObservedPod
from splai.core.pod_problem import PodProblem
from splai.engines import ENGINE_CONTAINER, FETCH_CONTAINER, engine_downloads

Events = Mapping[str, Sequence[ObservedEvent]]


def progress(model: Model, waiting: Sequence[ObservedPod], events: Events, patience: timedelta) -> PodProblem:
    """Of the pods in ``waiting``, by name; ``patience`` is that of the startup probe."""
    started = [pod for pod in waiting if has_started(pod)]
    if started:
        words = "the model was loaded, but the engine fails its readiness probe"
        return PodProblem("NotAnswering", words + _because(started, events))
    running = [pod for pod in waiting if runs(pod)]
    if running:
        return PodProblem("Loading", _loading(model, running, patience) + _because(running, events))
    for pod in waiting:
        fetch = next((it for it in _fetches(pod) if _is_running(it)), None)
        if fetch is not None:
            return PodProblem("Fetching", _fetching(pod, fetch))
    return PodProblem("Starting", "the pods are starting: images are pulled and volumes mounted")


def _loading(model: Model, running: Sequence[ObservedPod], patience: timedelta) -> str:
    engines = [engine for pod in running if (engine := pod.container(ENGINE_CONTAINER)) is not None]
    first = min(engines, key=lambda engine: (engine.running_since is None, engine.running_since))
    does = "downloading and loading" if engine_downloads(model) else "loading"
    words = f"the engine is {does} the model{' again' if first.restarts else ''}"
    if first.running_since is None:
        return words
    until = format_time(first.running_since + patience)
    return f"{words}, since {format_time(first.running_since)} and until {until} at the latest"


def _fetching(pod: ObservedPod, fetch: ObservedContainer) -> str:
    names = [it.name for it in _fetches(pod)]
    place = f" ({names.index(fetch.name) + 1} of {len(names)})" if len(names) > 1 else ""
    since = f", since {format_time(fetch.running_since)}" if fetch.running_since else ""
    return (
        f"the weights are being fetched{since}: {fetch.name}{place}, "
        f"see `kubectl logs -n {pod.namespace} {pod.name} -c {fetch.name}`"
    )


def _fetches(pod: ObservedPod) -> list[ObservedContainer]:
    return [container for container in pod.containers if container.name.startswith(FETCH_CONTAINER)]


def _is_running(container: ObservedContainer) -> bool:
    return not container.waiting_reason and not container.terminated


def _because(pods: Sequence[ObservedPod], events: Events) -> str:
    """The kubelet's words about the first of these pods of which it said any."""
    words = next((said for pod in pods if (said := probe_words(events.get(pod.uid, ())))), "")
    return f": {words}" if words else ""
