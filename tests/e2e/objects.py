"""The objects the end-to-end tests apply."""

import json
from typing import Any

GPU_PRODUCT = {"nvidia.com/gpu.product": "NVIDIA-L4"}
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What Pod Security `restricted` asks of a container."""


def backend(name: str = "smollm2", **spec: Any) -> dict[str, Any]:
    """A ModelBackend that serves the real small model on one GPU."""
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "ModelBackend",
        "metadata": {"name": name},
        "spec": {
            "model": {"id": "llama3-8b-q4"},
            "engine": {"type": "LlamaCpp", "args": ["--threads", "1"]},
            "resources": {"gpu": {"count": 1}, "cpu": "100m", "memory": "2Gi"},
            "template": {"nodeSelector": GPU_PRODUCT},
            **spec,
        },
    }


def job(name: str, **spec: Any) -> dict[str, Any]:
    """An InferenceJob with short answers to the records of ``spec['input']``."""
    return {
        "apiVersion": "splai.dev/v1alpha1",
        "kind": "InferenceJob",
        "metadata": {"name": name},
        "spec": {"model": "llama3-8b-q4", "parameters": {"max_tokens": 2, "temperature": 0}, **spec},
    }


def config_map(name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """The records as JSON lines under the key records.jsonl."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"records.jsonl": "".join(json.dumps(record) + "\n" for record in records)},
    }


def from_config_map(name: str) -> dict[str, Any]:
    return {"configMap": {"name": name, "key": "records.jsonl"}}


def dedicated(parallelism: int = 1, **workers: Any) -> dict[str, Any]:
    return {"mode": "Dedicated", "parallelism": parallelism, **workers}
