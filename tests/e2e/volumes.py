"""PersistentVolumes and their claims, and pods that put files on them or look at what is there."""

import json
import uuid
from typing import Any

from tests.e2e.cluster import Namespace, eventually, run_kubectl, splai_image


def claim(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec},
    }


def volume_name(namespace: Namespace, claim_name: str) -> str:
    """Of the volume below: volumes belong to no namespace."""
    return f"{namespace.name}-{claim_name}"


def bound(namespace: Namespace, name: str, **source: Any) -> list[dict[str, Any]]:
    """A PersistentVolume of any kind, and the claim that it is there for."""
    volume, mode = volume_name(namespace, name), source.get("volumeMode", "Filesystem")
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "claimRef": {"namespace": namespace.name, "name": name},
        "persistentVolumeReclaimPolicy": "Retain",
        **source,
    }
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": spec},
        claim(name, volumeName=volume, storageClassName="", volumeMode=mode),
    ]


def refuse_to_attach(volume: str, words: str) -> None:
    """In the place of a CSI driver's attacher; where there is none at all, Kubernetes says so after two minutes."""

    def attachment() -> str:
        found = json.loads(run_kubectl("get", "volumeattachments", "-o", "json"))["items"]
        names = (it["metadata"]["name"] for it in found if it["spec"]["source"].get("persistentVolumeName") == volume)
        return next(names, "")

    name = eventually(attachment, what=f"{volume} is to be attached")
    status = json.dumps({"status": {"attached": False, "attachError": {"message": words}}})
    run_kubectl("patch", "volumeattachment", name, "--subresource=status", "--type=merge", "-p", status)


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
                        "image": splai_image(),
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
