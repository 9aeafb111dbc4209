"""The Deployment that runs the engine, as it should be."""

from typing import Any

from splai.api.model_backend import ModelBackend
from splai.core.content_hash import content_hash
from splai.core.modelbackend.rollout import rolling_update
from splai.core.observed import BACKEND_LABEL, COMPONENT_LABEL, REVISION_LABEL
from splai.core.ownership import child_labels, child_metadata
from splai.core.pod_overlay import overlay_pod
from splai.core.settings import OperatorSettings
from splai.engines import ENGINE_CONTAINER, engine_pod

Object = dict[str, Any]

# A model may take half an hour to load (the engine's startup probe), after its image was pulled.
_PROGRESS_DEADLINE_SECONDS = 45 * 60
_GRACE_SECONDS = 60
# Time for proxies to learn that the pod is leaving, before the engine stops to take connections.
_LEAVE_SECONDS = 5


def build_deployment(backend: ModelBackend, settings: OperatorSettings) -> Object:
    """Changes to anything but ``replicas`` and the rollout itself are a new revision."""
    pod = _pod_template(backend, settings)
    pod["metadata"]["labels"][REVISION_LABEL] = content_hash(pod)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(backend, backend.metadata["name"], child_labels(backend, "engine")),
        "spec": {
            "replicas": backend.spec.replicas,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": _PROGRESS_DEADLINE_SECONDS,
            "selector": {"matchLabels": selector_labels(backend)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling_update(backend.spec.rollout)},
            "template": pod,
        },
    }


def selector_labels(backend: ModelBackend) -> dict[str, str]:
    """What finds the replicas; a Deployment's selector can never change."""
    labels = child_labels(backend, "engine")
    return {label: labels[label] for label in (BACKEND_LABEL, COMPONENT_LABEL)}


def revision(deployment: Object) -> str:
    """The revision of a Deployment that ``build_deployment`` made."""
    label: str = deployment["spec"]["template"]["metadata"]["labels"][REVISION_LABEL]
    return label


def _pod_template(backend: ModelBackend, settings: OperatorSettings) -> Object:
    engine = engine_pod(backend.spec, settings.engine_images)
    container = {
        **engine.container,
        "imagePullPolicy": settings.image_pull_policy,
        "lifecycle": {"preStop": {"sleep": {"seconds": _LEAVE_SECONDS}}},
        # Why a model did not load is in the engine's last lines: docs/decisions/0016 says who sees them, and when not.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod = {
        "metadata": {"labels": child_labels(backend, "engine")},
        "spec": {
            "automountServiceAccountToken": False,
            # Kubernetes would set variables named after Services, such as VLLM_PORT, which engines take for their own.
            "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            "containers": [container],
            "volumes": list(engine.volumes),
        },
    }
    return overlay_pod(pod, [backend.spec.template], container=ENGINE_CONTAINER)
