"""Objects as the apiserver shows them, as few fields as matter."""

from typing import Any

Object = dict[str, Any]


def inference_job(
    name: str = "j",
    *,
    namespace: str = "n",
    version: int = 1,
    generation: int = 1,
    status: Object | None = None,
    **spec: Any,
) -> Object:
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "generation": generation,
        },
        "spec": {"model": "m", "input": {"text": "hello"}, **spec},
        "status": status or {},
    }


def model_backend(
    name: str = "b",
    *,
    namespace: str = "n",
    version: int = 1,
    generation: int = 1,
    ready: str = "False",
    **spec: Any,
) -> Object:
    condition = {"type": "Ready", "status": ready, "reason": "Any", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "generation": generation,
        },
        "spec": {"model": {"id": "m"}, **spec},
        "status": {"conditions": [condition]},
    }


def child_job(name: str = "j-0", *, version: int = 1, owner: str = "uid-j", active: int = 0) -> Object:
    return {
        "metadata": {
            "namespace": "n",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "status": {"active": active},
    }


def pod(name: str = "p", *, version: int = 1, phase: str = "Pending", address: str = "", **labels: str) -> Object:
    return {
        "metadata": {
            "namespace": "n",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "labels": {f"splai.dev/{kind}": value for kind, value in labels.items()},
        },
        "status": {"phase": phase, "podIP": address},
    }
