"""PersistentVolumeClaims, and pods that put files on them or look at what is there."""

import uuid
from typing import Any

from tests.e2e.cluster import Namespace, run_kubectl


def claim(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def run_python(namespace: Namespace, claim_name: str, code: str) -> str:
    """Run a script in SPLAI's own image with the claim at /volume; returns what it prints."""
    name = f"script-{uuid.uuid4().hex[:8]}"
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": "script",
                        "image": _splai_image(),
                        "command": ["python", "-c", code],
                        "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
                        "securityContext": {
                            "runAsUser": 65532,
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
                "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": claim_name}}],
            },
        }
    )
    namespace.wait("jsonpath={.status.phase}=Succeeded", f"pod/{name}", timeout=120)
    return namespace.kubectl("logs", name)


def _splai_image() -> str:
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    return run_kubectl("-n", "splai-system", "get", "deployment", "splai-operator", "-o", path)
