"""The Service in front of the replicas: port 80, whatever port the engine listens on."""

from typing import Any

from splai.api.model_backend import ModelBackend
from splai.core.modelbackend.deployment import selector_labels
from splai.core.ownership import child_labels, child_metadata


def build_service(backend: ModelBackend) -> dict[str, Any]:
    """Its EndpointSlices carry its labels, which is how the gateway finds the pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(backend, backend.metadata["name"], child_labels(backend, "engine")),
        "spec": {
            "type": "ClusterIP",
            "selector": selector_labels(backend),
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
        },
    }


def service_url(backend: ModelBackend) -> str:
    """The base URL inside the cluster, where Shared workers find the backend; the OpenAI API is under /v1."""
    return f"http://{backend.metadata['name']}.{backend.metadata['namespace']}.svc"
