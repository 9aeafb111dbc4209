"""What every object that SPLAI makes carries: labels to find it by, and an owner, so that Kubernetes cleans up."""

from typing import Any, Literal

from splai.api import API_GROUP, API_VERSION
from splai.api.inference_job import InferenceJob
from splai.api.model_backend import ModelBackend
from splai.core.observed import BACKEND_LABEL, COMPONENT_LABEL, JOB_LABEL, MANAGED_BY_LABEL

Object = dict[str, Any]
Component = Literal["plan", "worker", "finish", "engine", "engine-worker"]


def child_labels(owner: InferenceJob | ModelBackend, component: Component) -> dict[str, str]:
    """The labels of a child and of its pods."""
    name_label = JOB_LABEL if isinstance(owner, InferenceJob) else BACKEND_LABEL
    return {
        MANAGED_BY_LABEL: "splai",
        COMPONENT_LABEL: component,
        name_label: owner.metadata["name"],
    }


def child_metadata(owner: InferenceJob | ModelBackend, name: str, labels: dict[str, str]) -> Object:
    """Metadata in the owner's namespace, with the owner as the controller."""
    return {
        "namespace": owner.metadata["namespace"],
        "name": name,
        "labels": labels,
        "ownerReferences": [
            {
                "apiVersion": f"{API_GROUP}/{API_VERSION}",
                "kind": type(owner).__name__,
                "name": owner.metadata["name"],
                "uid": owner.metadata["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
