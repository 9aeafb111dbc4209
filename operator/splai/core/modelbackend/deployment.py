"""The Deployment that runs the engine, as it should be."""

from typing import Any

from splai.api.model_backend import ModelBackend
from splai.core.content_hash import content_hash
from splai.core.engine_containers import engine_of, fetch_containers
from splai.core.modelbackend.rollout import rolling_update, strategy
from splai.core.observed import BACKEND_LABEL, COMPONENT_LABEL, REVISION_LABEL
from splai.core.ownership import Component, child_labels, child_metadata
from splai.core.pod_overlay import overlay_pod, with_default_requests
from splai.core.settings import OperatorSettings
from splai.engines import ENGINE_CONTAINER, EnginePod

Object = dict[str, Any]

_PULL_SECONDS = 15 * 60  # the largest images of engines have some ten gigabytes
_GRACE_SECONDS = 60
# Time for proxies to learn that the pod is leaving, before the engine stops to take connections.
_LEAVE_SECONDS = 5


def build_deployment(backend: ModelBackend, settings: OperatorSettings) -> Object:
    """Changes to anything but ``replicas`` and the rollout itself are a new revision."""
    engine = engine_of(backend, settings)
    pod = pod_template(backend, settings, engine, "engine")
    pod["metadata"]["labels"][REVISION_LABEL] = content_hash(pod)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(backend, backend.metadata["name"], child_labels(backend, "engine")),
        "spec": {
            "replicas": backend.spec.replicas,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": _PULL_SECONDS + load_seconds(pod),
            "selector": {"matchLabels": selector_labels(backend)},
            **strategy("Deployment", rolling_update(backend.spec.rollout)),
            "template": pod,
        },
    }


def selector_labels(backend: ModelBackend) -> dict[str, str]:
    """What finds the replicas; a Deployment's selector can never change."""
    labels = child_labels(backend, "engine")
    return {label: labels[label] for label in (BACKEND_LABEL, COMPONENT_LABEL)}


def load_seconds(pod: Object) -> int:
    """How long the startup probe waits for an engine of the pod template to load its model."""
    engine = next(container for container in pod["spec"]["containers"] if container["name"] == ENGINE_CONTAINER)
    probe = engine["startupProbe"]
    seconds: int = probe["periodSeconds"] * probe["failureThreshold"]
    return seconds


def pod_template(backend: ModelBackend, settings: OperatorSettings, engine: EnginePod, component: Component) -> Object:
    """The pods that run the engine's container, the user's template over them; the revision is still to be set."""
    container = {
        **engine.container,
        "imagePullPolicy": settings.image_pull_policy,
        "lifecycle": {"preStop": {"sleep": {"seconds": _LEAVE_SECONDS}}},
        # Why a model did not load is in the engine's last lines: docs/decisions/0018 says who sees them, and when not.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    fetches = fetch_containers(engine, settings)
    metadata: Object = {"labels": child_labels(backend, component)}
    if engine.metrics is not None:
        metadata["annotations"] = engine.metrics.annotations(engine.port)
    pod = {
        "metadata": metadata,
        "spec": {
            "automountServiceAccountToken": False,
            # Kubernetes would set variables named after Services, such as VLLM_PORT, which engines take for their own.
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
                **engine.security,
            },
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            **({"initContainers": fetches} if fetches else {}),
            "containers": [container],
            "volumes": list(engine.volumes),
        },
    }
    laid = overlay_pod(pod, [engine.placement, backend.spec.template], container=ENGINE_CONTAINER)
    return with_default_requests(laid, engine.requests, container=ENGINE_CONTAINER)
